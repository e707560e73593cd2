//! Tests of the NVIDIA backend.

mod assemble;
mod mma;
mod wide;
