//! Traces and runs kernels as authors write them.

mod attention;
mod control;
mod harness;
mod mistakes;
mod operations;
mod random;
mod validation;
