//! Layer normalisation over the last axis (Ba, Kiros, Hinton, arXiv:1607.06450), optionally of `x + residual`.
//!
//! `y = (v - mean(v)) / √(var(v) + eps) · gamma + beta`, with the biased variance, in two passes over the row: the
//! one-pass form `mean(v²) - mean(v)²` loses all digits where the mean is large.

use crate::error::Result;
use crate::launch::{dims, expect, smallest};
use kcc_dsl::prelude::*;
use kcc_runtime::{Device, Launch as _, TensorView, TensorViewMut};

/// Layer norm of rows no wider than `N`; `residual` is added first if `RESIDUAL`. Grid: (rows).
#[kernel(instances(
    <f32, 384, true>, <bf16, 384, true>,
    <f32, 1024, false>, <f16, 1024, false>, <bf16, 1024, false>, <f32, 1024, true>, <f16, 1024, true>, <bf16, 1024, true>,
    <f32, 4096, false>, <f16, 4096, false>, <bf16, 4096, false>, <f32, 4096, true>, <f16, 4096, true>, <bf16, 4096, true>,
))]
pub fn layer_norm_tile<T: Float, const N: usize, const RESIDUAL: bool>(
    x: &View<T, 2>,
    residual: &View<T, 2>,
    gamma: &View<T, 1>,
    beta: &View<T, 1>,
    y: &mut View<T, 2>,
    eps: Scalar<f32>,
) {
    let row = program_id(0);
    let width = x.dim(1);
    let mut v = x.at(row).load::<N>(0).to::<f32>();
    if RESIDUAL {
        v += residual.at(row).load::<N>(0).to::<f32>();
    }
    let count = width.to::<f32>();
    let centred = v - v.sum() / count;
    let d = select(arange::<N>() < width, centred, Tile::zeros());
    let scale = ((d * d).sum() / count + eps).rsqrt();
    let out = d * scale * gamma.load::<N>(0).to::<f32>() + beta.load::<N>(0).to::<f32>();
    y.at_mut(row).store(0, out.to());
}

/// Layer norm of rows of any width, in blocks of `N`. Grid: (rows).
#[kernel(instances(
    <f32, 4096, false>, <f16, 4096, false>, <bf16, 4096, false>, <f32, 4096, true>, <f16, 4096, true>, <bf16, 4096, true>,
))]
pub fn layer_norm_blocks<T: Float, const N: usize, const RESIDUAL: bool>(
    x: &View<T, 2>,
    residual: &View<T, 2>,
    gamma: &View<T, 1>,
    beta: &View<T, 1>,
    y: &mut View<T, 2>,
    eps: Scalar<f32>,
) {
    let row = program_id(0);
    let width = x.dim(1);
    let count = width.to::<f32>();
    let (x, residual) = (x.at(row), residual.at(row));
    let mut total = Vector::<f32, N>::zeros();
    for col in (0..width).step_by(N) {
        total += value::<T, N, RESIDUAL>(&x, &residual, col);
    }
    let mean = total.sum() / count;
    let mut squares = Vector::<f32, N>::zeros();
    for col in (0..width).step_by(N) {
        let centred = value::<T, N, RESIDUAL>(&x, &residual, col) - mean;
        let d = select(col + arange::<N>() < width, centred, Tile::zeros());
        squares += d * d;
    }
    let scale = (squares.sum() / count + eps).rsqrt();
    let mut y = y.at_mut(row);
    for col in (0..width).step_by(N) {
        let d = value::<T, N, RESIDUAL>(&x, &residual, col) - mean;
        let out = d * scale * gamma.load::<N>(col).to::<f32>() + beta.load::<N>(col).to::<f32>();
        y.store(col, out.to());
    }
}

#[track_caller]
fn value<T: Float, const N: usize, const RESIDUAL: bool>(
    x: &View<T, 1>,
    residual: &View<T, 1>,
    col: Scalar<i32>,
) -> Vector<f32, N> {
    let v = x.load::<N>(col).to::<f32>();
    if RESIDUAL { v + residual.load::<N>(col).to::<f32>() } else { v }
}

/// `y = layer_norm(x) · gamma + beta`, or of `x + residual` if there is one. `x`, `residual`, `y`: `[rows, width]`;
/// `gamma`, `beta`: `[width]`.
///
/// # Errors
/// Dims that do not go together, or the launch failed.
pub fn layer_norm<T: Float>(
    device: &Device,
    x: &TensorView<'_, T>,
    residual: Option<&TensorView<'_, T>>,
    (gamma, beta): (&TensorView<'_, T>, &TensorView<'_, T>),
    y: &mut TensorViewMut<'_, T>,
    eps: f32,
) -> Result {
    let [rows, width] = dims::<2>("layer_norm", "x", &x.dims())?;
    expect("layer_norm", "gamma", &gamma.dims(), &[width])?;
    expect("layer_norm", "beta", &beta.dims(), &[width])?;
    expect("layer_norm", "y", &y.dims(), &x.dims())?;
    if let Some(residual) = residual {
        expect("layer_norm", "residual", &residual.dims(), &x.dims())?;
    }
    if rows * width == 0 {
        return Ok(());
    }
    let grid = [rows, 1, 1];
    let args = (x, residual.unwrap_or(x), gamma, beta, y, eps);
    if residual.is_some() {
        smallest!(width, [128, 256, 384, 512, 768, 1024, 2048, 4096, 8192],
            |N| layer_norm_tile::kernel::<T, N, true>().launch(device, grid, args)?,
            else layer_norm_blocks::kernel::<T, 4096, true>().launch(device, grid, args)?);
    } else {
        smallest!(width, [128, 256, 384, 512, 768, 1024, 2048, 4096, 8192],
            |N| layer_norm_tile::kernel::<T, N, false>().launch(device, grid, args)?,
            else layer_norm_blocks::kernel::<T, 4096, false>().launch(device, grid, args)?);
    }
    Ok(())
}

/// Layer norm of each row of `x` (`rows` by `gamma.len()`), after adding `residual` if there is one.
pub fn reference(x: &[f64], residual: Option<&[f64]>, gamma: &[f64], beta: &[f64], eps: f64) -> Vec<f64> {
    let width = gamma.len();
    let mut y = Vec::with_capacity(x.len());
    for (row, x) in x.chunks(width.max(1)).enumerate() {
        let v: Vec<f64> = match residual {
            Some(r) => x.iter().zip(&r[row * width..]).map(|(x, r)| x + r).collect(),
            None => x.to_vec(),
        };
        let mean = v.iter().sum::<f64>() / width as f64;
        let variance = v.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / width as f64;
        let scale = 1.0 / (variance + eps).sqrt();
        y.extend((0..width).map(|i| (v[i] - mean) * scale * gamma[i] + beta[i]));
    }
    y
}
