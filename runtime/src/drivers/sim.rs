//! The simulator as a device: runs what a GPU backend lowers to, before it becomes code, on any machine.
//!
//! ```text
//! views ─ images ─▶ the simulator's memory ─ blocks, warps, lanes ─▶ images ─▶ views        a fault ends the launch
//! ```
//! Slow, and strict: an access out of bounds, a race, or a missing barrier, fence or wait is an error with the source line.

use super::gpu::hosted::{Hosted, Lent, PROCESSORS};
use super::gpu::{self, Driver, Module, blocks, encode};
use crate::device::Launching;
use crate::error::{Error, Result};
use crate::launch::{Label, Place, Raw};
use kcc_dsl::exchange::{Artifact, Diagnostic, GpuMeta, Severity};
use kcc_dsl::ir::{Elem, Loc};
use kcc_simt::{Arg, Chip, Fault, FaultKind, Launch, Memory, Options, Program, Swizzle, TensorMap};

/// How a simulator runs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct How {
    /// Decides in what order what may happen in any order does.
    pub(crate) seed: u64,
    /// Keeps a timeline, where the simulator has one.
    pub(crate) trace: bool,
}

/// A simulated chip.
pub(crate) struct Sim {
    chip: &'static Chip,
    target: String,
    seed: u64,
}

impl Sim {
    /// The seed decides the order of warps and when copies land.
    pub(crate) fn new(chip: &'static Chip, how: How) -> Sim {
        Sim { chip, target: format!("sim:{}", chip.name), seed: how.seed }
    }
}

impl Driver for Sim {
    fn describe(&self) -> String {
        format!("{} (simulator, seed {})", self.target, self.seed)
    }

    fn target(&self) -> &str {
        &self.target
    }

    fn place(&self) -> Place {
        Place::Host
    }

    fn shared_bytes(&self) -> Option<u64> {
        Some(self.chip.shared)
    }

    fn load(&self, kernel: &str, artifact: &Artifact) -> Result<Box<dyn Module>> {
        let meta = gpu::meta(kernel, artifact)?;
        let fail = |reason: String| Error::Load { kernel: kernel.into(), reason };
        let text = std::str::from_utf8(&artifact.bytes).map_err(|e| fail(e.to_string()))?;
        let program = Program::load(text).map_err(|e| {
            fail(format!("{e}; the compiler and the simulator do not fit together, report this"))
        })?;
        Ok(Box::new(Simulated {
            program,
            symbol: artifact.symbol.clone(),
            meta,
            chip: self.chip,
            seed: self.seed,
        }))
    }
}

struct Simulated {
    program: Program,
    symbol: String,
    meta: GpuMeta,
    chip: &'static Chip,
    seed: u64,
}

/// The simulator's tensor map of what a recipe yields.
fn tensor_map(e: &gpu::Encoded) -> TensorMap {
    let rank = e.rank as usize;
    TensorMap {
        address: e.address,
        element: e.elem.bytes() as u32,
        float: matches!(e.elem, Elem::F16 | Elem::BF16 | Elem::F32),
        bfloat: e.elem == Elem::BF16,
        dims: e.dims[..rank].to_vec(),
        strides: e.strides[1..rank.max(1)].to_vec(),
        box_dims: e.box_dims[..rank].to_vec(),
        swizzle: match e.swizzle {
            32 => Swizzle::B32,
            64 => Swizzle::B64,
            128 => Swizzle::B128,
            _ => Swizzle::None,
        },
        fill_nan: false,
    }
}

impl Simulated {
    /// The arguments, with what the launch lends in the simulator's memory.
    fn arguments<'m>(
        &self,
        label: &Label<'_>,
        launch: &Launching<'_>,
        hosted: &'m mut Hosted<'_>,
        memory: &mut Memory<'m>,
    ) -> Result<Vec<Arg>> {
        let (homes, words) = hosted.lend(launch, |bytes| match bytes {
            Lent::Written(bytes) => memory.borrow(bytes),
            Lent::Read(bytes) => memory.borrow_const(bytes),
        });
        let mut args: Vec<Arg> = words.iter().map(|&w| Arg::Bits(w)).collect();
        for recipe in &self.meta.tensor_maps {
            let i = recipe.param as usize;
            let Some(Raw::View(v)) = launch.args.get(i).map(|a| &a.raw) else {
                let reason = format!("its tensor map names parameter {i}, which is no view");
                return Err(Error::Load { kernel: label.to_string(), reason });
            };
            let map = tensor_map(&encode(label, &format!("#{i}"), recipe, v, homes[i])?);
            let bytes = map.encode().map_err(|e| Error::Limit {
                kernel: label.to_string(),
                reason: format!("argument #{i}: {e}"),
            })?;
            args.push(Arg::Bytes(bytes.to_vec()));
        }
        Ok(args)
    }
}

impl Module for Simulated {
    fn run(&self, label: &Label<'_>, launch: &Launching<'_>) -> Result<()> {
        let grid = blocks(label, &self.meta, launch.grid, PROCESSORS)?;
        let mut hosted = Hosted::new(&self.meta, launch.args)?;
        let mut memory = Memory::new();
        let args = self.arguments(label, launch, &mut hosted, &mut memory)?;
        let ran = self.program.run(Launch {
            kernel: &self.symbol,
            grid,
            block: [self.meta.threads, 1, 1],
            dynamic_shared: self.meta.shared_bytes,
            args: &args,
            memory: &mut memory,
            chip: self.chip,
            options: Options::seeded(self.seed),
        });
        drop(memory);
        let ran = ran.map(drop).map_err(|fault| error(label, self.chip, self.seed, &fault));
        hosted.finish(label, launch, ran)
    }
}

/// A fault as an error: what and where it showed, the other places, and what to do.
fn error(label: &Label<'_>, chip: &Chip, seed: u64, fault: &Fault) -> Error {
    let kernel = label.to_string();
    if matches!(fault.kind, FaultKind::Launch | FaultKind::Budget) {
        return Error::Limit { kernel, reason: fault.to_string() };
    }
    let loc = |l: &kcc_simt::Loc| Loc { file: l.file.to_string(), line: l.line, column: l.column };
    let mut message = format!("{} ({:?} on the simulated {})", fault.message, fault.kind, chip.name);
    for place in &fault.places {
        message.push_str(&format!("; at {place}"));
    }
    mistake(kernel, fault.loc().map(loc), message, seed)
}

/// A mistake of the compiler that a simulator found.
pub(crate) fn mistake(kernel: String, loc: Option<Loc>, message: String, seed: u64) -> Error {
    let help = format!(
        "kernels cannot cause this: it is a mistake of the compiler, please report it with the output of `kcc dump` and \
         KCC_SIM_SEED={seed}"
    );
    let diagnostic = Diagnostic { severity: Severity::Bug, loc, message, help: Some(help) };
    Error::Stopped { kernel, diagnostic: Box::new(diagnostic) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drivers::gpu::Driver;
    use crate::launch::{self, PrintHandler};
    use crate::tensor::Tensor;
    use kcc_dsl::exchange::GpuArg;
    use std::sync::Arc;

    /// `y[i] = 2 x[i]` for one thread per element; elements from `ok` on are not guarded.
    fn twice(guarded: bool) -> Artifact {
        let (compare, branch) = if guarded {
            ("\"llvm.icmp\"(%wide, %n) <{predicate = 2 : i64}> : (i64, i64) -> i1", "%inside")
        } else {
            ("\"llvm.icmp\"(%wide, %n) <{predicate = 1 : i64}> : (i64, i64) -> i1", "%yes")
        };
        let text = format!(
            r#"#at = loc("twice.rs":7:9)
"builtin.module"() ({{
  "llvm.func"() <{{function_type = !llvm.func<void (ptr<1>, i64, i64, ptr<1>, i64, i64, i32, i32, i32, i64)>, sym_name = "twice"}}> ({{
  ^bb0(%x: !llvm.ptr<1>, %n: i64, %sx: i64, %y: !llvm.ptr<1>, %m: i64, %sy: i64, %gx: i32, %gy: i32, %gz: i32, %status: i64):
    %tid = "nvvm.read.ptx.sreg.tid.x"() : () -> i32
    %wide = "llvm.zext"(%tid) : (i32) -> i64
    %inside = {compare}
    %yes = "llvm.mlir.constant"() <{{value = true}}> : () -> i1
    "llvm.cond_br"({branch})[^bb1, ^bb2] <{{operandSegmentSizes = array<i32: 1, 0, 0>}}> : (i1) -> ()
  ^bb1:
    %from = "llvm.getelementptr"(%x, %wide) <{{elem_type = f32, rawConstantIndices = array<i32: -2147483648>}}> : (!llvm.ptr<1>, i64) -> !llvm.ptr<1>
    %v = "llvm.load"(%from) <{{ordering = 0 : i64}}> : (!llvm.ptr<1>) -> f32 loc(#at)
    %two = "llvm.fadd"(%v, %v) : (f32, f32) -> f32
    %to = "llvm.getelementptr"(%y, %wide) <{{elem_type = f32, rawConstantIndices = array<i32: -2147483648>}}> : (!llvm.ptr<1>, i64) -> !llvm.ptr<1>
    "llvm.store"(%two, %to) <{{ordering = 0 : i64}}> : (f32, !llvm.ptr<1>) -> ()
    "llvm.br"()[^bb2] : () -> ()
  ^bb2:
    "llvm.return"() : () -> ()
  }}) {{nvvm.kernel}} : () -> ()
}}) : () -> ()
"#
        );
        let view = GpuArg::View { rank: 1, elem: Elem::F32 };
        let meta = GpuMeta {
            arch: "sm_90a".into(),
            warp: 32,
            threads: 32,
            cluster: [1; 3],
            args: vec![view, view],
            ..GpuMeta::default()
        };
        Artifact {
            target: "sim:sm_90a".into(),
            symbol: "twice".into(),
            bytes: text.into_bytes(),
            cpu: Default::default(),
            gpu: Some(meta),
            npu: None,
            timings: vec![],
        }
    }

    fn sim(chip: &str, seed: u64) -> Sim {
        Sim::new(Chip::find(chip).expect("a chip of that name"), How { seed, ..How::default() })
    }

    fn run(artifact: &Artifact, n: usize) -> Result<Vec<f32>> {
        let sim = sim("sm_90a", 3);
        launch(&*sim.load("twice", artifact)?, n)
    }

    fn launch(module: &dyn Module, n: usize) -> Result<Vec<f32>> {
        let x = Tensor::from_fn(&[n], |i| i as f32)?;
        let mut y = Tensor::zeros(&[n])?;
        let args = [launch::Arg::input(&x), launch::Arg::output(&mut y)];
        let print: PrintHandler = Arc::new(|_| {});
        let launching = Launching { grid: [1, 1, 1], args: &args, how: Default::default(), print: &print };
        module.run(&Label { name: "twice", generics: "" }, &launching)?;
        Ok(y.to_vec())
    }

    #[test]
    fn a_launch_reads_and_writes_the_views() {
        assert_eq!(run(&twice(true), 5).unwrap(), [0.0, 2.0, 4.0, 6.0, 8.0]);
    }

    #[test]
    fn amd_chips_are_simulated_too() {
        let mut artifact = twice(true);
        let text = String::from_utf8(artifact.bytes).unwrap();
        let text = text
            .replace("nvvm.read.ptx.sreg.tid.x", "rocdl.workitem.id.x")
            .replace("nvvm.kernel", "rocdl.kernel");
        artifact.bytes = text.into_bytes();
        for chip in ["gfx90a", "gfx942", "gfx950", "gfx1100"] {
            let module = sim(chip, 0).load("twice", &artifact).unwrap();
            assert_eq!(launch(&*module, 5).unwrap(), [0.0, 2.0, 4.0, 6.0, 8.0], "{chip}");
        }
    }

    #[test]
    fn a_fault_names_the_line_and_is_a_bug_of_the_compiler() {
        let e = run(&twice(false), 5).unwrap_err();
        assert!(e.is_bug());
        let text = e.to_string();
        assert!(text.contains("twice.rs:7:9") && text.contains("KCC_SIM_SEED=3"), "{text}");
    }

    #[test]
    fn text_that_is_no_module_is_refused() {
        let bad = Artifact { bytes: b"nonsense".to_vec(), ..twice(true) };
        assert!(matches!(run(&bad, 1), Err(Error::Load { .. })));
    }
}
