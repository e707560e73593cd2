//! Choosing element by element.

use super::arithmetic::lift;
use super::combine::spread;
use super::{Col, Row, Scalar, Staged, Tile, same};
use crate::elem::{Elem, Literal};
use crate::ir::{Elem as ElemKind, OpKind, ValueId};
use crate::shape::{BlockShape, D2, Shape};
use crate::stage::constant;

/// A mask for the elements of a tile of shape `S`: one of that shape; for a matrix one value per row (`.col()`) or per
/// column (`.row()`); one `Scalar<bool>`, or a host `bool` such as `true`, for all.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a mask for a tile of shape `{S}`",
    label = "not `bool`, or of another shape",
    note = "a mask has the tile's shape, or is `true` or `false`; a vector masks a matrix as `.col()` (one value per row) or `.row()` (one value per column)"
)]
pub trait MaskOf<S: Shape>: Copy {
    /// The mask in the tile's shape.
    #[doc(hidden)]
    #[track_caller]
    fn mask(self) -> ValueId;
}

#[diagnostic::do_not_recommend]
impl<S: Shape> MaskOf<S> for Tile<bool, S> {
    fn mask(self) -> ValueId {
        self.id()
    }
}
#[diagnostic::do_not_recommend]
impl<S: BlockShape> MaskOf<S> for Scalar<bool> {
    #[track_caller]
    fn mask(self) -> ValueId {
        spread(self.id(), ElemKind::Bool, S::DIMS, &[])
    }
}
#[diagnostic::do_not_recommend]
impl<S: Shape> MaskOf<S> for bool {
    #[track_caller]
    fn mask(self) -> ValueId {
        constant::<bool, S>(self.to_const())
    }
}
#[diagnostic::do_not_recommend]
impl<const M: usize, const N: usize> MaskOf<D2<M, N>> for Col<bool, M> {
    #[track_caller]
    fn mask(self) -> ValueId {
        spread(self.value(), ElemKind::Bool, D2::<M, N>::DIMS, &[0])
    }
}
#[diagnostic::do_not_recommend]
impl<const M: usize, const N: usize> MaskOf<D2<M, N>> for Row<bool, N> {
    #[track_caller]
    fn mask(self) -> ValueId {
        spread(self.value(), ElemKind::Bool, D2::<M, N>::DIMS, &[1])
    }
}

/// What `select` may give: a tile of type `T` and shape `S`, or a host value for all of its elements.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no value for a tile of `{T}` and shape `{S}`",
    label = "element type or shape does not match",
    note = "element types must be equal: convert one side with `.to::<f32>()` or the like",
    note = "shapes must be equal, unless one side is a host value; a scalar fills a block as `Tile::splat(s)`, a vector a matrix as `.col().broadcast()` or `.row().broadcast()`"
)]
pub trait Choice<T: Elem, S: Shape>: Copy {
    /// The value in the tile's shape.
    #[doc(hidden)]
    #[track_caller]
    fn choice(self) -> ValueId;
}

// One implementation for tiles, so that `Tile::zeros()` beside another tile needs no type.
#[diagnostic::do_not_recommend]
impl<T: Elem, S: Shape> Choice<T, S> for Tile<T, S> {
    fn choice(self) -> ValueId {
        self.id()
    }
}
#[diagnostic::do_not_recommend]
impl<T: Elem, S: Shape, L: Literal<T>> Choice<T, S> for L {
    #[track_caller]
    fn choice(self) -> ValueId {
        lift::<T, S, _>(self).id()
    }
}

/// `a` where the mask holds, else `b`; one of them may be a host value.
///
/// ```
/// use kcc_dsl::prelude::*;
///
/// #[kernel]
/// fn leaky<T: Float>(x: &View<T, 1>, y: &mut View<T, 1>, off: Scalar<bool>) {
///     let v = x.load::<64>(0);
///     let v = select(v > 0, v, v * 0.01);
///     y.store(0, select(off, 0, v));
/// }
/// assert!(leaky::kernel::<bf16>().trace().is_ok());
/// ```
#[track_caller]
pub fn select<T: Elem, S: Shape>(
    mask: impl MaskOf<S>,
    a: impl Choice<T, S>,
    b: impl Choice<T, S>,
) -> Tile<T, S> {
    same(OpKind::Select, &[mask.mask(), a.choice(), b.choice()])
}

/// `a`, with the host value `v` wherever the mask holds.
///
/// ```
/// use kcc_dsl::prelude::*;
///
/// /// Scores of keys beyond `keys` become minus infinity.
/// #[kernel]
/// fn hide(s: &View<f32, 2>, keys: Scalar<i32>, out: &mut View<f32, 2>) {
///     let beyond = arange::<64>() >= keys;
///     out.store((0, 0), fill_where(beyond.row(), s.load::<16, 64>((0, 0)), f32::NEG_INFINITY));
/// }
/// assert!(hide::kernel().trace().is_ok());
/// ```
#[track_caller]
pub fn fill_where<T: Elem, S: Shape>(mask: impl MaskOf<S>, a: Tile<T, S>, v: impl Literal<T>) -> Tile<T, S> {
    let v = lift::<T, S, _>(v);
    same(OpKind::Select, &[mask.mask(), v.id(), a.id()])
}
