//! Kernels of a pack as custom operators of [candle](https://github.com/huggingface/candle), on its CPU and, with the feature
//! `cuda`, on its CUDA device.
//!
//! ```text
//! Tensor ─ CustomOp ─▶ storages, layouts ─ memory.rs ─▶ addresses, dims, strides ─ kernels.rs ─▶ a kernel of the pack
//! ```
//! Nothing is copied: kernels read and write candle's memory where it lies, on candle's stream. There are no gradients.

mod attention;
mod kernels;
mod memory;
mod moe;
mod rms_norm;

pub use kernels::Kernels;
pub use moe::Experts;

/// The pages on candle and mistral.rs, whose code is compiled as a test of documentation.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../../docs/candle.md")]
    struct Candle;
    #[doc = include_str!("../../../docs/mistral-rs.md")]
    struct Mistral;
}
