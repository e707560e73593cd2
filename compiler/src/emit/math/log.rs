//! `log` and `log2`.

use super::Emit;
use crate::emit::{K, V};

/// `(log(1 + f) - f + f^2 / 2) / f^3` on [√½ - 1, √2 - 1].
const LOG: [f32; 7] = [0.3333391, -0.25001335, 0.199631, -0.16577654, 0.14914511, -0.14266914, 0.087003596];
/// `(log2(1 + f) - f / ln 2) / f^2` on [√½ - 1, √2 - 1].
const LOG2: [f32; 8] =
    [-0.7213474, 0.48090723, -0.36069953, 0.2879926, -0.2390546, 0.21520779, -0.20644994, 0.12608778];

const LN2_HI: f32 = std::f32::consts::LN_2;
const LN2_LO: f32 = -1.904_654_3e-9;
const LOG2E_HI: f32 = std::f32::consts::LOG2_E;
const LOG2E_LO: f32 = 1.925_963e-8;
/// √½
const LOWEST: f32 = std::f32::consts::FRAC_1_SQRT_2;

impl Emit {
    /// `ln x`. Error: 1.10 ulp.
    pub fn log(&mut self, x: V) -> V {
        let (e, f) = self.split(x);
        let p = self.polynomial(f, &LOG);
        let square = self.op2("arith.mulf", f, f);
        let cube = self.op2("arith.mulf", square, f);
        let y = self.op2("arith.mulf", cube, p);
        let y = self.fma_const(e, LN2_LO, y);
        let y = self.fma_const(square, -0.5, y);
        let y = self.op2("arith.addf", f, y);
        let y = self.fma_const(e, LN2_HI, y);
        self.log_ends(x, y)
    }

    /// `log2 x`. Error: 1.18 ulp.
    pub fn log2(&mut self, x: V) -> V {
        let (e, f) = self.split(x);
        let q = self.polynomial(f, &LOG2);
        let square = self.op2("arith.mulf", f, f);
        let low = self.times(f, LOG2E_LO);
        let y = self.fma(square, q, low);
        let y = self.fma_const(f, LOG2E_HI, y);
        let y = self.op2("arith.addf", e, y);
        self.log_ends(x, y)
    }

    /// `x = 2^e (1 + f)` with `1 + f` from √½ to √2, for positive finite `x`.
    fn split(&mut self, x: V) -> (V, V) {
        let is_denormal = self.test("olt", x, f32::MIN_POSITIVE);
        let scaled = self.times(x, 8_388_608.0); // 2^23
        let normal = self.select(is_denormal, scaled, x);
        let bits = self.bits(normal, K::I32);
        let offset = self.int2("arith.subi", bits, LOWEST.to_bits() as i64);
        let exponent = self.int2("arith.shrsi", offset, 23);
        let mantissa = self.int2("arith.andi", offset, 0x007f_ffff);
        let mantissa = self.int2("arith.addi", mantissa, LOWEST.to_bits() as i64);
        let m = self.bits(mantissa, K::F32);
        let f = self.plus(m, -1.0);
        let e = self.conv("arith.sitofp", exponent, K::F32);
        let lowered = self.plus(e, -23.0);
        (self.select(is_denormal, lowered, e), f)
    }

    /// What the formula does not give: 0, infinity, negative numbers, NaN.
    fn log_ends(&mut self, x: V, y: V) -> V {
        let infinite = self.test("oeq", x, f32::INFINITY);
        let y = self.replace(infinite, f32::INFINITY, y);
        let zero = self.test("oeq", x, 0.0);
        let y = self.replace(zero, f32::NEG_INFINITY, y);
        let undefined = self.test("ult", x, 0.0);
        self.replace(undefined, f32::NAN, y)
    }
}
