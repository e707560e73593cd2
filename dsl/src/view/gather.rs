//! Reading and writing elements at computed indices.

use super::{IndexTiles, View};
use crate::elem::Elem;
use crate::ir::OpKind;
use crate::shape::Shape;
use crate::stage::{emit, emit1, tile_type};
use crate::tile::{Choice, MaskOf, Tile};

impl<T: Elem, const R: usize> View<T, R> {
    /// One element per index; `other` (a tile or a host value) where the mask does not hold or the index is outside the view.
    /// `index` is a tile of `i32` for each axis, or a scalar where all elements share it; for an area, `(rows.col(), cols.row())`.
    ///
    /// ```
    /// use kcc_dsl::prelude::*;
    ///
    /// #[kernel]
    /// fn diagonal(x: &View<f32, 2>, y: &mut View<f32, 1>) {
    ///     let i = program_id(0) * 64 + arange::<64>();
    ///     y.store(program_id(0) * 64, x.gather((i, i), i < x.dim(0), 0.0));
    /// }
    /// assert!(diagonal::kernel().trace().is_ok());
    ///
    /// /// Rows of one head from `[tokens, heads, 64]`.
    /// #[kernel]
    /// fn head(x: &View<f32, 3>, rows: &View<i32, 1>, h: Scalar<i32>, y: &mut View<f32, 2>) {
    ///     y.store((0, 0), x.gather((rows.load::<8>(0).col(), h, arange::<64>().row()), true, 0.0));
    /// }
    /// assert!(head::kernel().trace().is_ok());
    /// ```
    #[track_caller]
    pub fn gather<S: Shape>(
        &self,
        index: impl IndexTiles<R, S>,
        mask: impl MaskOf<S>,
        other: impl Choice<T, S>,
    ) -> Tile<T, S> {
        let mut operands = vec![self.id()];
        operands.extend(index.indices());
        operands.extend([mask.mask(), other.choice()]);
        Tile::from_id(emit1(OpKind::Gather, &operands, tile_type::<T, S>()))
    }

    /// Writes one element per index (as for [`View::gather`]) where the mask holds and the index is inside the view. Two equal indices: one of
    /// the values.
    #[track_caller]
    pub fn scatter<S: Shape>(
        &mut self,
        index: impl IndexTiles<R, S>,
        mask: impl MaskOf<S>,
        value: impl Choice<T, S>,
    ) {
        let mut operands = vec![self.id()];
        operands.extend(index.indices());
        operands.extend([mask.mask(), value.choice()]);
        emit(OpKind::Scatter, &operands, &[]);
    }
}
