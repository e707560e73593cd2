//! The cross-crate tests, in one binary.

mod cli;
mod cpu_math;
mod odd;
mod packs;
mod runtime;
