//! Elementary functions on `f32`, of one value or a vector, without a call to a library.
//!
//! One file is one family. The coefficients are fitted by `scripts/fit_polynomials.py`; the errors in the comments
//! are the largest of 17 million arguments, one in 251 of all bit patterns, against `f64` references, in units in
//! the last place (ulp) of the result.
//! NaN gives NaN, infinities and denormal arguments are honoured, denormal results are rounded once.

mod exp;
mod fmod;
mod hyperbolic;
mod log;
mod quadrant;
mod root;
mod trig;

use super::{Emit, K, Ty, V};

/// Adding this and looking at the low bits gives an `f32` below 2^22 in size as an integer, rounded to nearest even.
const ROUNDER: f32 = 12_582_912.0; // 1.5 * 2^23

impl Emit {
    /// `c[0] + c[1] x + …`
    fn polynomial(&mut self, x: V, c: &[f32]) -> V {
        let mut terms = c.iter().rev();
        let highest = terms.next().copied().unwrap_or(0.0);
        let mut sum = self.f32_like(x.ty, highest);
        for c in terms {
            let c = self.f32_like(x.ty, *c);
            sum = self.fma(sum, x, c);
        }
        sum
    }

    /// `a * c`
    fn times(&mut self, a: V, c: f32) -> V {
        let c = self.f32_like(a.ty, c);
        self.op2("arith.mulf", a, c)
    }

    /// `a + c`
    fn plus(&mut self, a: V, c: f32) -> V {
        let c = self.f32_like(a.ty, c);
        self.op2("arith.addf", a, c)
    }

    /// `a * c + b` with one rounding.
    fn fma_const(&mut self, a: V, c: f32, b: V) -> V {
        let c = self.f32_like(a.ty, c);
        self.fma(a, c, b)
    }

    /// Comparison with a constant.
    fn test(&mut self, predicate: &str, a: V, c: f32) -> V {
        let c = self.f32_like(a.ty, c);
        self.cmpf(predicate, a, c)
    }

    /// `m ? c : a`
    fn replace(&mut self, m: V, c: f32, a: V) -> V {
        let c = self.f32_like(a.ty, c);
        self.select(m, c, a)
    }

    /// An f64 constant with the lanes of `ty`.
    pub(super) fn f64_like(&mut self, ty: Ty, c: f64) -> V {
        let ty = ty.with(K::F64);
        let bits = c.to_bits();
        if ty.is_vector() {
            self.pure(ty, format!("arith.constant dense<0x{bits:016X}> : {ty}"), &[])
        } else {
            self.pure(ty, format!("arith.constant 0x{bits:016X} : f64"), &[])
        }
    }
}
