//! Borrowed windows on elements, with dims and strides.

use super::Kept;
use super::layout::{Layout, to_axes};
use crate::error::ViewError;
use kcc_dsl::elem::Elem;
use std::marker::PhantomData;
use std::ops::{Bound, RangeBounds};

/// A read-only window on elements. Strides count elements and may be 0 (broadcast) or negative.
///
/// ```
/// use kcc_runtime::Tensor;
/// let x = Tensor::from_fn(&[2, 3], |i| i as i32)?;
/// assert_eq!(x.view().t().slice(0, 1..)?.to_vec(), [1, 4, 2, 5]);
/// assert_eq!(x.view().index(0, 1)?.flip(0)?.to_vec(), [5, 4, 3]);
/// assert_eq!(x.view().slice(1, ..1)?.broadcast(&[2, 2])?.strides(), [3, 0]);
/// # Ok::<(), kcc_runtime::Error>(())
/// ```
#[derive(Clone)]
pub struct TensorView<'a, T> {
    ptr: *const T,
    layout: Layout,
    undefined: bool,
    memory: Borrowed<'a, T>,
}

/// The borrow of a read-only view, and what launches may keep of the memory if it never changes.
#[derive(Clone)]
struct Borrowed<'a, T> {
    kept: Option<&'a Kept>,
    memory: PhantomData<&'a [T]>,
}

impl<T> Default for Borrowed<'_, T> {
    fn default() -> Self {
        Borrowed { kept: None, memory: PhantomData }
    }
}

/// A window on elements that may be written. No two indices name one element.
pub struct TensorViewMut<'a, T> {
    ptr: *mut T,
    layout: Layout,
    undefined: bool,
    memory: PhantomData<&'a mut [T]>,
}

// SAFETY: a view is a shared borrow of elements that are Send + Sync.
unsafe impl<T: Elem> Send for TensorView<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Elem> Sync for TensorView<'_, T> {}
// SAFETY: a mutable view is an exclusive borrow of elements that are Send + Sync.
unsafe impl<T: Elem> Send for TensorViewMut<'_, T> {}
// SAFETY: as above; writing needs `&mut` on the view.
unsafe impl<T: Elem> Sync for TensorViewMut<'_, T> {}

/// The start of a view inside a buffer, checked: every element lies in it.
fn place(layout: &Layout, offset: usize, len: usize) -> Result<usize, ViewError> {
    let (low, high) = layout.reach();
    let (low, high) = (low + offset as i128, high + offset as i128);
    if low < 0 || high >= len as i128 || offset > len {
        return Err(ViewError::TooSmall {
            dims: layout.dims.to_vec(),
            strides: layout.strides.to_vec(),
            needed: if low < 0 { (-low) as u64 + len as u64 } else { (high + 1) as u64 },
            given: len,
        });
    }
    Ok(offset)
}

/// First element of a range, and the one behind its last, along an axis of this extent.
fn ends(range: &impl RangeBounds<usize>, extent: Option<i64>) -> (usize, usize) {
    let start = match range.start_bound() {
        Bound::Included(&a) => a,
        Bound::Excluded(&a) => a.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(&b) => b.saturating_add(1),
        Bound::Excluded(&b) => b,
        Bound::Unbounded => extent.and_then(|e| usize::try_from(e).ok()).unwrap_or(0),
    };
    (start, end)
}

fn check_ptr<T: Elem>(ptr: *const T) -> Result<(), ViewError> {
    if ptr.is_null() {
        return Err(ViewError::Null);
    }
    if !ptr.is_aligned() {
        return Err(ViewError::Unaligned { address: ptr as usize, elem: T::ELEM });
    }
    Ok(())
}

macro_rules! shared {
    ($name:ident, $ptr:ident, $raw:ty) => {
        impl<'a, T: Elem> $name<'a, T> {
            pub(crate) fn over($ptr: $raw, layout: Layout, undefined: bool) -> Self {
                $name { ptr: $ptr, layout, undefined, memory: Default::default() }
            }

            fn moved(self, layout: Layout, offset: i64) -> Self {
                // SAFETY: offsets come from `Layout`, which keeps them inside the view's own elements.
                let ptr = unsafe { self.ptr.offset(offset as isize) };
                $name { ptr, layout, ..self }
            }

            /// Extent of each axis.
            pub fn dims(&self) -> Vec<usize> {
                self.layout.dims.iter().map(|&d| d as usize).collect()
            }

            /// Extent of one axis; 0 if there is no such axis.
            pub fn dim(&self, axis: usize) -> usize {
                self.layout.dims.get(axis).map_or(0, |&d| d as usize)
            }

            /// Stride of each axis, in elements.
            pub fn strides(&self) -> &[i64] {
                &self.layout.strides
            }

            /// Number of axes.
            pub fn rank(&self) -> usize {
                self.layout.rank()
            }

            /// Number of elements.
            pub fn len(&self) -> usize {
                self.layout.count()
            }

            /// Whether there is no element.
            pub fn is_empty(&self) -> bool {
                self.layout.is_empty()
            }

            /// Whether the elements lie row-major without gaps.
            pub fn is_contiguous(&self) -> bool {
                self.layout.is_contiguous()
            }

            /// Address of element (0, …, 0).
            pub fn as_ptr(&self) -> $raw {
                self.ptr
            }

            /// Elements `range` of an axis: `2..5`, `2..`, `..=4`.
            ///
            /// # Errors
            /// No such axis, or a range that leaves it.
            pub fn slice(self, axis: usize, range: impl RangeBounds<usize>) -> Result<Self, ViewError> {
                let (start, end) = ends(&range, self.layout.dims.get(axis).copied());
                let (layout, offset) = self.layout.slice(axis, start, end)?;
                Ok(self.moved(layout, offset))
            }

            /// An axis from its end to its start.
            ///
            /// # Errors
            /// No such axis.
            pub fn flip(self, axis: usize) -> Result<Self, ViewError> {
                let (layout, offset) = self.layout.flip(axis)?;
                Ok(self.moved(layout, offset))
            }

            /// One index of an axis; the axis goes away.
            ///
            /// # Errors
            /// No such axis, or an index outside it.
            pub fn index(self, axis: usize, at: usize) -> Result<Self, ViewError> {
                let (layout, offset) = self.layout.index(axis, at)?;
                Ok(self.moved(layout, offset))
            }

            /// Axis `i` of the result is axis `axes[i]`.
            ///
            /// # Errors
            /// Not a permutation of the axes.
            pub fn permute(self, axes: &[usize]) -> Result<Self, ViewError> {
                let layout = self.layout.permute(axes)?;
                Ok(self.moved(layout, 0))
            }

            /// Swaps the last two axes (a view of rank 0 or 1 stays as it is).
            pub fn t(mut self) -> Self {
                let rank = self.rank();
                if rank >= 2 {
                    self.layout.dims.swap(rank - 2, rank - 1);
                    self.layout.strides.swap(rank - 2, rank - 1);
                }
                self
            }

            /// The same elements, in row-major order, under other dims.
            ///
            /// # Errors
            /// Another number of elements, or strides that would need a copy.
            pub fn reshape(self, dims: &[usize]) -> Result<Self, ViewError> {
                let layout = self.layout.reshape(&to_axes(dims))?;
                Ok(self.moved(layout, 0))
            }

            /// A copy of the elements, row-major.
            pub fn to_vec(&self) -> Vec<T> {
                let mut v = Vec::with_capacity(self.len());
                self.layout.for_each(|o| {
                    // SAFETY: `for_each` yields offsets of the view's own elements.
                    v.push(unsafe { *self.ptr.offset(o as isize) })
                });
                v
            }

            pub(crate) fn layout(&self) -> &Layout {
                &self.layout
            }

            pub(crate) fn undefined(&self) -> bool {
                self.undefined
            }
        }

        impl<T: Elem> std::fmt::Debug for $name<'_, T> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let (d, s) = (self.layout.dims.as_slice(), self.layout.strides.as_slice());
                write!(f, concat!(stringify!($name), "<{}>{:?} strides {:?}"), T::ELEM, d, s)
            }
        }
    };
}
shared!(TensorView, ptr, *const T);
shared!(TensorViewMut, ptr, *mut T);

impl<'a, T: Elem> TensorView<'a, T> {
    /// A row-major view of a slice.
    ///
    /// # Errors
    /// A slice shorter than the dims need.
    pub fn from_slice(elements: &'a [T], dims: &[usize]) -> Result<Self, ViewError> {
        let layout = Layout::contiguous(&to_axes(dims))?;
        place(&layout, 0, elements.len())?;
        Ok(TensorView::over(elements.as_ptr(), layout, false))
    }

    /// A view of a slice with any strides; element (0, …, 0) is `elements[offset]`.
    ///
    /// # Errors
    /// A slice that does not hold every element.
    pub fn from_slice_strided(
        elements: &'a [T],
        offset: usize,
        dims: &[usize],
        strides: &[i64],
    ) -> Result<Self, ViewError> {
        let layout = Layout::strided(&to_axes(dims), strides)?;
        let at = place(&layout, offset, elements.len())?;
        Ok(TensorView::over(elements[at..].as_ptr(), layout, false))
    }

    /// A view of memory that somebody else owns.
    ///
    /// # Safety
    /// Every element that dims and strides (in elements) name must be readable and unchanged for `'a`.
    ///
    /// # Errors
    /// A null or unaligned pointer, impossible dims.
    pub unsafe fn from_raw(ptr: *const T, dims: &[usize], strides: &[i64]) -> Result<Self, ViewError> {
        check_ptr(ptr)?;
        Ok(TensorView::over(ptr, Layout::strided(&to_axes(dims), strides)?, false))
    }

    /// The same view, of memory that never changes.
    pub(crate) fn keeping(self, kept: &'a Kept) -> Self {
        TensorView { memory: Borrowed { kept: Some(kept), ..self.memory }, ..self }
    }

    /// What launches may keep of the memory.
    pub(crate) fn kept(&self) -> Option<&'a Kept> {
        self.memory.kept
    }

    /// Repeats axes of extent 1, and new leading axes, up to `dims`.
    ///
    /// # Errors
    /// Dims that do not broadcast.
    pub fn broadcast(self, dims: &[usize]) -> Result<Self, ViewError> {
        let layout = self.layout.broadcast(&to_axes(dims))?;
        Ok(self.moved(layout, 0))
    }
}

impl<'a, T: Elem> TensorViewMut<'a, T> {
    fn checked(layout: Layout) -> Result<Layout, ViewError> {
        if layout.is_injective() {
            return Ok(layout);
        }
        Err(ViewError::Overlap { dims: layout.dims.to_vec(), strides: layout.strides.to_vec() })
    }

    /// A row-major view of a slice.
    ///
    /// # Errors
    /// A slice shorter than the dims need.
    pub fn from_slice(elements: &'a mut [T], dims: &[usize]) -> Result<Self, ViewError> {
        let layout = Layout::contiguous(&to_axes(dims))?;
        place(&layout, 0, elements.len())?;
        Ok(TensorViewMut::over(elements.as_mut_ptr(), layout, false))
    }

    /// A view of a slice with any strides; element (0, …, 0) is `elements[offset]`.
    ///
    /// # Errors
    /// A slice that does not hold every element; strides under which two indices name one element.
    pub fn from_slice_strided(
        elements: &'a mut [T],
        offset: usize,
        dims: &[usize],
        strides: &[i64],
    ) -> Result<Self, ViewError> {
        let layout = Self::checked(Layout::strided(&to_axes(dims), strides)?)?;
        let at = place(&layout, offset, elements.len())?;
        // SAFETY: `place` found `at` within the slice (or one past its end).
        let ptr = unsafe { elements.as_mut_ptr().add(at) };
        Ok(TensorViewMut::over(ptr, layout, false))
    }

    /// A view of memory that somebody else owns.
    ///
    /// # Safety
    /// Every element that dims and strides (in elements) name must be readable and writable, and reached through this
    /// view only, for `'a`.
    ///
    /// # Errors
    /// A null or unaligned pointer, impossible dims, strides under which two indices name one element.
    pub unsafe fn from_raw(ptr: *mut T, dims: &[usize], strides: &[i64]) -> Result<Self, ViewError> {
        check_ptr(ptr)?;
        Ok(TensorViewMut::over(ptr, Self::checked(Layout::strided(&to_axes(dims), strides)?)?, false))
    }

    /// A shorter borrow of the same view.
    pub fn reborrow(&mut self) -> TensorViewMut<'_, T> {
        TensorViewMut::over(self.ptr, self.layout.clone(), self.undefined)
    }

    /// The same elements, read-only.
    pub fn as_view(&self) -> TensorView<'_, T> {
        TensorView::over(self.ptr, self.layout.clone(), self.undefined)
    }

    /// Two views that share nothing: elements before and from `at` on an axis.
    ///
    /// # Errors
    /// No such axis, or an index beyond its end.
    pub fn split_at(self, axis: usize, at: usize) -> Result<(Self, Self), ViewError> {
        let (first, a) = self.layout.slice(axis, 0, at)?;
        let (second, b) = self.layout.slice(axis, at, self.dim(axis))?;
        let twin = TensorViewMut::over(self.ptr, self.layout.clone(), self.undefined);
        Ok((self.moved(first, a), twin.moved(second, b)))
    }

    /// Copies row-major elements into the view.
    ///
    /// # Errors
    /// Another number of elements than the view has.
    pub fn copy_from_slice(&mut self, elements: &[T]) -> Result<(), ViewError> {
        if elements.len() != self.len() {
            return Err(ViewError::Count {
                from: vec![elements.len() as i64],
                to: self.layout.dims.to_vec(),
                from_count: elements.len() as u64,
                to_count: self.len() as u64,
            });
        }
        let mut next = elements.iter();
        let ptr = self.ptr;
        self.layout.for_each(|o| {
            if let Some(&v) = next.next() {
                // SAFETY: `for_each` yields offsets of the view's own elements; self is borrowed mutably.
                unsafe { *ptr.offset(o as isize) = v }
            }
        });
        Ok(())
    }
}

impl<'a, T: Elem> From<TensorViewMut<'a, T>> for TensorView<'a, T> {
    fn from(v: TensorViewMut<'a, T>) -> Self {
        TensorView::over(v.ptr, v.layout, v.undefined)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_run_backwards_and_ranges_have_any_form() {
        let x: Vec<i32> = (0..6).collect();
        let view = || TensorView::from_slice(&x, &[2, 3]).unwrap();
        assert_eq!(view().flip(1).unwrap().to_vec(), [2, 1, 0, 5, 4, 3]);
        assert_eq!(view().flip(0).unwrap().flip(1).unwrap().to_vec(), [5, 4, 3, 2, 1, 0]);
        assert_eq!(view().slice(1, 3..).unwrap().flip(1).unwrap().to_vec(), [0; 0]);
        assert_eq!(view().slice(1, ..=1).unwrap().to_vec(), [0, 1, 3, 4]);
        assert_eq!(view().slice(0, ..).unwrap().to_vec(), x);
        assert!(view().flip(2).is_err());
        assert!(view().slice(1, ..=3).is_err());
        assert!(view().slice(0, 1..=usize::MAX).is_err());
        assert!(view().slice(2, ..).is_err());
    }

    #[test]
    fn a_buffer_that_is_too_small_is_refused_with_the_need() {
        let e = TensorView::from_slice(&[0.0f32; 5], &[2, 3]).unwrap_err();
        assert_eq!(e.to_string(), "dims [2, 3] with strides [3, 1] need 6 elements, the buffer has 5");
        assert!(TensorView::from_slice_strided(&[0i32; 6], 3, &[2, 2], &[2, 1]).is_err());
        assert!(TensorView::from_slice_strided(&[0i32; 6], 1, &[3], &[-1]).is_err());
        assert_eq!(TensorView::from_slice_strided(&[1, 2, 3], 2, &[3], &[-1]).unwrap().to_vec(), [3, 2, 1]);
    }

    #[test]
    fn null_and_unaligned_pointers_are_refused() {
        // SAFETY: both calls fail before anything is read.
        unsafe {
            assert_eq!(
                TensorView::<f32>::from_raw(std::ptr::null(), &[1], &[1]).unwrap_err(),
                ViewError::Null
            );
            let e =
                TensorViewMut::<f32>::from_raw(std::ptr::without_provenance_mut(6), &[1], &[1]).unwrap_err();
            assert!(matches!(e, ViewError::Unaligned { address: 6, .. }));
        }
    }

    #[test]
    fn a_mutable_view_names_no_element_twice() {
        let mut data = [0.0f32; 16];
        for (dims, strides) in [(&[2usize, 4][..], &[0i64, 1][..]), (&[4, 4], &[2, 1]), (&[2], &[0])] {
            let e = TensorViewMut::from_slice_strided(&mut data, 0, dims, strides).unwrap_err();
            assert!(matches!(e, ViewError::Overlap { .. }), "{dims:?} {strides:?}");
        }
        assert!(TensorViewMut::from_slice_strided(&mut data, 0, &[4, 4], &[1, 4]).is_ok());
        assert!(TensorViewMut::from_slice_strided(&mut data, 0, &[1, 4], &[0, 1]).is_ok());
    }

    #[test]
    fn views_compose() {
        let data: Vec<i32> = (0..24).collect();
        let v = TensorView::from_slice(&data, &[2, 3, 4]).unwrap();
        assert_eq!(
            v.clone().index(0, 1).unwrap().t().slice(0, 1..3).unwrap().to_vec(),
            [13, 17, 21, 14, 18, 22]
        );
        assert_eq!(v.clone().index(2, 3).unwrap().to_vec(), [3, 7, 11, 15, 19, 23]);
        assert_eq!(v.clone().slice(1, 2..2).unwrap().len(), 0);
        assert!(v.clone().slice(1, 2..4).is_err() && v.clone().index(3, 0).is_err());
        let row = TensorView::from_slice(&data[..2], &[2, 1]).unwrap();
        assert_eq!(row.broadcast(&[2, 2, 3]).unwrap().to_vec(), [0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1]);
    }

    #[test]
    fn writes_go_through_strides() {
        let mut data = [0i32; 6];
        let v = TensorViewMut::from_slice(&mut data, &[2, 3]).unwrap();
        let (mut left, mut right) = v.split_at(1, 1).unwrap();
        left.copy_from_slice(&[1, 2]).unwrap();
        right.copy_from_slice(&[3, 4, 5, 6]).unwrap();
        assert!(right.copy_from_slice(&[1]).is_err());
        assert_eq!(data, [1, 3, 4, 2, 5, 6]);
    }
}
