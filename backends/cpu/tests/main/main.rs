//! Compiled kernels against eager mode.

mod harness;
mod smoke;
