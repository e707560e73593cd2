//! `exp2` and `exp`.

use super::{Emit, ROUNDER};
use crate::emit::{K, V};

/// `(2^x - 1) / x` on [-1/2, 1/2].
#[allow(clippy::approx_constant, reason = "the first coefficient is a fit, not a constant")]
const EXP2_ROUND: [f32; 6] = [0.6931472, 0.24022648, 0.055503596, 0.009618505, 0.0013391024, 0.0001532717];
/// The same, enough for 11 bits.
const EXP2_ROUND_FAST: [f32; 4] = [0.693124, 0.24024104, 0.0559081, 0.009583019];
/// `(2^x - 1) / x` on [0, 1].
const EXP2_FLOOR: [f32; 6] = [0.69314706, 0.24022909, 0.055486184, 0.009673775, 0.001248229, 0.00021565972];
/// The same, enough for 11 bits.
const EXP2_FLOOR_FAST: [f32; 4] = [0.69304484, 0.24128023, 0.05224244, 0.0134267];
/// `(e^x - 1 - x) / x^2` on [-ln 2 / 2, ln 2 / 2].
const EXP: [f32; 5] = [0.49999994, 0.16666517, 0.04166828, 0.008369248, 0.0013820742];

const LN2_HI: f32 = std::f32::consts::LN_2;
/// `ln 2 - LN2_HI`
const LN2_LO: f32 = -1.904_654_3e-9;

impl Emit {
    /// `2^x`; exact where `x` is an integer. Error: 1.56 ulp (with [`super::super::Hooks::fraction`]), 0.83 ulp (otherwise).
    pub fn exp2(&mut self, x: V) -> V {
        match self.hooks.fraction(self, x) {
            Some(r) => self.exp2_floor(x, r, &EXP2_FLOOR),
            None => self.exp2_round(x, &EXP2_ROUND),
        }
    }

    /// `2^x` for results that are then rounded to 8 bits or fewer; exact where `x` is an integer. Error: 50 ulp of
    /// `f32`, that is 2^-18.
    pub fn exp2_fast(&mut self, x: V) -> V {
        match self.hooks.fraction(self, x) {
            Some(r) => self.exp2_floor(x, r, &EXP2_FLOOR_FAST),
            None => self.exp2_round(x, &EXP2_ROUND_FAST),
        }
    }

    /// `e^x`. Error: 0.86 ulp.
    pub fn exp(&mut self, x: V) -> V {
        // Beyond these the result is infinity or 0 already; NaN passes.
        let x = self.at_most(x, 89.0);
        let x = self.at_least(x, -104.0);
        let rounder = self.f32_like(x.ty, ROUNDER);
        let shifted = self.fma_const(x, std::f32::consts::LOG2_E, rounder);
        let n = self.op2("arith.subf", shifted, rounder);
        let r = self.fma_const(n, -LN2_HI, x);
        let r = self.fma_const(n, -LN2_LO, r);
        let q = self.polynomial(r, &EXP);
        let one = self.f32_like(r.ty, 1.0);
        let p = self.fma(q, r, one);
        let p = self.fma(p, r, one);
        let scaled = self.hooks.scale(self, p, n);
        scaled.unwrap_or_else(|| self.scale_by_bits(p, shifted))
    }

    /// `r = x - floor(x)`; the scaling takes the floor of its exponent by itself.
    fn exp2_floor(&mut self, x: V, r: V, c: &[f32]) -> V {
        let p = self.one_plus(r, c);
        let scaled = self.hooks.scale(self, p, x);
        scaled.unwrap_or_else(|| {
            let floor = self.op1("math.floor", x);
            let rounder = self.f32_like(x.ty, ROUNDER);
            let shifted = self.op2("arith.addf", floor, rounder);
            self.scale_by_bits(p, shifted)
        })
    }

    fn exp2_round(&mut self, x: V, c: &[f32]) -> V {
        let x = self.at_most(x, 129.0);
        let x = self.at_least(x, -151.0);
        let rounder = self.f32_like(x.ty, ROUNDER);
        let shifted = self.op2("arith.addf", x, rounder);
        let n = self.op2("arith.subf", shifted, rounder);
        let r = self.op2("arith.subf", x, n);
        let p = self.one_plus(r, c);
        self.scale_by_bits(p, shifted)
    }

    /// `1 + r (c[0] + c[1] r + …)`
    fn one_plus(&mut self, r: V, c: &[f32]) -> V {
        let p = self.polynomial(r, c);
        let one = self.f32_like(r.ty, 1.0);
        self.fma(p, r, one)
    }

    /// `p · 2^n` where `shifted = n + ROUNDER`, |n| ≤ 160 (or `p` is NaN). Two factors, so that each is a normal
    /// number and only the last product rounds.
    fn scale_by_bits(&mut self, p: V, shifted: V) -> V {
        let bits = self.bits(shifted, K::I32);
        let n = self.int2("arith.subi", bits, ROUNDER.to_bits() as i64);
        let first = self.int2("arith.shrsi", n, 1);
        let second = self.op2("arith.subi", n, first);
        let mut p = p;
        for n in [first, second] {
            let biased = self.int2("arith.addi", n, 127);
            let bits = self.int2("arith.shli", biased, 23);
            let factor = self.bits(bits, K::F32);
            p = self.op2("arith.mulf", p, factor);
        }
        p
    }
}
