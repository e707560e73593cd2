//! Tests of the NVIDIA backend.

mod assemble;
mod dots;
mod lines;
mod mma;
mod mutate;
mod passes;
mod random;
mod reports;
mod sim;
mod simulate;
mod stages;
mod wide;
mod wide_kernels;
mod wide_sim;
