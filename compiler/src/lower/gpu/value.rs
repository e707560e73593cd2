//! What stands for a value of the GPU level in per-thread code.
//!
//! ```text
//! f16[…] with 4 registers    Regs  [f32, f32, f32, f32]      the form that arithmetic wants
//!                            Words [i32, i32]                two elements each, as loads, stores and products want them
//! ```

use super::Lower;
use crate::emit::{Emit, V};
use crate::error::{Error, bug};
use kcc_dsl::ir::{Elem, ValueId};

/// A stride of a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stride {
    /// 1.
    One,
    /// Elements, in `i32` if all offsets fit, else in `i64`.
    Elements(V),
}

/// A view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewVal {
    /// Address of element (0, …, 0).
    pub base: V,
    /// Extents (`i32`).
    pub dims: Vec<V>,
    /// Strides.
    pub strides: Vec<Stride>,
    /// Element type.
    pub elem: Elem,
    /// Whether byte offsets fit 32 bits.
    pub near: bool,
    /// The kernel parameter that it is a part of.
    pub param: usize,
}

/// Buffers in shared memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedVal {
    /// Address of the first buffer (address space 3).
    pub base: V,
}

/// What stands for a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Val {
    /// One value per register of the layout (one for a scalar), in register form.
    Regs(Vec<V>),
    /// Registers packed into `i32`, lowest first: two 16-bit elements or four bytes each.
    Words(Vec<V>),
    /// A view.
    View(ViewVal),
    /// Shared buffers.
    Shared(SharedVal),
    /// Address of barriers.
    Barriers(V),
}

/// Elements that a word holds; 1 for elements of 4 bytes and more.
pub fn per_word(elem: Elem) -> usize {
    (4 / elem.bytes()).max(1)
}

impl Emit {
    /// An element of a word, in memory form.
    pub(crate) fn unpack_word(&mut self, elem: Elem, word: V, index: usize) -> V {
        let elements = self.unpacked_word(word, Emit::mem(elem));
        self.extract(elements, index)
    }
}

impl Lower<'_> {
    /// A tile's registers, in register form.
    ///
    /// # Errors
    /// A bug: no tile.
    pub fn regs(&mut self, v: ValueId) -> Result<Vec<V>, Error> {
        match self.val(v)?.clone() {
            Val::Regs(r) => Ok(r),
            Val::Words(words) => {
                let elem = self.elem(v)?;
                let n = per_word(elem);
                let mut regs = Vec::with_capacity(words.len() * n);
                for w in words {
                    for i in 0..n {
                        let raw = self.e.unpack_word(elem, w, i);
                        regs.push(self.e.from_mem(raw, elem));
                    }
                }
                Ok(regs)
            }
            _ => Err(bug(format!("value {} is no tile", v.0))),
        }
    }

    /// A tile's registers packed into words; `None` if its elements do not fill whole words.
    ///
    /// # Errors
    /// A bug: no tile.
    pub fn words(&mut self, v: ValueId) -> Result<Option<Vec<V>>, Error> {
        let elem = self.elem(v)?;
        let n = per_word(elem);
        match self.val(v)?.clone() {
            Val::Words(w) => Ok(Some(w)),
            Val::Regs(r) if n > 1 && r.len().is_multiple_of(n) => {
                let mut words = Vec::with_capacity(r.len() / n);
                for group in r.chunks(n) {
                    words.push(self.pack(elem, group));
                }
                Ok(Some(words))
            }
            Val::Regs(_) => Ok(None),
            _ => Err(bug(format!("value {} is no tile", v.0))),
        }
    }

    /// Packs elements in register form into a word.
    pub fn pack(&mut self, elem: Elem, group: &[V]) -> V {
        if let Some(word) = self.e.hooks.pack(&mut self.e, elem, group) {
            return word;
        }
        // A bf16 in a register is the upper half of an f32 whose lower half is zero.
        if let (Elem::BF16, &[low, high]) = (elem, group) {
            return self.e.upper_halves(low, high);
        }
        let parts: Vec<V> = group.iter().map(|r| self.e.to_mem(*r, elem)).collect();
        self.e.word(&parts)
    }

    /// The value of a uniform scalar.
    ///
    /// # Errors
    /// A bug: no scalar.
    pub fn scalar(&mut self, v: ValueId) -> Result<V, Error> {
        self.regs(v)?.first().copied().ok_or_else(|| bug(format!("value {} is no scalar", v.0)))
    }

    /// Element type of a value.
    ///
    /// # Errors
    /// A bug: it has none.
    pub fn elem(&self, v: ValueId) -> Result<Elem, Error> {
        self.func.ty(v).elem().ok_or_else(|| bug(format!("value {} has no element type", v.0)))
    }

    /// A view.
    ///
    /// # Errors
    /// A bug: no view.
    pub fn view(&self, v: ValueId) -> Result<ViewVal, Error> {
        match self.val(v)? {
            Val::View(view) => Ok(view.clone()),
            _ => Err(bug(format!("value {} is no view", v.0))),
        }
    }

    /// Shared buffers.
    ///
    /// # Errors
    /// A bug: none.
    pub fn shared_val(&self, v: ValueId) -> Result<SharedVal, Error> {
        match self.val(v)? {
            Val::Shared(s) => Ok(*s),
            _ => Err(bug(format!("value {} is no shared memory", v.0))),
        }
    }
}
