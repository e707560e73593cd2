//! Cases of the matrix product and its epilogues.

use super::compare::{F32, close};
use super::input::{Random, Value, exact};
use super::{Case, tensor, text, untouched};
use crate::activation;
use crate::matmul::{Epilogue, matmul, reference};
use kcc_dsl::prelude::*;

pub(super) fn cases<T: Value + DotElem>(all: &mut Vec<Case>) {
    for (m, n, k) in [(1, 1, 1), (7, 13, 5), (64, 64, 64), (65, 129, 67), (17, 31, 200), (3, 4, 0), (0, 4, 3)]
    {
        all.push(case::<T, { activation::IDENTITY }>((m, n, k), false, false, false));
    }
    all.push(case::<T, { activation::IDENTITY }>((33, 70, 96), true, false, false));
    all.push(case::<T, { activation::GELU }>((33, 70, 96), true, false, true));
    all.push(case::<T, { activation::SILU }>((20, 33, 48), false, true, false));
    all.push(case::<T, { activation::RELU }>((20, 130, 48), true, true, true));
}

fn case<T: Value + DotElem, const ACT: usize>(
    (m, n, k): (usize, usize, usize),
    with_bias: bool,
    with_residual: bool,
    transposed: bool,
) -> Case {
    let flags = [(with_bias, " bias"), (with_residual, " residual"), (transposed, " transposed")];
    let flags: String = flags.iter().filter(|(on, _)| *on).map(|(_, name)| *name).collect();
    Case::new(format!("matmul {} {m}x{n}x{k} act {ACT}{flags}", T::ELEM), move |device| {
        let mut random = Random::new(10);
        let (a, b): (Vec<T>, Vec<T>) = (random.values(m * k, 1.0), random.values(k * n, 1.0));
        let (bias, residual): (Vec<T>, Vec<T>) = (random.values(n, 1.0), random.values(m * n, 1.0));
        let at = |i: usize, j: usize| b[i * n + j];
        let stored: Vec<T> =
            if transposed { (0..n * k).map(|i| at(i % k, i / k)).collect() } else { b.clone() };
        let (ta, tb) = (tensor(&a, &[m, k])?, tensor(&stored, &if transposed { [n, k] } else { [k, n] })?);
        let (tbias, tres) = (tensor(&bias, &[n])?, tensor(&residual, &[m, n])?);
        let (vbias, vres) = (tbias.view(), tres.view());
        let epilogue =
            Epilogue { bias: with_bias.then_some(&vbias), residual: with_residual.then_some(&vres) };
        let vb = if transposed { tb.view().t() } else { tb.view() };
        let mut c = untouched::<T>(&[m, n])?;
        matmul::<T, ACT>(device, &ta.view(), &vb, epilogue, &mut c.view_mut()).map_err(text)?;
        let (a, b, bias, residual) = (exact(&a), exact(&b), exact(&bias), exact(&residual));
        let size = (m, n, k);
        let bias = with_bias.then_some(&bias[..]);
        let want = reference(size, &a, &b, bias, ACT, with_residual.then_some(&residual[..]));
        // A sum of k products in any order: k units of the sum of magnitudes (Higham, section 3.1); the bias adds one
        // rounding; activations have a slope of at most 1.13 and 40 units of their argument (see their own cases);
        // the residual adds one rounding of the result.
        let magnitude = |v: &[f64]| v.iter().map(|x| x.abs()).collect::<Vec<_>>();
        let absolute_bias = bias.map(magnitude);
        let sums = reference(
            size,
            &magnitude(&a),
            &magnitude(&b),
            absolute_bias.as_deref(),
            activation::IDENTITY,
            None,
        );
        let act = if ACT == activation::IDENTITY { 0.0 } else { 40.0 };
        let bound = |i: usize| F32 * (1.13 * (k as f64 + 1.0) * sums[i] + act * sums[i] + want[i].abs());
        close(c.as_slice(), &want, bound)
    })
}
