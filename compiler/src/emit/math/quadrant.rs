//! Argument reduction for `sin` and `cos`: `x = n · π/2 + r` with |r| ≤ π/4.
//!
//! ```text
//! |x| ≤ 2^48   n = round(x · 2/π), r = x - n · π/2 by two fma in f64
//! beyond       x is a multiple of 2^25 (2^52, 2^79), so x · 2/π mod 4 needs only those bits of 2/π that lie below:
//!              x / 2^e · (2/π · 2^e mod 4), with the second factor in pieces of 29 bits, whose products are exact
//! ```

use super::Emit;
use crate::emit::{K, Ty, V};

/// Adding this rounds an `f64` below 2^51 in size to an integer, in its low bits.
const ROUNDER: f64 = 6_755_399_441_055_744.0; // 1.5 * 2^52
const PIO2: f64 = std::f64::consts::FRAC_PI_2;
/// `π/2 - PIO2`
const PIO2_LOW: f64 = 6.123_233_995_736_766e-17;
/// Up to here `n` has so few bits that the error of `n · (PIO2 + PIO2_LOW)` does not show.
const NEAR: f32 = 281_474_976_710_656.0; // 2^48

/// A range of large arguments.
struct Range {
    /// The first argument beyond it.
    end: f32,
    /// `2^-e`, where all of its arguments are multiples of `2^e`.
    unit: f64,
    /// `2/π · 2^e mod 4`, in pieces that are multiples of 2^-27, 2^-56, 2^-85, and a rest.
    pieces: [f64; 4],
}

const POWER_27: f64 = (1u64 << 27) as f64;
const POWER_25: f64 = (1u64 << 25) as f64;

const RANGES: [Range; 3] = [
    Range {
        end: 3.777_893_2e22, // 2^75
        unit: 1.0 / POWER_25,
        pieces: [2.86176348477602, 2.4046766661234287e-9, -4.356308309660219e-18, 5.597841487513137e-27],
    },
    Range {
        end: 5.070_602_4e30, // 2^102
        unit: 1.0 / POWER_25 / POWER_27,
        pieces: [1.3227502405643463, -2.447338956490519e-9, 4.220776524052207e-18, -5.940439284168504e-27],
    },
    Range {
        end: f32::INFINITY,
        unit: 1.0 / POWER_25 / POWER_27 / POWER_27,
        pieces: [3.671523727476597, -1.2961421103074855e-9, -4.266759209960694e-18, -6.035962861362481e-27],
    },
];

impl Emit {
    /// `(r, n)`, `r` as `f32` and `n` modulo 2^32 as `i32`; `r` is NaN for infinities and NaN.
    pub(super) fn quadrant(&mut self, x: V) -> (V, V) {
        let wide = self.conv("arith.extf", x, K::F64);
        let inverse = self.f64_like(wide.ty, std::f64::consts::FRAC_2_PI);
        let (n, quadrant) = self.nearest_integer(wide, inverse);
        let high = self.f64_like(wide.ty, -PIO2);
        let low = self.f64_like(wide.ty, -PIO2_LOW);
        let r = self.fma(n, high, wide);
        let r = self.fma(n, low, r);

        let magnitude = self.op1("math.absf", x);
        let is_far = self.test("ogt", magnitude, NEAR);
        let any = if is_far.ty.is_vector() {
            self.pure(
                Ty::scalar(K::I1),
                format!("vector.reduction <or>, {is_far} : {} into i1", is_far.ty),
                &[is_far],
            )
        } else {
            is_far
        };
        let mut open = self.begin_if(any, &[r.ty, quadrant.ty]);
        // Not hoisted out of the branch, and so neither is what follows from it.
        let far = self.here(wide.ty, format!("arith.extf {x} : {} to {}", x.ty, wide.ty));
        let (far_r, far_quadrant) = self.far_quadrant(far, magnitude);
        let far_r = self.select(is_far, far_r, r);
        let far_quadrant = self.select(is_far, far_quadrant, quadrant);
        self.begin_else(&mut open, &[far_r, far_quadrant]);
        let chosen = self.end_if(open, &[r, quadrant]);
        (self.conv("arith.truncf", chosen[0], K::F32), chosen[1])
    }

    /// The same for |x| > 2^48, `r` as `f64`.
    fn far_quadrant(&mut self, x: V, magnitude: V) -> (V, V) {
        let unit = self.by_range(magnitude, |range| range.unit);
        let x = self.op2("arith.mulf", x, unit);
        let products: Vec<V> = (0..4)
            .map(|i| {
                let piece = self.by_range(magnitude, |range| range.pieces[i]);
                self.op2("arith.mulf", x, piece)
            })
            .collect();
        let (a, b) = (self.modulo_four(products[0]), self.modulo_four(products[1]));
        let one = self.f64_like(x.ty, 1.0);
        let sum = self.op2("arith.addf", a, b);
        let (n, quadrant) = self.nearest_integer(sum, one);
        // From the largest to the smallest: what cancels does so exactly.
        let rest = self.op2("arith.subf", a, n);
        let rest = self.op2("arith.addf", rest, b);
        let rest = self.op2("arith.addf", rest, products[2]);
        let rest = self.op2("arith.addf", rest, products[3]);
        let scale = self.f64_like(x.ty, PIO2);
        (self.op2("arith.mulf", rest, scale), quadrant)
    }

    /// The constant of the range in which each lane lies.
    fn by_range(&mut self, magnitude: V, constant: impl Fn(&Range) -> f64) -> V {
        let ty = magnitude.ty;
        let mut value = self.f64_like(ty, constant(&RANGES[2]));
        for range in [&RANGES[1], &RANGES[0]] {
            let inside = self.test("olt", magnitude, range.end);
            let constant = self.f64_like(ty, constant(range));
            value = self.select(inside, constant, value);
        }
        value
    }

    /// `p` less the nearest multiple of 4, exact.
    fn modulo_four(&mut self, p: V) -> V {
        let quarter = self.f64_like(p.ty, 0.25);
        let q = self.op2("arith.mulf", p, quarter);
        let q = self.op1("math.roundeven", q);
        let minus_four = self.f64_like(p.ty, -4.0);
        self.fma(q, minus_four, p)
    }

    /// `a · b` rounded to an integer, as `f64` and, modulo 2^32, as `i32`.
    fn nearest_integer(&mut self, a: V, b: V) -> (V, V) {
        let rounder = self.f64_like(a.ty, ROUNDER);
        let shifted = self.fma(a, b, rounder);
        let n = self.op2("arith.subf", shifted, rounder);
        let bits = self.bits(shifted, K::I64);
        (n, self.conv("arith.trunci", bits, K::I32))
    }
}
