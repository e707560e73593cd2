//! The CPU backend of kcc: lowers tile kernels to vectorised loops.

pub mod chips;
pub mod isa;
pub mod lower;
pub mod plan;
pub mod target;

pub use target::Cpu;
