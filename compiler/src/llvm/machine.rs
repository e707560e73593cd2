//! The machine that code is generated for, and LLVM's view of it.

use crate::error::{Error, nowhere};
use inkwell::OptimizationLevel;
use inkwell::targets::{CodeModel, InitializationConfig, RelocMode, Target, TargetMachine, TargetTriple};
use std::sync::Once;

/// A machine, in LLVM's words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Machine {
    /// Target triple.
    pub triple: String,
    /// CPU or chip name.
    pub cpu: String,
    /// Features: `+a,-b`.
    pub features: String,
}

impl Machine {
    /// LLVM's code generator for it; position-independent code.
    ///
    /// # Errors
    /// If this build of LLVM has no such target.
    pub(crate) fn create(&self) -> Result<TargetMachine, Error> {
        initialize_llvm();
        let triple = TargetTriple::create(&self.triple);
        Target::from_triple(&triple)
            .ok()
            .and_then(|t| {
                // The level changes neither speed nor size of tile kernels measurably, except for `None`, which is
                // many times worse.
                let level = OptimizationLevel::Default;
                t.create_target_machine(
                    &triple,
                    &self.cpu,
                    &self.features,
                    level,
                    RelocMode::PIC,
                    CodeModel::Default,
                )
            })
            .ok_or_else(|| {
                nowhere()
                    .unsupported(format!("the triple `{}` by this build of LLVM", self.triple))
                    .help("choose another target (`kcc targets` lists them)")
            })
    }
}

/// Makes sure that LLVM's code generators are registered.
fn initialize_llvm() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| Target::initialize_all(&InitializationConfig::default()));
}
