//! The kernels shipped with kcc, each with its reference.
//!
//! A module is one operation: its kernels (`#[kernel]` functions, for those who launch them by hand), a `reference` in
//! plain Rust that accumulates in `f64`, and a launcher that checks shapes, picks the instance and the grid, and
//! launches on any device:
//!
//! ```text
//! softmax::softmax(&device, &x, &mut y)
//!    │ checks dims → Error::Shape names the argument
//!    │ width ≤ 8192: softmax_tile::<T, N>, the least N that holds a row; else softmax_online::<T, 4096>
//!    └ launch on a grid of one program per row
//! ```
//! Tensors are `f32`, `f16` or `bf16` with any strides; arithmetic is in `f32` and results are rounded once. An
//! operation on nothing (an empty dim) succeeds and does nothing.

#![warn(missing_docs)]

pub mod activation;
pub mod attention;
pub mod attention_half;
pub mod decode;
pub mod elementwise;
pub mod embedding;
mod error;
mod launch;
pub mod layer_norm;
pub mod matmul;
pub mod moe;
pub mod pooling;
pub mod rms_norm;
pub mod softmax;

#[cfg(feature = "cases")]
pub mod cases;

pub use error::{Error, Result};
