//! Kernels on the simulated NPU against eager mode.

mod harness;
mod kernels;
mod listed;
mod mutate;
mod passes;
mod products;
mod random;
mod refused;
mod shapes;
mod shipped;
