//! The CPU backend of kcc: lowers tile kernels to vectorised loops.

pub mod emit;
pub mod lower;
pub mod plan;
