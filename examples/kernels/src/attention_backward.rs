//! The gradients of causal attention, as FlashAttention-2 computes them (arXiv:2307.08691, §3.1.2): scores are made again from
//! `q`, `k` and the logarithm of each row's sum, so that nothing of size `queries × keys` is ever stored.
//!
//! ```text
//! p  = 2^(q kᵀ · scale · log2 e - lse)      dv = pᵀ · do
//! dp = do · vᵀ                              delta = Σ over the row of do × o
//! ds = p × (dp - delta) · scale             dq = ds · k        dk = dsᵀ · q
//! ```
//!
//! A program of [`key_gradients()`] owns a block of keys and walks over the queries that see it, one of [`query_gradients()`] the other
//! way round: no atomics, and the same result in every run. What to see: `.t()` on computed operands; bounds of loops that skip what
//! the mask hides; rows beyond the end have `lse = +∞`, hence `p = 0`, and need no mask of their own.

use kcc::prelude::*;
use std::f32::consts::LOG2_E;

/// `delta[h, i] = Σ o × d_o` of row `i`. `o`, `d_o`: `[heads, n, D]`. Grid: (row blocks, heads).
#[kernel(instances(<bf16, 64, 64>, <bf16, 64, 128>))]
pub fn row_products<T: Float, const BM: usize, const D: usize>(
    o: &View<T, 3>,
    d_o: &View<T, 3>,
    delta: &mut View<f32, 2>,
) {
    let (row, head) = (program_id(0) * BM, program_id(1));
    let (o, d_o) = (o.at(head).load::<BM, D>((row, 0)), d_o.at(head).load::<BM, D>((row, 0)));
    delta.at_mut(head).store(row, (o.to::<f32>() * d_o.to::<f32>()).sum_rows());
}

/// Probabilities of a block, and the gradient of its scores but for the scale.
#[kcc::function]
fn scores<T: Float, const BM: usize, const BN: usize, const D: usize>(
    (q, d_o): (Matrix<T, BM, D>, Matrix<T, BM, D>),
    (k, v): (Matrix<T, BN, D>, Matrix<T, BN, D>),
    (lse, delta): (Vector<f32, BM>, Vector<f32, BM>),
    (row, col): (Scalar<i32>, Scalar<i32>),
    scale: Scalar<f32>,
) -> (Matrix<T, BM, BN>, Matrix<T, BM, BN>) {
    let s = dot(q, k.t()) * (scale * LOG2_E) - lse.col();
    let hidden = (row + arange::<BM>()).col() < (col + arange::<BN>()).row();
    let p = fill_where(hidden, s, f32::NEG_INFINITY).exp2();
    let d_s = p * (dot(d_o, v.t()) - delta.col());
    (p.to(), d_s.to())
}

/// Gradients of keys and values. `q`, `k`, `v`, `d_o`, `d_k`, `d_v`: `[heads, n, D]`; `lse [heads, n]`: log2 of each row's sum of
/// `2^(score · log2 e)`; `delta` by [`row_products()`]. Grid: (key blocks, heads).
#[kernel(instances(<bf16, 64, 64, 64>, <bf16, 32, 64, 128>))]
pub fn key_gradients<T: Float, const BM: usize, const BN: usize, const D: usize>(
    q: &View<T, 3>,
    k: &View<T, 3>,
    v: &View<T, 3>,
    d_o: &View<T, 3>,
    lse: &View<f32, 2>,
    delta: &View<f32, 2>,
    d_k: &mut View<T, 3>,
    d_v: &mut View<T, 3>,
    scale: Scalar<f32>,
) {
    let (col, head) = (program_id(0) * BN, program_id(1));
    let (q, d_o, lse, delta) = (q.at(head), d_o.at(head), lse.at(head), delta.at(head));
    let (k, v) = (k.at(head).load::<BN, D>((col, 0)), v.at(head).load::<BN, D>((col, 0)));
    let (mut k_sum, mut v_sum) = (Matrix::<f32, BN, D>::zeros(), Matrix::<f32, BN, D>::zeros());
    // The first block of queries that sees a key of this block.
    for row in (col / BM * BM..q.dim(0)).step_by(BM) {
        let (q, d_o) = (q.load::<BM, D>((row, 0)), d_o.load::<BM, D>((row, 0)));
        let rows = (lse.load_or::<BM>(row, f32::INFINITY), delta.load::<BM>(row));
        let (p, d_s) = scores((q, d_o), (k, v), rows, (row, col), scale);
        v_sum = dot_acc(p.t(), d_o, v_sum);
        k_sum = dot_acc(d_s.t(), q, k_sum);
    }
    d_k.at_mut(head).store((col, 0), (k_sum * scale).to());
    d_v.at_mut(head).store((col, 0), v_sum.to());
}

/// Gradients of queries; arguments as for [`key_gradients()`]. Grid: (query blocks, heads).
#[kernel(instances(<bf16, 64, 64, 64>, <bf16, 64, 32, 128>))]
pub fn query_gradients<T: Float, const BM: usize, const BN: usize, const D: usize>(
    q: &View<T, 3>,
    k: &View<T, 3>,
    v: &View<T, 3>,
    d_o: &View<T, 3>,
    lse: &View<f32, 2>,
    delta: &View<f32, 2>,
    d_q: &mut View<T, 3>,
    scale: Scalar<f32>,
) {
    let (row, head) = (program_id(0) * BM, program_id(1));
    let (k, v) = (k.at(head), v.at(head));
    let (q, d_o) = (q.at(head).load::<BM, D>((row, 0)), d_o.at(head).load::<BM, D>((row, 0)));
    let rows = (lse.at(head).load_or::<BM>(row, f32::INFINITY), delta.at(head).load::<BM>(row));
    let mut sum = Matrix::<f32, BM, D>::zeros();
    for col in (0..k.dim(0).min(row + BM)).step_by(BN) {
        let (k, v) = (k.load::<BN, D>((col, 0)), v.load::<BN, D>((col, 0)));
        let (_, d_s) = scores((q, d_o), (k, v), rows, (row, col), scale);
        sum = dot_acc(d_s, k, sum);
    }
    d_q.at_mut(head).store((row, 0), (sum * scale).to());
}

/// What one head's attention and its gradients are.
pub struct Gradients {
    /// The result, `[n, d]`.
    pub o: Vec<f64>,
    /// log2 of each row's sum, `[n]`.
    pub lse: Vec<f64>,
    /// Of the queries, `[n, d]`.
    pub d_q: Vec<f64>,
    /// Of the keys, `[n, d]`.
    pub d_k: Vec<f64>,
    /// Of the values, `[n, d]`.
    pub d_v: Vec<f64>,
}

/// One head, from the whole matrix of probabilities.
pub fn reference([q, k, v, d_o]: [&[f64]; 4], d: usize, scale: f64) -> Gradients {
    let n = q.len() / d;
    let zeros = vec![0.0; n * d];
    let mut g =
        Gradients { o: zeros.clone(), lse: Vec::new(), d_q: zeros.clone(), d_k: zeros.clone(), d_v: zeros };
    let product = |a: &[f64], i: usize, b: &[f64], j: usize| -> f64 {
        a[i * d..(i + 1) * d].iter().zip(&b[j * d..(j + 1) * d]).map(|(x, y)| x * y).sum()
    };
    for i in 0..n {
        let scores: Vec<f64> = (0..=i).map(|j| scale * product(q, i, k, j)).collect();
        let sum: f64 = scores.iter().map(|s| s.exp()).sum();
        g.lse.push(sum.log2());
        let d_p: Vec<f64> = (0..=i).map(|j| product(d_o, i, v, j)).collect();
        let p: Vec<f64> = scores.iter().map(|s| s.exp() / sum).collect();
        let mean: f64 = p.iter().zip(&d_p).map(|(p, d_p)| p * d_p).sum();
        for j in 0..=i {
            let d_s = p[j] * (d_p[j] - mean) * scale;
            for e in 0..d {
                g.o[i * d + e] += p[j] * v[j * d + e];
                g.d_v[j * d + e] += p[j] * d_o[i * d + e];
                g.d_q[i * d + e] += d_s * k[j * d + e];
                g.d_k[j * d + e] += d_s * q[i * d + e];
            }
        }
    }
    g
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{close, devices, numbers, wide};
    use kcc::{Launch, Tensor};

    #[test]
    fn gradients_are_those_of_the_whole_matrix() {
        const D: usize = 32;
        for n in [1, 45] {
            let dims = [2, n, D];
            let scale = 0.2f32;
            let inputs = [1, 2, 3, 4].map(|seed| numbers::<f32>(&dims, seed));
            let [q, k, v, d_o] = &inputs;
            let exact = inputs.each_ref().map(wide);
            let heads: Vec<Gradients> = (0..2)
                .map(|h| reference(exact.each_ref().map(|x| &x[h * n * D..(h + 1) * n * D]), D, scale.into()))
                .collect();
            let all =
                |f: fn(&Gradients) -> &Vec<f64>| heads.iter().flat_map(|g| f(g).clone()).collect::<Vec<_>>();
            let (o, lse) = (all(|g| &g.o), all(|g| &g.lse));
            let o = Tensor::from_fn(&dims, |i| o[i] as f32).unwrap();
            let lse = Tensor::from_fn(&[2, n], |i| lse[i] as f32).unwrap();
            for device in devices() {
                let mut delta = Tensor::<f32>::zeros(&[2, n]).unwrap();
                let [mut d_q, mut d_k, mut d_v] = [(); 3].map(|()| Tensor::<f32>::zeros(&dims).unwrap());
                let grid = (n.div_ceil(16), 2);
                row_products::kernel::<f32, 16, D>().launch(&device, grid, (&o, d_o, &mut delta)).unwrap();
                let args = (q, k, v, d_o, &lse, &delta, &mut d_k, &mut d_v, scale);
                key_gradients::kernel::<f32, 16, 16, D>().launch(&device, grid, args).unwrap();
                let args = (q, k, v, d_o, &lse, &delta, &mut d_q, scale);
                query_gradients::kernel::<f32, 16, 16, D>().launch(&device, grid, args).unwrap();
                // Sums of f32; `delta` is taken from products that it nearly cancels, which costs a few bits.
                close(&device, &d_v, &all(|g| &g.d_v), 1e-3);
                close(&device, &d_q, &all(|g| &g.d_q), 1e-3);
                close(&device, &d_k, &all(|g| &g.d_k), 1e-3);
            }
        }
    }
}
