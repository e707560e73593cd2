//! An NVIDIA GPU as a target of the compiler: PTX for a device, or the lowered module for the simulator.

use crate::chips::{Chip, find};
use crate::hooks::Instructions;
use crate::{dialect, global, groups, mma, version, wide};
use kcc_compiler::emit::{Emit, Hooks, K, Ty, V};
use kcc_compiler::gpu::{Facts, Fragments, GpuTarget, MmaKind, MmaRow, Shuffle};
use kcc_compiler::ktg::Func;
use kcc_compiler::llvm::{Machine, Output};
use kcc_compiler::{Error, Target, bug};
use kcc_dsl::ir::{Cache, Kernel, Scope};

/// From the lowering's dialects to `llvm` and `nvvm`: what the simulator takes.
const TO_DIALECT: &str = "convert-vector-to-llvm,convert-scf-to-cf,convert-arith-to-llvm,convert-math-to-llvm,\
convert-cf-to-llvm,reconcile-unrealized-casts";

/// Further, to what translates to LLVM IR, with places for the line directives of PTX. Other kinds of emission would mark
/// the text as made for debugging, and `ptxas` would not optimise it.
const TO_LLVM: &str = "convert-vector-to-llvm,convert-scf-to-cf,convert-nvvm-to-llvm,convert-arith-to-llvm,\
convert-math-to-llvm,convert-cf-to-llvm,reconcile-unrealized-casts,\
ensure-debug-info-scope-on-llvm-func{emission-kind=DebugDirectivesOnly}";

/// As good as `default<O3>` for what the lowering writes, in a fraction of the time.
const LLVM_PASSES: &str =
    "function(early-cse,instcombine<no-verify-fixpoint>,simplifycfg,loop-mssa(licm),early-cse,dce)";

/// The NVIDIA backend for one chip.
pub struct Nvidia {
    chip: &'static Chip,
    name: String,
    facts: Facts,
    products: Vec<MmaRow>,
    simulated: bool,
}

impl Nvidia {
    /// The target of that full name: `nvidia:sm_90a` for PTX, `sim:sm_90a` for the simulator; `None` if there is no such
    /// row.
    pub fn open(name: &str) -> Option<Nvidia> {
        let (kind, chip) = name.split_once(':')?;
        let simulated = match kind {
            "nvidia" => false,
            "sim" => true,
            _ => return None,
        };
        let chip = find(chip)?;
        let products = mma::rows(chip.capability).ok()?;
        Some(Nvidia { chip, name: name.into(), facts: chip.facts(), products, simulated })
    }

    /// The chip's row.
    pub fn chip(&self) -> &'static Chip {
        self.chip
    }
}

impl Target for Nvidia {
    fn name(&self) -> &str {
        &self.name
    }

    fn check(&self, _: &Kernel) -> Result<(), Error> {
        Ok(())
    }

    fn gpu(&self) -> Option<&dyn GpuTarget> {
        Some(self)
    }

    fn prepare(&self, context: &kcc_compiler::mlir::Context) {
        dialect::prepare(context);
    }

    fn mlir_passes(&self) -> &str {
        if self.simulated { TO_DIALECT } else { TO_LLVM }
    }

    fn llvm_passes(&self, _: &str) -> &str {
        LLVM_PASSES
    }

    fn machine(&self, module: &str) -> Machine {
        let (major, minor) = version::lowest(self.chip, module);
        Machine {
            triple: "nvptx64-nvidia-cuda".into(),
            cpu: self.chip.name.into(),
            features: format!("+ptx{major}{minor}"),
        }
    }

    fn output(&self) -> Output {
        if self.simulated { Output::Dialect } else { Output::Assembly }
    }
}

const AXES: [&str; 3] = ["x", "y", "z"];

fn register(e: &mut Emit, name: &str, axis: u8) -> V {
    let axis = AXES[usize::from(axis).min(2)];
    e.pure(Ty::scalar(K::I32), format!("nvvm.read.ptx.sreg.{name}.{axis} : i32"), &[])
}

impl GpuTarget for Nvidia {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn mma_table(&self) -> &[MmaRow] {
        &self.products
    }

    /// As `ptxas` 13.1 has it, message C7602: fragments, and what it keeps beside them.
    fn fewest_registers(&self, product: Option<&MmaRow>) -> u32 {
        let Some(row) = product else { return 24 };
        match row.kind {
            MmaKind::Async => row.acc_layout.registers() + 26,
            MmaKind::Sync => 28,
        }
    }

    fn hooks(&self) -> &'static dyn Hooks {
        &Instructions
    }

    fn isa_version(&self, module: &str) -> (u8, u8) {
        version::lowest(self.chip, module)
    }

    fn kernel_attributes(&self, func: &Func) -> String {
        let threads = func.threads(self.facts.lanes);
        let mut all =
            format!("nvvm.kernel, nvvm.reqntid = array<i32: {threads}, 1, 1>, nvvm.minctasm = 1 : i32");
        if func.cluster != [1; 3] {
            let [x, y, z] = func.cluster;
            all += &format!(", nvvm.cluster_dim = array<i32: {x}, {y}, {z}>");
        }
        if let Some(registers) = func.max_registers {
            all += &format!(", nvvm.maxnreg = {registers} : i32");
        }
        all
    }

    fn tensor_map_parameter(&self) -> Result<String, Error> {
        if !self.facts.bulk_copy {
            return Err(bug(format!("tensor maps on {}", self.chip.name)));
        }
        let attributes = "llvm.byval = !llvm.array<128 x i8>, llvm.align = 64 : i64, nvvm.grid_constant";
        Ok(format!("!llvm.ptr {{{attributes}}}"))
    }

    fn thread_id(&self, e: &mut Emit) -> V {
        register(e, "tid", 0)
    }

    fn block_id(&self, e: &mut Emit, axis: u8) -> V {
        register(e, "ctaid", axis)
    }

    fn num_blocks(&self, e: &mut Emit, axis: u8) -> V {
        register(e, "nctaid", axis)
    }

    /// What a shuffle gives from one lane to all is uniform to `ptxas` as well, which then keeps it in uniform registers.
    fn uniform(&self, e: &mut Emit, v: V) -> V {
        let (all, zero, clamp) = (e.int(K::I32, -1), e.int(K::I32, 0), e.int(K::I32, 31));
        let text = format!("nvvm.shfl.sync idx {all}, {v}, {zero}, {clamp} : {0} -> {0}", v.ty);
        e.pure(v.ty, text, &[v])
    }

    fn shuffle(&self, e: &mut Emit, how: Shuffle, v: V, by: V) -> V {
        let (mode, clamp) = match how {
            Shuffle::Xor => ("bfly", 31),
            Shuffle::Index => ("idx", 31),
            Shuffle::Up => ("up", 0),
            Shuffle::Down => ("down", 31),
        };
        let (all, clamp) = (e.int(K::I32, -1), e.int(K::I32, clamp));
        let ty = v.ty;
        e.here(ty, format!("nvvm.shfl.sync {mode} {all}, {v}, {by}, {clamp} : {ty} -> {ty}"))
    }

    fn ballot(&self, e: &mut Emit, predicate: V) -> V {
        let all = e.int(K::I32, -1);
        e.here(Ty::scalar(K::I32), format!("nvvm.vote.sync ballot {all}, {predicate} -> i32"))
    }

    fn block_barrier(&self, e: &mut Emit, id: u32, threads: u32) {
        if id == 0 && threads == 0 {
            return e.line("nvvm.barrier0".into());
        }
        let (id, threads) = (e.int(K::I32, i64::from(id)), e.int(K::I32, i64::from(threads)));
        groups::barrier(e, id, threads);
    }

    fn named_arrive(&self, e: &mut Emit, id: u32, threads: u32) -> Result<(), Error> {
        let (id, threads) = (e.int(K::I32, i64::from(id)), e.int(K::I32, i64::from(threads)));
        groups::barrier_arrive(e, id, threads);
        Ok(())
    }

    fn load_global(&self, e: &mut Emit, p: V, ty: Ty, predicate: Option<V>, _: Cache) -> V {
        let Some(predicate) = predicate else { return e.load_aligned(p, ty) };
        if let Some(v) = global::load(e, p, ty, predicate) {
            return v;
        }
        let zero = if ty.k.is_float() { e.zero_float(ty) } else { e.int_like(ty, 0) };
        let mut open = e.begin_if(predicate, &[ty]);
        let read = e.load_aligned(p, ty);
        e.begin_else(&mut open, &[read]);
        e.end_if(open, &[zero])[0]
    }

    fn store_global(&self, e: &mut Emit, value: V, p: V, predicate: Option<V>, _: Cache) {
        let Some(predicate) = predicate else { return e.store_aligned(value, p) };
        if global::store(e, value, p, predicate) {
            return;
        }
        let open = e.begin_if(predicate, &[]);
        e.store_aligned(value, p);
        e.end_if(open, &[]);
    }

    fn load_matrices(&self, e: &mut Emit, p: V, count: u32, transposed: bool) -> Option<Vec<V>> {
        Some(mma::ldmatrix(e, p, count, transposed))
    }

    fn async_copy(&self, e: &mut Emit, to: V, from: V, bytes: u32, valid: Option<V>) -> Result<(), Error> {
        mma::copy_async(e, to, from, bytes, valid);
        Ok(())
    }

    fn async_commit(&self, e: &mut Emit) -> Result<(), Error> {
        mma::copy_async_commit(e);
        Ok(())
    }

    fn async_wait(&self, e: &mut Emit, pending: u32) -> Result<(), Error> {
        mma::copy_async_wait(e, pending);
        Ok(())
    }

    fn mma(&self, e: &mut Emit, row: &MmaRow, given: Fragments<'_>) -> Result<Vec<V>, Error> {
        let own = mma::find(&row.name).and_then(|m| m.emit(e, given.a, given.b, given.acc));
        own.ok_or_else(|| bug(format!("`{}` on {}", row.name, self.chip.name)))
    }

    fn wide(&self) -> Option<&dyn kcc_compiler::gpu::wide::WideMma> {
        self.facts.wide_mma.then_some(&wide::Wgmma)
    }

    fn bulk(&self) -> Option<&dyn kcc_compiler::gpu::wide::BulkCopy> {
        self.facts.bulk_copy.then_some(&wide::Tma)
    }

    fn sync_scope(&self, scope: Scope) -> &'static str {
        match scope {
            Scope::Block => "block",
            Scope::Device => "device",
            Scope::System => "",
        }
    }
}
