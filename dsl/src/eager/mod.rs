//! Eager mode: a kernel run natively, one program and one operation at a time. The oracle of every backend, and a
//! debugger that costs the kernel's author nothing.
//!
//! ```text
//!  native function ── run ──► Machine (stage::Engine) ─┐
//!                                                      ├─► Core: eval (pure operations), memory (checked accesses)
//!  recorded IR ── interpret ──────────────────────────┘
//! ```
//!
//! What it finds, each with the author's line: a read of an element that nobody has written, two programs that
//! touch one element without atomics, a computed index outside its view (strict mode), a failed assertion or
//! assumption, a view that does not fit its buffer.

mod core;
mod error;
pub mod eval;
mod interpret;
mod launch;
mod machine;
mod memory;
pub mod print;
pub mod round;
mod run;
#[cfg(test)]
mod tests;
mod value;

pub use error::EagerError;
pub use interpret::interpret;
#[cfg(test)]
pub(crate) use launch::Instead;
pub use launch::{OnPrint, Options, Printed, Report};
pub use memory::{EagerArg, EagerBuffer};
pub use run::run;
pub use value::{Data, Value};
