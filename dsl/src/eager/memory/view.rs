//! Launch arguments, and views: windows on a buffer by dims and strides.

use super::outside;
use crate::eager::error::Fault;
use crate::ir::Elem;
use std::rc::Rc;

/// An argument of a launch.
#[derive(Clone, Debug, PartialEq)]
pub enum EagerArg {
    /// A view of one of the launch's buffers.
    View {
        /// Which buffer.
        buffer: usize,
        /// Element of the buffer at index (0, …, 0).
        offset: i64,
        /// Extent of each axis, in elements; none may be negative.
        dims: Vec<i64>,
        /// Step of each axis, in elements; may be 0 or negative.
        strides: Vec<i64>,
        /// Whether the kernel may write through it.
        mutable: bool,
    },
    /// A scalar, by its bits in the low bytes.
    Scalar(u64),
}

impl EagerArg {
    /// A row-major view of a whole buffer.
    pub fn dense(buffer: usize, dims: &[i64], mutable: bool) -> EagerArg {
        let mut strides = vec![1i64; dims.len()];
        for i in (1..dims.len()).rev() {
            strides[i - 1] = strides[i].wrapping_mul(dims[i]);
        }
        EagerArg::View { buffer, offset: 0, dims: dims.to_vec(), strides, mutable }
    }

    /// An `f32` scalar.
    pub fn f32(x: f32) -> EagerArg {
        EagerArg::Scalar(x.to_bits().into())
    }

    /// An integer scalar of any width.
    pub fn int(x: i64) -> EagerArg {
        EagerArg::Scalar(x as u64)
    }
}

/// A window on a buffer.
#[derive(Clone, Debug)]
pub struct ViewRef {
    /// The parameter it came from.
    pub(in crate::eager) name: Rc<str>,
    pub(in crate::eager) buffer: usize,
    pub(in crate::eager) elem: Elem,
    pub(in crate::eager) mutable: bool,
    pub(in crate::eager) offset: i64,
    pub(in crate::eager) dims: Vec<i64>,
    pub(in crate::eager) strides: Vec<i64>,
    /// Leading indices that `at` fixed, for messages.
    pub(in crate::eager) fixed: Vec<i64>,
    /// An index given to `at` was outside: no element is inside, not even of rank 0.
    pub(in crate::eager) empty: bool,
}

impl ViewRef {
    /// The view with its first axes fixed; an index outside makes it empty.
    pub(in crate::eager) fn at(&self, index: &[i64]) -> Result<ViewRef, Fault> {
        let k = index.len();
        let (Some(dims), Some(strides)) = (self.dims.get(k..), self.strides.get(k..)) else {
            return Err(Fault::from(format!("`at` fixes {k} axes of {}", self.dims.len())));
        };
        let inside = index.iter().zip(&self.dims).all(|(&i, &d)| 0 <= i && i < d);
        let mut v = ViewRef { dims: dims.to_vec(), strides: strides.to_vec(), ..self.clone() };
        v.fixed.extend(index);
        if inside && !self.empty {
            let offset = self.linear(index).and_then(|o| i64::try_from(o).ok());
            v.offset = offset.ok_or_else(|| outside(self, index, 0))?;
        } else {
            v.empty = true;
            v.dims.fill(0);
        }
        Ok(v)
    }

    /// Whether an index is inside the view.
    pub(super) fn contains(&self, index: &[i64]) -> bool {
        !self.empty && index.iter().zip(&self.dims).all(|(&i, &d)| 0 <= i && i < d)
    }

    /// Place of an element in the buffer; `None` if the index is outside the view. Errors: inside the view, but
    /// before the buffer's start or beyond what can be addressed (the buffer's end is checked on access).
    pub(super) fn place(&self, index: &[i64]) -> Result<Option<usize>, Fault> {
        if !self.contains(index) {
            return Ok(None);
        }
        match self.linear(index).and_then(|o| usize::try_from(o).ok()) {
            Some(place) => Ok(Some(place)),
            None => Err(outside(self, index, 0)),
        }
    }

    fn linear(&self, index: &[i64]) -> Option<i128> {
        index
            .iter()
            .zip(&self.strides)
            .try_fold(i128::from(self.offset), |o, (&i, &s)| o.checked_add(i128::from(i) * i128::from(s)))
    }

    /// `element [i, j] of `x``, with the indices that `at` fixed.
    pub(super) fn element(&self, index: &[i64]) -> String {
        let all: Vec<String> = self.fixed.iter().chain(index).map(i64::to_string).collect();
        format!("element [{}] of `{}`", all.join(", "), self.name)
    }
}
