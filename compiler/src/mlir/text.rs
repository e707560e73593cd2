//! Parsing, printing and running pass pipelines on MLIR modules, with errors collected.

use super::diagnostics::collect;
use crate::error::{Error, nowhere};
use melior::Context;
use melior::ir::Module;
use melior::ir::operation::{OperationLike, OperationPrintingFlags};
use melior::pass::PassManager;
use melior::utility::parse_pass_pipeline;
use std::ffi::CString;

/// What MLIR calls the source of text that comes from no file.
pub(crate) const UNNAMED: &str = "-";

/// MLIR's parser and every walk over a module recurse; this keeps them far from the end of the stack.
const MAX_DEPTH: usize = 192;

/// How deep the brackets of a text nest, at most. Strings and comments count too: an honest text has few in them.
fn depth(text: &str) -> usize {
    let (mut now, mut most) = (0usize, 0);
    for b in text.bytes() {
        match b {
            b'(' | b'[' | b'{' | b'<' => now += 1,
            b')' | b']' | b'}' | b'>' => now = now.saturating_sub(1),
            _ => {}
        }
        most = most.max(now);
    }
    most
}

/// Parses and verifies a module. `name` stands for the file in errors.
///
/// # Errors
/// [`Error::Source`] with the line and column in `name`.
pub fn parse<'c>(context: &'c Context, text: &str, name: &str) -> Result<Module<'c>, Error> {
    let Ok(source) = CString::new(text) else {
        return Err(nowhere().invalid(format!("{name} holds a NUL character")).help("save it as plain text"));
    };
    if depth(text) > MAX_DEPTH {
        let what = format!("{name} nests brackets more than {MAX_DEPTH} deep");
        return Err(nowhere().invalid(what).help("nest loops and branches less deep"));
    }
    collect(context, "parsing", || {
        // SAFETY: the string ends in NUL, as MLIR's lexer wants, and outlives the call. The module is ours.
        unsafe {
            let source = mlir_sys::mlirStringRefCreateFromCString(source.as_ptr());
            Module::from_option_raw(mlir_sys::mlirModuleCreateParse(context.to_raw(), source))
        }
    })
    .map_err(|e| e.in_file(UNNAMED, name))
}

/// The module as text, with locations.
pub fn print(module: &Module) -> String {
    let flags = OperationPrintingFlags::new().enable_debug_info(true, false);
    module.as_operation().to_string_with_flags(flags).unwrap_or_else(|_| module.as_operation().to_string())
}

/// The module in MLIR's generic form, with locations.
pub fn print_generic(module: &Module) -> String {
    let flags = OperationPrintingFlags::new().enable_debug_info(true, false).print_generic_operation_form();
    module.as_operation().to_string_with_flags(flags).unwrap_or_else(|_| module.as_operation().to_string())
}

/// The module as text, without locations.
pub fn print_plain(module: &Module) -> String {
    module.as_operation().to_string()
}

/// Runs a pipeline such as `cse,convert-scf-to-cf` on a module and verifies the result.
///
/// # Errors
/// A pipeline that does not parse, a pass that fails, a result that does not verify.
pub fn run_passes(context: &Context, module: &mut Module, pipeline: &str) -> Result<(), Error> {
    if pipeline.trim().is_empty() {
        return Ok(());
    }
    let anchored = format!("builtin.module({pipeline})");
    let pm = PassManager::new(context);
    parse_pass_pipeline(pm.as_operation_pass_manager(), &anchored)
        .map_err(|e| nowhere().invalid(format!("pass pipeline `{pipeline}`: {e}")))?;
    // The input was verified when parsed and the output is verified below; verifying between passes costs as much
    // as the passes themselves.
    pm.enable_verifier(false);
    collect(context, "an MLIR pass", || pm.run(module).ok().filter(|()| module.as_operation().verify()))
}
