//! Floats of 16 bits: computed in 64, where products and sums are exact, and rounded once.

use super::elementwise::{Compute, Row, lanes, row};
use super::source::Type::{B16, F16};
use half::f16;

const ONE: &[super::Type] = &[F16];
const TWO: &[super::Type] = &[F16, F16];
const THREE: &[super::Type] = &[F16, F16, F16];

pub(super) fn d(x: u32) -> f64 {
    f16::from_bits(x as u16).to_f64()
}

pub(super) fn r(x: f64) -> u32 {
    f16::from_f64(x).to_bits().into()
}

pub(super) fn larger(a: u32, b: u32) -> u32 {
    r(super::floats::larger(d(a) as f32, d(b) as f32).into())
}

pub(super) fn smaller(a: u32, b: u32) -> u32 {
    r(super::floats::smaller(d(a) as f32, d(b) as f32).into())
}

fn scaled(x: u32, exponent: u32) -> u32 {
    r(d(x) * 2f64.powi(i32::from(exponent as i16).clamp(-100, 100)))
}

/// One that leaves the upper half of its register on CDNA too (LLVM, `zeroesHigh16BitsOfDest`).
const fn keeping(name: &'static str, compute: Compute) -> Row {
    Row { name, sources: THREE, result: F16, keeps: true, compute }
}

pub(super) const TABLE: &[Row] = &[
    row("v_add_f16", TWO, F16, lanes!(|a, b| r(d(a) + d(b)))),
    row("v_sub_f16", TWO, F16, lanes!(|a, b| r(d(a) - d(b)))),
    row("v_subrev_f16", TWO, F16, lanes!(|a, b| r(d(b) - d(a)))),
    row("v_mul_f16", TWO, F16, lanes!(|a, b| r(d(a) * d(b)))),
    row("v_max_f16", TWO, F16, lanes!(|a, b| larger(a, b))),
    row("v_min_f16", TWO, F16, lanes!(|a, b| smaller(a, b))),
    row("v_max3_f16", THREE, F16, lanes!(|a, b, c| larger(larger(a, b), c))),
    row("v_min3_f16", THREE, F16, lanes!(|a, b, c| smaller(smaller(a, b), c))),
    keeping("v_fma_f16", lanes!(|a, b, c| r(d(a) * d(b) + d(c)))),
    row("v_fmac_f16", THREE, F16, lanes!(|a, b, c| r(d(a) * d(b) + d(c)))),
    row("v_fmaak_f16", THREE, F16, lanes!(|a, b, c| r(d(a) * d(b) + d(c)))),
    row("v_fmamk_f16", THREE, F16, lanes!(|a, b, c| r(d(a) * d(b) + d(c)))),
    row("v_floor_f16", ONE, F16, lanes!(|a| r(d(a).floor()))),
    row("v_ceil_f16", ONE, F16, lanes!(|a| r(d(a).ceil()))),
    row("v_trunc_f16", ONE, F16, lanes!(|a| r(d(a).trunc()))),
    row("v_rndne_f16", ONE, F16, lanes!(|a| r(d(a).round_ties_even()))),
    row("v_fract_f16", ONE, F16, lanes!(|a| r(d(a) - d(a).floor()))),
    row("v_sqrt_f16", ONE, F16, lanes!(|a| r(d(a).sqrt()))),
    row("v_rsq_f16", ONE, F16, lanes!(|a| r(1.0 / d(a).sqrt()))),
    row("v_rcp_f16", ONE, F16, lanes!(|a| r(1.0 / d(a)))),
    row("v_exp_f16", ONE, F16, lanes!(|a| r(d(a).exp2()))),
    row("v_log_f16", ONE, F16, lanes!(|a| r(d(a).log2()))),
    row("v_sin_f16", ONE, F16, lanes!(|a| r((d(a) * std::f64::consts::TAU).sin()))),
    row("v_cos_f16", ONE, F16, lanes!(|a| r((d(a) * std::f64::consts::TAU).cos()))),
    row("v_ldexp_f16", &[F16, B16], F16, lanes!(|a, b| scaled(a, b))),
    row("v_cvt_f16_u16", &[B16], F16, lanes!(|a| r(f64::from(a as u16)))),
    row("v_cvt_f16_i16", &[B16], F16, lanes!(|a| r(f64::from(a as i16)))),
    row("v_cvt_u16_f16", ONE, B16, lanes!(|a| u32::from(d(a) as u16))),
    row("v_cvt_i16_f16", ONE, B16, lanes!(|a| d(a) as i16 as u32)),
    keeping("v_div_fixup_f16", lanes!(|a, b, c| r(super::divide::fixed(d(a), d(b), d(c))))),
];
