//! The whole layer: router, gate, permutation, experts, weighted sum.

use super::{combine, gate, grouped, permute};
use crate::activation;
use crate::error::{Error, Result};
use crate::launch::{dims, expect, smallest};
use crate::matmul::{Epilogue, matmul};
use kcc_dsl::prelude::*;
use kcc_runtime::{Device, Launch as _, Tensor, TensorView, TensorViewMut};

/// Columns per program of the experts' products: two packed panels and the lines of the next share a second-level cache of 1 MiB
/// (measured on the CPU against 32, 48, 96 and 128: 5 to 25% faster in f32, 0 to 10% in bf16).
const GROUPED_COLUMNS: usize = 64;

/// Weights of a layer of `experts` SwiGLU networks.
#[derive(Clone, Copy)]
pub struct Experts<'a, T> {
    /// Scores of the experts: `[hidden, experts]`.
    pub router: &'a TensorView<'a, T>,
    /// `[experts, hidden, inner]`.
    pub gate: &'a TensorView<'a, T>,
    /// `[experts, hidden, inner]`.
    pub up: &'a TensorView<'a, T>,
    /// `[experts, inner, hidden]`.
    pub down: &'a TensorView<'a, T>,
}

/// Memory for what lies between the layer's kernels; one can serve any number of calls of the same sizes.
pub struct Workspace<T> {
    scores: Tensor<T>,
    ids: Tensor<i32>,
    weights: Tensor<f32>,
    starts: Tensor<i32>,
    order: Tensor<i32>,
    inner: Tensor<T>,
    parts: Tensor<T>,
}

impl<T: Float> Workspace<T> {
    /// Memory for `tokens` tokens of `hidden` elements, each through `choices` of `experts` networks of `inner`.
    ///
    /// # Errors
    /// Out of memory.
    pub fn new(tokens: usize, hidden: usize, experts: usize, choices: usize, inner: usize) -> Result<Self> {
        let slots = tokens * choices;
        Ok(Workspace {
            scores: Tensor::zeros(&[tokens, experts])?,
            ids: Tensor::zeros(&[tokens, choices])?,
            weights: Tensor::zeros(&[tokens, choices])?,
            starts: Tensor::zeros(&[experts + 1])?,
            order: Tensor::zeros(&[slots])?,
            inner: Tensor::zeros(&[slots, inner])?,
            parts: Tensor::zeros(&[slots, hidden])?,
        })
    }

    /// The experts of each token and their weights, both `[tokens, choices]`, as the last call left them.
    pub fn choice(&self) -> (&[i32], &[f32]) {
        (self.ids.as_slice(), self.weights.as_slice())
    }
}

/// `y[t] = Σ w[t, e] · expert_e(x[t])` over the `choices` experts of largest score, `w` the softmax of their scores.
/// `x`, `y`: `[tokens, hidden]`. Up to 256 experts; `choices` 1, 2, 4, 6 or 8.
///
/// # Errors
/// Dims that do not go together (the workspace's included), more experts or other choices than stated, or a launch
/// failed.
pub fn moe<T: Float + DotElem>(
    device: &Device,
    x: &TensorView<'_, T>,
    experts: Experts<'_, T>,
    choices: usize,
    work: &mut Workspace<T>,
    y: &mut TensorViewMut<'_, T>,
) -> Result {
    let [tokens, hidden] = dims::<2>("moe", "x", &x.dims())?;
    let [count, _, inner] = dims::<3>("moe", "gate", &experts.gate.dims())?;
    expect("moe", "router", &experts.router.dims(), &[hidden, count])?;
    expect("moe", "gate", &experts.gate.dims(), &[count, hidden, inner])?;
    expect("moe", "up", &experts.up.dims(), &[count, hidden, inner])?;
    expect("moe", "down", &experts.down.dims(), &[count, inner, hidden])?;
    expect("moe", "y", &y.dims(), &[tokens, hidden])?;
    let k = choices;
    expect("moe", "work", &work.ids.dims(), &[tokens, k])?;
    expect("moe", "work", &work.scores.dims(), &[tokens, count])?;
    expect("moe", "work", &work.inner.dims(), &[tokens * k, inner])?;
    expect("moe", "work", &work.parts.dims(), &[tokens * k, hidden])?;
    if tokens * hidden == 0 {
        return Ok(());
    }
    if k > count {
        let reason = format!("{choices} choices among {count} experts");
        return Err(Error::Unsupported { kernel: "moe", reason });
    }
    let none = Epilogue { bias: None, residual: None };
    matmul::<T, { activation::IDENTITY }>(device, x, experts.router, none, &mut work.scores.view_mut())?;
    pick(device, work, (tokens, count), choices)?;
    let slots = tokens * k;
    permute::permute_tile::kernel::<256>().launch(
        device,
        [count, 1, 1],
        (&work.ids.view().reshape(&[slots])?, &mut work.starts.view_mut(), &mut work.order.view_mut()),
    )?;
    // Compiled for a CPU, rows that are not there cost nothing: a tile has all rows of an expert, so that a weight is read from memory
    // once. A matrix unit reads an expert's rows again for every block of columns: fewer, wider ones.
    let tall = device.shared_bytes().is_none() && !device.is_eager() && slots >= 16 * count;
    let wide = device.has_matrix_unit(T::ELEM) && inner >= 256 && hidden >= 256;
    match (tall, wide) {
        (true, true) => networks::<T, 96, 256>(device, x, experts, choices, work)?,
        (true, false) => networks::<T, 96, GROUPED_COLUMNS>(device, x, experts, choices, work)?,
        (false, _) => networks::<T, 8, GROUPED_COLUMNS>(device, x, experts, choices, work)?,
    }
    combine::combine_tile::kernel::<T, 1024>().launch(
        device,
        [hidden.div_ceil(1024), tokens, 1],
        (&work.parts.view().reshape(&[tokens, k, hidden])?, &work.weights.view(), y),
    )?;
    Ok(())
}

/// What the experts make of their tokens, into `work.parts`, in blocks of `BM` rows by `BN` columns.
fn networks<T: Float + DotElem, const BM: usize, const BN: usize>(
    device: &Device,
    x: &TensorView<'_, T>,
    experts: Experts<'_, T>,
    choices: usize,
    work: &mut Workspace<T>,
) -> Result {
    let (count, hidden, inner) = (experts.gate.dim(0), experts.gate.dim(1), experts.gate.dim(2));
    let (starts, order) = (work.starts.view(), work.order.view());
    grouped::grouped_swiglu_tile::kernel::<T, BM, BN, 64>().launch(
        device,
        [inner.div_ceil(BN), count, 1],
        (x, experts.gate, experts.up, &starts, &order, &mut work.inner.view_mut(), choices as i32),
    )?;
    grouped::grouped_down_tile::kernel::<T, BM, BN, 64>().launch(
        device,
        [hidden.div_ceil(BN), count, 1],
        (&work.inner.view(), experts.down, &starts, &order, &mut work.parts.view_mut()),
    )?;
    Ok(())
}

fn pick<T: Float>(
    device: &Device,
    work: &mut Workspace<T>,
    (tokens, experts): (usize, usize),
    choices: usize,
) -> Result {
    let scores = work.scores.view();
    let args = (&scores, &mut work.ids.view_mut(), &mut work.weights.view_mut());
    let grid = [tokens, 1, 1];
    let others = |reason: String| Err(Error::Unsupported { kernel: "moe", reason });
    macro_rules! choose {
        ($($k:literal),*) => {
            match choices {
                $($k => smallest!(experts, [8, 16, 32, 64, 128, 256],
                    |E| gate::gate_tile::kernel::<T, E, $k>().launch(device, grid, args)?,
                    else return others(format!("{experts} experts: at most 256 are possible"))),)*
                _ => return others(format!("{choices} choices: 1, 2, 4, 6 or 8 are possible")),
            }
        };
    }
    choose!(1, 2, 4, 6, 8);
    Ok(())
}

/// Sizes of a layer for [`reference()`].
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Length of a token.
    pub hidden: usize,
    /// Number of experts.
    pub experts: usize,
    /// Experts per token.
    pub choices: usize,
    /// Length between the layers of an expert.
    pub inner: usize,
}

/// The layer on row-major `x [tokens, hidden]`, given each token's experts and their weights (see
/// [`super::gate::reference`]): two nearly equal scores may be ordered either way, and the result jumps there.
pub fn reference(
    z: Sizes,
    x: &[f64],
    choice: (&[i32], &[f64]),
    weights: (&[f64], &[f64], &[f64]),
) -> Vec<f64> {
    sums(z, x, choice, weights, |term| term)
}

/// The sums of [`reference()`] with each last summand's magnitude in its place: what its rounding is relative to.
pub fn magnitude(
    z: Sizes,
    x: &[f64],
    choice: (&[i32], &[f64]),
    weights: (&[f64], &[f64], &[f64]),
) -> Vec<f64> {
    sums(z, x, choice, weights, f64::abs)
}

fn sums(
    z: Sizes,
    x: &[f64],
    (ids, shares): (&[i32], &[f64]),
    (gate, up, down): (&[f64], &[f64], &[f64]),
    term: fn(f64) -> f64,
) -> Vec<f64> {
    let mut y = vec![0.0; x.len()];
    for (slot, (&e, share)) in ids.iter().zip(shares).enumerate() {
        let token = slot / z.choices;
        let x = &x[token * z.hidden..(token + 1) * z.hidden];
        let first = e as usize * z.hidden * z.inner;
        let mut h = vec![0.0; z.inner];
        for (j, h) in h.iter_mut().enumerate() {
            let column = |w: &[f64]| (0..z.hidden).map(|i| x[i] * w[first + i * z.inner + j]).sum::<f64>();
            *h = activation::reference(activation::SILU, column(gate)) * column(up);
        }
        for (j, y) in y[token * z.hidden..(token + 1) * z.hidden].iter_mut().enumerate() {
            *y += share * (0..z.inner).map(|i| term(h[i] * down[first + i * z.hidden + j])).sum::<f64>();
        }
    }
    y
}
