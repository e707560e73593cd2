//! A product of 8-bit floats with a scale per block, as DeepSeek-V3 trains and serves (arXiv:2412.19437, §3.3): activations have
//! one scale per row and 128 columns, weights one per block of 128 by 128.
//!
//! ```text
//! a [M, K]   sa [M, K/128]       b [N, K]   sb [N/128, K/128]
//!
//! c = Σ over blocks k of   (a_k · b_kᵀ) × sa[:, k] × sb[n, k]
//! ```
//!
//! What to see: each block's product starts from zero and is scaled on its way into the accumulator, which stays in `f32`; the
//! weight is stored `[N, K]` and transposed as it is loaded; dims that are no multiples of the tiles need no extra code.

use kcc::prelude::*;

/// Elements along K, and along N, that share a scale.
pub const BLOCK: usize = 128;

/// `c = (a × sa) · (b × sb)ᵀ`. `BN` divides 128. Grid: (row blocks, column blocks).
#[kernel(instances(<bf16, 64, 128>, <bf16, 128, 128>, <f16, 64, 128>))]
pub fn fp8_matmul<T: Float, const BM: usize, const BN: usize>(
    a: &View<F8E4M3, 2>,
    sa: &View<f32, 2>,
    b: &View<F8E4M3, 2>,
    sb: &View<f32, 2>,
    c: &mut View<T, 2>,
) {
    const { assert!(BLOCK.is_multiple_of(BN), "a block of columns must lie in one block of scales") }
    let (m, n) = (program_id(0) * BM, program_id(1) * BN);
    let mut acc = Matrix::<f32, BM, BN>::zeros();
    for block in 0..sa.dim(1) {
        let k = block * BLOCK;
        let product = dot(a.load::<BM, BLOCK>((m, k)), b.load::<BN, BLOCK>((n, k)).t());
        let rows = sa.load_col::<BM>((m, block));
        acc += product * (rows * sb.get((n / BLOCK, block))).col();
    }
    c.store((m, n), acc.to());
}

/// The product of `a [m, k]` and `b [n, k]`, each element times its scale.
pub fn reference(
    (m, n, k): (usize, usize, usize),
    (a, sa): (&[f64], &[f64]),
    (b, sb): (&[f64], &[f64]),
) -> Vec<f64> {
    let blocks = k.div_ceil(BLOCK);
    let mut c = Vec::with_capacity(m * n);
    for i in 0..m {
        for j in 0..n {
            let term = |p: usize| {
                let (x, y) = (sa[i * blocks + p / BLOCK], sb[j / BLOCK * blocks + p / BLOCK]);
                a[i * k + p] * x * b[j * k + p] * y
            };
            c.push((0..k).map(term).sum());
        }
    }
    c
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{close, devices_with_f8, numbers, wide};
    use kcc::{Launch, Tensor};

    #[test]
    fn block_scaled_products_are_their_reference() {
        for (m, n, k) in [(35usize, 150usize, 300usize), (1, 1, 1)] {
            let (rows, blocks) = (n.div_ceil(BLOCK), k.div_ceil(BLOCK));
            let (a, b) = (numbers::<F8E4M3>(&[m, k], 1), numbers::<F8E4M3>(&[n, k], 2));
            let sa = Tensor::from_fn(&[m, blocks], |i| 0.5 + (i % 5) as f32).unwrap();
            let sb = Tensor::from_fn(&[rows, blocks], |i| 0.25 * (i % 3 + 1) as f32).unwrap();
            let wanted = reference((m, n, k), (&wide(&a), &wide(&sa)), (&wide(&b), &wide(&sb)));
            for device in devices_with_f8() {
                let mut c = Tensor::<bf16>::zeros(&[m, n]).unwrap();
                let grid = (m.div_ceil(32), n.div_ceil(64));
                fp8_matmul::kernel::<bf16, 32, 64>()
                    .launch(&device, grid, (&a, &sa, &b, &sb, &mut c))
                    .unwrap();
                // One rounding to bf16; the sums' own error is far below it.
                close(&device, &c, &wanted, 0.005);
            }
        }
    }
}
