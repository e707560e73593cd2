//! MLIR as the compiler uses it: contexts, diagnostics, modules as text, and handles to walk and change them.

pub(crate) mod build;
pub mod context;
pub mod diagnostics;
pub(crate) mod handle;
mod registry;
mod text;

pub use context::Lease;
pub use melior::Context;
pub use registry::Registry;
pub(crate) use text::UNNAMED;
pub use text::{parse, print, print_generic, print_plain, run_passes};
