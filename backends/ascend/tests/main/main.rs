//! Kernels on the simulated NPU against eager mode.

mod args;
mod emit;
mod harness;
mod kernels;
mod kit;
mod listed;
mod mutate;
mod not_a_number;
mod passes;
mod predictions;
mod products;
mod random;
mod refused;
mod shapes;
mod shipped;
#[allow(clippy::assign_op_pattern, clippy::eq_op, clippy::needless_range_loop)]
mod strange;
