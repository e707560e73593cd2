//! Compares a kernel's result with its reference.
//!
//! ```text
//! |got - want| ≤ UNIT(T) · (|want| + bound)  +  bound  +  floor
//!                └ rounding of the result ┘    └ f32 ┘    └ results below the normal numbers
//! ```
//! `bound` is what the `f32` arithmetic of the kernel may lose; each case derives its own. NaN and infinities must
//! be where the reference has them.

use super::input::Value;

/// Rounding error of one `f32` operation, relative.
pub const F32: f64 = f32_unit();

const fn f32_unit() -> f64 {
    1.0 / (1u64 << 24) as f64
}

/// Whether `got` is as near to `want` as its type allows; `bound(i)` is the absolute error of the `f32` arithmetic
/// behind element `i`.
///
/// # Errors
/// The first element that is not, with its place and both values.
pub fn close<T: Value>(got: &[T], want: &[f64], bound: impl Fn(usize) -> f64) -> Result<(), String> {
    if got.len() != want.len() {
        return Err(format!("{} elements, the reference has {}", got.len(), want.len()));
    }
    for (i, (got, &want)) in got.iter().zip(want).enumerate() {
        let got = got.to_f64();
        let bound = bound(i);
        // A target may flush f32 results below the normal numbers to zero.
        let floor = (T::UNIT * T::NORMAL).max(f32::MIN_POSITIVE.into());
        let allowed = T::UNIT * (want.abs() + bound) + bound + floor;
        let near_overflow = want.abs() + allowed >= T::LARGEST;
        let ok = if want.is_nan() {
            got.is_nan()
        } else if want.is_infinite() {
            got == want
        } else if got.is_infinite() {
            near_overflow && got.signum() == want.signum()
        } else {
            (got - want).abs() <= allowed
        };
        if !ok {
            return Err(format!(
                "element {i} is {got:e}, the reference says {want:e} (allowed: {allowed:.1e})"
            ));
        }
    }
    Ok(())
}

/// Whether two lists of integers agree.
///
/// # Errors
/// The first difference.
pub fn equal(got: &[i32], want: &[i32]) -> Result<(), String> {
    if got.len() != want.len() {
        return Err(format!("{} elements, the reference has {}", got.len(), want.len()));
    }
    match got.iter().zip(want).position(|(g, w)| g != w) {
        Some(i) => Err(format!("element {i} is {}, the reference says {}", got[i], want[i])),
        None => Ok(()),
    }
}
