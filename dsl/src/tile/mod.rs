//! Tiles: staged values of one element type and a shape known to rustc.
//!
//! ```text
//! Tile<T, S> ── Scalar<T>   Vector<T, N>   Matrix<T, M, N>   Cube<T, A, B, C>
//!                              │
//!                              ├── .col() → Col<T, N>   broadcasts along rows     [ N ] → N × ?
//!                              └── .row() → Row<T, N>   broadcasts along columns  [ N ] → ? × N
//! ```
//! A tile is a `Copy` handle; the operations on it are recorded or executed by [`crate::stage`].

mod arithmetic;
mod combine;
mod dot;
mod make;
mod math;
mod mxfp4;
mod reduce;
mod reshape;
mod scan;
mod select;
mod sort;

pub use arithmetic::literal;
pub use combine::Combine;
pub(crate) use combine::spread;
pub use dot::{DotScale, DotWith, dot, dot_acc, dot_scaled, dot_with};
pub use make::{ToScalar, arange, literal_const};
pub use math::fma;
pub use reduce::Reduction;
pub use select::{Choice, MaskOf, fill_where, select};

use crate::elem::Elem;
use crate::ir::{OpKind, Type, UnaryOp, ValueId};
use crate::shape::{D0, D1, D2, D3, Shape};
use crate::stage::{emit1, tile_type};
use std::marker::PhantomData;

/// A staged value: elements of type `T` in the shape `S`.
///
/// A `Copy` handle. While a kernel is traced, operations on it are recorded; on the eager device they run. [`Scalar`], [`Vector`],
/// [`Matrix`] and [`Cube`] are its names by rank. Operands of arithmetic have one element type (convert with [`Tile::to`]) and one
/// shape; scalars and host values go with every shape, vectors with matrices as [`Col`] or [`Row`].
///
/// ```
/// use kcc_dsl::prelude::*;
///
/// /// Rows of 64 elements to mean 0 and variance 1. Grid: (blocks of 16 rows).
/// #[kernel]
/// fn standardise<T: Float>(x: &View<T, 2>, y: &mut View<T, 2>) {
///     let row = program_id(0) * 16;
///     let v = x.load::<16, 64>((row, 0)).to::<f32>();
///     let mean = v.sum_rows() / 64; // a vector: one value per row
///     let d = v - mean.col(); // its element `i` goes with row `i`
///     let variance = (d * d).sum_rows() / 64;
///     y.store((row, 0), (d * (variance + 1e-5).rsqrt().col()).to());
/// }
/// assert!(standardise::kernel::<bf16>().trace().is_ok());
/// ```
pub struct Tile<T, S> {
    id: ValueId,
    of: PhantomData<fn() -> (T, S)>,
}

impl<T, S> Clone for Tile<T, S> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T, S> Copy for Tile<T, S> {}

impl<T, S> Tile<T, S> {
    pub(crate) fn from_id(id: ValueId) -> Self {
        Tile { id, of: PhantomData }
    }
    pub(crate) fn id(self) -> ValueId {
        self.id
    }
}

impl<T: Elem, S: Shape> std::fmt::Debug for Tile<T, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "%{}: {}{:?}", self.id.0, T::ELEM, S::DIMS)
    }
}

/// One element: a number of the launch, `program_id(0)`, `x.dim(0)`, a whole reduction.
///
/// On `Scalar<bool>`, `if` and `while` become run-time control flow; up to a `Scalar<i32>`, `for` becomes a run-time loop. (On host
/// values all three run while the kernel is traced.)
///
/// ```
/// use kcc_dsl::prelude::*;
///
/// /// `y[i]`: how often `x[i]` can be halved. Grid: (elements).
/// #[kernel]
/// fn twos(x: &View<i32, 1>, y: &mut View<i32, 1>) {
///     let mut n: Scalar<i32> = x.get(program_id(0));
///     let mut count = Scalar::<i32>::zeros();
///     while n != 0 && n % 2 == 0 {
///         n = n / 2;
///         count += 1;
///     }
///     y.set(program_id(0), count);
/// }
/// assert!(twos::kernel().trace().is_ok());
/// ```
pub type Scalar<T> = Tile<T, D0>;
/// `N` elements. With a matrix it goes as [`Vector::col`] or [`Vector::row`].
pub type Vector<T, const N: usize> = Tile<T, D1<N>>;
/// `M` rows of `N` elements.
pub type Matrix<T, const M: usize, const N: usize> = Tile<T, D2<M, N>>;
/// `A` matrices of `B` rows of `C` elements.
pub type Cube<T, const A: usize, const B: usize, const C: usize> = Tile<T, D3<A, B, C>>;

macro_rules! oriented {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        pub struct $name<T, const N: usize>(Vector<T, N>);
        impl<T, const N: usize> Clone for $name<T, N> {
            fn clone(&self) -> Self {
                *self
            }
        }
        impl<T, const N: usize> Copy for $name<T, N> {}
        impl<T, const N: usize> $name<T, N> {
            pub(crate) fn new(v: Vector<T, N>) -> Self {
                $name(v)
            }
            /// The vector that was laid along an axis.
            pub fn vector(self) -> Vector<T, N> {
                self.0
            }
        }
        impl<T: Elem, const N: usize> $name<T, N> {
            /// Converts each element; see [`Tile::to`].
            #[track_caller]
            pub fn to<U: Elem>(self) -> $name<U, N> {
                $name(self.0.to())
            }
        }
        impl<T: Elem, const N: usize> Staged for $name<T, N> {
            fn value_type() -> Type {
                tile_type::<T, D1<N>>()
            }
            fn from_value(v: ValueId) -> Self {
                $name(Tile::from_id(v))
            }
            fn value(self) -> ValueId {
                self.0.id
            }
        }
    };
}
oriented!(
    /// A vector laid along the rows' axis: element `i` goes with row `i` of a matrix.
    Col
);
oriented!(
    /// A vector laid along the columns' axis: element `j` goes with column `j` of a matrix.
    Row
);

impl<T: Elem, const N: usize> Vector<T, N> {
    /// Lays the vector along the rows' axis: element `i` goes with row `i` of a matrix.
    pub fn col(self) -> Col<T, N> {
        Col(self)
    }
    /// Lays the vector along the columns' axis: element `j` goes with column `j` of a matrix.
    pub fn row(self) -> Row<T, N> {
        Row(self)
    }
}

/// A tile, or a vector laid along an axis.
#[doc(hidden)]
pub trait Staged: Copy {
    fn value_type() -> Type;
    fn from_value(v: ValueId) -> Self;
    fn value(self) -> ValueId;
}

impl<T: Elem, S: Shape> Staged for Tile<T, S> {
    fn value_type() -> Type {
        tile_type::<T, S>()
    }
    fn from_value(v: ValueId) -> Self {
        Tile::from_id(v)
    }
    fn value(self) -> ValueId {
        self.id
    }
}

/// An operation that keeps the type of its first operand.
#[track_caller]
pub(crate) fn same<V: Staged>(kind: OpKind, operands: &[ValueId]) -> V {
    V::from_value(emit1(kind, operands, V::value_type()))
}

#[track_caller]
pub(crate) fn unary<V: Staged>(op: UnaryOp, v: V) -> V {
    same(OpKind::Unary(op), &[v.value()])
}
