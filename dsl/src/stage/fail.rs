//! Mistakes that only show while a kernel is traced or run: how they leave the author's function.
//!
//! They unwind with a private payload, without the panic hook, and become a [`Diagnostic`] where the kernel was
//! started. A panic of the author's own becomes one too; [`quietly`] keeps the hook from printing it.

use crate::exchange::{Diagnostic, Severity};
use crate::ir::Loc;
use std::any::Any;
use std::cell::RefCell;
use std::panic::{self, Location};
use std::sync::Once;

/// The payload of a mistake that this crate found.
pub(crate) struct Mistake(pub Diagnostic);

/// The IR's form of a source location.
pub fn loc_of(l: &Location<'_>) -> Loc {
    Loc { file: l.file().to_owned(), line: l.line(), column: l.column() }
}

/// Leaves the author's function with an error at the caller's line.
#[track_caller]
pub(crate) fn fail(message: impl Into<String>, help: impl Into<String>) -> ! {
    let loc = Some(loc_of(Location::caller()));
    // Outside of a trace or run this panics with the way to start a kernel.
    drop(super::mode());
    let help = Some(help.into()).filter(|h| !h.is_empty());
    panic::resume_unwind(Box::new(Mistake(Diagnostic {
        severity: Severity::Error,
        loc,
        message: message.into(),
        help,
    })))
}

thread_local! {
    /// Message and place of a panic that happened inside [`quietly`]; `None` outside of it.
    static CAUGHT: RefCell<Option<Option<(String, Loc)>>> = const { RefCell::new(None) };
}

fn text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|s| s.to_string());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "panicked".to_owned())
}

fn install_hook() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let quiet = CAUGHT.try_with(|c| {
                let mut c = c.borrow_mut();
                let Some(slot) = c.as_mut() else { return false };
                let loc = info.location().map(loc_of);
                *slot = loc.map(|loc| (text(info.payload()), loc));
                true
            });
            if !quiet.unwrap_or(false) {
                previous(info);
            }
        }));
    });
}

/// Runs `f`; a mistake or a panic in it becomes a diagnostic at its place instead of being printed.
///
/// A payload of neither kind (another crate's `resume_unwind`) is handed back.
pub fn quietly<R>(f: impl FnOnce() -> R) -> Result<R, Result<Diagnostic, Box<dyn Any + Send>>> {
    install_hook();
    let outer = CAUGHT.with(|c| c.replace(Some(None)));
    let result = panic::catch_unwind(panic::AssertUnwindSafe(f));
    let caught = CAUGHT.with(|c| c.replace(outer)).flatten();
    result.map_err(|payload| match payload.downcast::<Mistake>() {
        Ok(mistake) => Ok(mistake.0),
        Err(payload) => match caught {
            Some((message, loc)) => Ok(Diagnostic {
                severity: Severity::Error,
                loc: Some(loc),
                message: format!("the kernel's function panicked: {message}"),
                help: None,
            }),
            None => Err(payload),
        },
    })
}
