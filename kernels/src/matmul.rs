//! Matrix product with a fused epilogue: `c = act(a · b + bias) + residual`.
//!
//! ```text
//! a [M, K]   b [K, N]   bias [N]   residual, c [M, N]
//! ```
//! One program makes a `BM` by `BN` block of `c`, in steps of `BK` along the inner axis; products are accumulated in
//! `f32` and rounded once, at the end. Any strides: a transposed weight is a view with its axes swapped.

use crate::activation::{self, activate};
use crate::error::Result;
use crate::launch::{dims, expect};
use kcc_dsl::prelude::*;
use kcc_runtime::{Device, Launch as _, TensorView, TensorViewMut};

/// `c = act(a · b + bias) + residual`; `bias` and `residual` are read only if `BIAS`, `RESIDUAL`. `ACT` is one of
/// the constants of [`activation`]. Grid: (row blocks, column blocks).
#[kernel(
    instances(
        <f32, 64, 64, 64, 0, false, false>, <f32, 16, 64, 64, 0, false, false>, <f32, 64, 64, 64, 2, true, true>,
        <f16, 64, 64, 64, 0, false, false>, <f16, 16, 64, 64, 0, false, false>,
        <bf16, 64, 64, 64, 0, false, false>, <bf16, 16, 64, 64, 0, false, false>,
        <f32, 64, 64, 64, 0, true, false>, <f16, 64, 64, 64, 0, true, false>, <bf16, 64, 64, 64, 0, true, false>,
        <f32, 16, 64, 64, 0, true, false>, <f16, 16, 64, 64, 0, true, false>, <bf16, 16, 64, 64, 0, true, false>,
        <f32, 64, 64, 64, 2, true, false>, <f16, 64, 64, 64, 2, true, false>, <bf16, 64, 64, 64, 2, true, false>,
        <f32, 64, 64, 64, 0, true, true>, <f16, 64, 64, 64, 0, true, true>, <bf16, 64, 64, 64, 0, true, true>,
    ),
    candidates(
        <f16, 128, 128, 64, 0, false, false>,
        <f32, 16, 128, 128, 0, false, false>, <f32, 16, 64, 256, 0, false, false>, <f32, 16, 256, 64, 0, false, false>,
        <f32, 32, 64, 64, 0, false, false>, <f32, 64, 128, 64, 0, false, false>, <f32, 128, 64, 64, 0, false, false>,
        <f32, 64, 64, 128, 0, false, false>, <f32, 64, 64, 256, 0, false, false>, <f32, 128, 128, 64, 0, false, false>,
        <f32, 128, 128, 128, 0, false, false>, <f32, 128, 128, 256, 0, false, false>, <f32, 256, 128, 256, 0, false, false>,
        <f32, 64, 256, 64, 0, false, false>, <f32, 64, 256, 256, 0, false, false>, <f32, 128, 256, 256, 0, false, false>,
        <f32, 256, 256, 256, 0, false, false>, <f32, 64, 64, 512, 0, false, false>, <f32, 128, 128, 512, 0, false, false>,
        <f32, 96, 64, 64, 0, false, false>, <f32, 192, 64, 64, 0, false, false>,
        <bf16, 16, 128, 128, 0, false, false>, <bf16, 16, 64, 256, 0, false, false>, <bf16, 16, 256, 64, 0, false, false>,
        <bf16, 32, 64, 64, 0, false, false>, <bf16, 64, 128, 64, 0, false, false>, <bf16, 128, 64, 64, 0, false, false>,
        <bf16, 64, 64, 128, 0, false, false>, <bf16, 64, 64, 256, 0, false, false>, <bf16, 128, 128, 64, 0, false, false>,
        <bf16, 128, 128, 128, 0, false, false>, <bf16, 128, 128, 256, 0, false, false>, <bf16, 256, 128, 256, 0, false, false>,
        <bf16, 64, 256, 64, 0, false, false>, <bf16, 64, 256, 256, 0, false, false>, <bf16, 128, 256, 256, 0, false, false>,
        <bf16, 256, 256, 256, 0, false, false>, <bf16, 64, 64, 512, 0, false, false>, <bf16, 128, 128, 512, 0, false, false>,
    ),
)]
pub fn matmul_tile<
    T: Float + DotElem,
    const BM: usize,
    const BN: usize,
    const BK: usize,
    const ACT: usize,
    const BIAS: bool,
    const RESIDUAL: bool,
>(
    a: &View<T, 2>,
    b: &View<T, 2>,
    bias: &View<T, 1>,
    residual: &View<T, 2>,
    c: &mut View<T, 2>,
) {
    let (m, n) = (program_id(0) * BM, program_id(1) * BN);
    let mut acc = Matrix::<f32, BM, BN>::zeros();
    for k in (0..a.dim(1)).step_by(BK) {
        acc = dot_acc(a.load::<BM, BK>((m, k)), b.load::<BK, BN>((k, n)), acc);
    }
    if BIAS {
        acc += bias.load::<BN>(n).to::<f32>().row();
    }
    acc = activate::<ACT, _>(acc);
    if RESIDUAL {
        acc += residual.load::<BM, BN>((m, n)).to::<f32>();
    }
    c.store((m, n), acc.to());
}

/// What follows the product: `act(a · b + bias) + residual`.
#[derive(Clone, Copy, Default)]
pub struct Epilogue<'a, T> {
    /// Added to each row: `[n]`.
    pub bias: Option<&'a TensorView<'a, T>>,
    /// Added to the result: `[m, n]`.
    pub residual: Option<&'a TensorView<'a, T>>,
}

/// `c = act(a · b + bias) + residual`. `a [m, k]`, `b [k, n]`, `c [m, n]`, any strides; `ACT` is one of the constants of
/// [`activation`]. With `k` of 0 the product is 0.
///
/// # Errors
/// Dims that do not go together, or the launch failed.
pub fn matmul<T: Float + DotElem, const ACT: usize>(
    device: &Device,
    a: &TensorView<'_, T>,
    b: &TensorView<'_, T>,
    epilogue: Epilogue<'_, T>,
    c: &mut TensorViewMut<'_, T>,
) -> Result {
    let [m, k] = dims::<2>("matmul", "a", &a.dims())?;
    let [_, n] = dims::<2>("matmul", "b", &b.dims())?;
    expect("matmul", "b", &b.dims(), &[k, n])?;
    expect("matmul", "c", &c.dims(), &[m, n])?;
    if let Some(bias) = epilogue.bias {
        expect("matmul", "bias", &bias.dims(), &[n])?;
    }
    if let Some(residual) = epilogue.residual {
        expect("matmul", "residual", &residual.dims(), &[m, n])?;
    }
    if m * n == 0 {
        return Ok(());
    }
    // A matrix unit reads the left operand again for each of its columns' blocks: wide tiles read it less often (measured on AMX,
    // 1024³ in bf16: 64, 128 and 256 columns reach 970, 1070 and 1180 GFLOP/s in the same loop).
    let wide = |columns| device.has_matrix_unit(T::ELEM) && n.is_multiple_of(columns);
    if m <= 16 {
        run::<T, 16, 64, ACT>(device, a, b, epilogue, c)
    } else if wide(256) {
        run::<T, 64, 256, ACT>(device, a, b, epilogue, c)
    } else if wide(128) {
        run::<T, 64, 128, ACT>(device, a, b, epilogue, c)
    } else {
        run::<T, 64, 64, ACT>(device, a, b, epilogue, c)
    }
}

fn run<T: Float + DotElem, const BM: usize, const BN: usize, const ACT: usize>(
    device: &Device,
    a: &TensorView<'_, T>,
    b: &TensorView<'_, T>,
    epilogue: Epilogue<'_, T>,
    c: &mut TensorViewMut<'_, T>,
) -> Result {
    let grid = [c.dim(0).div_ceil(BM), c.dim(1).div_ceil(BN), 1];
    // What is not read still needs a view of the right rank.
    let nothing = b.clone().slice(0, 0..0)?.reshape(&[0])?;
    let (bias, residual) = (epilogue.bias.unwrap_or(&nothing), epilogue.residual.unwrap_or(a));
    let args = (a, b, bias, residual, c);
    match (epilogue.bias.is_some(), epilogue.residual.is_some()) {
        (false, false) => {
            matmul_tile::kernel::<T, BM, BN, 64, ACT, false, false>().launch(device, grid, args)?
        }
        (true, false) => {
            matmul_tile::kernel::<T, BM, BN, 64, ACT, true, false>().launch(device, grid, args)?
        }
        (false, true) => {
            matmul_tile::kernel::<T, BM, BN, 64, ACT, false, true>().launch(device, grid, args)?
        }
        (true, true) => matmul_tile::kernel::<T, BM, BN, 64, ACT, true, true>().launch(device, grid, args)?,
    }
    Ok(())
}

/// `act(a · b + bias) + residual` with `a` of `m` by `k` and `b` of `k` by `n`, row-major.
pub fn reference(
    (m, n, k): (usize, usize, usize),
    a: &[f64],
    b: &[f64],
    bias: Option<&[f64]>,
    act: usize,
    residual: Option<&[f64]>,
) -> Vec<f64> {
    let mut c = vec![0.0; m * n];
    for i in 0..m {
        let row = &mut c[i * n..(i + 1) * n];
        for p in 0..k {
            let x = a[i * k + p];
            for (c, b) in row.iter_mut().zip(&b[p * n..(p + 1) * n]) {
                *c += x * b;
            }
        }
        for (j, c) in row.iter_mut().enumerate() {
            let biased = *c + bias.map_or(0.0, |bias| bias[j]);
            *c = activation::reference(act, biased) + residual.map_or(0.0, |r| r[i * n + j]);
        }
    }
    c
}
