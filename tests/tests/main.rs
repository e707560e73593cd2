//! The cross-crate tests, in one binary.

mod cpu_math;
