//! An owned tensor whose element type is known at run time only: what tools read from files.

use super::layout::{Layout, to_axes};
use super::{Memory, Tensor};
use crate::error::{Error, Result, ViewError};
use kcc_dsl::elem::Elem as Element;
use kcc_dsl::ir::Elem;

/// A row-major tensor of any element type.
pub struct DynTensor {
    pub(crate) elem: Elem,
    pub(crate) layout: Layout,
    pub(crate) memory: Memory,
    pub(crate) undefined: bool,
}

impl DynTensor {
    /// A tensor of zeros.
    ///
    /// # Errors
    /// As [`Tensor::zeros`].
    pub fn zeros(elem: Elem, dims: &[usize]) -> Result<DynTensor> {
        let layout = Layout::contiguous(&to_axes(dims))?;
        let memory = Memory::zeroed(layout.count() * elem.bytes())?;
        Ok(DynTensor { elem, layout, memory, undefined: false })
    }

    /// A tensor that counts as never written, for eager mode's check.
    ///
    /// # Errors
    /// As [`Tensor::zeros`].
    pub fn empty(elem: Elem, dims: &[usize]) -> Result<DynTensor> {
        Ok(DynTensor { undefined: true, ..DynTensor::zeros(elem, dims)? })
    }

    /// A copy of row-major elements given as bytes.
    ///
    /// # Errors
    /// As [`Tensor::zeros`]; another number of bytes than the dims need.
    pub fn from_bytes(elem: Elem, dims: &[usize], bytes: &[u8]) -> Result<DynTensor> {
        let mut t = DynTensor::zeros(elem, dims)?;
        if t.memory.len() != bytes.len() {
            return Err(Error::View(ViewError::TooSmall {
                dims: t.layout.dims.to_vec(),
                strides: t.layout.strides.to_vec(),
                needed: t.layout.count() as u64,
                given: bytes.len() / elem.bytes(),
            }));
        }
        t.memory.bytes_mut().copy_from_slice(bytes);
        Ok(t)
    }

    /// Element type.
    pub fn elem(&self) -> Elem {
        self.elem
    }

    /// Extent of each axis.
    pub fn dims(&self) -> Vec<usize> {
        self.layout.dims.iter().map(|&d| d as usize).collect()
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.layout.count()
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements' bytes, row-major.
    pub fn bytes(&self) -> &[u8] {
        self.memory.bytes()
    }

    /// The elements' bytes, row-major, to write.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.undefined = false;
        self.memory.bytes_mut()
    }

    /// The elements, if they are of this type.
    pub fn as_slice<T: Element>(&self) -> Option<&[T]> {
        // SAFETY: the memory holds `len` elements of the element type T::ELEM, aligned to 64 bytes.
        (T::ELEM == self.elem)
            .then(|| unsafe { std::slice::from_raw_parts(self.memory.as_ptr().cast(), self.len()) })
    }
}

impl Clone for DynTensor {
    /// A copy.
    ///
    /// # Panics
    /// If there is no memory for it.
    fn clone(&self) -> Self {
        let mut memory = Memory::zeroed(self.memory.len()).expect("memory for a copy of a tensor");
        memory.bytes_mut().copy_from_slice(self.memory.bytes());
        DynTensor { elem: self.elem, layout: self.layout.clone(), memory, undefined: self.undefined }
    }
}

impl<T: Element> From<&Tensor<T>> for DynTensor {
    /// A copy.
    ///
    /// # Panics
    /// If there is no memory for it.
    fn from(t: &Tensor<T>) -> Self {
        let copy = DynTensor::zeros(T::ELEM, &t.dims()).expect("memory for a copy of a tensor");
        // SAFETY: both hold `len` elements of size `T`; the copy is new.
        unsafe {
            std::ptr::copy_nonoverlapping(
                t.as_slice().as_ptr().cast(),
                copy.memory.as_ptr(),
                copy.memory.len(),
            )
        };
        copy
    }
}
