//! An owned tensor of known element type, row-major.

use super::layout::{Layout, to_axes};
use super::{Axes, Memory, TensorView, TensorViewMut};
use crate::error::{Error, Result, ViewError};
use kcc_dsl::elem::Elem;
use std::marker::PhantomData;

/// A row-major tensor in host memory, 64-byte aligned; from 2 MiB on huge pages where the system has them.
///
/// ```
/// use kcc_runtime::Tensor;
/// let mut x = Tensor::from_slice(&[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0], &[2, 3])?;
/// x.as_mut_slice()[0] = 7.0;
/// assert_eq!(x.view().t().to_vec(), [7.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
/// # Ok::<(), kcc_runtime::Error>(())
/// ```
pub struct Tensor<T> {
    memory: Memory,
    layout: Layout,
    undefined: bool,
    element: PhantomData<T>,
}

impl<T: Elem> Tensor<T> {
    /// A tensor of zeros.
    ///
    /// # Errors
    /// Dims whose product does not fit, more than [`super::MAX_RANK`] axes, no memory.
    pub fn zeros(dims: &[usize]) -> Result<Tensor<T>> {
        let layout = Layout::contiguous(&to_axes(dims))?;
        let bytes = layout.count() * size_of::<T>();
        Ok(Tensor { memory: Memory::zeroed(bytes)?, layout, undefined: false, element: PhantomData })
    }

    /// A tensor that counts as never written: eager mode reports a read of it before a write. (It holds zeros.)
    ///
    /// # Errors
    /// As [`Tensor::zeros`].
    pub fn empty(dims: &[usize]) -> Result<Tensor<T>> {
        Ok(Tensor { undefined: true, ..Tensor::zeros(dims)? })
    }

    /// A tensor with every element `value`.
    ///
    /// # Errors
    /// As [`Tensor::zeros`].
    pub fn full(dims: &[usize], value: T) -> Result<Tensor<T>> {
        let mut t = Tensor::zeros(dims)?;
        t.as_mut_slice().fill(value);
        Ok(t)
    }

    /// A copy of row-major elements.
    ///
    /// # Errors
    /// As [`Tensor::zeros`]; a slice of another length than the dims have elements.
    pub fn from_slice(elements: &[T], dims: &[usize]) -> Result<Tensor<T>> {
        let mut t = Tensor::zeros(dims)?;
        if t.len() != elements.len() {
            return Err(Error::View(ViewError::Count {
                from: vec![elements.len() as i64],
                to: t.layout.dims.to_vec(),
                from_count: elements.len() as u64,
                to_count: t.len() as u64,
            }));
        }
        t.as_mut_slice().copy_from_slice(elements);
        Ok(t)
    }

    /// A tensor whose element `i`, counted in row-major order, is `f(i)`.
    ///
    /// # Errors
    /// As [`Tensor::zeros`].
    pub fn from_fn(dims: &[usize], f: impl FnMut(usize) -> T) -> Result<Tensor<T>> {
        let mut t = Tensor::zeros(dims)?;
        let elements = (0..t.len()).map(f);
        t.as_mut_slice().iter_mut().zip(elements).for_each(|(e, v)| *e = v);
        Ok(t)
    }

    /// Extent of each axis.
    pub fn dims(&self) -> Vec<usize> {
        self.layout.dims.iter().map(|&d| d as usize).collect()
    }

    /// Extent of one axis; 0 if there is no such axis.
    pub fn dim(&self, axis: usize) -> usize {
        self.layout.dims.get(axis).map_or(0, |&d| d as usize)
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
        self.len() == 0
    }

    /// The elements, row-major.
    pub fn as_slice(&self) -> &[T] {
        // SAFETY: the memory holds `len` elements of T, aligned to 64 bytes, initialised (zero is a value of every
        // element type), owned by self.
        unsafe { std::slice::from_raw_parts(self.memory.as_ptr().cast(), self.len()) }
    }

    /// The elements, row-major, to write. From here on the tensor counts as written.
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        self.undefined = false;
        // SAFETY: as in `as_slice`, and self is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.memory.as_ptr().cast(), self.len()) }
    }

    /// A copy of the elements, row-major.
    pub fn to_vec(&self) -> Vec<T> {
        self.as_slice().to_vec()
    }

    /// The same memory under other dims.
    ///
    /// # Errors
    /// Dims with another number of elements.
    pub fn reshaped(mut self, dims: &[usize]) -> Result<Tensor<T>> {
        self.layout = self.layout.reshape(&to_axes(dims))?;
        Ok(self)
    }

    /// Converts every element.
    ///
    /// # Errors
    /// No memory.
    pub fn map<U: Elem>(&self, mut f: impl FnMut(T) -> U) -> Result<Tensor<U>> {
        let from = self.as_slice();
        Tensor::from_fn(&self.dims(), |i| f(from[i]))
    }

    /// A view of the whole tensor.
    pub fn view(&self) -> TensorView<'_, T> {
        TensorView::over(self.memory.as_ptr().cast(), self.layout.clone(), self.undefined)
    }

    /// A mutable view of the whole tensor. From here on the tensor counts as written.
    pub fn view_mut(&mut self) -> TensorViewMut<'_, T> {
        let undefined = std::mem::take(&mut self.undefined);
        TensorViewMut::over(self.memory.as_ptr().cast(), self.layout.clone(), undefined)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.memory.bytes()
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        self.undefined = false;
        self.memory.bytes_mut()
    }

    pub(crate) fn axes(&self) -> &Axes {
        &self.layout.dims
    }
}

impl<T: Elem> std::fmt::Debug for Tensor<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = &self.as_slice()[..self.len().min(16)];
        let more = if shown.len() < self.len() { ", …" } else { "" };
        write!(f, "Tensor<{}>{:?} {shown:?}{more}", T::ELEM, self.axes().as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_of_the_wrong_length_is_refused_with_both_counts() {
        let e = Tensor::from_slice(&[1.0f32; 5], &[2, 3]).unwrap_err();
        assert_eq!(e.to_string(), "dims [2, 3] have 6 elements, [5] have 5");
    }

    #[test]
    fn empty_dims_and_rank_zero_are_tensors() {
        let t = Tensor::<f32>::zeros(&[4, 0, 3]).unwrap();
        assert!(t.is_empty() && t.as_slice().is_empty());
        let s = Tensor::full(&[], 3i32).unwrap();
        assert_eq!((s.len(), s.rank(), s.as_slice()), (1, 0, &[3][..]));
    }

    #[test]
    fn dims_beyond_the_address_space_are_refused() {
        assert!(matches!(Tensor::<f32>::zeros(&[usize::MAX, 2]), Err(Error::View(ViewError::Dims { .. }))));
        assert!(matches!(Tensor::<f32>::zeros(&[1 << 40, 1 << 10]), Err(Error::OutOfMemory { .. })));
    }
}
