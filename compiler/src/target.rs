//! What a backend must provide: the lowering of a kernel to upstream MLIR, and how to get from there to code.

use crate::error::{Error, bug};
use crate::gpu::GpuTarget;
use crate::llvm::{Machine, Output};
use crate::timings::Timings;
use kcc_dsl::exchange::{ArgSpec, CpuMeta, GpuMeta, NpuMeta};
use kcc_dsl::ir::Kernel;
use std::collections::BTreeMap;

/// A kernel, lowered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lowered {
    /// An MLIR module in dialects that [`Target::mlir_passes`] turns into the `llvm` dialect.
    pub text: String,
    /// The symbol that the object will export.
    pub symbol: String,
    /// Facts for the launcher of a CPU kernel.
    pub cpu: CpuMeta,
    /// Facts for the launcher of a GPU kernel.
    pub gpu: Option<GpuMeta>,
    /// Facts for the launcher of an NPU kernel.
    pub npu: Option<NpuMeta>,
}

/// Receives the number of a stage among a target's own, and its text; returns a text that takes its place, with the name of its
/// file.
pub type See<'s> = dyn FnMut(usize, &dyn Fn() -> String) -> Result<Option<(String, String)>, Error> + 's;

/// The way of a target whose code is no LLVM module: it has programs of its own, from the kernel down to what its loader takes.
pub trait Direct {
    /// Names of its stages, in order, each with the extension of its files. They follow those of kt in dumps.
    fn stages(&self) -> &'static [(&'static str, &'static str)];

    /// Extension of the file that holds what the target's loader takes.
    fn extension(&self) -> &'static str;

    /// Compiles a kernel, whose stages `see` is shown. [`Lowered::text`] is the code.
    ///
    /// # Errors
    /// What the target cannot do, an option that is unknown or has a bad value, an edited file; bugs.
    fn compile(
        &self,
        kernel: &Kernel,
        args: &[ArgSpec],
        options: &BTreeMap<String, String>,
        clock: &mut Timings,
        see: &mut See,
    ) -> Result<Lowered, Error>;
}

/// A backend, for one resolved target.
pub trait Target: Send + Sync {
    /// The target's full name, with `native` resolved: `cpu:znver4`.
    fn name(&self) -> &str;

    /// Says what of the kernel this target cannot do.
    ///
    /// # Errors
    /// The first operation that is not supported, with its place and what to write instead.
    fn check(&self, kernel: &Kernel) -> Result<(), Error>;

    /// Lowers a kernel that [`Target::check`] accepted. `args` has one entry per parameter. Never called where
    /// [`Target::gpu`] gives a GPU, whose kernels are lowered through the GPU level, or [`Target::direct`] a way.
    ///
    /// # Errors
    /// An unknown option or one with a bad value; bugs.
    fn lower(
        &self,
        kernel: &Kernel,
        args: &[ArgSpec],
        options: &BTreeMap<String, String>,
    ) -> Result<Lowered, Error> {
        let _ = (kernel, args, options);
        Err(bug(format!("{} lowers nothing by itself", self.name())))
    }

    /// The hook set of the GPU level, if this is a GPU.
    fn gpu(&self) -> Option<&dyn GpuTarget> {
        None
    }

    /// The target's own way, if its code is no LLVM module. Then what follows is not asked for.
    fn direct(&self) -> Option<&dyn Direct> {
        None
    }

    /// Adds to a context what the target's own dialects need; called before its text is parsed.
    fn prepare(&self, context: &melior::Context) {
        let _ = context;
    }

    /// MLIR pipeline that leaves only the `llvm` dialect.
    fn mlir_passes(&self) -> &str {
        ""
    }

    /// What goes behind [`Target::mlir_passes`] for these options: nothing, or passes with a comma before each.
    fn option_passes(&self, options: &BTreeMap<String, String>) -> &str {
        let _ = options;
        ""
    }

    /// LLVM pipeline for a lowered module.
    fn llvm_passes(&self, module: &str) -> &str {
        let _ = module;
        ""
    }

    /// The machine to generate code for from a lowered module.
    fn machine(&self, module: &str) -> Machine {
        let _ = module;
        Machine::default()
    }

    /// Options of LLVM's command line that concern code for this target alone: they hold for the whole process.
    fn generator_options(&self) -> &'static [&'static str] {
        &[]
    }

    /// What is loaded, from the object that was generated.
    ///
    /// # Errors
    /// What a tool that this needs says.
    fn link(&self, object: Vec<u8>) -> Result<Vec<u8>, Error> {
        Ok(object)
    }

    /// Registers of a thread that linked code keeps in memory, where the code says it.
    fn spilled(&self, code: &[u8]) -> u32 {
        let _ = code;
        0
    }

    /// What the target's loader takes.
    fn output(&self) -> Output {
        Output::Object
    }
}
