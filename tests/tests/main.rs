//! The cross-crate tests, in one binary.

mod cli;
mod cpu_math;
mod kernels;
mod packs;
mod runtime;
