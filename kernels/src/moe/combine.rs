//! Adds up what the experts made of each token, by weight.

use kcc_dsl::prelude::*;

/// `y[t] = Σ weights[t, j] · parts[t, j]`. `parts [tokens, choices, width]`, `weights [tokens, choices]`, `y [tokens,
/// width]`. Grid: (column blocks of `N`, tokens).
#[kernel(instances(<f32, 1024>, <f16, 1024>, <bf16, 1024>))]
pub fn combine_tile<T: Float, const N: usize>(
    parts: &View<T, 3>,
    weights: &View<f32, 2>,
    y: &mut View<T, 2>,
) {
    let (col, t) = (program_id(0) * N, program_id(1));
    let (parts, weights) = (parts.at(t), weights.at(t));
    let mut total = Vector::<f32, N>::zeros();
    for j in 0..parts.dim(0) {
        total += parts.at(j).load::<N>(col).to::<f32>() * weights.get(j);
    }
    y.at_mut(t).store(col, total.to());
}
