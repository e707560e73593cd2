//! Elementary functions of `f32` tiles from what the vector unit has: exp, ln, sqrt, division.

use super::values::float;
use super::{Lower, flat};
use kcc_compiler::Error;
use kcc_davinci::ir::*;
use kcc_dsl::ir::{Elem, TileType, UnaryOp};
use std::f32::consts::{FRAC_2_SQRT_PI, LN_2, LOG2_E};

/// Elements from which on an exponential goes in pieces, and how many.
const CHUNKED: i64 = 2048;
const PIECES: i64 = 4;

impl Lower<'_> {
    /// A function of an `f32` tile; the operand's buffer is left as it is, unless it is `spare`.
    pub(super) fn float_unary(
        &mut self,
        u: UnaryOp,
        x: u32,
        t: &TileType,
        spare: bool,
    ) -> Result<u32, Error> {
        let y = self.buffer(t);
        match u {
            UnaryOp::Neg => self.with_scalar(WithScalar::Mul, y, x, float(-1.0).into(), t),
            UnaryOp::Abs => self.unary(Unary::Abs, y, x, t),
            UnaryOp::Exp => self.unary(Unary::Exp, y, x, t),
            UnaryOp::Log => self.unary(Unary::Ln, y, x, t),
            UnaryOp::Sqrt => self.unary(Unary::Sqrt, y, x, t),
            UnaryOp::Exp2 if spare && flat(t) >= CHUNKED => {
                self.exp2_pieces(x, x, t, PIECES);
                return Ok(x);
            }
            UnaryOp::Exp2 => return self.exp2(x, t),
            UnaryOp::Log2 => {
                self.unary(Unary::Ln, y, x, t);
                self.with_scalar(WithScalar::Mul, y, y, float(LOG2_E).into(), t);
            }
            UnaryOp::Rsqrt => {
                // The unit's own is good to a few bits only.
                let one = self.splat(float(1.0).into(), t)?;
                self.unary(Unary::Sqrt, y, x, t);
                self.binary(Binary::Div, y, one, y, t);
            }
            UnaryOp::Floor | UnaryOp::Ceil | UnaryOp::Round => {
                let rounding = match u {
                    UnaryOp::Floor => Rounding::Floor,
                    UnaryOp::Ceil => Rounding::Ceil,
                    _ => Rounding::Rint,
                };
                return self.convert(x, t, t.elem, rounding);
            }
            UnaryOp::Tanh => return self.tanh(x, t),
            UnaryOp::Erf => return self.erf(x, t),
            UnaryOp::Sin | UnaryOp::Cos => return self.sine(x, u == UnaryOp::Cos, t),
            UnaryOp::Not => return Err(self.bug("`not` of floats")),
        }
        Ok(y)
    }

    /// `2^x = e^h · (1 + l)` where `h` is `x · ln 2` rounded and `l` what the rounding lost. Clamping first keeps infinities out of
    /// the difference: beyond ±200 the result is infinite or 0 anyway. The `f32` of `ln 2` itself is off by 2.7e-9 of it, which
    /// makes two units at the ends of the range.
    fn exp2(&mut self, x: u32, t: &TileType) -> Result<u32, Error> {
        let dst = self.buffer(t);
        self.exp2_pieces(dst, x, t, 1);
        Ok(dst)
    }

    /// The same, a piece at a time: intermediate results need room for a piece only.
    fn exp2_pieces(&mut self, dst: u32, x: u32, t: &TileType, pieces: i64) {
        let all = flat(t);
        let piece = (all / pieces + 63) / 64 * 64;
        let [c, h, l] = [(); 3].map(|()| self.space(Elem::F32, 4 * piece));
        let ln2 = self.one_repeat(float(LN_2).into());
        let at = |b: u32| Local::new(b, 0);
        let mut first = 0;
        while first < all {
            let n = piece.min(all - first);
            let (from, to) = (Local::new(x, 4 * first), Local::new(dst, 4 * first));
            self.scalar_piece(WithScalar::Max, at(c), from, -200.0, n);
            self.scalar_piece(WithScalar::Min, at(c), at(c), 200.0, n);
            self.scalar_piece(WithScalar::Mul, at(h), at(c), LN_2, n);
            // The product's rounding is the same either side of 0.
            self.scalar_piece(WithScalar::Mul, at(l), at(c), -LN_2, n);
            self.mul_add_by(l, c, ln2, n / 64);
            self.exp_piece(at(h), at(h), n);
            self.scalar_piece(WithScalar::Add, at(l), at(l), 1.0, n);
            self.issue(VBinary {
                op: Binary::Mul,
                elem: Elem::F32,
                dst: to,
                a: at(h),
                b: at(l),
                span: Span::Count { n: n.into() },
                dst_stride: Stride::DENSE,
                a_stride: Stride::DENSE,
                b_stride: Stride::DENSE,
            });
            first += n;
        }
    }

    /// `e^(x · ln 2)` for what may be off by what the product's rounding makes of it (see `uses`).
    pub(super) fn exp2_loose(&mut self, x: u32, t: &TileType, spare: bool) -> u32 {
        let y = if spare { x } else { self.buffer(t) };
        self.with_scalar(WithScalar::Mul, y, x, float(LN_2).into(), t);
        self.unary(Unary::Exp, y, y, t);
        y
    }

    fn scalar_piece(&mut self, op: WithScalar, dst: Local, src: Local, v: f32, n: i64) {
        self.issue(VScalar {
            op,
            elem: Elem::F32,
            dst,
            src,
            scalar: float(v).into(),
            span: Span::Count { n: n.into() },
            dst_stride: Stride::DENSE,
            src_stride: Stride::DENSE,
        });
    }

    fn exp_piece(&mut self, dst: Local, src: Local, n: i64) {
        self.issue(VUnary {
            op: Unary::Exp,
            elem: Elem::F32,
            dst,
            src,
            span: Span::Count { n: n.into() },
            dst_stride: Stride::DENSE,
            src_stride: Stride::DENSE,
        });
    }

    /// `tanh x = x·p(x²)` for small `x`, else `1 - 2 / (e^(2|x|) + 1)` with the sign of `x`.
    fn tanh(&mut self, x: u32, t: &TileType) -> Result<u32, Error> {
        // Coefficients of the Taylor series; below 0.3 the next term is under 2^-27 of the result.
        const P: [f32; 7] = [
            21_844.0 / 6_081_075.0,
            -1_382.0 / 155_925.0,
            62.0 / 2_835.0,
            -17.0 / 315.0,
            2.0 / 15.0,
            -1.0 / 3.0,
            1.0,
        ];
        let (square, a, e) = (self.buffer(t), self.buffer(t), self.buffer(t));
        self.binary(Binary::Mul, square, x, x, t);
        let small = self.polynomial(&P, square, t)?;
        self.binary(Binary::Mul, small, small, x, t);
        self.unary(Unary::Abs, a, x, t);
        self.with_scalar(WithScalar::Mul, e, a, float(2.0).into(), t);
        self.unary(Unary::Exp, e, e, t);
        self.with_scalar(WithScalar::Add, e, e, float(1.0).into(), t);
        let two = self.splat(float(-2.0).into(), t)?;
        self.binary(Binary::Div, e, two, e, t);
        self.with_scalar(WithScalar::Add, e, e, float(1.0).into(), t);
        let signed = self.with_sign(e, x, t)?;
        let near = self.compare_scalar(Compare::Lt, a, float(0.3).into(), t);
        self.select_tiles(near, small, signed, t)
    }

    /// `|y|` with the sign of `x` (0 counts as positive: the caller handles it).
    fn with_sign(&mut self, y: u32, x: u32, t: &TileType) -> Result<u32, Error> {
        let minus = self.buffer(t);
        self.with_scalar(WithScalar::Mul, minus, y, float(-1.0).into(), t);
        let below = self.compare_scalar(Compare::Lt, x, 0.into(), t);
        self.select_tiles(below, minus, y, t)
    }

    /// Horner's scheme, highest coefficient first.
    pub(super) fn polynomial(&mut self, p: &[f32], x: u32, t: &TileType) -> Result<u32, Error> {
        let mut y = self.splat(float(p[0]).into(), t)?;
        for c in &p[1..] {
            // y·x + c with one rounding: the sum's buffer is the constant's.
            let next = self.splat(float(*c).into(), t)?;
            self.mul_add(next, y, x, t);
            y = next;
        }
        Ok(y)
    }

    /// Below 1: `2/√π · x · Σ (-1)^n x^2n / (n! (2n+1))`. Above: `1 - e^(-x²) · r(1 / (1 + x/2))`, the rational form of
    /// Numerical Recipes' `erfcc` (fractional error below 1.2e-7 everywhere), with the sign of `x`.
    fn erf(&mut self, x: u32, t: &TileType) -> Result<u32, Error> {
        const SERIES: [f32; 11] = [
            1.0 / (3_628_800.0 * 21.0),
            -1.0 / (362_880.0 * 19.0),
            1.0 / (40_320.0 * 17.0),
            -1.0 / (5_040.0 * 15.0),
            1.0 / (720.0 * 13.0),
            -1.0 / (120.0 * 11.0),
            1.0 / (24.0 * 9.0),
            -1.0 / (6.0 * 7.0),
            1.0 / (2.0 * 5.0),
            -1.0 / 3.0,
            1.0,
        ];
        const TAIL: [f32; 10] = [
            0.170_872_77,
            -0.822_152_23,
            1.488_515_9,
            -1.135_204,
            0.278_868_07,
            -0.186_288_06,
            0.096_784_18,
            0.374_091_96,
            1.000_023_7,
            -1.265_512_2,
        ];
        let (square, a, u) = (self.buffer(t), self.buffer(t), self.buffer(t));
        self.binary(Binary::Mul, square, x, x, t);
        let series = self.polynomial(&SERIES, square, t)?;
        self.binary(Binary::Mul, series, series, x, t);
        self.with_scalar(WithScalar::Mul, series, series, float(FRAC_2_SQRT_PI).into(), t);
        self.unary(Unary::Abs, a, x, t);
        // u = 1 / (1 + |x|/2); erfc = u · exp(-x² + tail(u)).
        self.with_scalar(WithScalar::Mul, u, a, float(0.5).into(), t);
        self.with_scalar(WithScalar::Add, u, u, float(1.0).into(), t);
        let one = self.splat(float(1.0).into(), t)?;
        self.binary(Binary::Div, u, one, u, t);
        let tail = self.polynomial(&TAIL, u, t)?;
        self.binary(Binary::Sub, tail, tail, square, t);
        self.unary(Unary::Exp, tail, tail, t);
        self.binary(Binary::Mul, tail, tail, u, t);
        self.with_scalar(WithScalar::Mul, tail, tail, float(-1.0).into(), t);
        self.with_scalar(WithScalar::Add, tail, tail, float(1.0).into(), t);
        let far = self.with_sign(tail, x, t)?;
        let near = self.compare_scalar(Compare::Lt, a, float(1.0).into(), t);
        self.select_tiles(near, series, far, t)
    }
}
