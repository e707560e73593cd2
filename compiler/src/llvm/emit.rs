//! MLIR text → object, assembly or LLVM IR, in process.

use super::Machine;
use super::convergent;
use super::diagnostics::LlvmErrors;
use crate::error::{Error, bug};
use crate::mlir::diagnostics::collect;
use crate::mlir::{self, Lease};
use crate::timings::Timings;
use inkwell::module::Module as LlvmModule;
use inkwell::passes::PassBuilderOptions;
use inkwell::targets::{FileType, TargetMachine};
use melior::Context;
use melior::ir::Module;

/// What to produce.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Output {
    /// A relocatable object.
    #[default]
    Object,
    /// Assembly text.
    Assembly,
    /// LLVM IR text, after the LLVM passes.
    LlvmIr,
    /// The module after the MLIR passes, in MLIR's generic form with locations: what a simulator takes.
    Dialect,
    /// Text of the target's own, which no LLVM module becomes: that of [`crate::Direct`].
    Own,
}

/// The way from text to code.
pub struct Way<'w> {
    /// MLIR pipeline; for code it must leave only the `llvm` dialect and what translates as it does.
    pub mlir_passes: &'w str,
    /// What to generate code for.
    pub machine: &'w Machine,
    /// Pipeline of LLVM's new pass manager; may be empty.
    pub llvm_passes: &'w str,
    /// Adds to a context what the text needs.
    pub prepare: &'w dyn Fn(&Context),
}

/// Compiles MLIR text for a machine: `mlir_passes` must leave only the `llvm` dialect; `llvm_passes` is a pipeline
/// of LLVM's new pass manager, and may be empty.
///
/// # Errors
/// As [`emit_by`].
pub fn emit(
    text: &str,
    mlir_passes: &str,
    machine: &Machine,
    llvm_passes: &str,
    output: Output,
    clock: &mut Timings,
) -> Result<Vec<u8>, Error> {
    emit_by(text, &Way { mlir_passes, machine, llvm_passes, prepare: &|_| {} }, output, clock)
}

/// Compiles MLIR text for a machine.
///
/// # Errors
/// [`Error::Bug`] with what MLIR or LLVM said: the text comes from our own lowering.
pub fn emit_by(text: &str, way: &Way, output: Output, clock: &mut Timings) -> Result<Vec<u8>, Error> {
    let context = clock.time("llvm-context", Lease::new)?;
    (way.prepare)(&context);
    let mut module = clock
        .time("llvm-parse", || mlir::parse(&context, text, "lowered.mlir"))
        .map_err(|e| e.into_bug("lowering"))?;
    clock
        .time("mlir-passes", || mlir::run_passes(&context, &mut module, way.mlir_passes))
        .map_err(|e| e.into_bug("MLIR passes"))?;
    if output == Output::Dialect {
        return Ok(mlir::print_generic(&module).into_bytes());
    }
    let target = clock.time("llvm-target", || way.machine.create())?;
    finish(&context, &module, &target, way.llvm_passes, output, clock)
}

/// From a module in the `llvm` dialect to bytes.
fn finish(
    context: &Context,
    module: &Module,
    target: &TargetMachine,
    llvm_passes: &str,
    output: Output,
    clock: &mut Timings,
) -> Result<Vec<u8>, Error> {
    let llvm = inkwell::context::Context::create();
    let errors = LlvmErrors::install(llvm.raw());
    let translated = clock
        .time("translate", || {
            collect(context, "translation to LLVM IR", || {
                // SAFETY: the operation is valid; both bindings name the same `LLVMContextRef`. The result, if any,
                // is a new module that lives in `llvm` and that we own.
                let raw = unsafe {
                    mlir_sys::mlirTranslateModuleToLLVMIR(module.as_operation().to_raw(), llvm.raw().cast())
                };
                // SAFETY: as above.
                (!raw.is_null()).then(|| unsafe { LlvmModule::new(raw.cast()) })
            })
        })
        .map_err(|e| e.into_bug("translation to LLVM IR"))?;
    translated.set_triple(&target.get_triple());
    translated.set_data_layout(&target.get_target_data().get_data_layout());
    translated.verify().map_err(|e| bug(format!("invalid LLVM IR: {}", e.to_string_lossy())))?;
    errors.take("translation to LLVM IR")?;
    convergent::mark_assembly(&translated);
    if !llvm_passes.is_empty() {
        clock
            .time("llvm-passes", || translated.run_passes(llvm_passes, target, PassBuilderOptions::create()))
            .map_err(|e| bug(format!("LLVM passes `{llvm_passes}`: {}", e.to_string_lossy())))?;
        errors.take("LLVM passes")?;
    }
    let file = match output {
        Output::Object => FileType::Object,
        Output::Assembly => FileType::Assembly,
        Output::Dialect | Output::Own => return Err(bug("this is not code of LLVM's")),
        Output::LlvmIr => {
            return Ok(translated.print_to_string().to_string_lossy().into_owned().into_bytes());
        }
    };
    let buffer = clock
        .time("codegen", || target.write_to_memory_buffer(&translated, file))
        .map_err(|e| bug(format!("code generation: {}", e.to_string_lossy())))?;
    // Code generation reports success even when it reported errors.
    errors.take("code generation")?;
    // SAFETY: start and size describe the buffer, which lives until the end of this function.
    let bytes = unsafe {
        let raw = buffer.as_mut_ptr();
        let start = inkwell::llvm_sys::core::LLVMGetBufferStart(raw);
        std::slice::from_raw_parts(start.cast::<u8>(), inkwell::llvm_sys::core::LLVMGetBufferSize(raw))
    };
    Ok(bytes.to_vec())
}
