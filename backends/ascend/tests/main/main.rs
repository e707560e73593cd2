//! Kernels on the simulated NPU against eager mode.

mod harness;
mod kernels;
mod mutate;
mod products;
mod random;
mod shipped;
