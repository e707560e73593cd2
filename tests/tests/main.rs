//! The cross-crate tests, in one binary.

mod cli;
mod cpu_math;
mod packs;
mod runtime;
