//! Mean over the tokens of each sequence, scaled to unit length: the sentence embedding of sentence-transformers.
//!
//! `y = m / max(‖m‖₂, 1e-12)` with `m` the mean over the tokens that count. The sum itself has the direction of the
//! mean, but the mean decides about the lower bound, so it is formed. A sequence without tokens gives zeros.

use crate::error::{Error, Result};
use crate::launch::{dims, expect, smallest};
use kcc_dsl::prelude::*;
use kcc_runtime::{Device, Launch as _, TensorView, TensorViewMut};

/// The least norm that a mean is divided by, as in PyTorch's `normalize`.
pub const LEAST_NORM: f32 = 1e-12;

/// Mean and normalisation of packed sequences: sequence `b` is rows `starts[b]..starts[b + 1]` of `x`. Rows no wider
/// than `N`. Grid: (sequences).
#[kernel(instances(<f32, 16, 384>, <f16, 16, 384>, <bf16, 16, 384>))]
pub fn mean_pool_packed_tile<T: Float, const BM: usize, const N: usize>(
    x: &View<T, 2>,
    starts: &View<i32, 1>,
    y: &mut View<T, 2>,
) {
    let b = program_id(0);
    let (begin, end) = (starts.get(b), starts.get(b + 1));
    let mut total = Vector::<f32, N>::zeros();
    for row in (begin..end).step_by(BM) {
        let rows = row + arange::<BM>();
        let rows = select(rows < end, rows, Tile::full(-1));
        total += x.load_rows::<BM, N>(rows, 0).to::<f32>().sum_cols();
    }
    let count = (end - begin).max(Scalar::full(1)).to::<f32>();
    y.at_mut(b).store(0, unit(total / count).to());
}

/// Mean and normalisation of padded sequences: `x [batch, tokens, width]`; token `t` of sequence `b` counts with
/// weight `mask[b, t]` (0 or 1). Rows no wider than `N`. Grid: (sequences).
#[kernel(instances(<f32, 16, 384>, <f16, 16, 384>, <bf16, 16, 384>))]
pub fn mean_pool_tile<T: Float, const BM: usize, const N: usize>(
    x: &View<T, 3>,
    mask: &View<i32, 2>,
    y: &mut View<T, 2>,
) {
    let b = program_id(0);
    let (x, mask) = (x.at(b), mask.at(b));
    let mut total = Vector::<f32, N>::zeros();
    let mut count = Scalar::<i32>::zeros();
    for row in (0..x.dim(0)).step_by(BM) {
        let keep = mask.load::<BM>(row);
        // A hidden token is left out, not multiplied by 0: it may hold anything.
        let rows = select(keep == 0, Tile::full(-1), row + arange::<BM>());
        total += x.load_rows::<BM, N>(rows, 0).to::<f32>().sum_cols();
        count += keep.sum();
    }
    y.at_mut(b).store(0, unit(total / count.max(Scalar::full(1)).to::<f32>()).to());
}

#[track_caller]
fn unit<const N: usize>(mean: Vector<f32, N>) -> Vector<f32, N> {
    let norm = (mean * mean).sum().sqrt();
    mean / norm.max(Scalar::full(LEAST_NORM))
}

/// Unit-length mean of each packed sequence: rows `starts[b]..starts[b + 1]` of `x [rows, width]` into `y[b]`. `starts`
/// has one entry more than `y` has rows. Width up to 4096.
///
/// # Errors
/// Dims that do not go together, too wide a row, or the launch failed.
pub fn mean_pool_packed<T: Float>(
    device: &Device,
    x: &TensorView<'_, T>,
    starts: &TensorView<'_, i32>,
    y: &mut TensorViewMut<'_, T>,
) -> Result {
    let name = "mean_pool_packed";
    let [_, width] = dims::<2>(name, "x", &x.dims())?;
    let [batch, _] = dims::<2>(name, "y", &y.dims())?;
    expect(name, "y", &y.dims(), &[batch, width])?;
    expect(name, "starts", &starts.dims(), &[batch + 1])?;
    if batch * width == 0 {
        return Ok(());
    }
    let grid = [batch, 1, 1];
    smallest!(width, [128, 384, 768, 1024, 2048, 4096],
        |N| mean_pool_packed_tile::kernel::<T, 16, N>().launch(device, grid, (x, starts, y))?,
        else return Err(too_wide(name, width)));
    Ok(())
}

/// Unit-length mean of each padded sequence of `x [batch, tokens, width]` into `y [batch, width]`, over the tokens
/// with 1 in `mask [batch, tokens]` (0 elsewhere). Width up to 4096.
///
/// # Errors
/// Dims that do not go together, too wide a row, or the launch failed.
pub fn mean_pool<T: Float>(
    device: &Device,
    x: &TensorView<'_, T>,
    mask: &TensorView<'_, i32>,
    y: &mut TensorViewMut<'_, T>,
) -> Result {
    let [batch, tokens, width] = dims::<3>("mean_pool", "x", &x.dims())?;
    expect("mean_pool", "mask", &mask.dims(), &[batch, tokens])?;
    expect("mean_pool", "y", &y.dims(), &[batch, width])?;
    if batch * width == 0 {
        return Ok(());
    }
    let grid = [batch, 1, 1];
    smallest!(width, [128, 384, 768, 1024, 2048, 4096],
        |N| mean_pool_tile::kernel::<T, 16, N>().launch(device, grid, (x, mask, y))?,
        else return Err(too_wide("mean_pool", width)));
    Ok(())
}

fn too_wide(kernel: &'static str, width: usize) -> Error {
    Error::Unsupported { kernel, reason: format!("rows of {width} elements: at most 4096 are possible") }
}

/// Unit-length mean of the rows of `x` (rows of `width`) that `keep` names, one result row per entry of `keep`.
pub fn reference(x: &[f64], width: usize, keep: &[Vec<usize>]) -> Vec<f64> {
    let mut y = Vec::with_capacity(keep.len() * width);
    for rows in keep {
        let mut mean = vec![0.0; width];
        for &row in rows {
            for (m, x) in mean.iter_mut().zip(&x[row * width..]) {
                *m += x / rows.len() as f64;
            }
        }
        let norm = mean.iter().map(|m| m * m).sum::<f64>().sqrt().max(f64::from(LEAST_NORM));
        y.extend(mean.iter().map(|m| m / norm));
    }
    y
}
