//! RMS normalisation over the last axis (Zhang and Sennrich, arXiv:1910.07467), alone or after a residual sum.
//!
//! `y = v / √(mean(v²) + eps) · weight`. The residual form writes `v = x + residual`, rounded to the element type,
//! as well: the next layer of a transformer adds to it.

use crate::error::Result;
use crate::launch::{dims, expect, smallest};
use kcc_dsl::prelude::*;
use kcc_runtime::{Device, Launch as _, TensorView, TensorViewMut};

/// RMS norm of rows no wider than `N`. Grid: (rows).
#[kernel(instances(<f32, 1024>, <f16, 1024>, <bf16, 1024>, <f32, 4096>, <f16, 4096>, <bf16, 4096>))]
pub fn rms_norm_tile<T: Float, const N: usize>(
    x: &View<T, 2>,
    weight: &View<T, 1>,
    y: &mut View<T, 2>,
    eps: Scalar<f32>,
) {
    let row = program_id(0);
    let v = x.at(row).load::<N>(0).to::<f32>();
    let scale = ((v * v).sum() / x.dim(1).to::<f32>() + eps).rsqrt();
    y.at_mut(row).store(0, (v * scale * weight.load::<N>(0).to::<f32>()).to());
}

/// RMS norm of rows of any width, in blocks of `N`. Grid: (rows).
#[kernel(instances(<f32, 4096>, <f16, 4096>, <bf16, 4096>))]
pub fn rms_norm_blocks<T: Float, const N: usize>(
    x: &View<T, 2>,
    weight: &View<T, 1>,
    y: &mut View<T, 2>,
    eps: Scalar<f32>,
) {
    let row = program_id(0);
    let width = x.dim(1);
    let x = x.at(row);
    let mut squares = Vector::<f32, N>::zeros();
    for col in (0..width).step_by(N) {
        let v = x.load::<N>(col).to::<f32>();
        squares += v * v;
    }
    let scale = (squares.sum() / width.to::<f32>() + eps).rsqrt();
    let mut y = y.at_mut(row);
    for col in (0..width).step_by(N) {
        let v = x.load::<N>(col).to::<f32>();
        y.store(col, (v * scale * weight.load::<N>(col).to::<f32>()).to());
    }
}

/// `sum = x + residual`, `y = rms_norm(sum)`, rows no wider than `N`. Grid: (rows).
#[kernel(instances(<f32, 1024>, <f16, 1024>, <bf16, 1024>, <f32, 4096>, <f16, 4096>, <bf16, 4096>))]
pub fn rms_norm_residual_tile<T: Float, const N: usize>(
    x: &View<T, 2>,
    residual: &View<T, 2>,
    weight: &View<T, 1>,
    sum: &mut View<T, 2>,
    y: &mut View<T, 2>,
    eps: Scalar<f32>,
) {
    let row = program_id(0);
    let added = x.at(row).load::<N>(0).to::<f32>() + residual.at(row).load::<N>(0).to::<f32>();
    let rounded = added.to::<T>();
    sum.at_mut(row).store(0, rounded);
    let v = rounded.to::<f32>();
    let scale = ((v * v).sum() / x.dim(1).to::<f32>() + eps).rsqrt();
    y.at_mut(row).store(0, (v * scale * weight.load::<N>(0).to::<f32>()).to());
}

/// `sum = x + residual`, `y = rms_norm(sum)`, rows of any width, in blocks of `N`. Grid: (rows).
#[kernel(instances(<f32, 4096>, <f16, 4096>, <bf16, 4096>))]
pub fn rms_norm_residual_blocks<T: Float, const N: usize>(
    x: &View<T, 2>,
    residual: &View<T, 2>,
    weight: &View<T, 1>,
    sum: &mut View<T, 2>,
    y: &mut View<T, 2>,
    eps: Scalar<f32>,
) {
    let row = program_id(0);
    let width = x.dim(1);
    let (x, residual) = (x.at(row), residual.at(row));
    let mut sum = sum.at_mut(row);
    let mut squares = Vector::<f32, N>::zeros();
    for col in (0..width).step_by(N) {
        let rounded = (x.load::<N>(col).to::<f32>() + residual.load::<N>(col).to::<f32>()).to::<T>();
        sum.store(col, rounded);
        squares += rounded.to::<f32>() * rounded.to::<f32>();
    }
    let scale = (squares.sum() / width.to::<f32>() + eps).rsqrt();
    let mut y = y.at_mut(row);
    for col in (0..width).step_by(N) {
        let rounded = (x.load::<N>(col).to::<f32>() + residual.load::<N>(col).to::<f32>()).to::<T>();
        y.store(col, (rounded.to::<f32>() * scale * weight.load::<N>(col).to::<f32>()).to());
    }
}

/// `y = rms_norm(x) · weight`. `x`, `y`: `[rows, width]`; `weight`: `[width]`.
///
/// # Errors
/// Dims that do not go together, or the launch failed.
pub fn rms_norm<T: Float>(
    device: &Device,
    x: &TensorView<'_, T>,
    weight: &TensorView<'_, T>,
    y: &mut TensorViewMut<'_, T>,
    eps: f32,
) -> Result {
    let [rows, width] = dims::<2>("rms_norm", "x", &x.dims())?;
    expect("rms_norm", "weight", &weight.dims(), &[width])?;
    expect("rms_norm", "y", &y.dims(), &x.dims())?;
    if rows * width == 0 {
        return Ok(());
    }
    let grid = [rows, 1, 1];
    smallest!(width, [128, 256, 512, 1024, 2048, 4096, 8192],
        |N| rms_norm_tile::kernel::<T, N>().launch(device, grid, (x, weight, y, eps))?,
        else rms_norm_blocks::kernel::<T, 4096>().launch(device, grid, (x, weight, y, eps))?);
    Ok(())
}

/// `sum = x + residual`, `y = rms_norm(sum) · weight`. All `[rows, width]` but `weight`: `[width]`. The norm is of the
/// rounded sum.
///
/// # Errors
/// Dims that do not go together, or the launch failed.
pub fn rms_norm_residual<T: Float>(
    device: &Device,
    (x, residual): (&TensorView<'_, T>, &TensorView<'_, T>),
    weight: &TensorView<'_, T>,
    (sum, y): (&mut TensorViewMut<'_, T>, &mut TensorViewMut<'_, T>),
    eps: f32,
) -> Result {
    let name = "rms_norm_residual";
    let [rows, width] = dims::<2>(name, "x", &x.dims())?;
    expect(name, "residual", &residual.dims(), &x.dims())?;
    expect(name, "weight", &weight.dims(), &[width])?;
    expect(name, "sum", &sum.dims(), &x.dims())?;
    expect(name, "y", &y.dims(), &x.dims())?;
    if rows * width == 0 {
        return Ok(());
    }
    let grid = [rows, 1, 1];
    let args = (x, residual, weight, sum, y, eps);
    smallest!(width, [128, 256, 512, 1024, 2048, 4096, 8192],
        |N| rms_norm_residual_tile::kernel::<T, N>().launch(device, grid, args)?,
        else rms_norm_residual_blocks::kernel::<T, 4096>().launch(device, grid, args)?);
    Ok(())
}

/// RMS norm of each row of `x` (rows of `weight.len()`).
pub fn reference(x: &[f64], weight: &[f64], eps: f64) -> Vec<f64> {
    let width = weight.len();
    let mut y = Vec::with_capacity(x.len());
    for v in x.chunks(width.max(1)) {
        let mean = v.iter().map(|v| v * v).sum::<f64>() / width as f64;
        let scale = 1.0 / (mean + eps).sqrt();
        y.extend(v.iter().zip(weight).map(|(v, w)| v * scale * w));
    }
    y
}
