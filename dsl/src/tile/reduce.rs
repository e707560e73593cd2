//! Reductions along an axis.
//!
//! ```text
//! Matrix M×N   sum_rows() → Vector M (one value per row)      sum_cols() → Vector N (one value per column)
//! Vector N     sum()      → Scalar
//! Cube A×B×C   sum_axis::<0>() → Matrix B×C,  ::<1>() → A×C,  ::<2>() → A×B
//! ```

use super::{Cube, Matrix, Scalar, Tile, Vector};
use crate::elem::{Bits, Elem, Num};
use crate::ir::{OpKind, ReduceOp, Type, ValueId};
use crate::shape::{D0, D1, D2, Shape};
use crate::stage::control::{fold, scalar_type};
use crate::stage::{emit1, tile_type};

/// A shape that loses axis `AXIS` in a reduction.
#[diagnostic::on_unimplemented(message = "this tile has no axis {AXIS}", label = "axes are counted from 0")]
pub trait Reduction<const AXIS: u8>: Shape {
    /// The shape without the axis.
    type Rest: Shape;
}
impl<const N: usize> Reduction<0> for D1<N> {
    type Rest = D0;
}
impl<const M: usize, const N: usize> Reduction<0> for D2<M, N> {
    type Rest = D1<N>;
}
impl<const M: usize, const N: usize> Reduction<1> for D2<M, N> {
    type Rest = D1<M>;
}
impl<const A: usize, const B: usize, const C: usize> Reduction<0> for crate::shape::D3<A, B, C> {
    type Rest = D2<B, C>;
}
impl<const A: usize, const B: usize, const C: usize> Reduction<1> for crate::shape::D3<A, B, C> {
    type Rest = D2<A, C>;
}
impl<const A: usize, const B: usize, const C: usize> Reduction<2> for crate::shape::D3<A, B, C> {
    type Rest = D2<A, B>;
}

#[track_caller]
fn reduce<const AXIS: u8, T: Elem, S: Reduction<AXIS>>(t: Tile<T, S>, op: ReduceOp) -> Tile<T, S::Rest> {
    Tile::from_id(emit1(OpKind::Reduce { axis: AXIS, op }, &[t.id()], tile_type::<T, S::Rest>()))
}

#[track_caller]
fn arg_reduce<const AXIS: u8, T: Elem, S: Reduction<AXIS>>(t: Tile<T, S>, max: bool) -> Tile<i32, S::Rest> {
    Tile::from_id(emit1(OpKind::ArgReduce { axis: AXIS, max }, &[t.id()], tile_type::<i32, S::Rest>()))
}

macro_rules! along {
    ($(#[$doc:meta])* $axis:literal [$($p:tt)*] $tile:ty => $sum:ident $prod:ident $max:ident $min:ident $argmax:ident $argmin:ident
        $rest:ty, $index:ty) => {
        $(#[$doc])*
        impl<T: Num, $($p)*> $tile {
            /// Sum. Floats are added in an order of the target's choice, in the tile's type.
            #[track_caller]
            pub fn $sum(self) -> $rest {
                reduce::<$axis, _, _>(self, ReduceOp::Sum)
            }
            /// Product.
            #[track_caller]
            pub fn $prod(self) -> $rest {
                reduce::<$axis, _, _>(self, ReduceOp::Prod)
            }
            /// Largest element; NaN loses, unless there is nothing else.
            #[track_caller]
            pub fn $max(self) -> $rest {
                reduce::<$axis, _, _>(self, ReduceOp::Max)
            }
            /// Smallest element; NaN loses, unless there is nothing else.
            #[track_caller]
            pub fn $min(self) -> $rest {
                reduce::<$axis, _, _>(self, ReduceOp::Min)
            }
            /// Index of the largest element; the lowest index wins a tie.
            #[track_caller]
            pub fn $argmax(self) -> $index {
                arg_reduce::<$axis, _, _>(self, true)
            }
            /// Index of the smallest element; the lowest index wins a tie.
            #[track_caller]
            pub fn $argmin(self) -> $index {
                arg_reduce::<$axis, _, _>(self, false)
            }
        }
    };
}
along!(
    /// Reductions along each row: one value per row.
    1 [const M: usize, const N: usize] Matrix<T, M, N> =>
    sum_rows prod_rows max_rows min_rows argmax_rows argmin_rows Vector<T, M>, Vector<i32, M>);
along!(
    /// Reductions along each column: one value per column.
    0 [const M: usize, const N: usize] Matrix<T, M, N> =>
    sum_cols prod_cols max_cols min_cols argmax_cols argmin_cols Vector<T, N>, Vector<i32, N>);
along!(
    /// Reductions of a vector.
    0 [const N: usize] Vector<T, N> =>
    sum prod reduce_max reduce_min argmax argmin Scalar<T>, Scalar<i32>);

/// Reductions along a numbered axis.
impl<T: Num, S: Shape> Tile<T, S> {
    /// Sum along an axis.
    #[track_caller]
    pub fn sum_axis<const AXIS: u8>(self) -> Tile<T, S::Rest>
    where
        S: Reduction<AXIS>,
    {
        reduce::<AXIS, _, _>(self, ReduceOp::Sum)
    }
    /// Product along an axis.
    #[track_caller]
    pub fn prod_axis<const AXIS: u8>(self) -> Tile<T, S::Rest>
    where
        S: Reduction<AXIS>,
    {
        reduce::<AXIS, _, _>(self, ReduceOp::Prod)
    }
    /// Largest element along an axis.
    #[track_caller]
    pub fn max_axis<const AXIS: u8>(self) -> Tile<T, S::Rest>
    where
        S: Reduction<AXIS>,
    {
        reduce::<AXIS, _, _>(self, ReduceOp::Max)
    }
    /// Smallest element along an axis.
    #[track_caller]
    pub fn min_axis<const AXIS: u8>(self) -> Tile<T, S::Rest>
    where
        S: Reduction<AXIS>,
    {
        reduce::<AXIS, _, _>(self, ReduceOp::Min)
    }
    /// Index of the largest element along an axis.
    #[track_caller]
    pub fn argmax_axis<const AXIS: u8>(self) -> Tile<i32, S::Rest>
    where
        S: Reduction<AXIS>,
    {
        arg_reduce::<AXIS, _, _>(self, true)
    }
    /// Index of the smallest element along an axis.
    #[track_caller]
    pub fn argmin_axis<const AXIS: u8>(self) -> Tile<i32, S::Rest>
    where
        S: Reduction<AXIS>,
    {
        arg_reduce::<AXIS, _, _>(self, false)
    }
}

/// Bitwise reductions along a numbered axis; of masks: all, any, parity.
impl<T: Bits, S: Shape> Tile<T, S> {
    /// Bitwise and along an axis.
    #[track_caller]
    pub fn and_axis<const AXIS: u8>(self) -> Tile<T, S::Rest>
    where
        S: Reduction<AXIS>,
    {
        reduce::<AXIS, _, _>(self, ReduceOp::And)
    }
    /// Bitwise or along an axis.
    #[track_caller]
    pub fn or_axis<const AXIS: u8>(self) -> Tile<T, S::Rest>
    where
        S: Reduction<AXIS>,
    {
        reduce::<AXIS, _, _>(self, ReduceOp::Or)
    }
    /// Bitwise exclusive or along an axis.
    #[track_caller]
    pub fn xor_axis<const AXIS: u8>(self) -> Tile<T, S::Rest>
    where
        S: Reduction<AXIS>,
    {
        reduce::<AXIS, _, _>(self, ReduceOp::Xor)
    }
}

impl<const N: usize> Vector<bool, N> {
    /// Whether an element holds.
    #[track_caller]
    pub fn any(self) -> Scalar<bool> {
        reduce::<0, _, _>(self, ReduceOp::Or)
    }
    /// Whether every element holds.
    #[track_caller]
    pub fn all(self) -> Scalar<bool> {
        reduce::<0, _, _>(self, ReduceOp::And)
    }
}

impl<const M: usize, const N: usize> Matrix<bool, M, N> {
    /// Whether an element holds.
    #[track_caller]
    pub fn any(self) -> Scalar<bool> {
        self.or_axis::<1>().any()
    }
    /// Whether every element holds.
    #[track_caller]
    pub fn all(self) -> Scalar<bool> {
        self.and_axis::<1>().all()
    }
}

impl<T: Num, const M: usize, const N: usize> Matrix<T, M, N> {
    /// Sum of all elements.
    #[track_caller]
    pub fn sum(self) -> Scalar<T> {
        self.sum_rows().sum()
    }
    /// Largest of all elements.
    #[track_caller]
    pub fn reduce_max(self) -> Scalar<T> {
        self.max_rows().reduce_max()
    }
    /// Smallest of all elements.
    #[track_caller]
    pub fn reduce_min(self) -> Scalar<T> {
        self.min_rows().reduce_min()
    }
}

impl<T: Elem, S: Shape> Tile<T, S> {
    /// Combines the elements along an axis with an associative closure of two scalars.
    #[track_caller]
    pub fn reduce_axis_with<const AXIS: u8>(
        self,
        f: impl FnMut(Scalar<T>, Scalar<T>) -> Scalar<T>,
    ) -> Tile<T, S::Rest>
    where
        S: Reduction<AXIS>,
    {
        let result = [tile_type::<T, S::Rest>()];
        let kind = OpKind::ReduceWith { axis: AXIS };
        let ids = fold(kind, &[self.id()], &result, &[scalar_type::<T>()], one(f));
        Tile::from_id(ids[0])
    }

    /// [`Tile::reduce_axis_with`] over pairs: element `i` of this tile with element `i` of `other`.
    #[track_caller]
    pub fn reduce_pairs_with<const AXIS: u8, U: Elem>(
        self,
        other: Tile<U, S>,
        f: impl FnMut((Scalar<T>, Scalar<U>), (Scalar<T>, Scalar<U>)) -> (Scalar<T>, Scalar<U>),
    ) -> (Tile<T, S::Rest>, Tile<U, S::Rest>)
    where
        S: Reduction<AXIS>,
    {
        let results: [Type; 2] = [tile_type::<T, S::Rest>(), tile_type::<U, S::Rest>()];
        let scalars = [scalar_type::<T>(), scalar_type::<U>()];
        let kind = OpKind::ReduceWith { axis: AXIS };
        let ids = fold(kind, &[self.id(), other.id()], &results, &scalars, two(f));
        (Tile::from_id(ids[0]), Tile::from_id(ids[1]))
    }
}

impl<T: Elem, const M: usize, const N: usize> Matrix<T, M, N> {
    /// Combines the elements of each row with an associative closure of two scalars.
    ///
    /// ```
    /// use kcc_dsl::prelude::*;
    ///
    /// #[kernel]
    /// fn largest_magnitude(x: &View<f32, 2>, y: &mut View<f32, 1>) {
    ///     let m = x.load::<8, 64>((0, 0));
    ///     y.store(0, m.reduce_rows_with(|a, b| select(a.abs() > b.abs(), a, b)));
    /// }
    /// assert!(largest_magnitude::kernel().trace().is_ok());
    /// ```
    #[track_caller]
    pub fn reduce_rows_with(self, f: impl FnMut(Scalar<T>, Scalar<T>) -> Scalar<T>) -> Vector<T, M> {
        self.reduce_axis_with::<1>(f)
    }
    /// Combines the elements of each column with an associative closure of two scalars.
    #[track_caller]
    pub fn reduce_cols_with(self, f: impl FnMut(Scalar<T>, Scalar<T>) -> Scalar<T>) -> Vector<T, N> {
        self.reduce_axis_with::<0>(f)
    }
}

impl<T: Elem, const N: usize> Vector<T, N> {
    /// Combines the elements with an associative closure of two scalars.
    #[track_caller]
    pub fn reduce_with(self, f: impl FnMut(Scalar<T>, Scalar<T>) -> Scalar<T>) -> Scalar<T> {
        self.reduce_axis_with::<0>(f)
    }
}

impl<T: Num, const A: usize, const B: usize, const C: usize> Cube<T, A, B, C> {
    /// Sum of each matrix's rows: [`Tile::sum_axis`] along the last axis.
    #[track_caller]
    pub fn sum_last(self) -> Matrix<T, A, B> {
        self.sum_axis::<2>()
    }
}

/// A closure over tiles as one over values.
pub(super) fn one<T: Elem>(
    mut f: impl FnMut(Scalar<T>, Scalar<T>) -> Scalar<T>,
) -> impl FnMut(&[ValueId]) -> Vec<ValueId> {
    move |v| vec![f(Tile::from_id(v[0]), Tile::from_id(v[1])).id()]
}

/// A closure over pairs of tiles as one over values.
pub(super) fn two<T: Elem, U: Elem>(
    mut f: impl FnMut((Scalar<T>, Scalar<U>), (Scalar<T>, Scalar<U>)) -> (Scalar<T>, Scalar<U>),
) -> impl FnMut(&[ValueId]) -> Vec<ValueId> {
    move |v| {
        let acc = (Tile::from_id(v[0]), Tile::from_id(v[1]));
        let (a, b) = f(acc, (Tile::from_id(v[2]), Tile::from_id(v[3])));
        vec![a.id(), b.id()]
    }
}
