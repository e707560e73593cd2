//! Reading blocks and rows.

use super::{Index, Offsets, View};
use crate::elem::{Elem, Literal};
use crate::ir::{Cache, Const, OpKind};
use crate::shape::{D0, D1, D2, D3, Rank};
use crate::stage::{emit1, tile_type};
use crate::tile::{Cube, Matrix, Scalar, Tile, Vector, literal_const};

impl<T: Elem, const R: usize> View<T, R> {
    #[track_caller]
    fn read<S: Rank<R>>(&self, at: impl Offsets<R>, padding: Const, cache: Cache) -> Tile<T, S> {
        let mut operands = vec![self.id()];
        operands.extend(at.offsets());
        Tile::from_id(emit1(OpKind::Load { padding, cache }, &operands, tile_type::<T, S>()))
    }

    /// The block that starts at `at`, in the shape that its use asks for; elements outside the view read as zero.
    #[track_caller]
    pub fn load_tile<S: Rank<R>>(&self, at: impl Offsets<R>) -> Tile<T, S> {
        self.read(at, zero::<T>(), Cache::Default)
    }

    /// [`View::load_tile`] with a padding and a cache hint.
    #[track_caller]
    pub fn load_tile_with<S: Rank<R>>(
        &self,
        at: impl Offsets<R>,
        padding: impl Literal<T>,
        cache: Cache,
    ) -> Tile<T, S> {
        self.read(at, literal_const(padding), cache)
    }
}

fn zero<T: Elem>() -> Const {
    T::from_bits64(0).to_const()
}

impl<T: Elem> View<T, 1> {
    /// `N` elements from `at` on; elements outside the view read as zero.
    #[track_caller]
    pub fn load<const N: usize>(&self, at: impl Offsets<1>) -> Vector<T, N> {
        self.read(at, zero::<T>(), Cache::Default)
    }
    /// `N` elements from `at` on; elements outside the view read as `padding`.
    #[track_caller]
    pub fn load_or<const N: usize>(&self, at: impl Offsets<1>, padding: impl Literal<T>) -> Vector<T, N> {
        self.read(at, literal_const(padding), Cache::Default)
    }
    /// [`View::load`] with a cache hint.
    #[track_caller]
    pub fn load_hint<const N: usize>(&self, at: impl Offsets<1>, cache: Cache) -> Vector<T, N> {
        self.read(at, zero::<T>(), cache)
    }
    /// The element at `at`; zero outside the view.
    #[track_caller]
    pub fn get(&self, at: impl Offsets<1>) -> Scalar<T> {
        self.read::<D1<1>>(at, zero::<T>(), Cache::Default).reshape::<D0>()
    }
}

impl<T: Elem> View<T, 2> {
    /// The block of `M` rows and `N` columns that starts at `(row, col)`; elements outside the view read as zero.
    #[track_caller]
    pub fn load<const M: usize, const N: usize>(&self, at: impl Offsets<2>) -> Matrix<T, M, N> {
        self.read(at, zero::<T>(), Cache::Default)
    }
    /// The block of `M` rows and `N` columns that starts at `(row, col)`; elements outside the view read as `padding`.
    #[track_caller]
    pub fn load_or<const M: usize, const N: usize>(
        &self,
        at: impl Offsets<2>,
        padding: impl Literal<T>,
    ) -> Matrix<T, M, N> {
        self.read(at, literal_const(padding), Cache::Default)
    }
    /// [`View::load`] with a cache hint.
    #[track_caller]
    pub fn load_hint<const M: usize, const N: usize>(
        &self,
        at: impl Offsets<2>,
        cache: Cache,
    ) -> Matrix<T, M, N> {
        self.read(at, zero::<T>(), cache)
    }
    /// `M` elements of one column, from `(row, col)` downwards; elements outside the view read as zero. (A row is
    /// `x.at(row).load::<N>(col)`.)
    #[track_caller]
    pub fn load_col<const M: usize>(&self, at: impl Offsets<2>) -> Vector<T, M> {
        self.read::<D2<M, 1>>(at, zero::<T>(), Cache::Default).reshape::<D1<M>>()
    }
    /// The element at `(row, col)`; zero outside the view.
    #[track_caller]
    pub fn get(&self, at: impl Offsets<2>) -> Scalar<T> {
        self.read::<D2<1, 1>>(at, zero::<T>(), Cache::Default).reshape::<D0>()
    }

    /// Row `i` of the result is columns `col..col + N` of row `rows[i]`; elements outside the view read as zero.
    #[track_caller]
    pub fn load_rows<const M: usize, const N: usize>(
        &self,
        rows: Vector<i32, M>,
        col: impl Index,
    ) -> Matrix<T, M, N> {
        self.read_rows(rows, col, zero::<T>(), Cache::Default)
    }
    /// [`View::load_rows`] with another value for elements outside the view.
    #[track_caller]
    pub fn load_rows_or<const M: usize, const N: usize>(
        &self,
        rows: Vector<i32, M>,
        col: impl Index,
        padding: impl Literal<T>,
    ) -> Matrix<T, M, N> {
        self.read_rows(rows, col, literal_const(padding), Cache::Default)
    }

    #[track_caller]
    fn read_rows<const M: usize, const N: usize>(
        &self,
        rows: Vector<i32, M>,
        col: impl Index,
        padding: Const,
        cache: Cache,
    ) -> Matrix<T, M, N> {
        let operands = [self.id(), rows.id(), col.staged().id()];
        Tile::from_id(emit1(OpKind::LoadRows { padding, cache }, &operands, tile_type::<T, D2<M, N>>()))
    }
}

impl<T: Elem> View<T, 3> {
    /// The block of `A` by `B` by `C` elements that starts at `at`; elements outside the view read as zero.
    #[track_caller]
    pub fn load<const A: usize, const B: usize, const C: usize>(
        &self,
        at: impl Offsets<3>,
    ) -> Cube<T, A, B, C> {
        self.read(at, zero::<T>(), Cache::Default)
    }
    /// The block of `A` by `B` by `C` elements that starts at `at`; elements outside the view read as `padding`.
    #[track_caller]
    pub fn load_or<const A: usize, const B: usize, const C: usize>(
        &self,
        at: impl Offsets<3>,
        padding: impl Literal<T>,
    ) -> Cube<T, A, B, C> {
        self.read(at, literal_const(padding), Cache::Default)
    }
    /// [`View::load`] with a cache hint.
    #[track_caller]
    pub fn load_hint<const A: usize, const B: usize, const C: usize>(
        &self,
        at: impl Offsets<3>,
        cache: Cache,
    ) -> Cube<T, A, B, C> {
        self.read(at, zero::<T>(), cache)
    }
    /// The element at `at`; zero outside the view.
    #[track_caller]
    pub fn get(&self, at: impl Offsets<3>) -> Scalar<T> {
        self.read::<D3<1, 1, 1>>(at, zero::<T>(), Cache::Default).reshape::<D0>()
    }
}
