//! The CPU backend of kcc: lowers tile kernels to vectorised loops.

pub mod emit;
