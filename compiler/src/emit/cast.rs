//! Conversions between element types.

use super::{Emit, K, V};
use kcc_dsl::ir::Elem;

impl Emit {
    /// Value conversion of a value in register form, by the rules of [`kcc_dsl::ir::OpKind::Cast`].
    pub fn cast(&mut self, from: Elem, to: Elem, x: V) -> V {
        if from == to {
            return x;
        }
        match (from, to) {
            (_, Elem::Bool) => self.is_nonzero(from, x),
            (Elem::Bool, _) if to.is_float() => self.conv("arith.uitofp", x, K::F32),
            (Elem::Bool, _) => self.conv("arith.extui", x, Emit::reg(to)),
            _ if from.is_float() && to.is_float() => {
                if holds(from, to) {
                    x
                } else {
                    self.round(to, x)
                }
            }
            _ if from.is_float() => self.float_to_int(to, x),
            _ if to.is_float() => self.int_to_float(from, to, x),
            _ => self.int_to_int(from, to, x),
        }
    }

    /// Same bits, same width; both in register form.
    pub fn bitcast(&mut self, from: Elem, to: Elem, x: V) -> V {
        if from == to {
            return x;
        }
        let memory = self.to_mem(x, from);
        let bits = self.bits(memory, Emit::mem(to));
        self.from_mem(bits, to)
    }

    fn is_nonzero(&mut self, from: Elem, x: V) -> V {
        if from.is_float() {
            let zero = self.f32_like(x.ty, 0.0);
            return self.cmpf("une", x, zero);
        }
        let zero = self.int_like(x.ty, 0);
        self.cmpi("ne", x, zero)
    }

    /// Truncates and saturates; NaN gives 0.
    fn float_to_int(&mut self, to: Elem, x: V) -> V {
        let (lo, hi) = match to {
            Elem::I8 => (-128.0, 127.0),
            Elem::I16 => (-32768.0, 32767.0),
            Elem::U8 => (0.0, 255.0),
            _ => return self.float_to_wide_int(to, x),
        };
        let x = self.nan_to_zero(x);
        let x = self.at_least(x, lo);
        let x = self.at_most(x, hi);
        let wide = self.conv("arith.fptosi", x, K::I32);
        self.conv("arith.trunci", wide, Emit::reg(to))
    }

    /// To an integer type whose largest value no `f32` has: 2^31, 2^32 or 2^63 is the first that is too large.
    fn float_to_wide_int(&mut self, to: Elem, x: V) -> V {
        let (name, least, bound, largest) = match to {
            Elem::I32 => ("arith.fptosi", -2_147_483_648.0, 2_147_483_648.0, i32::MAX.into()),
            Elem::U32 => ("arith.fptoui", 0.0, 4_294_967_296.0, -1),
            _ => ("arith.fptosi", -9_223_372_036_854_775_808.0, 9_223_372_036_854_775_808.0, i64::MAX),
        };
        let x = self.nan_to_zero(x);
        let x = self.at_least(x, least);
        let limit = self.f32_like(x.ty, bound);
        let over = self.cmpf("oge", x, limit);
        let zero = self.f32_like(x.ty, 0.0);
        let inside = self.select(over, zero, x);
        let whole = self.conv(name, inside, Emit::reg(to));
        let largest = self.int_like(whole.ty, largest);
        self.select(over, largest, whole)
    }

    fn nan_to_zero(&mut self, x: V) -> V {
        let is_nan = self.cmpf("uno", x, x);
        let zero = self.f32_like(x.ty, 0.0);
        self.select(is_nan, zero, x)
    }

    /// `max(x, c)`; NaN stays.
    pub(super) fn at_least(&mut self, x: V, c: f32) -> V {
        let c = self.f32_like(x.ty, c);
        let below = self.cmpf("olt", x, c);
        self.select(below, c, x)
    }

    /// `min(x, c)`; NaN stays.
    pub(super) fn at_most(&mut self, x: V, c: f32) -> V {
        let c = self.f32_like(x.ty, c);
        let above = self.cmpf("ogt", x, c);
        self.select(above, c, x)
    }

    /// One rounding. Only `bf16` has values beyond 2^24 that an `f32` on the way could spoil.
    fn int_to_float(&mut self, from: Elem, to: Elem, x: V) -> V {
        let name = if from.is_signed() { "arith.sitofp" } else { "arith.uitofp" };
        if to == Elem::BF16 && matches!(from, Elem::I32 | Elem::U32 | Elem::I64) {
            let x = if from == Elem::I64 { self.fit_f64(x) } else { x };
            let wide = self.conv(name, x, K::F64);
            return self.round_wide(to, wide);
        }
        let x = self.conv(name, x, K::F32);
        self.round(to, x)
    }

    /// An `i64` that `f64` holds and that rounds to 22 bits or fewer as `x` does: beyond 2^53 the low eleven bits
    /// become one sticky bit.
    fn fit_f64(&mut self, x: V) -> V {
        const STEP: i64 = 1 << 11;
        let low = self.int2("arith.andi", x, STEP - 1);
        // Carries into the sticky bit unless `low` is 0.
        let carried = self.int2("arith.addi", low, STEP - 1);
        let whole = self.op2("arith.ori", x, carried);
        let sticky = self.int2("arith.andi", whole, -STEP);
        let shifted = self.int2("arith.addi", x, 1 << 53);
        let limit = self.int_like(x.ty, 1 << 54);
        let small = self.cmpi("ule", shifted, limit);
        self.select(small, x, sticky)
    }

    fn int_to_int(&mut self, from: Elem, to: Elem, x: V) -> V {
        let k = Emit::reg(to);
        if k.bytes() < x.ty.k.bytes() {
            return self.conv("arith.trunci", x, k);
        }
        self.conv(if from.is_signed() { "arith.extsi" } else { "arith.extui" }, x, k)
    }
}

/// Whether every value of float type `a` is one of float type `b`.
fn holds(a: Elem, b: Elem) -> bool {
    use Elem::{BF16, F8E4M3, F8E5M2, F16, F32};
    matches!((a, b), (_, F32) | (F8E4M3 | F8E5M2, F16 | BF16))
}
