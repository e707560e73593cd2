//! What launchers share: shape checks, grids, and the choice of a const argument by a run-time size.

use crate::error::{Error, Result};

/// An error unless `given` are the dims that the other arguments ask for.
pub(crate) fn expect(
    kernel: &'static str,
    argument: &'static str,
    given: &[usize],
    expected: &[usize],
) -> Result {
    if given == expected {
        return Ok(());
    }
    Err(Error::Shape { kernel, argument, expected: expected.to_vec(), given: given.to_vec() })
}

/// The dims of an argument that must have `R` axes.
pub(crate) fn dims<const R: usize>(
    kernel: &'static str,
    argument: &'static str,
    given: &[usize],
) -> Result<[usize; R]> {
    given.try_into().map_err(|_| Error::Unsupported {
        kernel,
        reason: format!("argument `{argument}` has dims {given:?}, a tensor of rank {R} is needed"),
    })
}

/// Runs the body with the const `$n` set to the first of the sizes that is at least `$size`, or the last arm.
macro_rules! smallest {
    ($size:expr, [$($value:literal),+], |$n:ident| $body:expr, else $other:expr) => {{
        let size = $size;
        $(if size <= $value {
            const $n: usize = $value;
            $body
        } else)+ {
            $other
        }
    }};
}
pub(crate) use smallest;
