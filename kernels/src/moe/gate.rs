//! Picks the experts of each token: the `K` largest router scores and the softmax over them.

use kcc_dsl::prelude::*;
use std::f32::consts::LOG2_E;

/// `ids[t]`: the `K` experts of largest score, largest first, ties by lower index; `weights[t]`: softmax over their
/// scores. `scores [tokens, experts]` with at most `E` experts and at least `K`. Grid: (tokens).
#[kernel(instances(<f32, 8, 2>, <f16, 8, 2>, <bf16, 8, 2>, <f32, 64, 8>, <f16, 64, 8>, <bf16, 64, 8>))]
pub fn gate_tile<T: Float, const E: usize, const K: usize>(
    scores: &View<T, 2>,
    ids: &mut View<i32, 2>,
    weights: &mut View<f32, 2>,
) {
    let t = program_id(0);
    let row = scores.at(t).load_or::<E>(0, f32::NEG_INFINITY).to::<f32>();
    let (top, experts) = row.top_k::<K>();
    let e = ((top - top.reduce_max()) * LOG2_E).exp2();
    ids.at_mut(t).store(0, experts);
    weights.at_mut(t).store(0, e / e.sum());
}

/// Experts and weights of each token; `scores` has rows of `experts`.
pub fn reference(scores: &[f64], experts: usize, k: usize) -> (Vec<i32>, Vec<f64>) {
    let (mut ids, mut weights) = (Vec::new(), Vec::new());
    for row in scores.chunks(experts) {
        let mut order: Vec<usize> = (0..experts).collect();
        order.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
        order.truncate(k);
        let e: Vec<f64> = order.iter().map(|&i| (row[i] - row[order[0]]).exp()).collect();
        let sum: f64 = e.iter().sum();
        ids.extend(order.iter().map(|&i| i as i32));
        weights.extend(e.iter().map(|e| e / sum));
    }
    (ids, weights)
}
