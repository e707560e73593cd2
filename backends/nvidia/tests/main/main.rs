//! Tests of the NVIDIA backend.

mod assemble;
mod wide;
