//! Which operands go together in an element-wise operation, and what comes out.
//!
//! ```text
//!            S       scalar   Col     Row
//! S          S       S        M×N     M×N      (S a matrix for Col and Row)
//! scalar     S       scalar   Col     Row
//! Col        M×N     Col      Col     M×N
//! Row        M×N     Row      M×N     Row
//! ```

use super::{Col, Matrix, Row, Scalar, Staged, Tile, literal_const};
use crate::elem::{Elem, Literal};
use crate::ir::{OpKind, TileType, Type, ValueId};
use crate::shape::{BlockShape, D1, D2, Shape};
use crate::stage::{constant, emit1};

/// Operands that an element-wise operation can have on its right.
#[diagnostic::on_unimplemented(
    message = "`{Self}` and `{R}` cannot be combined element by element",
    label = "element types or shapes do not match",
    note = "element types must be equal: convert one side with `.to::<f32>()` or the like",
    note = "shapes must be equal, unless one side is a scalar; a vector goes with a matrix as `.col()` (one value per row) or `.row()` (one value per column)"
)]
pub trait Combine<R> {
    /// What an arithmetic operation gives.
    type Output: Staged;
    /// What a comparison gives.
    type Mask: Staged;
    /// Both sides in the result's shape.
    #[doc(hidden)]
    #[track_caller]
    fn align(self, r: R) -> (ValueId, ValueId);
}

/// The value repeated along the axes of `dims` that `axes` leaves out.
#[track_caller]
pub(crate) fn spread(v: ValueId, elem: crate::ir::Elem, dims: &[usize], axes: &[u8]) -> ValueId {
    emit1(OpKind::Broadcast { axes: axes.to_vec() }, &[v], Type::Tile(TileType::new(elem, dims)))
}

#[diagnostic::do_not_recommend]
impl<T: Elem, S: Shape> Combine<Tile<T, S>> for Tile<T, S> {
    type Output = Tile<T, S>;
    type Mask = Tile<bool, S>;
    fn align(self, r: Self) -> (ValueId, ValueId) {
        (self.id(), r.id())
    }
}

#[diagnostic::do_not_recommend]
impl<T: Elem, S: BlockShape> Combine<Scalar<T>> for Tile<T, S> {
    type Output = Tile<T, S>;
    type Mask = Tile<bool, S>;
    #[track_caller]
    fn align(self, r: Scalar<T>) -> (ValueId, ValueId) {
        (self.id(), spread(r.id(), T::ELEM, S::DIMS, &[]))
    }
}

#[diagnostic::do_not_recommend]
impl<T: Elem, S: BlockShape> Combine<Tile<T, S>> for Scalar<T> {
    type Output = Tile<T, S>;
    type Mask = Tile<bool, S>;
    #[track_caller]
    fn align(self, r: Tile<T, S>) -> (ValueId, ValueId) {
        (spread(self.id(), T::ELEM, S::DIMS, &[]), r.id())
    }
}

#[diagnostic::do_not_recommend]
impl<T: Elem, S: Shape, L: Literal<T>> Combine<L> for Tile<T, S> {
    type Output = Tile<T, S>;
    type Mask = Tile<bool, S>;
    #[track_caller]
    fn align(self, r: L) -> (ValueId, ValueId) {
        (self.id(), constant::<T, S>(literal_const::<T, L>(r)))
    }
}

macro_rules! with_matrix {
    ($side:ident, $n:ident, $axis:literal) => {
        #[diagnostic::do_not_recommend]
        impl<T: Elem, const M: usize, const N: usize> Combine<$side<T, $n>> for Matrix<T, M, N> {
            type Output = Matrix<T, M, N>;
            type Mask = Matrix<bool, M, N>;
            #[track_caller]
            fn align(self, r: $side<T, $n>) -> (ValueId, ValueId) {
                (self.id(), spread(r.value(), T::ELEM, D2::<M, N>::DIMS, &[$axis]))
            }
        }
        #[diagnostic::do_not_recommend]
        impl<T: Elem, const M: usize, const N: usize> Combine<Matrix<T, M, N>> for $side<T, $n> {
            type Output = Matrix<T, M, N>;
            type Mask = Matrix<bool, M, N>;
            #[track_caller]
            fn align(self, r: Matrix<T, M, N>) -> (ValueId, ValueId) {
                (spread(self.value(), T::ELEM, D2::<M, N>::DIMS, &[$axis]), r.id())
            }
        }
        #[diagnostic::do_not_recommend]
        impl<T: Elem, const N: usize> Combine<Scalar<T>> for $side<T, N> {
            type Output = $side<T, N>;
            type Mask = $side<bool, N>;
            #[track_caller]
            fn align(self, r: Scalar<T>) -> (ValueId, ValueId) {
                (self.value(), spread(r.id(), T::ELEM, &[N], &[]))
            }
        }
        #[diagnostic::do_not_recommend]
        impl<T: Elem, const N: usize> Combine<$side<T, N>> for Scalar<T> {
            type Output = $side<T, N>;
            type Mask = $side<bool, N>;
            #[track_caller]
            fn align(self, r: $side<T, N>) -> (ValueId, ValueId) {
                (spread(self.id(), T::ELEM, &[N], &[]), r.value())
            }
        }
        #[diagnostic::do_not_recommend]
        impl<T: Elem, L: Literal<T>, const N: usize> Combine<L> for $side<T, N> {
            type Output = $side<T, N>;
            type Mask = $side<bool, N>;
            #[track_caller]
            fn align(self, r: L) -> (ValueId, ValueId) {
                (self.value(), constant::<T, D1<N>>(literal_const::<T, L>(r)))
            }
        }
        #[diagnostic::do_not_recommend]
        impl<T: Elem, const N: usize> Combine<$side<T, N>> for $side<T, N> {
            type Output = $side<T, N>;
            type Mask = $side<bool, N>;
            fn align(self, r: Self) -> (ValueId, ValueId) {
                (self.value(), r.value())
            }
        }
    };
}
with_matrix!(Col, M, 0);
with_matrix!(Row, N, 1);

#[diagnostic::do_not_recommend]
impl<T: Elem, const M: usize, const N: usize> Combine<Row<T, N>> for Col<T, M> {
    type Output = Matrix<T, M, N>;
    type Mask = Matrix<bool, M, N>;
    #[track_caller]
    fn align(self, r: Row<T, N>) -> (ValueId, ValueId) {
        let dims = D2::<M, N>::DIMS;
        (spread(self.value(), T::ELEM, dims, &[0]), spread(r.value(), T::ELEM, dims, &[1]))
    }
}

#[diagnostic::do_not_recommend]
impl<T: Elem, const M: usize, const N: usize> Combine<Col<T, M>> for Row<T, N> {
    type Output = Matrix<T, M, N>;
    type Mask = Matrix<bool, M, N>;
    #[track_caller]
    fn align(self, r: Col<T, M>) -> (ValueId, ValueId) {
        let dims = D2::<M, N>::DIMS;
        (spread(self.value(), T::ELEM, dims, &[1]), spread(r.value(), T::ELEM, dims, &[0]))
    }
}
