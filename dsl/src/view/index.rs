//! Indices into views: host integers and `Scalar<i32>`, and tuples of them.

use super::View;
use crate::elem::Elem;
use crate::ir::{Const, Elem as ElemKind, OpKind, ValueId};
use crate::shape::{BlockShape, D0, D2, Shape};
use crate::stage::fail::fail;
use crate::stage::{constant, emit1};
use crate::tile::{Col, Row, Scalar, Staged, Tile, spread};

/// An index or offset, in elements.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an index",
    label = "an index is a host integer or a `Scalar<i32>`",
    note = "convert with `.to::<i32>()`; a vector of row numbers goes to `load_rows`, tiles of indices to `gather`"
)]
pub trait Index: Copy {
    /// The index as a run-time value.
    #[doc(hidden)]
    #[track_caller]
    fn staged(self) -> Scalar<i32>;
    /// The index, if it is known while tracing.
    #[doc(hidden)]
    fn known(self) -> Option<i64>;
}

#[diagnostic::do_not_recommend]
impl Index for Scalar<i32> {
    fn staged(self) -> Scalar<i32> {
        self
    }
    fn known(self) -> Option<i64> {
        None
    }
}

macro_rules! host {
    ($($t:ty),*) => {$(
        #[diagnostic::do_not_recommend]
        impl Index for $t {
            #[track_caller]
            fn staged(self) -> Scalar<i32> {
                let Ok(v) = i64::try_from(self).map_err(drop).and_then(|v| i32::try_from(v).map_err(drop)) else {
                    fail(format!("the index {self} does not fit in i32"), "indices are 32-bit")
                };
                Scalar::from_id(constant::<i32, D0>(Const::Int(v.into())))
            }
            fn known(self) -> Option<i64> {
                i64::try_from(self).ok()
            }
        }
    )*};
}
host!(usize, i32);

/// Leading indices of a view of rank `R`.
#[diagnostic::on_unimplemented(
    message = "`at` cannot fix these axes of a view of rank {R}",
    label = "not a tuple of at most {R} indices",
    note = "an index is a host integer or a `Scalar<i32>`: `x.at((batch, head))`, `x.at((row,))`"
)]
pub trait Leading<T, const R: usize> {
    /// The view that is left.
    type Rest;
    #[doc(hidden)]
    #[track_caller]
    fn fix(self, view: ValueId) -> Self::Rest;
}

#[track_caller]
fn at<T: Elem, const R: usize>(view: ValueId, indices: &[Scalar<i32>]) -> View<T, R> {
    let mut operands = vec![view];
    operands.extend(indices.iter().map(|i| i.id()));
    View::from_id(emit1(OpKind::At, &operands, View::<T, R>::view_type()))
}

macro_rules! leading {
    ($($rank:literal: $(($($i:ident $n:tt),*) $rest:literal)*;)*) => {$($(
        #[diagnostic::do_not_recommend]
        impl<T: Elem, $($i: Index),*> Leading<T, $rank> for ($($i,)*) {
            type Rest = View<T, $rest>;
            #[track_caller]
            fn fix(self, view: ValueId) -> View<T, $rest> {
                at(view, &[$(self.$n.staged()),*])
            }
        }
    )*)*};
}
leading! {
    2: (A 0) 1;
    3: (A 0) 2 (A 0, B 1) 1;
    4: (A 0) 3 (A 0, B 1) 2 (A 0, B 1, C 2) 1;
    5: (A 0) 4 (A 0, B 1) 3 (A 0, B 1, C 2) 2 (A 0, B 1, C 2, D 3) 1;
    6: (A 0) 5 (A 0, B 1) 4 (A 0, B 1, C 2) 3 (A 0, B 1, C 2, D 3) 2 (A 0, B 1, C 2, D 3, E 4) 1;
}

macro_rules! leading_one {
    ($($rank:literal $rest:literal)*) => {$(
        #[diagnostic::do_not_recommend]
        impl<T: Elem, I: Index> Leading<T, $rank> for I {
            type Rest = View<T, $rest>;
            #[track_caller]
            fn fix(self, view: ValueId) -> View<T, $rest> {
                at(view, &[self.staged()])
            }
        }
    )*};
}
leading_one!(2 1 3 2 4 3 5 4 6 5);

/// Offsets of a block: one per axis of a view of rank `R`.
#[diagnostic::on_unimplemented(
    message = "these are not the offsets of a block in a view of rank {R}",
    label = "one index per axis is needed",
    note = "a view of rank 1 takes `i`, of rank 2 `(row, col)`, of rank 3 `(a, row, col)`; an index is a host integer or a `Scalar<i32>`"
)]
pub trait Offsets<const R: usize> {
    #[doc(hidden)]
    #[track_caller]
    fn offsets(self) -> Vec<ValueId>;
}
#[diagnostic::do_not_recommend]
impl<I: Index> Offsets<1> for I {
    #[track_caller]
    fn offsets(self) -> Vec<ValueId> {
        vec![self.staged().id()]
    }
}
#[diagnostic::do_not_recommend]
impl<I: Index> Offsets<1> for (I,) {
    #[track_caller]
    fn offsets(self) -> Vec<ValueId> {
        vec![self.0.staged().id()]
    }
}
#[diagnostic::do_not_recommend]
impl<A: Index, B: Index> Offsets<2> for (A, B) {
    #[track_caller]
    fn offsets(self) -> Vec<ValueId> {
        vec![self.0.staged().id(), self.1.staged().id()]
    }
}
#[diagnostic::do_not_recommend]
impl<A: Index, B: Index, C: Index> Offsets<3> for (A, B, C) {
    #[track_caller]
    fn offsets(self) -> Vec<ValueId> {
        vec![self.0.staged().id(), self.1.staged().id(), self.2.staged().id()]
    }
}

/// Indices of elements for a result of shape `S`: one per axis of a view of rank `R`.
#[diagnostic::on_unimplemented(
    message = "these are not index tiles for a view of rank {R}",
    label = "one tile of `i32` per axis is needed",
    note = "a view of rank 1 takes `Tile<i32, S>`, of rank 2 a pair of them, of rank 3 three; all of one shape; rows and columns of an area are `(rows.col(), cols.row())`; an index that is the same for all elements may be a `Scalar<i32>` or a host integer"
)]
pub trait IndexTiles<const R: usize, S: Shape> {
    #[doc(hidden)]
    #[track_caller]
    fn indices(self) -> Vec<ValueId>;
}
macro_rules! axes {
    ($($rank:literal: $($i:ident $n:tt),*;)*) => {$(
        #[diagnostic::do_not_recommend]
        impl<S: Shape, $($i: AxisIndex<S>),*> IndexTiles<$rank, S> for ($($i,)*) {
            #[track_caller]
            fn indices(self) -> Vec<ValueId> {
                vec![$(self.$n.axis()),*]
            }
        }
    )*};
}
axes! {
    2: A 0, B 1;
    3: A 0, B 1, C 2;
}
#[diagnostic::do_not_recommend]
impl<S: Shape, A: AxisIndex<S>> IndexTiles<1, S> for A {
    #[track_caller]
    fn indices(self) -> Vec<ValueId> {
        vec![self.axis()]
    }
}

/// Indices along one axis, for a result of shape `S`: a tile of that shape; for a matrix one index per row (`.col()`) or per
/// column (`.row()`); a `Scalar<i32>` or a host integer for all elements.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no index along an axis for a result of shape `{S}`",
    label = "a tile of `i32` of that shape, `.col()` or `.row()` of a vector, a `Scalar<i32>` or a host integer"
)]
pub trait AxisIndex<S: Shape> {
    #[doc(hidden)]
    #[track_caller]
    fn axis(self) -> ValueId;
}
#[diagnostic::do_not_recommend]
impl<S: Shape> AxisIndex<S> for Tile<i32, S> {
    fn axis(self) -> ValueId {
        self.id()
    }
}
#[diagnostic::do_not_recommend]
impl<S: BlockShape> AxisIndex<S> for Scalar<i32> {
    #[track_caller]
    fn axis(self) -> ValueId {
        spread(self.id(), ElemKind::I32, S::DIMS, &[])
    }
}
macro_rules! host_axis {
    ($($t:ty),*) => {$(
        #[diagnostic::do_not_recommend]
        impl<S: BlockShape> AxisIndex<S> for $t {
            #[track_caller]
            fn axis(self) -> ValueId {
                AxisIndex::<S>::axis(self.staged())
            }
        }
    )*};
}
host_axis!(usize, i32);
#[diagnostic::do_not_recommend]
impl<const M: usize, const N: usize> AxisIndex<D2<M, N>> for Col<i32, M> {
    #[track_caller]
    fn axis(self) -> ValueId {
        spread(self.value(), ElemKind::I32, D2::<M, N>::DIMS, &[0])
    }
}
#[diagnostic::do_not_recommend]
impl<const M: usize, const N: usize> AxisIndex<D2<M, N>> for Row<i32, N> {
    #[track_caller]
    fn axis(self) -> ValueId {
        spread(self.value(), ElemKind::I32, D2::<M, N>::DIMS, &[1])
    }
}
