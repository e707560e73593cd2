//! Linear attention with a decay per step, in chunks: the form in which Mamba-2 (arXiv:2405.21060, §6) and RetNet are computed.
//!
//! ```text
//! state_t = 2^g_t · state_(t-1) + k_t ᵀ v_t          o_t = q_t · state_t
//!
//! one chunk of C steps, a = running sum of g:
//!   within   (q kᵀ × 2^(a_i - a_j), j ≤ i) · v        a C by C product instead of C steps
//!   before   (q × 2^a_i) · state
//!   after    state = 2^a_C · state + (k × 2^(a_C - a_j))ᵀ · v
//! ```
//!
//! What to see: the state is a matrix carried through a run-time loop; `cumsum` within a tile; differences of sums stay at or below
//! zero where they are used, so that no power overflows; steps beyond the end read as `g = 0`, `k = 0` and change nothing.

use kcc::prelude::*;

/// `q`, `k`: `[heads, steps, D]`; `v`, `o`: `[heads, steps, E]`; `g [heads, steps]`, at most 0: log2 of the decay;
/// `state [heads, D, E]`: read first, then what the last step left. Grid: (heads).
#[kernel(instances(<bf16, 64, 64, 64>, <f16, 64, 128, 64>, <f32, 32, 64, 64>))]
pub fn chunked_scan<T: Float, const C: usize, const D: usize, const E: usize>(
    q: &View<T, 3>,
    k: &View<T, 3>,
    v: &View<T, 3>,
    g: &View<f32, 2>,
    state: &mut View<f32, 3>,
    o: &mut View<T, 3>,
) {
    let head = program_id(0);
    let (q, k, v, g) = (q.at(head), k.at(head), v.at(head), g.at(head));
    let (mut state, mut o) = (state.at_mut(head), o.at_mut(head));
    let mut s = state.load::<D, E>((0, 0));
    for first in (0..q.dim(0)).step_by(C) {
        let (q, k) = (q.load::<C, D>((first, 0)), k.load::<C, D>((first, 0)));
        let v = v.load::<C, E>((first, 0));
        let step = g.load::<C>(first);
        let (a, whole) = (step.cumsum(), step.sum());
        let i = arange::<C>();
        // Above the diagonal the difference is positive: it must not reach the power.
        let decay = fill_where(i.col() < i.row(), a.col() - a.row(), f32::NEG_INFINITY).exp2();
        let within = dot((dot(q, k.t()) * decay).to::<T>(), v);
        let before = dot((q.to::<f32>() * a.exp2().col()).to::<T>(), s.to::<T>());
        o.store((first, 0), (within + before).to());
        let k = (k.to::<f32>() * (whole - a).exp2().col()).to::<T>();
        s = dot_acc(k.t(), v, s * whole.exp2());
    }
    state.store((0, 0), s);
}

/// One head, step by step: `q`, `k [steps, d]`, `v [steps, e]`, `g [steps]`. Gives `o [steps, e]`, and leaves the state.
pub fn reference(
    q: &[f64],
    k: &[f64],
    v: &[f64],
    g: &[f64],
    (d, e): (usize, usize),
    state: &mut [f64],
) -> Vec<f64> {
    let mut o = Vec::new();
    for (t, g) in g.iter().enumerate() {
        for i in 0..d {
            for j in 0..e {
                let s = &mut state[i * e + j];
                *s = *s * g.exp2() + k[t * d + i] * v[t * e + j];
            }
        }
        o.extend((0..e).map(|j| (0..d).map(|i| q[t * d + i] * state[i * e + j]).sum::<f64>()));
    }
    o
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{close, devices, numbers, wide};
    use kcc::{Launch, Tensor};

    #[test]
    fn chunks_give_what_single_steps_give() {
        const D: usize = 32;
        const E: usize = 16;
        let heads = 2;
        // One step; chunks of 16 and a rest; a decay so strong that the inverse of 2^a would overflow.
        for (steps, strength) in [(1, 0.5), (37, 0.5), (40, 40.0)] {
            let (q, k) = (numbers::<f32>(&[heads, steps, D], 1), numbers::<f32>(&[heads, steps, D], 2));
            let v = numbers::<f32>(&[heads, steps, E], 3);
            let g = numbers::<f32>(&[heads, steps], 4).map(|g: f32| -g.abs() * strength).unwrap();
            let start = numbers::<f32>(&[heads, D, E], 5);
            let mut left = wide(&start);
            let mut wanted = Vec::new();
            for (h, left) in left.chunks_mut(D * E).enumerate() {
                let part = |t: &Tensor<f32>, n: usize| wide(t)[h * n..(h + 1) * n].to_vec();
                let (q, k, v) = (part(&q, steps * D), part(&k, steps * D), part(&v, steps * E));
                wanted.extend(reference(&q, &k, &v, &part(&g, steps), (D, E), left));
            }
            for device in devices() {
                let mut state = start.map(|s| s).unwrap();
                let mut o = Tensor::<f32>::zeros(&[heads, steps, E]).unwrap();
                let args = (&q, &k, &v, &g, &mut state, &mut o);
                chunked_scan::kernel::<f32, 16, D, E>().launch(&device, heads, args).unwrap();
                // Products of f32 may be made of tf32: 2⁻¹¹ for each of the two factors, in a chain of two products.
                close(&device, &o, &wanted, 4e-3);
                close(&device, &state, &left, 4e-3);
            }
        }
    }
}
