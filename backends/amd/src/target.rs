//! An AMD GPU as a target: a linked code object for a device, the lowered module for the simulator.

use crate::buffers::{COPIES, Raw};
use crate::chips::Chip;
use crate::dialect::ROCDL;
use crate::hooks::Functions;
use crate::{chips, code_object, lanes, matrix};
use kcc_compiler::emit::{Emit, Hooks, K, Ty, V};
use kcc_compiler::gpu::{Buffers, Facts, Fragments, GpuTarget, MmaRow, Shuffle};
use kcc_compiler::ktg::Func;
use kcc_compiler::link::foreign_object;
use kcc_compiler::llvm::{Machine, Output};
use kcc_compiler::mlir::Context;
use kcc_compiler::{Error, Target, bug};
use kcc_dsl::ir::{Kernel, Scope};

/// Leaves `llvm` and `rocdl`, both of which translate to LLVM IR and run on the simulator.
const SIMULATED: &str = "convert-vector-to-llvm,convert-scf-to-cf,convert-arith-to-llvm,convert-math-to-llvm,\
convert-cf-to-llvm,reconcile-unrealized-casts";

/// The same with lines for debuggers and profilers.
const DEVICE: &str = "convert-vector-to-llvm,convert-scf-to-cf,convert-arith-to-llvm,convert-math-to-llvm,\
convert-cf-to-llvm,reconcile-unrealized-casts,ensure-debug-info-scope-on-llvm-func{emission-kind=LineTablesOnly}";

/// Lowering writes pairs of `f32` as such, so that no pass has to look for them. Loops are turned to end in their condition: in those that begin with it the generator copies each sum from turn to turn. Constants
/// leave addresses, as the generator would have them at its start; its search for strength to reduce compares addresses in pairs, which took up to a fifth
/// of the time and changed no main loop for the better. The last pass finds which of the launch's hidden arguments the kernel needs: none, or the number
/// of blocks.
const OPTIMISE: &str = "function(early-cse,instcombine<no-verify-fixpoint>,simplifycfg,loop-mssa(loop-rotate,licm),early-cse,dce,\
separate-const-offset-from-gep,early-cse),amdgpu-attributor";

/// Lowering makes accesses as wide as they can be: what joins them finds arguments only, and then keeps eight words of them in scalar registers
/// where one is used. Addresses are seen to above.
const GENERATOR: &[&str] = &["-amdgpu-load-store-vectorizer=0", "-amdgpu-scalar-ir-passes=0"];

/// Code objects of version 5: the newest that every supported release of HIP loads.
const ABI: &str =
    "llvm.module_flags [#llvm.mlir.module_flag<error, \"amdhsa_code_object_version\", 500 : i32>]\n";

/// Compiles for one chip, or for its simulation.
pub struct Amd {
    full: String,
    chip: &'static Chip,
    facts: Facts,
    buffers: Raw,
    products: Vec<MmaRow>,
    device: bool,
}

impl Amd {
    /// `amd:gfx942` is the device, `sim:gfx942` its simulation; `None` for other names.
    pub fn open(name: &str) -> Option<Amd> {
        let device = name.starts_with("amd:");
        let chip = Chip::named(name.strip_prefix("amd:").or_else(|| name.strip_prefix("sim:"))?)?;
        let products = matrix::rows(chip.matrix).ok()?;
        Some(Amd {
            full: name.to_owned(),
            chip,
            facts: chip.facts(),
            buffers: Raw { chip, scopes: device },
            products,
            device,
        })
    }
}

/// The same sums, where they are: no later pass moves what gave them into a branch behind.
///
/// Assembly without a text that is convergent, as the translation from MLIR marks all of it, and without side effects, so that other
/// instructions pass it.
fn anchored(e: &mut Emit, sums: &[V]) -> Vec<V> {
    let whole = e.vector(sums);
    let text = format!("llvm.inline_asm asm_dialect = att \"\", \"=v,0\" {whole} : ({0}) -> {0}", whole.ty);
    let kept = e.here(whole.ty, text);
    (0..sums.len()).map(|i| e.extract(kept, i)).collect()
}

impl Amd {
    /// Whether reads of LDS say that they are none of what direct copies write.
    fn scoped(&self) -> bool {
        self.device && self.chip.direct_copy > 0
    }
}

impl Target for Amd {
    fn check(&self, _: &Kernel) -> Result<(), Error> {
        Ok(())
    }

    fn name(&self) -> &str {
        &self.full
    }

    fn prepare(&self, context: &Context) {
        ROCDL.add_to(context);
    }

    fn gpu(&self) -> Option<&dyn GpuTarget> {
        Some(self)
    }

    fn llvm_passes(&self, _: &str) -> &str {
        OPTIMISE
    }

    fn mlir_passes(&self) -> &str {
        if self.device { DEVICE } else { SIMULATED }
    }

    fn output(&self) -> Output {
        if self.device { Output::Object } else { Output::Dialect }
    }

    /// Without the mode in which accesses may lie anywhere, which HSA's runtimes set and others need not: LLVM would join narrow writes
    /// of LDS by it.
    fn machine(&self, _: &str) -> Machine {
        Machine {
            triple: "amdgcn-amd-amdhsa".into(),
            cpu: self.chip.name.into(),
            features: "-unaligned-access-mode".into(),
        }
    }

    fn generator_options(&self) -> &'static [&'static str] {
        GENERATOR
    }

    fn link(&self, object: Vec<u8>) -> Result<Vec<u8>, Error> {
        code_object::link(&object).map_or_else(|| foreign_object(&object), Ok)
    }

    fn spilled(&self, code: &[u8]) -> u32 {
        code_object::note(code, ".vgpr_spill_count").unwrap_or(0)
    }
}

/// A word that the hardware gives each lane or each workgroup.
fn index(e: &mut Emit, what: &str, axis: u8) -> V {
    let axis = ["x", "y", "z"][usize::from(axis).min(2)];
    e.pure(Ty::scalar(K::I32), format!("rocdl.{what}.{axis} : i32"), &[])
}

impl GpuTarget for Amd {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn hooks(&self) -> &'static dyn Hooks {
        if self.chip.packs_bf16 { &Functions { packs_bf16: true } } else { &Functions { packs_bf16: false } }
    }

    fn mma_table(&self) -> &[MmaRow] {
        &self.products
    }

    /// With fewer LLVM finds no place for the operands of what it must have at once.
    fn fewest_registers(&self, product: Option<&MmaRow>) -> u32 {
        if product.is_some() { 64 } else { 32 }
    }

    /// The code object's.
    fn isa_version(&self, _: &str) -> (u8, u8) {
        (5, 0)
    }

    fn module_items(&self) -> &'static str {
        if self.device { ABI } else { "" }
    }

    fn static_shared(&self) -> bool {
        self.device
    }

    /// Without the mode of IEEE 754-2008 extrema ignore a signalling NaN as they do a quiet one, and operands need no
    /// instruction of their own that quiets them.
    fn kernel_attributes(&self, func: &Func) -> String {
        let size = func.threads(self.facts.lanes);
        // LLVM counts half of them where the other half are accumulation registers.
        let share = if self.chip.matrix == chips::Matrix::Wmma { 1 } else { 2 };
        let most = func.max_registers.map(|n| format!(", [\"amdgpu-num-vgpr\", \"{}\"]", n / share));
        format!(
            "rocdl.kernel, rocdl.flat_work_group_size = \"{size},{size}\", \
             rocdl.reqd_work_group_size = array<i32: {size}, 1, 1>, \
             passthrough = [[\"uniform-work-group-size\", \"true\"], [\"amdgpu-ieee\", \"false\"]{}]",
            most.unwrap_or_default()
        )
    }

    fn block_id(&self, e: &mut Emit, axis: u8) -> V {
        index(e, "workgroup.id", axis)
    }

    fn thread_id(&self, e: &mut Emit) -> V {
        index(e, "workitem.id", 0)
    }

    /// Among the hidden arguments of a launch (AMDGPU usage guide, "Code Object V5 Metadata": `hidden_block_count_x` and so on come first),
    /// which the metadata then declare. Only persistent programs ask.
    fn num_blocks(&self, e: &mut Emit, axis: u8) -> V {
        if !self.device {
            return index(e, "grid.dim", axis);
        }
        let hidden = "llvm.call_intrinsic \"llvm.amdgcn.implicitarg.ptr\"() : () -> !llvm.ptr<4>";
        let hidden = e.pure(Ty::scalar(K::Ptr), hidden.into(), &[]);
        let place = format!(
            "llvm.getelementptr {hidden}[{}] : (!llvm.ptr<4>) -> !llvm.ptr<4>, i8",
            4 * u32::from(axis)
        );
        let place = e.pure(Ty::scalar(K::Ptr), place, &[hidden]);
        e.pure(Ty::scalar(K::I32), format!("llvm.load {place} invariant : !llvm.ptr<4> -> i32"), &[place])
    }

    fn uniform(&self, e: &mut Emit, v: V) -> V {
        lanes::first(e, v)
    }

    /// Read from a lane, which costs nothing where it is in a scalar register. LLVM's `LoopStrengthReduce` otherwise turns each address that
    /// follows from it into a variable of the loop, in vector registers that tiles need. With WMMA, whose operands lie in both halves of a
    /// wave, it is the other way round: what stays within registers does so by these variables.
    fn counter(&self, e: &mut Emit, v: V) -> V {
        if self.chip.matrix == chips::Matrix::Wmma { v } else { lanes::first(e, v) }
    }

    fn shuffle(&self, e: &mut Emit, how: Shuffle, v: V, by: V) -> V {
        lanes::shuffle(e, self.facts.lanes, how, v, by)
    }

    fn shuffle_constant(&self, e: &mut Emit, how: Shuffle, v: V, by: u32) -> V {
        if let (Shuffle::Xor, Some(moved)) = (how, lanes::exchange(e, self.chip, v, by)) {
            return moved;
        }
        let by = e.int(K::I32, i64::from(by));
        self.shuffle(e, how, v, by)
    }

    fn exchange_both(&self, e: &mut Emit, v: V, by: u32) -> Option<[V; 2]> {
        lanes::exchange_both(e, self.chip, v, by)
    }

    fn buffers(&self) -> Option<&dyn Buffers> {
        Some(&self.buffers)
    }

    /// In a scalar register: descriptors are made of such, and 64-bit minima and quotients, which only lanes compute, end in
    /// vector registers.
    fn settle(&self, e: &mut Emit, v: V) -> V {
        e.pure(v.ty, format!("rocdl.readfirstlane {v} : {}", v.ty), &[v])
    }

    fn ballot(&self, e: &mut Emit, predicate: V) -> V {
        let k = if self.facts.lanes == 64 { K::I64 } else { K::I32 };
        e.here(Ty::scalar(k), format!("rocdl.ballot {predicate} : {k}"))
    }

    /// All threads of the workgroup: there are no roles of waves on these chips.
    ///
    /// LLVM 22 sinks loads over barriers and fences into a branch behind them, since neither counts as a store (`MachineInstr::isSafeToMove`): the
    /// next writes of LDS then meet them. Assembly without a text that may write memory does count, and costs nothing.
    fn block_barrier(&self, e: &mut Emit, _: u32, _: u32) {
        if self.device {
            e.line(
                "llvm.inline_asm has_side_effects asm_dialect = att \"\", \"~{memory}\" : () -> ()".into(),
            );
        }
        e.line("rocdl.barrier".into());
    }

    /// Nothing passes `sched_barrier 0`: products would, whose operands are in registers.
    fn end_phase(&self, e: &mut Emit) {
        e.line("rocdl.sched.barrier 0".into());
        self.block_barrier(e, 0, 0);
        e.line("rocdl.sched.barrier 0".into());
    }

    /// Products are not moved behind the place where their priority ends; all else may be (a mask of what passes, 8 is MFMA).
    fn priority(&self, e: &mut Emit, level: u32) {
        if level == 0 {
            e.line(format!("rocdl.sched.barrier {}", 0x2 | 0x4 | 0x10 | 0x80 | 0x400));
        }
        e.line(format!("rocdl.s.setprio {level}"));
    }

    /// `sched_group_barrier`: so many instructions of a kind (8: MFMA, 256: reads of LDS), then those of the next.
    fn interleave(&self, e: &mut Emit, products: u32, reads: u32) {
        let (each, more) = (products / reads.max(1), products % reads.max(1));
        for read in 0..reads {
            e.line("rocdl.sched.group.barrier 256, 1, 0".into());
            let count = each + u32::from(read < more);
            if count > 0 {
                e.line(format!("rocdl.sched.group.barrier 8, {count}, 0"));
            }
        }
    }

    fn load_shared(&self, e: &mut Emit, p: V, ty: Ty) -> V {
        if !self.scoped() {
            return e.load_aligned(p, ty);
        }
        let align = ty.k.bytes() * ty.lanes.max(1) as usize;
        let how = format!("{{alignment = {align} : i64, noalias_scopes = [{COPIES}]}}");
        e.here(ty, format!("llvm.load {p} {how} : {} -> {ty}", p.ty))
    }

    /// `s_waitcnt vmcnt(n)`, and no wait for anything else (ISA guides, "S_WAITCNT"): six bits in two places.
    fn wait_direct(&self, e: &mut Emit, pending: u32) -> Result<(), Error> {
        let n = pending.min(63);
        e.line(format!("rocdl.s.waitcnt {}", 0xf70 | n & 15 | n >> 4 << 14));
        Ok(())
    }

    /// Copies go by way of registers: at this place they are done.
    fn async_wait(&self, _: &mut Emit, _: u32) -> Result<(), Error> {
        Ok(())
    }

    fn column_loads(&self) -> bool {
        self.chip.column_loads
    }

    /// `ds_read_b64_tr_b16`.
    fn load_columns(&self, e: &mut Emit, p: V) -> Result<[V; 2], Error> {
        let ty = Ty::vector(K::I16, 4);
        let scope = if self.scoped() { format!("{{noalias_scopes = [{COPIES}]}} ") } else { String::new() };
        let read = e.here(ty, format!("rocdl.ds.read.tr16.b64 {p} {scope}: !llvm.ptr<3> -> {ty}"));
        let words = Ty::vector(K::I32, 2);
        let words = e.pure(words, format!("llvm.bitcast {read} : {ty} to {words}"), &[read]);
        Ok([e.extract(words, 0), e.extract(words, 1)])
    }

    fn mma(&self, e: &mut Emit, row: &MmaRow, given: Fragments<'_>) -> Result<Vec<V>, Error> {
        let own = matrix::named(&row.name);
        let own = own.ok_or_else(|| bug(format!("{} has no `{}`", self.full, row.name)))?;
        let sinks = self.device && given.last && own.sinks(given.scales.is_some());
        let sums = own.emit(e, given);
        Ok(if sinks { anchored(e, &sums) } else { sums })
    }

    fn sync_scope(&self, scope: Scope) -> &'static str {
        match scope {
            Scope::System => "",
            Scope::Device => "agent",
            Scope::Block => "workgroup",
        }
    }
}
