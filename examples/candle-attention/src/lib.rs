//! Kernels of a pack as custom operators of [candle](https://github.com/huggingface/candle), on its CPU and, with the feature
//! `cuda`, on its CUDA device.
//!
//! ```text
//! Tensor ─ CustomOp ─▶ storages, layouts ─ memory.rs ─▶ addresses, dims, strides ─ kernels.rs ─▶ a kernel of the pack
//! ```
//! Nothing is copied: kernels read and write candle's memory where it lies, on candle's stream. There are no gradients.

/// An operator of two tensors whose `run` takes storages of any device.
macro_rules! custom_op2 {
    ($op:ty, $name:literal) => {
        impl candle_core::CustomOp2 for $op {
            fn name(&self) -> &'static str {
                $name
            }

            fn cpu_fwd(
                &self,
                a: &candle_core::CpuStorage,
                al: &candle_core::Layout,
                b: &candle_core::CpuStorage,
                bl: &candle_core::Layout,
            ) -> candle_core::Result<(candle_core::CpuStorage, candle_core::Shape)> {
                self.run((a, al), (b, bl))
            }

            #[cfg(feature = "cuda")]
            fn cuda_fwd(
                &self,
                a: &candle_core::CudaStorage,
                al: &candle_core::Layout,
                b: &candle_core::CudaStorage,
                bl: &candle_core::Layout,
            ) -> candle_core::Result<(candle_core::CudaStorage, candle_core::Shape)> {
                self.run((a, al), (b, bl))
            }
        }
    };
}

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
