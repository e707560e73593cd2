//! How far two right implementations of one random kernel may be apart, derived while the kernel is made.
//!
//! Every float value carries three facts, as for a proof by interval arithmetic:
//!
//! ```text
//! mag   |x| ≤ mag wherever x is finite
//! err   |x - y| ≤ err for the x and y of any two implementations
//! frac  x is a multiple of 2^-frac, if known
//! ```
//! An operation adds one unit in the last place of its result (half for rounding, doubled since an implementation
//! may skip a rounding to a narrow type), or [`FUNCTION_ULPS`] for a function such as `exp`. If the result is a multiple
//! of 2^-frac and small enough to be represented exactly, it adds nothing: such sums, products and dots must agree to
//! the bit in whatever order they are done.

use crate::ir::{Elem, TileType, UnaryOp, ValueId};

/// Most units in the last place by which a function such as `exp` may be off (the DSL states at most 4 for each).
pub(super) const FUNCTION_ULPS: f64 = 8.0;

/// A value of the kernel being made.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub id: ValueId,
    pub ty: TileType,
    pub mag: f64,
    pub err: f64,
    pub frac: Option<i32>,
    /// It is as loaded: a bitcast shows the same bits everywhere, also those of a NaN.
    pub raw: bool,
}

impl Node {
    /// Whether every implementation gives the same value: only such a value may decide anything.
    pub fn exact(&self) -> bool {
        self.err == 0.0
    }

    /// Whether its bound has grown to a tenth of the value, and says little.
    pub fn is_loose(&self) -> bool {
        self.err > 0.1 * self.mag.max(1.0)
    }
}

/// Bits of the significand, the leading one included.
fn precision(elem: Elem) -> i32 {
    match elem {
        Elem::F8E5M2 => 3,
        Elem::F8E4M3 => 4,
        Elem::BF16 => 8,
        Elem::F16 => 11,
        _ => 24,
    }
}

/// The smallest positive value is `2^-finest`.
fn finest(elem: Elem) -> i32 {
    match elem {
        Elem::F8E5M2 => 16,
        Elem::F8E4M3 => 9,
        Elem::BF16 => 133,
        Elem::F16 => 24,
        _ => 149,
    }
}

/// One unit in the last place of a value of that magnitude.
pub(super) fn ulp(elem: Elem, mag: f64) -> f64 {
    mag * 2f64.powi(1 - precision(elem)) + 2f64.powi(-finest(elem))
}

/// The facts of a result before its rounding.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    pub mag: f64,
    pub err: f64,
    pub frac: Option<i32>,
}

impl Facts {
    /// After rounding to `elem`, and to f32 in between `steps` times in some order.
    pub fn rounded(self, elem: Elem, steps: usize) -> Facts {
        let fits = |f: i32, e: Elem| self.mag * 2f64.powi(f) <= 2f64.powi(precision(e)) && f <= finest(e);
        let exact = self.err == 0.0 && self.frac.is_some_and(|f| fits(f, elem) && fits(f, Elem::F32));
        if exact {
            return self;
        }
        let inner = steps as f64 * ulp(Elem::F32, self.mag);
        let err = self.err + inner + ulp(elem, self.mag + self.err);
        Facts { mag: self.mag + err, err, frac: None }
    }
}

pub(super) fn add(a: &Node, b: &Node) -> Facts {
    let frac = a.frac.zip(b.frac).map(|(a, b)| a.max(b));
    Facts { mag: a.mag + b.mag, err: a.err + b.err, frac }
}

pub(super) fn mul(a: &Node, b: &Node) -> Facts {
    let frac = a.frac.zip(b.frac).map(|(a, b)| a + b);
    Facts { mag: a.mag * b.mag, err: a.mag * b.err + b.mag * a.err + a.err * b.err, frac }
}

/// The sum of `n` values, each with these facts.
pub(super) fn sum(x: Facts, n: usize) -> Facts {
    Facts { mag: x.mag * n as f64, err: x.err * n as f64, frac: x.frac }
}

/// One of two values.
pub(super) fn either(a: &Node, b: &Node) -> Facts {
    let frac = a.frac.zip(b.frac).map(|(a, b)| a.max(b));
    Facts { mag: a.mag.max(b.mag), err: a.err.max(b.err), frac }
}

/// A function of a value: what it may be, by its largest slope on the range that its callers keep to.
pub(super) fn function(op: UnaryOp, x: &Node) -> Facts {
    let (mag, slope) = match op {
        // Callers keep |x| ≤ 8.
        UnaryOp::Exp => (x.mag.exp(), (x.mag + x.err).exp()),
        UnaryOp::Exp2 => (x.mag.exp2(), (x.mag + x.err).exp2()),
        // Callers keep x ≥ 1/2.
        UnaryOp::Log => (x.mag.ln().abs().max(0.7), 2.1),
        UnaryOp::Log2 => (x.mag.log2().abs().max(1.0), 3.0),
        UnaryOp::Sqrt => (x.mag.sqrt(), 0.8),
        UnaryOp::Rsqrt => (1.5, 1.5),
        UnaryOp::Erf => (1.0, 1.2),
        _ => (1.0, 1.0),
    };
    let elem = x.ty.elem;
    let own = FUNCTION_ULPS * ulp(elem, mag);
    Facts { mag: mag + own, err: x.err * slope + own, frac: None }
}
