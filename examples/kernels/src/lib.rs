//! Kernels to learn from, in the form that an inference engine would use. Each file holds one kernel (or a family), what it
//! means in plain Rust (`reference`), and tests that hold it against that on the eager device, the CPU and simulated chips.
//!
//! ```text
//! mla_decode          latent attention over a paged cache: rows by computed number, two products into one sum
//! fp8_matmul          8-bit products with a scale per block of 128: scaling beside the accumulator
//! grouped_routing     experts chosen within the best groups: cubes, `top_k`, a gather of what was chosen
//! norm_quantise       RMS norm and quantisation in one kernel: generic over the output, several passes over a row
//! chunked_scan        linear attention with decay: a state carried through a run-time loop, scans within a chunk
//! attention_backward  three kernels, transposed operands, causal loop bounds
//! ```

pub mod attention_backward;
pub mod chunked_scan;
pub mod fp8_matmul;
pub mod grouped_routing;
pub mod mla_decode;
pub mod norm_quantise;

#[cfg(test)]
mod check;
