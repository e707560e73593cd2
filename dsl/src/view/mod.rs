//! Views: windows on memory with run-time dims and strides. Tiles are read from and written to them in blocks.
//!
//! ```text
//! x: &View<T, R>       x.dim(i)   x.at((b, h)) → SubView (read)      x.load::<M, N>((row, col))
//! y: &mut View<T, R>              y.at_mut((b, h)) → SubViewMut      y.store((row, col), tile)
//! ```

mod atomic;
mod gather;
mod index;
mod load;
mod store;

pub use atomic::{
    AcqRel, Acquire, BlockScope, DeviceScope, MemoryOrder, Relaxed, Release, SystemScope, Visibility,
};
pub use index::{AxisIndex, Index, IndexTiles, Leading, Offsets};

use crate::elem::Elem;
use crate::ir::{OpKind, Type, ValueId};
use crate::shape::D0;
use crate::stage::fail::fail;
use crate::stage::{emit1, tile_type};
use crate::tile::Scalar;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

/// A window on memory: elements of type `T` along `R` axes.
///
/// A kernel reads through `&View` and writes through `&mut View` (which it may read, too). Dims and strides belong to the launch: a
/// transposed, sliced or broadcast tensor is a view like any other. Offsets and dims count elements. What lies outside a view reads as
/// zero, or as the padding that the load names, and is not written, so that the last block of an axis needs no special case.
///
/// ```
/// use kcc_dsl::prelude::*;
///
/// /// `y[b, i, j] = x[b, j, i]`. Grid: (row blocks of `y`, column blocks of `y`, batch).
/// #[kernel]
/// fn transpose<T: Elem>(x: &View<T, 3>, y: &mut View<T, 3>) {
///     let (row, col, b) = (program_id(0) * 32, program_id(1) * 32, program_id(2));
///     let block = x.at(b).load::<32, 32>((col, row));
///     y.at_mut(b).store((row, col), block.t());
/// }
/// assert!(transpose::kernel::<f16>().trace().is_ok());
/// ```
pub struct View<T, const R: usize> {
    id: ValueId,
    of: PhantomData<fn() -> T>,
}

impl<T, const R: usize> View<T, R> {
    pub(crate) fn from_id(id: ValueId) -> Self {
        View { id, of: PhantomData }
    }
    pub(crate) fn id(&self) -> ValueId {
        self.id
    }
}

impl<T: Elem, const R: usize> View<T, R> {
    pub(crate) fn view_type() -> Type {
        Type::View { elem: T::ELEM, rank: R }
    }

    /// Extent of axis `axis`, counted from 0.
    #[track_caller]
    pub fn dim(&self, axis: usize) -> Scalar<i32> {
        if axis >= R {
            fail(format!("a view of rank {R} has no axis {axis}"), "axes are counted from 0");
        }
        Scalar::from_id(emit1(OpKind::Dim(axis as u8), &[self.id], tile_type::<i32, D0>()))
    }

    /// The rest of the view at fixed leading indices, to read: `x.at((batch, head))`. An index outside the view
    /// gives an empty view.
    #[track_caller]
    pub fn at<I: Leading<T, R>>(&self, index: I) -> SubView<'_, I::Rest> {
        SubView { rest: index.fix(self.id), of: PhantomData }
    }

    /// The rest of the view at fixed leading indices, to read and write.
    #[track_caller]
    pub fn at_mut<I: Leading<T, R>>(&mut self, index: I) -> SubViewMut<'_, I::Rest> {
        SubViewMut { rest: index.fix(self.id), of: PhantomData }
    }
}

/// Part of a view, to read: what [`View::at`] gives.
pub struct SubView<'a, V> {
    rest: V,
    of: PhantomData<&'a V>,
}

impl<V> Deref for SubView<'_, V> {
    type Target = V;
    fn deref(&self) -> &V {
        &self.rest
    }
}

/// Part of a view, to read and write: what [`View::at_mut`] gives.
pub struct SubViewMut<'a, V> {
    rest: V,
    of: PhantomData<&'a mut V>,
}

impl<V> Deref for SubViewMut<'_, V> {
    type Target = V;
    fn deref(&self) -> &V {
        &self.rest
    }
}

impl<V> DerefMut for SubViewMut<'_, V> {
    fn deref_mut(&mut self) -> &mut V {
        &mut self.rest
    }
}
