//! Shapes of tiles as types: the extents are const generics, so that rustc checks them.

use crate::elem::Sealed;

/// A tile's shape: [`D0`] to [`D3`].
pub trait Shape: Copy + Sealed + 'static {
    /// Extent of each axis.
    const DIMS: &'static [usize];
    /// Number of elements.
    const LEN: usize = {
        let (mut n, mut i) = (1, 0);
        while i < Self::DIMS.len() {
            n *= Self::DIMS[i];
            i += 1;
        }
        n
    };
}

/// The shape of a block: rank 1 to 3.
#[diagnostic::on_unimplemented(
    message = "this needs a block of rank 1 to 3, not a scalar",
    label = "a scalar has no axes"
)]
pub trait BlockShape: Shape {}

/// A shape of rank `R`.
#[diagnostic::on_unimplemented(
    message = "a view of rank {R} is read and written by tiles of rank {R}",
    label = "this tile has another rank",
    note = "fix leading axes with `.at((i,))`, or reshape the tile"
)]
pub trait Rank<const R: usize>: Shape {}

/// The shape of a scalar.
#[derive(Clone, Copy, Debug)]
pub struct D0;
/// The shape of a vector of `N` elements.
#[derive(Clone, Copy, Debug)]
pub struct D1<const N: usize>;
/// The shape of a matrix of `M` rows and `N` columns.
#[derive(Clone, Copy, Debug)]
pub struct D2<const M: usize, const N: usize>;
/// The shape of a cube: `A` matrices of `B` rows and `C` columns.
#[derive(Clone, Copy, Debug)]
pub struct D3<const A: usize, const B: usize, const C: usize>;

impl Sealed for D0 {}
impl<const N: usize> Sealed for D1<N> {}
impl<const M: usize, const N: usize> Sealed for D2<M, N> {}
impl<const A: usize, const B: usize, const C: usize> Sealed for D3<A, B, C> {}

impl Shape for D0 {
    const DIMS: &'static [usize] = &[];
}
impl<const N: usize> Shape for D1<N> {
    const DIMS: &'static [usize] = &[N];
}
impl<const M: usize, const N: usize> Shape for D2<M, N> {
    const DIMS: &'static [usize] = &[M, N];
}
impl<const A: usize, const B: usize, const C: usize> Shape for D3<A, B, C> {
    const DIMS: &'static [usize] = &[A, B, C];
}

#[diagnostic::do_not_recommend]
impl<const N: usize> BlockShape for D1<N> {}
#[diagnostic::do_not_recommend]
impl<const M: usize, const N: usize> BlockShape for D2<M, N> {}
#[diagnostic::do_not_recommend]
impl<const A: usize, const B: usize, const C: usize> BlockShape for D3<A, B, C> {}

#[diagnostic::do_not_recommend]
impl<const N: usize> Rank<1> for D1<N> {}
#[diagnostic::do_not_recommend]
impl<const M: usize, const N: usize> Rank<2> for D2<M, N> {}
#[diagnostic::do_not_recommend]
impl<const A: usize, const B: usize, const C: usize> Rank<3> for D3<A, B, C> {}
