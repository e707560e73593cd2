//! Cases of the normalisations and of pooling.

use super::compare::{F32, close};
use super::input::{Random, Value, exact};
use super::{Case, tensor, text, untouched};
use crate::{layer_norm, pooling, rms_norm};

const EPS: f32 = 1e-5;

pub(super) fn cases<T: Value>(all: &mut Vec<Case>) {
    for (rows, width) in [(1, 1), (3, 17), (2, 384), (5, 1000), (0, 9), (3, 0), (2, 8200)] {
        for residual in [false, true] {
            all.push(layer_norm_case::<T>(rows, width, residual, 0.0));
        }
        all.push(rms_norm_case::<T>(rows, width));
        all.push(rms_norm_residual_case::<T>(rows, width));
    }
    // A mean far from zero: the one-pass variance would lose every digit.
    all.push(layer_norm_case::<T>(2, 300, false, 100.0));
    for (lengths, width) in [(vec![1], 1), (vec![3, 0, 17, 1], 37), (vec![40, 5], 384), (vec![], 8)] {
        all.push(pool_packed_case::<T>(lengths.clone(), width));
        all.push(pool_case::<T>(lengths, width));
    }
}

fn layer_norm_case<T: Value>(rows: usize, width: usize, residual: bool, offset: f32) -> Case {
    let kind = if residual { " + residual" } else { "" };
    Case::new(format!("layer_norm{kind} {} {rows}x{width} around {offset}", T::ELEM), move |device| {
        let mut random = Random::new(5);
        let dims = [rows, width];
        let x: Vec<T> = (0..rows * width).map(|_| T::from_f32(offset + random.uniform(2.0))).collect();
        let r: Vec<T> = random.values(rows * width, 2.0);
        let (gamma, beta): (Vec<T>, Vec<T>) = (random.values(width, 2.0), random.values(width, 1.0));
        let (tx, tr) = (tensor(&x, &dims)?, tensor(&r, &dims)?);
        let (tg, tb) = (tensor(&gamma, &[width])?, tensor(&beta, &[width])?);
        let mut y = untouched::<T>(&dims)?;
        let added = tr.view();
        let added = residual.then_some(&added);
        layer_norm::layer_norm(device, &tx.view(), added, (&tg.view(), &tb.view()), &mut y.view_mut(), EPS)
            .map_err(text)?;
        let r = exact(&r);
        let (gamma, beta) = (exact(&gamma), exact(&beta));
        let want = layer_norm::reference(&exact(&x), residual.then_some(&r[..]), &gamma, &beta, EPS.into());
        // The mean is off by at most `width` units of the largest |v| <= offset + 4; divided by a deviation that is at
        // least 0.5 for such inputs (for one or two elements it may vanish: there the quotient is at most that error
        // over sqrt(eps)). The factor is relative: `width` + 8 units of a value of at most sqrt(width).
        let magnitude = f64::from(offset) + 4.0;
        let deviation = if width > 2 { 0.5 } else { f64::from(EPS).sqrt() };
        let n = width as f64;
        let bound = |i: usize| {
            let g = gamma[i % width].abs();
            F32 * (g * (n + 2.0) * magnitude / deviation + g * (n + 8.0) * n.sqrt() + beta[i % width].abs())
        };
        close(y.as_slice(), &want, bound)
    })
}

fn rms_norm_case<T: Value>(rows: usize, width: usize) -> Case {
    Case::new(format!("rms_norm {} {rows}x{width}", T::ELEM), move |device| {
        let mut random = Random::new(6);
        let x: Vec<T> = random.values(rows * width, 3.0);
        let weight: Vec<T> = random.values(width, 2.0);
        let mut y = untouched::<T>(&[rows, width])?;
        let (tx, tw) = (tensor(&x, &[rows, width])?, tensor(&weight, &[width])?);
        rms_norm::rms_norm(device, &tx.view(), &tw.view(), &mut y.view_mut(), EPS).map_err(text)?;
        let want = rms_norm::reference(&exact(&x), &exact(&weight), EPS.into());
        close(y.as_slice(), &want, |i| units(width) * want[i].abs())
    })
}

/// A sum of squares is relative (no term is negative): `width` units; its root halves them; then the root's own error,
/// two products and a quotient.
fn units(width: usize) -> f64 {
    (0.5 * width as f64 + 8.0) * F32
}

fn rms_norm_residual_case<T: Value>(rows: usize, width: usize) -> Case {
    Case::new(format!("rms_norm_residual {} {rows}x{width}", T::ELEM), move |device| {
        let mut random = Random::new(7);
        let dims = [rows, width];
        let (x, r): (Vec<T>, Vec<T>) = (random.values(rows * width, 3.0), random.values(rows * width, 3.0));
        let weight: Vec<T> = random.values(width, 2.0);
        let (mut sum, mut y) = (untouched::<T>(&dims)?, untouched::<T>(&dims)?);
        let (tx, tr, tw) = (tensor(&x, &dims)?, tensor(&r, &dims)?, tensor(&weight, &[width])?);
        rms_norm::rms_norm_residual(
            device,
            (&tx.view(), &tr.view()),
            &tw.view(),
            (&mut sum.view_mut(), &mut y.view_mut()),
            EPS,
        )
        .map_err(text)?;
        let added: Vec<f64> = exact(&x).iter().zip(exact(&r)).map(|(x, r)| x + r).collect();
        close(sum.as_slice(), &added, |i| F32 * added[i].abs()).map_err(|e| format!("sum: {e}"))?;
        // The norm is of the sum as it was stored, so the comparison starts from what came out.
        let want = rms_norm::reference(&exact(sum.as_slice()), &exact(&weight), EPS.into());
        close(y.as_slice(), &want, |i| units(width) * want[i].abs())
    })
}

/// Bound of a pooled vector of length 1: means of up to `tokens` values of at most 2, over a norm of at least 0.01 for
/// these inputs, and a sum of `width` squares.
fn pooled(tokens: usize, width: usize) -> f64 {
    F32 * ((tokens as f64 + 2.0) * 2.0 / 0.01 + 0.5 * width as f64 + 6.0)
}

fn pool_packed_case<T: Value>(lengths: Vec<usize>, width: usize) -> Case {
    Case::new(format!("mean_pool_packed {} {lengths:?}x{width}", T::ELEM), move |device| {
        let mut starts = vec![0];
        lengths.iter().for_each(|n| starts.push(starts[starts.len() - 1] + n));
        let rows = starts[lengths.len()];
        let x: Vec<T> = Random::new(8).values(rows * width, 2.0);
        let ends: Vec<i32> = starts.iter().map(|&s| s as i32).collect();
        let mut y = untouched::<T>(&[lengths.len(), width])?;
        let (tx, ts) = (tensor(&x, &[rows, width])?, tensor(&ends, &[ends.len()])?);
        pooling::mean_pool_packed(device, &tx.view(), &ts.view(), &mut y.view_mut()).map_err(text)?;
        let keep: Vec<Vec<usize>> = starts.windows(2).map(|w| (w[0]..w[1]).collect()).collect();
        let want = pooling::reference(&exact(&x), width, &keep);
        close(y.as_slice(), &want, |_| pooled(rows, width))
    })
}

fn pool_case<T: Value>(lengths: Vec<usize>, width: usize) -> Case {
    Case::new(format!("mean_pool {} {lengths:?}x{width}", T::ELEM), move |device| {
        let (batch, tokens) = (lengths.len(), lengths.iter().max().map_or(1, |n| n + 2));
        let mut x: Vec<T> = Random::new(9).values(batch * tokens * width, 2.0);
        let counts = |i: usize| i % tokens < lengths[i / tokens];
        let mask: Vec<i32> = (0..batch * tokens).map(|i| counts(i).into()).collect();
        for (i, row) in x.chunks_mut(width).enumerate() {
            if !counts(i) {
                row.fill(T::from_f32(f32::NAN));
            }
        }
        let mut y = untouched::<T>(&[batch, width])?;
        let (tx, tm) = (tensor(&x, &[batch, tokens, width])?, tensor(&mask, &[batch, tokens])?);
        pooling::mean_pool(device, &tx.view(), &tm.view(), &mut y.view_mut()).map_err(text)?;
        let keep: Vec<Vec<usize>> =
            lengths.iter().enumerate().map(|(b, n)| (b * tokens..b * tokens + n).collect()).collect();
        let want = pooling::reference(&exact(&x), width, &keep);
        close(y.as_slice(), &want, |_| pooled(tokens, width))
    })
}
