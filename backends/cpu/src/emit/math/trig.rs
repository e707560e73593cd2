//! `sin` and `cos`.

use super::Emit;
use crate::emit::{K, V};

/// `(sin x / x - 1) / x^2` as a polynomial of `x^2`, |x| ≤ π/4.
const SIN: [f32; 4] = [-0.16666667, 0.008333379, -0.00019853072, 2.8326801e-6];
/// `(cos x - 1) / x^2` as a polynomial of `x^2`, |x| ≤ π/4.
const COS: [f32; 4] = [-0.5, 0.041666646, -0.001388731, 2.4432336e-5];

/// π/2 in two pieces; products with an integer below 2^48 are kept by fma to 2^-54.
const PIO2_HI: f64 = std::f64::consts::FRAC_PI_2;
const PIO2_LO: f64 = 6.123_233_995_736_766e-17;
/// Adding this rounds an `f64` below 2^51 in size to an integer, in its low bits.
const ROUNDER: f64 = 6_755_399_441_055_744.0; // 1.5 * 2^52
/// Below this in size `sin x` is `x`.
const TINY: f32 = 1.0 / 4096.0;

impl Emit {
    /// `sin x`. Error: 1.46 ulp for |x| ≤ 2^48; larger arguments give a number without meaning.
    pub fn sin(&mut self, x: V) -> V {
        let y = self.sin_of_quadrant(x, 0);
        let magnitude = self.op1("math.absf", x);
        let tiny = self.test("olt", magnitude, TINY);
        self.select(tiny, x, y)
    }

    /// `cos x`. Error: 1.46 ulp for |x| ≤ 2^48; larger arguments give a number without meaning.
    pub fn cos(&mut self, x: V) -> V {
        self.sin_of_quadrant(x, 1)
    }

    /// `sin(x + turn · π/2)`. The distance to the nearest multiple of π/2 is taken in `f64`, whose 53 bits leave
    /// more than 24 after the cancellation for every `f32`.
    fn sin_of_quadrant(&mut self, x: V, turn: i64) -> V {
        let wide = self.conv("arith.extf", x, K::F64);
        let rounder = self.f64_like(wide.ty, ROUNDER);
        let inverse = self.f64_like(wide.ty, std::f64::consts::FRAC_2_PI);
        let shifted = self.fma(wide, inverse, rounder);
        let n = self.op2("arith.subf", shifted, rounder);
        let high = self.f64_like(wide.ty, -PIO2_HI);
        let low = self.f64_like(wide.ty, -PIO2_LO);
        let r = self.fma(n, high, wide);
        let r = self.fma(n, low, r);
        let r = self.conv("arith.truncf", r, K::F32);
        let bits = self.bits(shifted, K::I64);
        let quadrant = self.conv("arith.trunci", bits, K::I32);
        let quadrant = self.int2("arith.addi", quadrant, turn);

        let square = self.op2("arith.mulf", r, r);
        let p = self.polynomial(square, &SIN);
        let cube = self.op2("arith.mulf", square, r);
        let sin = self.fma(p, cube, r);
        let p = self.polynomial(square, &COS);
        let one = self.f32_like(r.ty, 1.0);
        let cos = self.fma(p, square, one);

        let odd = self.int2("arith.andi", quadrant, 1);
        let zero = self.int_like(odd.ty, 0);
        let odd = self.cmpi("ne", odd, zero);
        let y = self.select(odd, cos, sin);
        let half_turn = self.int2("arith.shli", quadrant, 30);
        let sign = self.int2("arith.andi", half_turn, i32::MIN as i64);
        let bits = self.bits(y, K::I32);
        let flipped = self.op2("arith.xori", bits, sign);
        self.bits(flipped, K::F32)
    }
}
