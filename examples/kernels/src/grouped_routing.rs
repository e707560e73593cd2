//! Routing limited to groups (DeepSeek-V3, arXiv:2412.19437, section 2.1.2): experts stand in groups, one group per node, and a
//! token goes to the experts of few groups.
//!
//! ```text
//! logits [T, E] ── sigmoid ── + bias ─┬─ [T, G, E / G] ── two largest ── sum ── KEPT largest groups
//!                                     └────────────── elsewhere -∞ ── K largest ── experts [T, K]
//! weights = sigmoid(logits) of the chosen, without the bias, scaled to a sum of `factor`
//! ```
//!
//! What to see: a matrix seen as a cube, and `top_k` along its last axis; membership as a comparison of two cubes; the chosen
//! scores read again by number, which is cheaper than to pick them out of the tile.

use kcc::prelude::*;

/// `logits [tokens, E]`, `bias [E]`; `experts`, `weights`: `[tokens, K]`, best first, ties by lower number. `E = G · S`. Grid: (token blocks).
#[kernel(instances(<f32, 4, 8, 32, 256, 4, 8>, <bf16, 4, 8, 32, 256, 4, 8>))]
pub fn grouped_routing<
    T: Float,
    const M: usize,
    const G: usize,
    const S: usize,
    const E: usize,
    const KEPT: usize,
    const K: usize,
>(
    logits: &View<T, 2>,
    bias: &View<f32, 1>,
    experts: &mut View<i32, 2>,
    weights: &mut View<f32, 2>,
    factor: Scalar<f32>,
) {
    let first = program_id(0) * M;
    let scores = logits.load::<M, E>((first, 0)).to::<f32>().sigmoid() + bias.load::<E>(0).row();
    let groups = scores.reshape::<D3<M, G, S>>();
    let (_, kept) = groups.top_k::<2>().0.sum_last().top_k::<KEPT>();
    let number = arange::<G>().broadcast_to::<D3<M, KEPT, G>>();
    let is_kept = number.eq_(kept.reshape::<D3<M, KEPT, 1>>().broadcast_to::<D3<M, KEPT, G>>());
    let is_kept = is_kept.to::<i32>().sum_axis::<1>().reshape::<D3<M, G, 1>>().broadcast_to::<D3<M, G, S>>();
    let open = select(is_kept.gt_(0), groups, f32::NEG_INFINITY).reshape::<D2<M, E>>();
    let (_, chosen) = open.top_k::<K>();
    let tokens = first + arange::<M>();
    let chosen_scores = logits.gather((tokens.col(), chosen), (tokens < logits.dim(0)).col(), Tile::zeros());
    let w = chosen_scores.to::<f32>().sigmoid();
    experts.store((first, 0), chosen);
    weights.store((first, 0), w * (factor / w.sum_rows()).col());
}

/// One token: the experts, best first, and their weights.
pub fn reference(
    logits: &[f64],
    bias: &[f64],
    groups: usize,
    kept: usize,
    k: usize,
    factor: f64,
) -> (Vec<usize>, Vec<f64>) {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let score: Vec<f64> = logits.iter().zip(bias).map(|(x, b)| sigmoid(*x) + b).collect();
    // Stable sorting: ties by lower number.
    let best = |values: &[f64]| {
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|a, b| values[*b].total_cmp(&values[*a]));
        order
    };
    let size = logits.len() / groups;
    let two: Vec<f64> =
        score.chunks(size).map(|g| best(g).iter().take(2).map(|i| g[*i]).sum::<f64>()).collect();
    let open = &best(&two)[..kept];
    let experts: Vec<usize> =
        best(&score).into_iter().filter(|e| open.contains(&(e / size))).take(k).collect();
    let w: Vec<f64> = experts.iter().map(|e| sigmoid(logits[*e])).collect();
    let sum: f64 = w.iter().sum();
    (experts, w.iter().map(|w| w * factor / sum).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{close, devices, numbers, wide};
    use kcc::{Launch, Tensor};

    #[test]
    fn experts_are_those_of_the_reference() {
        let tokens = 11;
        let (logits, bias) = (numbers::<f32>(&[tokens, 32], 1), numbers::<f32>(&[32], 2));
        let (wide_logits, wide_bias) = (wide(&logits), wide(&bias));
        let (mut numbers, mut wanted) = (Vec::new(), Vec::new());
        for row in wide_logits.chunks(32) {
            let (experts, weights) = reference(row, &wide_bias, 4, 2, 5, 2.5);
            numbers.extend(experts.iter().map(|e| *e as i32));
            wanted.extend(weights);
        }
        for device in devices() {
            let mut experts = Tensor::<i32>::zeros(&[tokens, 5]).unwrap();
            let mut weights = Tensor::<f32>::zeros(&[tokens, 5]).unwrap();
            let args = (&logits, &bias, &mut experts, &mut weights, 2.5);
            grouped_routing::kernel::<f32, 4, 4, 8, 32, 2, 5>().launch(&device, 3, args).unwrap();
            assert_eq!(experts.as_slice(), numbers, "{}", device.describe());
            // Five roundings in the weights, a sigmoid of 8 ulp above and below the line: 24 · 2⁻²⁴.
            close(&device, &weights, &wanted, 2e-6);
        }
    }
}
