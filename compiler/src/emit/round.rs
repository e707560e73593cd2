//! Rounding of an `f32` to the nearest value of a narrower float type, ties to even.

use super::{Emit, K, V};
use kcc_dsl::ir::Elem;

/// What rounding to an 8-bit float needs to know of it.
struct F8 {
    /// Largest finite value; larger ones and infinity become it.
    max: f32,
    /// Smallest normal value.
    min_normal: f32,
    /// Explicit mantissa bits.
    mantissa: i64,
}

const E4M3: F8 = F8 { max: 448.0, min_normal: 1.0 / 64.0, mantissa: 3 };
const E5M2: F8 = F8 { max: 57344.0, min_normal: 1.0 / 16384.0, mantissa: 2 };

/// Explicit mantissa bits of `f32`.
const MANTISSA: i64 = 23;
const EXPONENT: i64 = 0x7f80_0000;

impl Emit {
    /// Rounds an `f32` to the nearest value of the element type (ties to even), still held as `f32`. `f16` and
    /// `bf16` overflow to infinity; the 8-bit floats saturate. NaN stays NaN; denormals are exact.
    pub fn round(&mut self, elem: Elem, v: V) -> V {
        if let Some(y) = self.hooks.round(self, elem, v) {
            return y;
        }
        match elem {
            Elem::BF16 => self.round_bf16(v),
            Elem::F16 => {
                let half = self.conv("arith.truncf", v, K::F16);
                self.conv("arith.extf", half, K::F32)
            }
            Elem::F8E4M3 => self.round_f8(v, &E4M3),
            Elem::F8E5M2 => self.round_f8(v, &E5M2),
            _ => v,
        }
    }

    /// The mask comes last so that the shift of a store that follows absorbs it.
    fn round_bf16(&mut self, v: V) -> V {
        let bits = self.bits(v, K::I32);
        let high = self.int2("arith.shrui", bits, 16);
        let odd = self.int2("arith.andi", high, 1);
        let biased = self.int2("arith.addi", bits, 0x7fff);
        let rounded = self.op2("arith.addi", biased, odd);
        let quiet = self.int2("arith.ori", bits, 0x0040_0000);
        let is_nan = self.cmpf("uno", v, v);
        let chosen = self.select(is_nan, quiet, rounded);
        let kept = self.int2("arith.andi", chosen, -0x1_0000);
        self.bits(kept, K::F32)
    }

    /// Adds and takes away a power of two whose unit in the last place is the spacing of the format at `v`: the
    /// addition rounds.
    fn round_f8(&mut self, v: V, f: &F8) -> V {
        let magnitude = self.op1("math.absf", v);
        let max = self.f32_like(v.ty, f.max);
        let over = self.cmpf("ogt", magnitude, max);
        let magnitude = self.select(over, max, magnitude);
        let bits = self.bits(magnitude, K::I32);
        let exponent = self.int2("arith.andi", bits, EXPONENT);
        let least = self.int_like(exponent.ty, f.min_normal.to_bits() as i64);
        let exponent = self.op2("arith.maxsi", exponent, least);
        let step = self.int2("arith.addi", exponent, (MANTISSA - f.mantissa) << MANTISSA);
        let step = self.bits(step, K::F32);
        let sum = self.op2("arith.addf", magnitude, step);
        let rounded = self.op2("arith.subf", sum, step);
        self.copy_sign(rounded, v)
    }

    /// Rounds an `f64` once to a float narrower than `f32`. On the way the `f32` is rounded to odd, after which a
    /// second rounding to at most 22 bits is exact (Boldo and Melquiond, 2008).
    pub(super) fn round_wide(&mut self, elem: Elem, v: V) -> V {
        let nearest = self.conv("arith.truncf", v, K::F32);
        let back = self.conv("arith.extf", nearest, K::F64);
        let lost = self.op2("arith.subf", v, back);
        let odd = self.make_odd(nearest, lost);
        self.round(elem, odd)
    }

    /// `nearest` is a value rounded to nearest and `lost` what it lacks (`f64`): gives the value rounded to
    /// odd, which is the value towards zero with its last bit set unless nothing was lost.
    pub(super) fn make_odd(&mut self, nearest: V, lost: V) -> V {
        let k = nearest.ty.k;
        let bits = self.bits(nearest, k.int());
        let mut lost_bits = self.bits(lost, K::I64);
        if k == K::F32 {
            let upper = self.int2("arith.shrui", lost_bits, 32);
            lost_bits = self.conv("arith.trunci", upper, K::I32);
        }
        let difference = self.op2("arith.xori", bits, lost_bits);
        // All ones where the signs differ: one step towards zero.
        let step = self.int2("arith.shrsi", difference, 8 * k.bytes() as i64 - 1);
        let inner = self.op2("arith.addi", bits, step);
        let odd = self.int2("arith.ori", inner, 1);
        let zero = self.f64_like(lost.ty, 0.0);
        let inexact = self.cmpf("one", lost, zero);
        let chosen = self.select(inexact, odd, bits);
        self.bits(chosen, k)
    }

    /// `magnitude`, which is not negative, with the sign of `sign` (`f32`).
    pub(super) fn copy_sign(&mut self, magnitude: V, sign: V) -> V {
        let bits = self.bits(sign, K::I32);
        let sign = self.int2("arith.andi", bits, i32::MIN as i64);
        let magnitude = self.bits(magnitude, K::I32);
        let both = self.op2("arith.ori", magnitude, sign);
        self.bits(both, K::F32)
    }
}

/// [`Emit::round`] at compile time.
pub(super) fn round_to(elem: Elem, v: f32) -> f32 {
    let f8 = match elem {
        Elem::F8E4M3 => &E4M3,
        Elem::F8E5M2 => &E5M2,
        Elem::F16 => return half::f16::from_f32(v).to_f32(),
        Elem::BF16 => return half::bf16::from_f32(v).to_f32(),
        _ => return v,
    };
    if v.is_nan() {
        return v;
    }
    let magnitude = v.abs().min(f8.max);
    let exponent = magnitude.to_bits() & EXPONENT as u32;
    let step = exponent.max(f8.min_normal.to_bits()) + (((MANTISSA - f8.mantissa) as u32) << MANTISSA);
    let step = f32::from_bits(step);
    ((magnitude + step) - step).copysign(v)
}
