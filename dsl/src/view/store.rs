//! Writing blocks and rows.

use super::{Index, Offsets, View};
use crate::elem::Elem;
use crate::ir::{Cache, OpKind};
use crate::shape::{D1, D2, D3, Rank};
use crate::stage::emit;
use crate::tile::{Matrix, Scalar, Tile, Vector};

impl<T: Elem, const R: usize> View<T, R> {
    /// Writes the tile as the block that starts at `at`; elements outside the view are not written.
    #[track_caller]
    pub fn store<S: Rank<R>>(&mut self, at: impl Offsets<R>, tile: Tile<T, S>) {
        self.store_hint(at, tile, Cache::Default);
    }

    /// [`View::store`] with a cache hint.
    #[track_caller]
    pub fn store_hint<S: Rank<R>>(&mut self, at: impl Offsets<R>, tile: Tile<T, S>, cache: Cache) {
        let mut operands = vec![self.id()];
        operands.extend(at.offsets());
        operands.push(tile.id());
        emit(OpKind::Store { cache }, &operands, &[]);
    }
}

impl<T: Elem> View<T, 1> {
    /// Writes one element; nothing outside the view.
    #[track_caller]
    pub fn set(&mut self, at: impl Offsets<1>, v: Scalar<T>) {
        self.store(at, v.reshape::<D1<1>>());
    }
}

impl<T: Elem> View<T, 2> {
    /// Writes one element; nothing outside the view.
    #[track_caller]
    pub fn set(&mut self, at: impl Offsets<2>, v: Scalar<T>) {
        self.store(at, v.reshape::<D2<1, 1>>());
    }

    /// Writes the vector into one column, from `(row, col)` downwards; elements outside the view are not written.
    #[track_caller]
    pub fn store_col<const M: usize>(&mut self, at: impl Offsets<2>, v: Vector<T, M>) {
        self.store(at, v.reshape::<D2<M, 1>>());
    }

    /// Writes row `i` of the tile to columns `col..col + N` of row `rows[i]`; elements outside the view are not
    /// written. Two equal row numbers: one of the rows.
    #[track_caller]
    pub fn store_rows<const M: usize, const N: usize>(
        &mut self,
        rows: Vector<i32, M>,
        col: impl Index,
        tile: Matrix<T, M, N>,
    ) {
        let operands = [self.id(), rows.id(), col.staged().id(), tile.id()];
        emit(OpKind::StoreRows { cache: Cache::Default }, &operands, &[]);
    }
}

impl<T: Elem> View<T, 3> {
    /// Writes one element; nothing outside the view.
    #[track_caller]
    pub fn set(&mut self, at: impl Offsets<3>, v: Scalar<T>) {
        self.store(at, v.reshape::<D3<1, 1, 1>>());
    }
}
