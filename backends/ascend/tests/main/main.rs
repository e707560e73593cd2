//! Kernels on the simulated NPU against eager mode.

mod args;
mod emit;
mod harness;
mod kernels;
mod kit;
mod listed;
mod mutate;
mod products;
mod random;
mod shipped;
