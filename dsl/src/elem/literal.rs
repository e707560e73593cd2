//! Host values beside tiles: `x * 2`, `1.0 - x`, `row * BM`.
//!
//! An integer goes with a tile of any number type, `f32` with a tile of any floating-point type; the value is
//! rounded to the tile's type.

use super::{Elem, F8E4M3, F8E5M2, Float, Num, Sealed, bf16, f16};
use crate::ir::Const;

/// A compile-time value that may stand beside a tile of `T`.
#[diagnostic::on_unimplemented(
    message = "a host `{Self}` cannot stand beside a tile of `{T}`",
    label = "no such constant of `{T}`",
    note = "write an integer for any tile, or an `f32` for a floating-point tile"
)]
pub trait Literal<T: Elem>: Copy + Sealed {
    /// The value as a constant of the tile IR; an error if `T` cannot hold it.
    fn literal(self) -> Result<Const, String>;
}

fn int<T: Num>(v: i64) -> Result<Const, String> {
    let elem = T::ELEM;
    if elem.is_float() {
        return Ok(Const::float(v as f32));
    }
    let width = 8 * elem.bytes() as u32;
    let (lo, hi) = match (elem.is_signed(), width) {
        (true, 64) => (i64::MIN, i64::MAX),
        (true, w) => (-(1i64 << (w - 1)), (1i64 << (w - 1)) - 1),
        (false, w) => (0, (1i64 << w) - 1),
    };
    if v < lo || v > hi {
        return Err(format!("{v} does not fit in {elem}"));
    }
    Ok(Const::Int(v))
}

#[diagnostic::do_not_recommend]
impl<T: Num> Literal<T> for i32 {
    fn literal(self) -> Result<Const, String> {
        int::<T>(self.into())
    }
}

impl Sealed for usize {}
#[diagnostic::do_not_recommend]
impl<T: Num> Literal<T> for usize {
    fn literal(self) -> Result<Const, String> {
        let v = i64::try_from(self).map_err(|_| format!("{self} does not fit in {}", T::ELEM))?;
        int::<T>(v)
    }
}

#[diagnostic::do_not_recommend]
impl<T: Float> Literal<T> for f32 {
    fn literal(self) -> Result<Const, String> {
        Ok(self.to_const())
    }
}

macro_rules! own {
    ($($t:ty),*) => {$(
        #[diagnostic::do_not_recommend]
        impl Literal<$t> for $t {
            fn literal(self) -> Result<Const, String> {
                Ok(self.to_const())
            }
        }
    )*};
}
own!(f16, bf16, F8E4M3, F8E5M2, i8, i16, i64, u8, u32, bool);
