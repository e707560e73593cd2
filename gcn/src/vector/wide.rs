//! Operations on 64 bits: integers, floats, and what converts from and to them.

use super::divide::fixed;
use super::elementwise::Compute::Wide;
use super::elementwise::{Row, row};
use super::source::Type::{B32, B64, F32, F64};

const ONE: &[super::Type] = &[F64];
const TWO: &[super::Type] = &[F64, F64];
const THREE: &[super::Type] = &[F64, F64, F64];

fn d(x: u64) -> f64 {
    f64::from_bits(x)
}

fn i(x: u64) -> i32 {
    x as u32 as i32
}

fn scaled(x: f64, exponent: i32) -> f64 {
    // In steps that no factor overflows in, and that round at most once where the result is subnormal.
    let mut e = exponent.clamp(-2200, 2200);
    let mut x = x;
    while e.abs() > 1000 {
        let step = e.signum() * 1000;
        (x, e) = (x * 2f64.powi(step), e - step);
    }
    x * 2f64.powi(e)
}

fn larger(a: f64, b: f64) -> f64 {
    if a.is_nan() || (b > a) || (a == b && a.is_sign_negative()) { b } else { a }
}

/// Mantissa from 0.5 on, and the exponent.
fn split(x: f64) -> (f64, i32) {
    if x == 0.0 || !x.is_finite() {
        return (x, 0);
    }
    let (x, more) = if x.is_subnormal() { (x * 2f64.powi(64), -64) } else { (x, 0) };
    let bits = x.to_bits();
    (d(bits & !(0x7ff << 52) | 1022 << 52), (bits >> 52 & 0x7ff) as i32 - 1022 + more)
}

pub(super) const TABLE: &[Row] = &[
    row("v_mov_b64", &[B64], B64, Wide(|[a, ..]| a)),
    row("v_lshlrev_b64", &[B32, B64], B64, Wide(|[a, b, ..]| b << (a & 63))),
    row("v_lshrrev_b64", &[B32, B64], B64, Wide(|[a, b, ..]| b >> (a & 63))),
    row("v_ashrrev_i64", &[B32, B64], B64, Wide(|[a, b, ..]| (b as i64 >> (a & 63)) as u64)),
    row("v_lshl_add_u64", &[B64, B32, B64], B64, Wide(|[a, b, c, _]| (a << (b & 7)).wrapping_add(c))),
    row("v_add_f64", TWO, F64, Wide(|[a, b, ..]| (d(a) + d(b)).to_bits())),
    row("v_mul_f64", TWO, F64, Wide(|[a, b, ..]| (d(a) * d(b)).to_bits())),
    row("v_max_f64", TWO, F64, Wide(|[a, b, ..]| larger(d(a), d(b)).to_bits())),
    row("v_min_f64", TWO, F64, Wide(|[a, b, ..]| (-larger(-d(a), -d(b))).to_bits())),
    row("v_fma_f64", THREE, F64, Wide(|[a, b, c, _]| d(a).mul_add(d(b), d(c)).to_bits())),
    row("v_fmac_f64", THREE, F64, Wide(|[a, b, c, _]| d(a).mul_add(d(b), d(c)).to_bits())),
    row("v_div_fixup_f64", THREE, F64, Wide(|[a, b, c, _]| fixed(d(a), d(b), d(c)).to_bits())),
    row("v_floor_f64", ONE, F64, Wide(|[a, ..]| d(a).floor().to_bits())),
    row("v_ceil_f64", ONE, F64, Wide(|[a, ..]| d(a).ceil().to_bits())),
    row("v_trunc_f64", ONE, F64, Wide(|[a, ..]| d(a).trunc().to_bits())),
    row("v_rndne_f64", ONE, F64, Wide(|[a, ..]| d(a).round_ties_even().to_bits())),
    row(
        "v_fract_f64",
        ONE,
        F64,
        Wide(|[a, ..]| (d(a) - d(a).floor()).min(1.0 - f64::EPSILON / 2.0).to_bits()),
    ),
    row("v_rcp_f64", ONE, F64, Wide(|[a, ..]| d(a).recip().to_bits())),
    row("v_rsq_f64", ONE, F64, Wide(|[a, ..]| (1.0 / d(a).sqrt()).to_bits())),
    row("v_ldexp_f64", &[F64, B32], F64, Wide(|[a, b, ..]| scaled(d(a), i(b)).to_bits())),
    row("v_frexp_mant_f64", ONE, F64, Wide(|[a, ..]| split(d(a)).0.to_bits())),
    row("v_frexp_exp_i32_f64", ONE, B32, Wide(|[a, ..]| split(d(a)).1 as u32 as u64)),
    row("v_cvt_f64_f32", &[F32], F64, Wide(|[a, ..]| f64::from(f32::from_bits(a as u32)).to_bits())),
    row("v_cvt_f64_i32", &[B32], F64, Wide(|[a, ..]| f64::from(i(a)).to_bits())),
    row("v_cvt_f64_u32", &[B32], F64, Wide(|[a, ..]| f64::from(a as u32).to_bits())),
    row("v_cvt_f32_f64", ONE, F32, Wide(|[a, ..]| (d(a) as f32).to_bits().into())),
    row("v_cvt_i32_f64", ONE, B32, Wide(|[a, ..]| (d(a) as i32 as u32).into())),
    row("v_cvt_u32_f64", ONE, B32, Wide(|[a, ..]| (d(a) as u32).into())),
];
