//! Tiles from nothing, and tiles of another element type.

use super::{Scalar, Tile, Vector, same};
use crate::elem::{Elem, Literal};
use crate::ir::{Const, OpKind};
use crate::shape::{BlockShape, D0, D1, Shape};
use crate::stage::fail::fail;
use crate::stage::{constant, emit1, tile_type};

/// The constant that a host value is beside a tile of `T`.
#[doc(hidden)]
#[track_caller]
pub fn literal_const<T: Elem, L: Literal<T>>(v: L) -> Const {
    match v.literal() {
        Ok(c) => c,
        Err(fact) => fail(fact, "convert the tile to a wider type with `.to::<..>()`"),
    }
}

impl<T: Elem, S: Shape> Tile<T, S> {
    /// Every element zero (`false`).
    #[track_caller]
    pub fn zeros() -> Self {
        Tile::from_id(constant::<T, S>(T::from_bits64(0).to_const()))
    }

    /// Every element the host value `v`.
    #[track_caller]
    pub fn full(v: T) -> Self {
        Tile::from_id(constant::<T, S>(v.to_const()))
    }

    /// Every element the literal `v`, rounded to `T`.
    #[track_caller]
    pub fn constant(v: impl Literal<T>) -> Self {
        Tile::from_id(constant::<T, S>(literal_const(v)))
    }

    /// Converts each element. Float to float rounds to nearest, ties to even (8-bit floats saturate); float to
    /// integer truncates and saturates, NaN gives 0; integer to integer wraps; to `bool` is `!= 0`; from `bool`
    /// gives 0 or 1.
    #[track_caller]
    pub fn to<U: Elem>(self) -> Tile<U, S> {
        if T::ELEM == U::ELEM {
            return Tile::from_id(self.id());
        }
        Tile::from_id(emit1(OpKind::Cast, &[self.id()], tile_type::<U, S>()))
    }

    /// The same bits as another type of the same width.
    #[track_caller]
    pub fn bitcast<U: Elem>(self) -> Tile<U, S> {
        const { assert!(T::ELEM.bytes() == U::ELEM.bytes(), "`bitcast` needs types of the same width") }
        if T::ELEM == U::ELEM {
            return Tile::from_id(self.id());
        }
        Tile::from_id(emit1(OpKind::Bitcast, &[self.id()], tile_type::<U, S>()))
    }
}

impl<T: Elem, S: BlockShape> Tile<T, S> {
    /// Every element the scalar `v`.
    #[track_caller]
    pub fn splat(v: Scalar<T>) -> Self {
        same(OpKind::Broadcast { axes: Vec::new() }, &[v.id()])
    }
}

/// 0, 1, …, N-1.
#[track_caller]
pub fn arange<const N: usize>() -> Vector<i32, N> {
    Tile::from_id(emit1(OpKind::Arange, &[], tile_type::<i32, D1<N>>()))
}

impl<T: Elem> Scalar<T> {
    /// A vector of one element.
    #[track_caller]
    pub fn to_vector(self) -> Vector<T, 1> {
        same(OpKind::Broadcast { axes: Vec::new() }, &[self.id()])
    }
}

/// Host values as run-time scalars.
pub trait ToScalar: Elem {
    /// The value as a run-time scalar.
    #[track_caller]
    fn to_scalar(self) -> Scalar<Self> {
        Tile::from_id(constant::<Self, D0>(self.to_const()))
    }
}
impl<T: Elem> ToScalar for T {}
