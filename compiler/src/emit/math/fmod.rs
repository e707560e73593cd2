//! The exact floating-point remainder.

use super::Emit;
use crate::emit::{K, Ty, V};

impl Emit {
    /// C `fmod`: `x - trunc(x / y) · y`, exact, with the sign of `x`; NaN where `x` is infinite or `y` is 0.
    ///
    /// In `f64`. A round takes the upper 29 bits `q` of the quotient; `q · y` has at most 53 bits, so the new
    /// remainder is exact, and it again has 24 bits above the unit of `y · 2^k`. Ten rounds serve the widest pair.
    pub fn fmod(&mut self, x: V, y: V) -> V {
        let (x, y) = self.unify(x, y);
        let wide = self.conv("arith.extf", x, K::F64);
        let rest = self.op1("math.absf", wide);
        let divisor = self.conv("arith.extf", y, K::F64);
        let divisor = self.op1("math.absf", divisor);

        let (mut open, args) = self.begin_while(&[rest]);
        let more = self.cmpf("oge", args[0], divisor);
        let any = if more.ty.is_vector() {
            self.pure(
                Ty::scalar(K::I1),
                format!("vector.reduction <or>, {more} : {} into i1", more.ty),
                &[more],
            )
        } else {
            more
        };
        let args = self.while_body(&mut open, any, &args);
        let quotient = self.op2("arith.divf", args[0], divisor);
        let bits = self.bits(quotient, K::I64);
        let upper = self.int2("arith.andi", bits, -(1 << 24));
        let upper = self.bits(upper, K::F64);
        let whole = self.op1("math.trunc", upper);
        let negated = self.op1("arith.negf", whole);
        let reduced = self.fma(negated, divisor, args[0]);
        // Lanes that are done stay: an infinite divisor would make 0 · inf of them.
        let again = self.cmpf("oge", args[0], divisor);
        let next = self.select(again, reduced, args[0]);
        let rest = self.end_while(open, &[next])[0];

        let rest = self.conv("arith.truncf", rest, K::F32);
        let rest = self.copy_sign(rest, x);
        // The loop never ran for these.
        let magnitude = self.op1("math.absf", x);
        let infinite = self.test("oeq", magnitude, f32::INFINITY);
        let zero = self.test("oeq", y, 0.0);
        let undefined = self.op2("arith.ori", infinite, zero);
        let nan_y = self.cmpf("uno", y, y);
        let undefined = self.op2("arith.ori", undefined, nan_y);
        self.replace(undefined, f32::NAN, rest)
    }
}
