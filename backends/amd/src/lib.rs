//! AMD GPUs: chips as data, their instructions as hooks of the vendor-neutral GPU level, and linked code objects.
//!
//! ```text
//! lower/gpu ─ hooks ─► llvm + rocdl ─► object ─ code_object ─► code object of HIP
//!                            └───────► the simulator
//! ```

mod buffers;
pub mod chips;
pub mod code_object;
mod dialect;
mod hooks;
mod lanes;
pub mod matrix;
pub mod target;

pub use target::Amd;
