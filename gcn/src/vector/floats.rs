//! Floats of 32 bits, and what converts from and to them. Approximate instructions are correctly rounded, then flushed as documented.

use super::elementwise::{Row, lanes, row};
use super::source::Type::{B32, F16, F32};
use super::source::flush;
use half::{bf16, f16};

const ONE: &[super::Type] = &[F32];
const TWO: &[super::Type] = &[F32, F32];
const THREE: &[super::Type] = &[F32, F32, F32];

fn f(x: u32) -> f32 {
    f32::from_bits(x)
}

fn half(x: u32) -> f32 {
    f16::from_bits(x as u16).to_f32()
}

fn to_half(x: f32) -> u32 {
    f16::from_f32(x).to_bits().into()
}

/// A function of doubles on a flushed argument; the result is flushed.
fn approximate(x: u32, g: fn(f64) -> f64) -> u32 {
    flush((g(f64::from(f(flush(x)))) as f32).to_bits())
}

/// `v_mad_f32`: two roundings, and no subnormals, whatever the mode.
fn unfused(a: u32, b: u32, c: u32) -> u32 {
    let product = flush((f(flush(a)) * f(flush(b))).to_bits());
    flush((f(product) + f(flush(c))).to_bits())
}

/// The larger one: not-a-number loses, and -0 is below 0.
pub(super) fn larger(a: f32, b: f32) -> f32 {
    match () {
        () if a.is_nan() => b,
        () if b.is_nan() => a,
        () if a == b => {
            if a.is_sign_negative() {
                b
            } else {
                a
            }
        }
        () => {
            if a > b {
                a
            } else {
                b
            }
        }
    }
}

pub(super) fn smaller(a: f32, b: f32) -> f32 {
    -larger(-a, -b)
}

/// IEEE 754-2019 `maximum`: not-a-number wins.
fn maximum(a: f32, b: f32) -> f32 {
    if a.is_nan() {
        a
    } else if b.is_nan() {
        b
    } else {
        larger(a, b)
    }
}

fn minimum(a: f32, b: f32) -> f32 {
    if a.is_nan() {
        a
    } else if b.is_nan() {
        b
    } else {
        smaller(a, b)
    }
}

fn median(a: f32, b: f32, c: f32) -> f32 {
    if a.is_nan() || b.is_nan() || c.is_nan() {
        return smaller(smaller(a, b), c);
    }
    larger(smaller(a, b), smaller(larger(a, b), c))
}

/// Below one, also where rounding would give one.
fn fraction(x: f32) -> f32 {
    (x - x.floor()).min(1.0 - f32::EPSILON / 2.0)
}

fn scaled(x: f32, exponent: i32) -> f32 {
    // Twice, so that no factor overflows.
    let e = exponent.clamp(-400, 400);
    (f64::from(x) * 2f64.powi(e / 2) * 2f64.powi(e - e / 2)) as f32
}

/// Mantissa from 0.5 on, and the exponent.
fn split(x: f32) -> (f32, i32) {
    if x == 0.0 || !x.is_finite() {
        return (x, 0);
    }
    let wide = f64::from(x).to_bits();
    let exponent = (wide >> 52 & 0x7ff) as i32 - 1022;
    (f64::from_bits(wide & !(0x7ff << 52) | 1022 << 52) as f32, exponent)
}

pub(super) fn to_bf16(x: f32) -> u32 {
    bf16::from_f32(x).to_bits().into()
}

/// Toward zero.
fn to_half_truncated(x: f32) -> u32 {
    let nearest = f16::from_f32(x);
    let beyond = nearest.to_f32().abs() > x.abs();
    (if beyond { nearest.to_bits() - 1 } else { nearest.to_bits() }).into()
}

pub(super) const TABLE: &[Row] = &[
    row("v_add_f32", TWO, F32, lanes!(|a, b| (f(a) + f(b)).to_bits())),
    row("v_sub_f32", TWO, F32, lanes!(|a, b| (f(a) - f(b)).to_bits())),
    row("v_subrev_f32", TWO, F32, lanes!(|a, b| (f(b) - f(a)).to_bits())),
    row("v_mul_f32", TWO, F32, lanes!(|a, b| (f(a) * f(b)).to_bits())),
    row("v_max_f32", TWO, F32, lanes!(|a, b| larger(f(a), f(b)).to_bits())),
    row("v_min_f32", TWO, F32, lanes!(|a, b| smaller(f(a), f(b)).to_bits())),
    row("v_max3_f32", THREE, F32, lanes!(|a, b, c| larger(larger(f(a), f(b)), f(c)).to_bits())),
    row("v_min3_f32", THREE, F32, lanes!(|a, b, c| smaller(smaller(f(a), f(b)), f(c)).to_bits())),
    row("v_maxmin_f32", THREE, F32, lanes!(|a, b, c| smaller(larger(f(a), f(b)), f(c)).to_bits())),
    row("v_minmax_f32", THREE, F32, lanes!(|a, b, c| larger(smaller(f(a), f(b)), f(c)).to_bits())),
    row("v_med3_f32", THREE, F32, lanes!(|a, b, c| median(f(a), f(b), f(c)).to_bits())),
    row("v_maximum3_f32", THREE, F32, lanes!(|a, b, c| maximum(maximum(f(a), f(b)), f(c)).to_bits())),
    row("v_minimum3_f32", THREE, F32, lanes!(|a, b, c| minimum(minimum(f(a), f(b)), f(c)).to_bits())),
    row("v_fma_f32", THREE, F32, lanes!(|a, b, c| f(a).mul_add(f(b), f(c)).to_bits())),
    row("v_fmac_f32", THREE, F32, lanes!(|a, b, c| f(a).mul_add(f(b), f(c)).to_bits())),
    row("v_fmaak_f32", THREE, F32, lanes!(|a, b, c| f(a).mul_add(f(b), f(c)).to_bits())),
    row("v_fmamk_f32", THREE, F32, lanes!(|a, b, c| f(a).mul_add(f(b), f(c)).to_bits())),
    row("v_mad_f32", THREE, F32, lanes!(|a, b, c| unfused(a, b, c))),
    row("v_mac_f32", THREE, F32, lanes!(|a, b, c| unfused(a, b, c))),
    row("v_madak_f32", THREE, F32, lanes!(|a, b, c| unfused(a, b, c))),
    row("v_madmk_f32", THREE, F32, lanes!(|a, b, c| unfused(a, b, c))),
    row("v_floor_f32", ONE, F32, lanes!(|a| f(a).floor().to_bits())),
    row("v_ceil_f32", ONE, F32, lanes!(|a| f(a).ceil().to_bits())),
    row("v_trunc_f32", ONE, F32, lanes!(|a| f(a).trunc().to_bits())),
    row("v_rndne_f32", ONE, F32, lanes!(|a| f(a).round_ties_even().to_bits())),
    row("v_fract_f32", ONE, F32, lanes!(|a| fraction(f(a)).to_bits())),
    row("v_exp_f32", ONE, F32, lanes!(|a| approximate(a, f64::exp2))),
    row("v_log_f32", ONE, F32, lanes!(|a| approximate(a, f64::log2))),
    row("v_rcp_f32", ONE, F32, lanes!(|a| approximate(a, f64::recip))),
    row("v_rcp_iflag_f32", ONE, F32, lanes!(|a| approximate(a, f64::recip))),
    row("v_sqrt_f32", ONE, F32, lanes!(|a| approximate(a, f64::sqrt))),
    row("v_rsq_f32", ONE, F32, lanes!(|a| approximate(a, |x| 1.0 / x.sqrt()))),
    row("v_sin_f32", ONE, F32, lanes!(|a| approximate(a, |x| (x * std::f64::consts::TAU).sin()))),
    row("v_cos_f32", ONE, F32, lanes!(|a| approximate(a, |x| (x * std::f64::consts::TAU).cos()))),
    row("v_ldexp_f32", &[F32, B32], F32, lanes!(|a, b| scaled(f(a), b as i32).to_bits())),
    row("v_frexp_mant_f32", ONE, F32, lanes!(|a| split(f(a)).0.to_bits())),
    row("v_frexp_exp_i32_f32", ONE, B32, lanes!(|a| split(f(a)).1 as u32)),
    row("v_cvt_f32_u32", &[B32], F32, lanes!(|a| (a as f32).to_bits())),
    row("v_cvt_f32_i32", &[B32], F32, lanes!(|a| (a as i32 as f32).to_bits())),
    row("v_cvt_f32_ubyte0", &[B32], F32, lanes!(|a| ((a & 255) as f32).to_bits())),
    row("v_cvt_f32_ubyte1", &[B32], F32, lanes!(|a| ((a >> 8 & 255) as f32).to_bits())),
    row("v_cvt_f32_ubyte2", &[B32], F32, lanes!(|a| ((a >> 16 & 255) as f32).to_bits())),
    row("v_cvt_f32_ubyte3", &[B32], F32, lanes!(|a| ((a >> 24) as f32).to_bits())),
    // Casts of Rust saturate, and not-a-number becomes 0, as here.
    row("v_cvt_u32_f32", ONE, B32, lanes!(|a| f(a) as u32)),
    row("v_cvt_i32_f32", ONE, B32, lanes!(|a| f(a) as i32 as u32)),
    row("v_cvt_f32_f16", &[F16], F32, lanes!(|a| half(a).to_bits())),
    row("v_cvt_f16_f32", ONE, F16, lanes!(|a| to_half(f(a)))),
    row("v_cvt_pk_f16_f32", TWO, B32, lanes!(|a, b| to_half(f(a)) | to_half(f(b)) << 16)),
    row("v_cvt_pk_bf16_f32", TWO, B32, lanes!(|a, b| to_bf16(f(a)) | to_bf16(f(b)) << 16)),
    row(
        "v_cvt_pkrtz_f16_f32",
        TWO,
        B32,
        lanes!(|a, b| to_half_truncated(f(a)) | to_half_truncated(f(b)) << 16),
    ),
    row(
        "v_cvt_pk_rtz_f16_f32",
        TWO,
        B32,
        lanes!(|a, b| to_half_truncated(f(a)) | to_half_truncated(f(b)) << 16),
    ),
];
