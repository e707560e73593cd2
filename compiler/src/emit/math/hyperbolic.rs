//! `tanh` and `erf`: odd functions that level off at 1. Near 0 an odd polynomial; further out 1 minus something
//! small, whose error hardly shows.

use super::Emit;
use crate::emit::V;

/// `(tanh x / x - 1) / x^2` as a polynomial of `x^2`, |x| ≤ 0.63.
const TANH: [f32; 5] = [-0.33333278, 0.13331322, -0.053729367, 0.020604296, -0.005665064];
const TANH_NEAR: f32 = 0.625;
/// From here on `tanh` is 1.
const TANH_END: f32 = 10.0;

/// `erf x / x - 1` as a polynomial of `x^2`, |x| ≤ 0.93.
const ERF: [f32; 6] = [0.12837915, -0.3761249, 0.11281731, -0.026762966, 0.004987352, -0.00059595786];
/// `log2(erfc x) / x` on [0.92, 4].
const ERF_FAR: [f32; 7] =
    [-1.6282915, -0.9163463, -0.15323982, 0.034257606, -0.005243696, 0.0004629386, -1.5927084e-5];
const ERF_NEAR: f32 = 0.92;
/// From here on `erf` is 1.
const ERF_END: f32 = 4.0;

impl Emit {
    /// `tanh x`. Error: 1.67 ulp.
    pub fn tanh(&mut self, x: V) -> V {
        let magnitude = self.op1("math.absf", x);
        let square = self.op2("arith.mulf", x, x);
        let p = self.polynomial(square, &TANH);
        let cube = self.op2("arith.mulf", square, magnitude);
        let near = self.fma(p, cube, magnitude);

        // 1 - 2 / (e^2a + 1)
        let clamped = self.at_most(magnitude, TANH_END);
        let exponent = self.times(clamped, 2.0 * std::f32::consts::LOG2_E);
        let e = self.exp2(exponent);
        let below = self.plus(e, 1.0);
        let minus_two = self.f32_like(x.ty, -2.0);
        let rest = self.op2("arith.divf", minus_two, below);
        let far = self.plus(rest, 1.0);

        let is_near = self.test("olt", magnitude, TANH_NEAR);
        let y = self.select(is_near, near, far);
        self.copy_sign(y, x)
    }

    /// `erf x`. Error: 1.22 ulp.
    pub fn erf(&mut self, x: V) -> V {
        let magnitude = self.op1("math.absf", x);
        let square = self.op2("arith.mulf", x, x);
        let p = self.polynomial(square, &ERF);
        let near = self.fma(p, magnitude, magnitude);

        // 1 - erfc(a), and log2 erfc(a) = a P(a)
        let clamped = self.at_most(magnitude, ERF_END);
        let p = self.polynomial(clamped, &ERF_FAR);
        let exponent = self.op2("arith.mulf", p, clamped);
        let rest = self.exp2(exponent);
        let one = self.f32_like(x.ty, 1.0);
        let far = self.op2("arith.subf", one, rest);

        let is_near = self.test("olt", magnitude, ERF_NEAR);
        let y = self.select(is_near, near, far);
        self.copy_sign(y, x)
    }
}
