//! What a target does better than the portable way.
//!
//! ```text
//! Emit::exp2(x) ── hooks.exp2(x)? ──► the target's instruction
//!                       └─ None ───► a polynomial
//! ```

use super::{Emit, V};
use kcc_dsl::ir::{Elem, UnaryOp};

/// Instructions of one target; what is not overridden is written in portable operations.
pub trait Hooks: Sync {
    /// An element-wise function of `f32` values, whose result will be rounded to `elem`.
    fn unary(&self, e: &mut Emit, op: UnaryOp, elem: Elem, x: V) -> Option<V> {
        let _ = (e, op, elem, x);
        None
    }

    /// `x - floor(x)` of `f32`; infinities and NaN give NaN or 0.
    fn fraction(&self, e: &mut Emit, x: V) -> Option<V> {
        let _ = (e, x);
        None
    }

    /// `p · 2^floor(n)` of `f32`, rounded once.
    fn scale(&self, e: &mut Emit, p: V, n: V) -> Option<V> {
        let _ = (e, p, n);
        None
    }

    /// minimumNumber (`max` false) or maximumNumber of two `f32`: a NaN loses, -0 is less than +0.
    fn min_max(&self, e: &mut Emit, max: bool, a: V, b: V) -> Option<V> {
        let _ = (e, max, a, b);
        None
    }

    /// Elements in register form, as many as fill 32 bits, in one `i32`; the first in the low bits.
    fn pack(&self, e: &mut Emit, elem: Elem, parts: &[V]) -> Option<V> {
        let _ = (e, elem, parts);
        None
    }

    /// An `f32` rounded to the nearest value of a narrower float type, still held as `f32`: see [`Emit::round`].
    fn round(&self, e: &mut Emit, elem: Elem, v: V) -> Option<V> {
        let _ = (e, elem, v);
        None
    }
}

/// Nothing special.
pub struct Portable;

impl Hooks for Portable {}
