//! Sorting, the largest elements, and counting.

use super::{Cube, Matrix, Tile, Vector};
use crate::elem::Num;
use crate::ir::OpKind;
use crate::shape::{BlockShape, D1};
use crate::stage::{emit, emit1, tile_type};

impl<T: Num, S: BlockShape> Tile<T, S> {
    /// Sorted along the last axis, smallest first, and the index of each element. Stable; NaN last.
    #[track_caller]
    pub fn sort(self) -> (Self, Tile<i32, S>) {
        sorted(self, false)
    }
    /// Sorted along the last axis, largest first, and the index of each element. Stable; NaN last.
    #[track_caller]
    pub fn sort_descending(self) -> (Self, Tile<i32, S>) {
        sorted(self, true)
    }
}

#[track_caller]
fn sorted<T: Num, S: BlockShape>(t: Tile<T, S>, descending: bool) -> (Tile<T, S>, Tile<i32, S>) {
    let results = [tile_type::<T, S>(), tile_type::<i32, S>()];
    let ids = emit(OpKind::Sort { descending }, &[t.id()], &results);
    (Tile::from_id(ids[0]), Tile::from_id(ids[1]))
}

#[track_caller]
fn largest<T: Num, S: BlockShape, R: BlockShape>(t: Tile<T, S>, k: usize) -> (Tile<T, R>, Tile<i32, R>) {
    let ids = emit(OpKind::TopK { k }, &[t.id()], &[tile_type::<T, R>(), tile_type::<i32, R>()]);
    (Tile::from_id(ids[0]), Tile::from_id(ids[1]))
}

impl<T: Num, const N: usize> Vector<T, N> {
    /// The `K` largest elements, largest first, and their indices; ties by lower index.
    #[track_caller]
    pub fn top_k<const K: usize>(self) -> (Vector<T, K>, Vector<i32, K>) {
        const { assert!(K <= N, "`top_k` asks for more elements than there are") }
        largest(self, K)
    }
}

impl<T: Num, const M: usize, const N: usize> Matrix<T, M, N> {
    /// The `K` largest elements of each row, largest first, and their indices; ties by lower index.
    #[track_caller]
    pub fn top_k<const K: usize>(self) -> (Matrix<T, M, K>, Matrix<i32, M, K>) {
        const { assert!(K <= N, "`top_k` asks for more elements than there are") }
        largest(self, K)
    }
}

impl<T: Num, const A: usize, const M: usize, const N: usize> Cube<T, A, M, N> {
    /// The `K` largest elements of each matrix's rows, largest first, and their indices; ties by lower index.
    #[track_caller]
    pub fn top_k<const K: usize>(self) -> (Cube<T, A, M, K>, Cube<i32, A, M, K>) {
        const { assert!(K <= N, "`top_k` asks for more elements than there are") }
        largest(self, K)
    }
}

impl<const N: usize> Vector<i32, N> {
    /// How often each of 0, 1, …, BINS-1 occurs.
    #[track_caller]
    pub fn histogram<const BINS: usize>(self) -> Vector<i32, BINS> {
        Tile::from_id(emit1(OpKind::Histogram { bins: BINS }, &[self.id()], tile_type::<i32, D1<BINS>>()))
    }
}
