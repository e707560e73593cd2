//! Collects what MLIR reports, so that it becomes an [`Error`] instead of text on stderr.

use crate::error::{Error, bug, nowhere};
use kcc_dsl::ir::Loc;
use melior::Context;
use melior::diagnostic::{Diagnostic, DiagnosticSeverity};
use melior::ir::Location;
use std::cell::RefCell;
use std::rc::Rc;

/// The file, line and column of an MLIR location; of a fused, named or call-site location the innermost first one.
pub fn loc(location: Location) -> Option<Loc> {
    if location.is_file_line_col_range() {
        let name = location.file_line_col_range_filename();
        return Some(Loc {
            file: name.as_string_ref().as_str().unwrap_or("?").to_owned(),
            line: location.file_line_col_range_start_line() as u32,
            column: location.file_line_col_range_start_column() as u32,
        });
    }
    if location.is_name() {
        return loc(location.name_child_location());
    }
    if location.is_call_site() {
        return loc(location.call_site_callee());
    }
    if location.is_fused() {
        return (0..location.fused_num_locations()).find_map(|i| loc(location.fused_location(i)));
    }
    None
}

/// Runs `work` with a handler on the context; the errors that MLIR reported come second. If `work` gave `None` and
/// nothing was reported, that is a bug, and says so.
pub fn collect<T>(context: &Context, stage: &str, work: impl FnOnce() -> Option<T>) -> Result<T, Error> {
    let errors: Rc<RefCell<Vec<Error>>> = Rc::default();
    let sink = Rc::clone(&errors);
    let id = context.attach_diagnostic_handler(move |d: Diagnostic| {
        if matches!(d.severity(), DiagnosticSeverity::Error) {
            let mut message = d.to_string();
            for i in 0..d.note_count() {
                if let Ok(note) = d.note(i) {
                    message.push_str(&format!("\nnote: {note}"));
                }
            }
            let error = match loc(d.location()) {
                Some(l) => crate::error::at(&l).invalid(message),
                None => nowhere().invalid(message),
            };
            sink.borrow_mut().push(error);
        }
        true
    });
    let out = work();
    context.detach_diagnostic_handler(id);
    let errors = errors.take();
    match (out, Error::all(errors)) {
        (Some(out), None) => Ok(out),
        (_, Some(error)) => Err(error),
        (None, None) => Err(bug(format!("{stage} failed without a message"))),
    }
}
