//! Matrix products.

use super::{Cube, Matrix, Tile, same};
use crate::elem::{DotElem, F8E4M3, F8E5M2, Num};
use crate::ir::{Const, OpKind, Precision, ScaledFormat, ValueId};
use crate::shape::{D2, D3, Shape};
use crate::stage::constant;

/// Pairs of tiles that `dot` multiplies, and the accumulator that goes with them.
#[diagnostic::on_unimplemented(
    message = "`dot` cannot multiply `{Self}` by `{B}`",
    label = "the shapes do not fit",
    note = "`dot` multiplies M by K with K by N (or, with one leading axis more, a batch of them) of one element type; `.t()` swaps the last two axes"
)]
pub trait DotWith<B> {
    /// M by N, in f32 for floats and i32 for i8.
    type Acc: DotAcc;
    #[doc(hidden)]
    fn operands(self, b: B) -> [ValueId; 2];
}

/// An accumulator of `dot`.
#[doc(hidden)]
pub trait DotAcc: super::Staged {
    #[track_caller]
    fn zero() -> Self;
}

impl<T: Num, S: Shape> DotAcc for Tile<T, S> {
    #[track_caller]
    fn zero() -> Self {
        let zero = if T::ELEM.is_float() { Const::float(0.0) } else { Const::Int(0) };
        Tile::from_id(constant::<T, S>(zero))
    }
}

impl<T: DotElem, const M: usize, const K: usize, const N: usize> DotWith<Matrix<T, K, N>>
    for Matrix<T, M, K>
{
    type Acc = Tile<T::Acc, D2<M, N>>;
    fn operands(self, b: Matrix<T, K, N>) -> [ValueId; 2] {
        [self.id(), b.id()]
    }
}

impl<T: DotElem, const A: usize, const M: usize, const K: usize, const N: usize> DotWith<Cube<T, A, K, N>>
    for Cube<T, A, M, K>
{
    type Acc = Tile<T::Acc, D3<A, M, N>>;
    fn operands(self, b: Cube<T, A, K, N>) -> [ValueId; 2] {
        [self.id(), b.id()]
    }
}

/// `a · b`: M by K times K by N. Floats are summed in f32, i8 in i32. With cubes, matrix by matrix.
#[track_caller]
pub fn dot<A: DotWith<B>, B>(a: A, b: B) -> A::Acc {
    dot_with(a, b, A::Acc::zero(), Precision::Full)
}

/// `acc + a · b`.
///
/// ```
/// use kcc_dsl::prelude::*;
///
/// /// Grid: (row blocks, column blocks).
/// #[kernel]
/// fn matmul<T: Float, const M: usize, const N: usize>(a: &View<T, 2>, b: &View<T, 2>, c: &mut View<T, 2>) {
///     let (row, col) = (program_id(0) * M, program_id(1) * N);
///     let mut acc = Matrix::<f32, M, N>::zeros();
///     for k in (0..a.dim(1)).step_by(64) {
///         acc = dot_acc(a.load::<M, 64>((row, k)), b.load::<64, N>((k, col)), acc);
///     }
///     c.store((row, col), acc.to());
/// }
/// assert!(matmul::kernel::<bf16, 64, 128>().trace().is_ok());
/// ```
#[track_caller]
pub fn dot_acc<A: DotWith<B>, B>(a: A, b: B, acc: A::Acc) -> A::Acc {
    dot_with(a, b, acc, Precision::Full)
}

/// `acc + a · b`; `precision` says how f32 operands may be multiplied.
#[track_caller]
pub fn dot_with<A: DotWith<B>, B>(a: A, b: B, acc: A::Acc, precision: Precision) -> A::Acc {
    let [x, y] = a.operands(b);
    same(OpKind::Dot { precision }, &[x, y, super::Staged::value(acc)])
}

/// An 8-bit float whose blocks of 32 share a scale.
pub trait DotScale: DotElem {
    #[doc(hidden)]
    const FORMAT: ScaledFormat;
}
impl DotScale for F8E4M3 {
    const FORMAT: ScaledFormat = ScaledFormat::F8E4M3;
}
impl DotScale for F8E5M2 {
    const FORMAT: ScaledFormat = ScaledFormat::F8E5M2;
}

/// `acc + (a × scale_a) · (b × scale_b)`: block-scaled 8-bit floats. A scale is `2^(s - 127)` (255: NaN) and covers 32
/// elements along K, so `KS` is `K / 32`.
#[track_caller]
pub fn dot_scaled<
    TA: DotScale,
    TB: DotScale,
    const M: usize,
    const K: usize,
    const N: usize,
    const KS: usize,
>(
    a: Matrix<TA, M, K>,
    scale_a: Matrix<u8, M, KS>,
    b: Matrix<TB, K, N>,
    scale_b: Matrix<u8, KS, N>,
    acc: Matrix<f32, M, N>,
) -> Matrix<f32, M, N> {
    const { assert!(KS * 32 == K, "`dot_scaled` takes one scale per 32 elements along K") }
    let (a, b) = (a.bitcast::<u8>(), b.bitcast::<u8>());
    let kind = OpKind::DotScaled { a: TA::FORMAT, b: TB::FORMAT };
    same(kind, &[a.id(), scale_a.id(), b.id(), scale_b.id(), acc.id()])
}
