//! Softmax over the last axis, rows of any width.
//!
//! A row that fits in one tile is read once; a wider one is read twice, with the running maximum and sum of Milakov
//! and Gimelshein (arXiv:1805.02867):
//!
//! ```text
//! one tile:  max → exp(x - max) → sum → divide
//! blocks:    m' = max(m, block), l = l·exp(m - m') + Σ exp(block - m');  then exp(x - m) / l
//! ```

use crate::error::Result;
use crate::launch::{dims, expect, smallest};
use kcc_dsl::prelude::*;
use kcc_runtime::{Device, Launch as _, TensorView, TensorViewMut};
use std::f32::consts::LOG2_E;

/// `m`, or 0 where it is minus infinity, so that a row of nothing else gives `exp(-inf) = 0` and not NaN.
#[function]
pub(crate) fn finite_max<S: Shape>(m: Tile<f32, S>) -> Tile<f32, S> {
    select(m == f32::NEG_INFINITY, Tile::zeros(), m)
}

/// `1 / sum`, or 0 where the sum is 0.
#[function]
pub(crate) fn reciprocal_or_zero<S: Shape>(sum: Tile<f32, S>) -> Tile<f32, S> {
    select(sum == 0.0, Tile::zeros(), 1.0 / sum)
}

/// Softmax of rows no wider than `N`. Grid: (rows).
#[kernel(instances(<f32, 1024>, <f16, 1024>, <bf16, 1024>, <f32, 4096>, <f16, 4096>, <bf16, 4096>))]
pub fn softmax_tile<T: Float, const N: usize>(x: &View<T, 2>, y: &mut View<T, 2>) {
    let row = program_id(0);
    let v = x.at(row).load_or::<N>(0, f32::NEG_INFINITY).to::<f32>();
    let e = ((v - finite_max(v.reduce_max())) * LOG2_E).exp2();
    y.at_mut(row).store(0, (e * reciprocal_or_zero(e.sum())).to());
}

/// Softmax of rows of any width, in blocks of `N`. Grid: (rows).
#[kernel(instances(<f32, 4096>, <f16, 4096>, <bf16, 4096>))]
pub fn softmax_online<T: Float, const N: usize>(x: &View<T, 2>, y: &mut View<T, 2>) {
    let row = program_id(0);
    let x = x.at(row);
    let width = x.dim(0);
    let mut max = Scalar::full(f32::NEG_INFINITY);
    let mut sum = Scalar::<f32>::zeros();
    for col in (0..width).step_by(N) {
        let v = x.load_or::<N>(col, f32::NEG_INFINITY).to::<f32>();
        let new_max = max.max(v.reduce_max());
        let base = finite_max(new_max);
        sum = sum * ((max - base) * LOG2_E).exp2() + ((v - base) * LOG2_E).exp2().sum();
        max = new_max;
    }
    let base = finite_max(max);
    let scale = reciprocal_or_zero(sum);
    let mut y = y.at_mut(row);
    for col in (0..width).step_by(N) {
        let v = x.load_or::<N>(col, f32::NEG_INFINITY).to::<f32>();
        y.store(col, (((v - base) * LOG2_E).exp2() * scale).to());
    }
}

/// Softmax of each row of `x` into `y`, both `[rows, width]`, any width. A row of minus infinities gives zeros.
///
/// # Errors
/// Dims that differ, or the launch failed.
pub fn softmax<T: Float>(device: &Device, x: &TensorView<'_, T>, y: &mut TensorViewMut<'_, T>) -> Result {
    let [rows, width] = dims::<2>("softmax", "x", &x.dims())?;
    expect("softmax", "y", &y.dims(), &x.dims())?;
    if rows * width == 0 {
        return Ok(());
    }
    let grid = [rows, 1, 1];
    smallest!(width, [64, 128, 256, 512, 1024, 2048, 4096, 8192],
        |N| softmax_tile::kernel::<T, N>().launch(device, grid, (x, y))?,
        else softmax_online::kernel::<T, 4096>().launch(device, grid, (x, y))?);
    Ok(())
}

/// Softmax of each row of `x`, `rows` by `width`. A row of minus infinities gives zeros; NaN or plus infinity in a
/// row makes the whole row NaN.
pub fn reference(x: &[f64], rows: usize, width: usize) -> Vec<f64> {
    let mut y = Vec::with_capacity(x.len());
    for row in 0..rows {
        let x = &x[row * width..(row + 1) * width];
        let max = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let max = if max == f64::NEG_INFINITY { 0.0 } else { max };
        let e: Vec<f64> = x.iter().map(|x| (x - max).exp()).collect();
        let sum: f64 = e.iter().sum();
        y.extend(e.iter().map(|e| if sum == 0.0 { 0.0 } else { e / sum }));
    }
    y
}
