//! The last leg of every target: MLIR text in dialects with an LLVM lowering → object, assembly or LLVM IR.
//!
//! ```text
//! text ─parse→ MLIR ─mlir passes→ llvm dialect ─translate→ LLVM IR ─llvm passes→ ─code generation→ bytes
//! ```
//! Errors of MLIR and LLVM are collected by handlers on both contexts: neither prints, neither ends the process
//! (except for LLVM's `report_fatal_error`, which nothing can catch: targets validate before they come here).

mod convergent;
mod diagnostics;
mod emit;
mod machine;
pub(crate) mod options;

pub use emit::{Output, Way, emit, emit_by};
pub use machine::Machine;
