//! `sin` and `cos`.

use super::Emit;
use crate::emit::{K, V};

/// `(sin x / x - 1) / x^2` as a polynomial of `x^2`, |x| ≤ π/4.
const SIN: [f32; 4] = [-0.16666667, 0.008333379, -0.00019853072, 2.8326801e-6];
/// `(cos x - 1) / x^2` as a polynomial of `x^2`, |x| ≤ π/4.
const COS: [f32; 4] = [-0.5, 0.041666646, -0.001388731, 2.4432336e-5];

/// Below this in size `sin x` is `x`.
const TINY: f32 = 1.0 / 4096.0;

impl Emit {
    /// `sin x`. Error: 1.48 ulp, for every argument.
    pub fn sin(&mut self, x: V) -> V {
        let y = self.sin_of_quadrant(x, 0);
        let magnitude = self.op1("math.absf", x);
        let tiny = self.test("olt", magnitude, TINY);
        self.select(tiny, x, y)
    }

    /// `cos x`. Error: 1.48 ulp, for every argument.
    pub fn cos(&mut self, x: V) -> V {
        self.sin_of_quadrant(x, 1)
    }

    /// `sin(x + turn · π/2)`
    fn sin_of_quadrant(&mut self, x: V, turn: i64) -> V {
        let (r, quadrant) = self.quadrant(x);
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
