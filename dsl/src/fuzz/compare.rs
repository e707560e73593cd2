//! Comparison of what two implementations wrote.

use crate::eager::EagerBuffer;
use crate::ir::Elem;

/// How far an element may be from what is expected. Infinities and NaN must be at the same places.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// Largest difference.
    pub absolute: f64,
    /// Largest difference divided by the expected magnitude; added to `absolute`.
    pub relative: f64,
}

impl Tolerance {
    /// Equal values (`0.0` and `-0.0` are equal).
    pub const EXACT: Tolerance = Tolerance { absolute: 0.0, relative: 0.0 };

    /// At most so much, whatever the magnitude.
    pub fn absolute(absolute: f64) -> Tolerance {
        Tolerance { absolute, relative: 0.0 }
    }

    /// `n` units in the last place of the element type: for p bits of significand one is `2^(1-p)` of the value, and
    /// the smallest denormal where the value is smaller than that. Exact for integers.
    pub fn ulps(elem: Elem, n: f64) -> Tolerance {
        if !elem.is_float() {
            return Tolerance::EXACT;
        }
        let smallest = super::bound::ulp(elem, 0.0);
        Tolerance { absolute: n * smallest, relative: n * (super::bound::ulp(elem, 1.0) - smallest) }
    }
}

/// An element that differs.
#[derive(Clone, Debug, PartialEq)]
pub struct Mismatch {
    /// Its index in the buffer.
    pub index: usize,
    /// What it should be.
    pub expected: String,
    /// What it is.
    pub actual: String,
    /// How many elements differ.
    pub count: usize,
}

impl std::fmt::Display for Mismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Mismatch { index, expected, actual, count } = self;
        write!(f, "element {index} is {actual}, not {expected} ({count} elements differ)")
    }
}

impl std::error::Error for Mismatch {}

/// Compares two buffers of one type and length; the error tells of the worst element.
pub fn compare(expected: &EagerBuffer, actual: &EagerBuffer, tolerance: Tolerance) -> Result<(), Mismatch> {
    let mut worst: Option<(f64, usize)> = None;
    let mut count = 0;
    let mut differ = |excess: f64, i: usize| {
        count += 1;
        if worst.is_none_or(|(w, _)| excess > w) {
            worst = Some((excess, i));
        }
    };
    if expected.elem() != actual.elem() || expected.len() != actual.len() {
        return Err(Mismatch {
            index: 0,
            expected: format!("{} elements of {}", expected.len(), expected.elem()),
            actual: format!("{} elements of {}", actual.len(), actual.elem()),
            count: expected.len(),
        });
    }
    if expected.elem().is_float() {
        for (i, (e, a)) in expected.to_f32().into_iter().zip(actual.to_f32()).enumerate() {
            let (e, a) = (f64::from(e), f64::from(a));
            let allowed = tolerance.absolute + tolerance.relative * e.abs();
            if e.is_finite() && a.is_finite() {
                if (e - a).abs() > allowed {
                    differ((e - a).abs() / allowed.max(f64::MIN_POSITIVE), i);
                }
            } else if !(e == a || (e.is_nan() && a.is_nan())) {
                differ(f64::INFINITY, i);
            }
        }
    } else {
        for (i, (e, a)) in expected.to_i64().into_iter().zip(actual.to_i64()).enumerate() {
            if e != a {
                differ(e.abs_diff(a) as f64, i);
            }
        }
    }
    let text = |b: &EagerBuffer, i: usize| match b.elem().is_float() {
        true => format!("{:?}", b.to_f32()[i]),
        false => b.to_i64()[i].to_string(),
    };
    match worst {
        None => Ok(()),
        Some((_, i)) => {
            Err(Mismatch { index: i, expected: text(expected, i), actual: text(actual, i), count })
        }
    }
}
