//! Another arrangement of the same elements.

use super::{Col, Cube, Matrix, Row, Tile, Vector, same};
use crate::elem::Elem;
use crate::ir::OpKind;
use crate::shape::{BlockShape, D0, D1, D2, D3, Shape};
use crate::stage::{emit, emit1, tile_type};

impl<T: Elem, S: Shape> Tile<T, S> {
    /// The same elements in row-major order in another shape.
    #[track_caller]
    pub fn reshape<R: Shape>(self) -> Tile<T, R> {
        const { assert!(S::LEN == R::LEN, "`reshape` keeps the number of elements") }
        Tile::from_id(emit1(OpKind::Reshape, &[self.id()], tile_type::<T, R>()))
    }

    /// Repeats the tile: the last axes of `R` are the tile's, each of the same extent or of extent 1 in the tile.
    #[track_caller]
    pub fn broadcast_to<R: Shape>(self) -> Tile<T, R> {
        const { assert!(broadcasts(S::DIMS, R::DIMS), "`broadcast_to` keeps extents, or repeats an extent of 1") }
        let skipped = R::DIMS.len() - S::DIMS.len();
        let axes = (skipped..R::DIMS.len()).map(|a| a as u8).collect();
        Tile::from_id(emit1(OpKind::Broadcast { axes }, &[self.id()], tile_type::<T, R>()))
    }
}

const fn broadcasts(from: &[usize], to: &[usize]) -> bool {
    if from.len() > to.len() {
        return false;
    }
    let mut i = 0;
    while i < from.len() {
        let to = to[to.len() - from.len() + i];
        if from[i] != to && from[i] != 1 {
            return false;
        }
        i += 1;
    }
    true
}

impl<T: Elem, const N: usize> Vector<T, N> {
    /// A matrix of one row.
    #[track_caller]
    pub fn expand_row(self) -> Matrix<T, 1, N> {
        same(OpKind::Broadcast { axes: vec![1] }, &[self.id()])
    }
    /// A matrix of one column.
    #[track_caller]
    pub fn expand_col(self) -> Matrix<T, N, 1> {
        same(OpKind::Broadcast { axes: vec![0] }, &[self.id()])
    }
    /// The only element.
    #[track_caller]
    pub fn item(self) -> Tile<T, D0> {
        const { assert!(N == 1, "`item` needs a vector of one element") }
        same(OpKind::Reshape, &[self.id()])
    }
    /// `N` elements from `FROM` on, where `LEN` is how many.
    #[track_caller]
    pub fn slice<const FROM: usize, const LEN: usize>(self) -> Vector<T, LEN> {
        const { assert!(FROM + LEN <= N, "`slice` ends outside the tile") }
        same(OpKind::Slice { offsets: vec![FROM] }, &[self.id()])
    }
    /// This vector, then `o`. `R` is the sum of the lengths.
    #[track_caller]
    pub fn concat<const K: usize, const R: usize>(self, o: Vector<T, K>) -> Vector<T, R> {
        const { assert!(N + K == R, "`concat` adds the lengths") }
        same(OpKind::Concat { axis: 0 }, &[self.id(), o.id()])
    }
    /// Pairs: column 0 is this vector, column 1 is `o`.
    #[track_caller]
    pub fn join(self, o: Self) -> Matrix<T, N, 2> {
        same(OpKind::Join, &[self.id(), o.id()])
    }
}

impl<T: Elem, const M: usize> Col<T, M> {
    /// The vector as a matrix of `N` equal columns.
    #[track_caller]
    pub fn broadcast<const N: usize>(self) -> Matrix<T, M, N> {
        same(OpKind::Broadcast { axes: vec![0] }, &[self.vector().id()])
    }
}

impl<T: Elem, const N: usize> Row<T, N> {
    /// The vector as a matrix of `M` equal rows.
    #[track_caller]
    pub fn broadcast<const M: usize>(self) -> Matrix<T, M, N> {
        same(OpKind::Broadcast { axes: vec![1] }, &[self.vector().id()])
    }
}

impl<T: Elem, const M: usize, const N: usize> Matrix<T, M, N> {
    /// Rows and columns swapped.
    #[track_caller]
    pub fn t(self) -> Matrix<T, N, M> {
        same(OpKind::Transpose { perm: vec![1, 0] }, &[self.id()])
    }
    /// A cube of one matrix.
    #[track_caller]
    pub fn expand(self) -> Cube<T, 1, M, N> {
        same(OpKind::Broadcast { axes: vec![1, 2] }, &[self.id()])
    }
    /// The block of `H` rows and `W` columns that starts at row `ROW` and column `COL`.
    #[track_caller]
    pub fn slice<const ROW: usize, const COL: usize, const H: usize, const W: usize>(
        self,
    ) -> Matrix<T, H, W> {
        const { assert!(ROW + H <= M && COL + W <= N, "`slice` ends outside the tile") }
        same(OpKind::Slice { offsets: vec![ROW, COL] }, &[self.id()])
    }
    /// These rows, then the rows of `o`. `R` is the sum of the numbers of rows.
    #[track_caller]
    pub fn concat_rows<const K: usize, const R: usize>(self, o: Matrix<T, K, N>) -> Matrix<T, R, N> {
        const { assert!(M + K == R, "`concat_rows` adds the numbers of rows") }
        same(OpKind::Concat { axis: 0 }, &[self.id(), o.id()])
    }
    /// These columns, then the columns of `o`. `R` is the sum of the numbers of columns.
    #[track_caller]
    pub fn concat_cols<const K: usize, const R: usize>(self, o: Matrix<T, M, K>) -> Matrix<T, M, R> {
        const { assert!(N + K == R, "`concat_cols` adds the numbers of columns") }
        same(OpKind::Concat { axis: 1 }, &[self.id(), o.id()])
    }
    /// Pairs along a new last axis: index 0 is this matrix, index 1 is `o`.
    #[track_caller]
    pub fn join(self, o: Self) -> Cube<T, M, N, 2> {
        same(OpKind::Join, &[self.id(), o.id()])
    }
}

impl<T: Elem, const M: usize> Matrix<T, M, 2> {
    /// The two columns: the inverse of `join`.
    #[track_caller]
    pub fn split(self) -> (Vector<T, M>, Vector<T, M>) {
        let ids = emit(OpKind::Split, &[self.id()], &[tile_type::<T, D1<M>>(), tile_type::<T, D1<M>>()]);
        (Tile::from_id(ids[0]), Tile::from_id(ids[1]))
    }
}

impl<T: Elem, const A: usize, const B: usize> Cube<T, A, B, 2> {
    /// The two halves along the last axis: the inverse of `join`.
    #[track_caller]
    pub fn split(self) -> (Matrix<T, A, B>, Matrix<T, A, B>) {
        let ids =
            emit(OpKind::Split, &[self.id()], &[tile_type::<T, D2<A, B>>(), tile_type::<T, D2<A, B>>()]);
        (Tile::from_id(ids[0]), Tile::from_id(ids[1]))
    }
}

impl<T: Elem, const A: usize, const B: usize, const C: usize> Cube<T, A, B, C> {
    /// The last two axes swapped: each matrix transposed.
    #[track_caller]
    pub fn t(self) -> Cube<T, A, C, B> {
        same(OpKind::Transpose { perm: vec![0, 2, 1] }, &[self.id()])
    }
    /// The first two axes swapped.
    #[track_caller]
    pub fn swap_first(self) -> Cube<T, B, A, C> {
        same(OpKind::Transpose { perm: vec![1, 0, 2] }, &[self.id()])
    }
    /// The outer axes swapped.
    #[track_caller]
    pub fn swap_outer(self) -> Cube<T, C, B, A> {
        same(OpKind::Transpose { perm: vec![2, 1, 0] }, &[self.id()])
    }
    /// Matrix `i`, for a host index.
    #[track_caller]
    pub fn batch(self, i: usize) -> Matrix<T, B, C> {
        if i >= A {
            crate::stage::fail::fail(format!("matrix {i} of a cube of {A}"), "count from 0");
        }
        let slice = OpKind::Slice { offsets: vec![i, 0, 0] };
        let v = emit1(slice, &[self.id()], tile_type::<T, D3<1, B, C>>());
        same(OpKind::Reshape, &[v])
    }
    /// The block of `P` by `H` by `W` elements that starts at these offsets.
    #[track_caller]
    pub fn slice<const P: usize, const H: usize, const W: usize>(
        self,
        offsets: [usize; 3],
    ) -> Cube<T, P, H, W> {
        if offsets[0] + P > A || offsets[1] + H > B || offsets[2] + W > C {
            crate::stage::fail::fail(
                format!("a slice of {P}×{H}×{W} from {offsets:?} ends outside a cube of {A}×{B}×{C}"),
                "offsets plus extents must stay inside the tile",
            );
        }
        same(OpKind::Slice { offsets: offsets.to_vec() }, &[self.id()])
    }
}

impl<T: Elem, S: BlockShape> Tile<T, S> {
    /// The elements in row-major order. `N` is their number.
    #[track_caller]
    pub fn flatten<const N: usize>(self) -> Vector<T, N> {
        const { assert!(S::LEN == N, "`flatten` keeps the number of elements") }
        Tile::from_id(emit1(OpKind::Reshape, &[self.id()], tile_type::<T, D1<N>>()))
    }
}
