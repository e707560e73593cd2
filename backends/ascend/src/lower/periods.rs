//! Functions with a period: sine, cosine, and the remainder of a division, which is what is left of whole periods.
//!
//! ```text
//! sin x      k = round(x · 2/π)    r = x - k · π/2 in three parts, each with one rounding    ± sin r or ± cos r by k mod 4
//! x mod y    for s = y · 2^264, y · 2^242, …, y:    r -= trunc(r / s) · s                      exact: quotients below 2^22
//! ```

use super::Lower;
use super::values::float;
use kcc_compiler::Error;
use kcc_davinci::ir::*;
use kcc_dsl::ir::{Elem, TileType};

/// π/2 as the sum of three `f32`.
const HALF_PI: [f32; 3] = [1.570_796_4, -4.371_139e-8, -1.715_124_5e-15];
/// Taylor series in r², highest first: for r up to π/4 the next term is below 2^-28.
const SINE: [f32; 5] = [1.0 / 362_880.0, -1.0 / 5_040.0, 1.0 / 120.0, -1.0 / 6.0, 1.0];
const COSINE: [f32; 6] = [-1.0 / 3_628_800.0, 1.0 / 40_320.0, -1.0 / 720.0, 1.0 / 24.0, -0.5, 1.0];

/// Bits of a quotient that a step of a division takes away.
const STEP: i32 = 22;
/// Steps for the largest quotient of two `f32`, below 2^277.
const STEPS: i32 = 13;

impl Lower<'_> {
    /// The sine of an `f32` tile, or its cosine: good to 2^-22 for angles up to 10^4.
    pub(super) fn sine(&mut self, x: u32, cosine: bool, t: &TileType) -> Result<u32, Error> {
        let ints = t.with_elem(Elem::I32);
        let quarter = self.buffer(t);
        self.with_scalar(WithScalar::Mul, quarter, x, float(std::f32::consts::FRAC_2_PI).into(), t);
        let k = self.convert(quarter, t, Elem::F32, Rounding::Rint)?;
        let rest = self.duplicate(x, t);
        for part in HALF_PI {
            self.mul_add_scalar(rest, k, float(-part).into(), t);
        }
        let (square, number) = (self.buffer(t), self.convert(k, t, Elem::I32, Rounding::Trunc)?);
        self.binary(Binary::Mul, square, rest, rest, t);
        let sine = self.polynomial(&SINE, square, t)?;
        self.binary(Binary::Mul, sine, sine, rest, t);
        let other = self.polynomial(&COSINE, square, t)?;
        if cosine {
            self.with_scalar(WithScalar::Add, number, number, 1.into(), &ints);
        }
        // The number's two last bits: which of both, and the sign, which goes to the first bit.
        let bits = self.buffer(&ints);
        self.with_scalar(WithScalar::ShiftLeft, bits, number, 31.into(), &ints);
        let zero = self.splat(0.into(), &ints)?;
        let even = self.compare(Compare::Eq, bits, zero, &ints);
        let y = self.select_tiles(even, sine, other, t)?;
        self.with_scalar(WithScalar::ShiftRight, number, number, 1.into(), &ints);
        self.with_scalar(WithScalar::ShiftLeft, number, number, 31.into(), &ints);
        let y = self.exclusive(y, number, t);
        // Beyond what the reduction is good for, at least no more than 1.
        self.with_scalar(WithScalar::Min, y, y, float(1.0).into(), t);
        self.with_scalar(WithScalar::Max, y, y, float(-1.0).into(), t);
        Ok(y)
    }

    /// The remainder of `x / y` with the sign of `x`, exact.
    pub(super) fn remainder(&mut self, x: u32, y: u32, t: &TileType) -> Result<u32, Error> {
        let (mut rest, divisor) = (self.buffer(t), self.buffer(t));
        self.unary(Unary::Abs, rest, x, t);
        self.unary(Unary::Abs, divisor, y, t);
        for step in (0..STEPS).rev() {
            let s = self.duplicate(divisor, t);
            let mut power = STEP * step;
            while power > 0 {
                let by = power.min(126);
                self.with_scalar(WithScalar::Mul, s, s, float((by as f32).exp2()).into(), t);
                power -= by;
            }
            let q = self.buffer(t);
            self.binary(Binary::Div, q, rest, s, t);
            let q = self.convert(q, t, Elem::F32, Rounding::Trunc)?;
            self.with_scalar(WithScalar::Mul, q, q, float(-1.0).into(), t);
            let left = self.duplicate(rest, t);
            self.mul_add(left, q, s, t);
            // A quotient may be one off, either way.
            let (more, less) = (self.buffer(t), self.buffer(t));
            self.binary(Binary::Add, more, left, s, t);
            let below = self.compare_scalar(Compare::Lt, left, 0.into(), t);
            let left = self.select_tiles(below, more, left, t)?;
            self.binary(Binary::Sub, less, left, s, t);
            let above = self.compare(Compare::Ge, left, s, t);
            let left = self.select_tiles(above, less, left, t)?;
            let divides = self.compare(Compare::Le, s, rest, t);
            rest = self.select_tiles(divides, left, rest, t)?;
        }
        // The sign of the dividend; not-a-number of the divisor.
        let ints = t.with_elem(Elem::I32);
        let sign = self.buffer(&ints);
        self.with_scalar(WithScalar::ShiftRight, sign, x, 31.into(), &ints);
        self.with_scalar(WithScalar::ShiftLeft, sign, sign, 31.into(), &ints);
        let signed = self.bits(Binary::Or, rest, sign, t);
        let known = self.compare(Compare::Eq, y, y, t);
        self.select_tiles(known, signed, y, t)
    }
}
