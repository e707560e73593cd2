//! Compiled kernels against eager mode.

mod harness;
mod random;
mod smoke;
