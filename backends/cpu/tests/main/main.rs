//! Compiled kernels against eager mode.

mod attention;
mod control;
mod effects;
mod fuzz;
mod harness;
mod lines;
mod random;
mod rows;
mod smoke;
mod strides;
mod unrolled;
