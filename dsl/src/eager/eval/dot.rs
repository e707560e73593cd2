//! `dot` and `dot_scaled`: `acc + a · b` accumulated in `f64` and rounded once.
//!
//! A target accumulates in `f32` in an order of its own; with one rounding here, all of the difference is the
//! target's error, at most about `K · 2^-24 · Σ|a·b|`. TF32 asks for nothing that full precision does not meet.

use crate::eager::round::{self, Lane};
use crate::eager::value::{Data, Value};
use crate::ir::{Elem, ScaledFormat};

/// Extents of a dot.
struct Extents {
    batch: usize,
    m: usize,
    n: usize,
    k: usize,
}

fn extents(a: &Value, b: &Value, acc: &Value) -> Result<Extents, String> {
    let (batch, m, k, k2, n, out) = match (a.shape(), b.shape()) {
        (&[m, k], &[k2, n]) => (1, m, k, k2, n, vec![m, n]),
        (&[p, m, k], &[q, k2, n]) if p == q => (p, m, k, k2, n, vec![p, m, n]),
        _ => (0, 0, 0, 1, 0, vec![]),
    };
    if k != k2 || acc.shape() != out {
        return Err(format!("`dot` of {} and {} into {}", a.ty(), b.ty(), acc.ty()));
    }
    Ok(Extents { batch, m, n, k })
}

/// `acc[m, n] += a[m, k] * b[k, n]` over every batch.
fn accumulate<T: Copy>(e: &Extents, a: &[T], b: &[T], acc: &mut [T], step: impl Fn(T, T, T) -> T) {
    for row in 0..e.batch * e.m {
        let out = &mut acc[row * e.n..][..e.n];
        for k in 0..e.k {
            let x = a[row * e.k + k];
            let line = &b[(row / e.m * e.k + k) * e.n..][..e.n];
            for (o, &y) in out.iter_mut().zip(line) {
                *o = step(*o, x, y);
            }
        }
    }
}

fn float_dot(e: &Extents, a: &[f64], b: &[f64], acc: &Value) -> Result<Value, String> {
    let mut sum: Vec<f64> = acc.as_floats()?.iter().map(|&x| x.into()).collect();
    accumulate(e, a, b, &mut sum, |s, x, y| s + x * y);
    let elem = acc.elem();
    Value::new(acc.ty().clone(), Data::Float(sum.iter().map(|&x| round::round_wide(elem, x)).collect()))
}

pub(super) fn dot(a: &Value, b: &Value, acc: &Value) -> Result<Value, String> {
    let e = extents(a, b, acc)?;
    match (a.data(), b.data()) {
        (Data::Float(x), Data::Float(y)) => {
            let wide = |v: &[f32]| v.iter().map(|&x| f64::from(x)).collect::<Vec<_>>();
            float_dot(&e, &wide(x), &wide(y), acc)
        }
        (Data::Int(x), Data::Int(y)) => {
            let mut sum = acc.as_ints()?.to_vec();
            accumulate(&e, x, y, &mut sum, |s, x, y| s.wrapping_add(x.wrapping_mul(y)));
            Value::ints(acc.elem(), acc.shape(), &sum)
        }
        _ => Err(format!("`dot` of {} and {}", a.ty(), b.ty())),
    }
}

/// Elements along K that share a scale.
const BLOCK: usize = 32;

pub(super) fn dot_scaled(
    [a, a_scale, b, b_scale, acc]: [&Value; 5],
    a_format: ScaledFormat,
    b_format: ScaledFormat,
) -> Result<Value, String> {
    let e = extents(a, b, acc)?;
    let blocks = e.k.div_ceil(BLOCK);
    if a.shape().len() != 2 || a_scale.shape() != [e.m, blocks] || b_scale.shape() != [blocks, e.n] {
        return Err(format!(
            "`dot_scaled` of {} by {} and {} by {}",
            a.ty(),
            a_scale.ty(),
            b.ty(),
            b_scale.ty()
        ));
    }
    let (sa, sb) = (a_scale.as_ints()?, b_scale.as_ints()?);
    let decode = |bits: i64, format: ScaledFormat, scale: i64| {
        let elem = match format {
            ScaledFormat::F8E4M3 => Elem::F8E4M3,
            ScaledFormat::F8E5M2 => Elem::F8E5M2,
        };
        let Lane::Float(x) = round::from_bits(elem, bits as u64) else { return f64::NAN };
        if scale == 255 { f64::NAN } else { f64::from(x) * 2f64.powi(scale as i32 - 127) }
    };
    let x: Vec<f64> = (a.as_ints()?.iter().enumerate())
        .map(|(i, &v)| decode(v, a_format, sa[i / e.k * blocks + i % e.k / BLOCK]))
        .collect();
    let y: Vec<f64> = (b.as_ints()?.iter().enumerate())
        .map(|(i, &v)| decode(v, b_format, sb[i / e.n / BLOCK * e.n + i % e.n]))
        .collect();
    float_dot(&e, &x, &y, acc)
}
