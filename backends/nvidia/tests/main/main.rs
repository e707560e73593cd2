//! Tests of the NVIDIA backend.

mod assemble;
mod dots;
mod mma;
mod wide;
mod wide_kernels;
