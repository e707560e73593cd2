//! Kernels on the simulated NPU against eager mode.

mod harness;
mod kernels;
mod listed;
mod mutate;
mod products;
mod random;
mod shipped;
