//! A buffer: bytes, which elements were ever written, and which program of this launch wrote each.

use crate::eager::round::{self, Lane};
use crate::ir::Elem;

/// Who wrote an element in this launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Writer {
    pub program: u32,
    pub atomic: bool,
}

/// Memory that eager mode reads and writes.
#[derive(Clone, Debug)]
pub struct EagerBuffer {
    elem: Elem,
    bytes: Vec<u8>,
    /// One flag per element; `None`: all are written.
    written: Option<Vec<bool>>,
    /// Per element `2 * (program + 1) + atomic`, or 0; empty until the first write of a launch.
    writers: Vec<u32>,
}

impl EagerBuffer {
    /// `len` elements that nobody has written; reading one is an error until a kernel writes it.
    pub fn uninitialized(elem: Elem, len: usize) -> EagerBuffer {
        EagerBuffer {
            elem,
            bytes: vec![0; len.saturating_mul(elem.bytes())],
            written: Some(vec![false; len]),
            writers: Vec::new(),
        }
    }

    /// `len` elements of zero.
    pub fn zeros(elem: Elem, len: usize) -> EagerBuffer {
        EagerBuffer::from_bytes(elem, vec![0; len.saturating_mul(elem.bytes())])
    }

    /// A buffer of these bytes (little-endian elements); bytes after the last whole element are kept, but no
    /// view reaches them.
    pub fn from_bytes(elem: Elem, bytes: Vec<u8>) -> EagerBuffer {
        EagerBuffer { elem, bytes, written: None, writers: Vec::new() }
    }

    /// A float buffer; each element is rounded to `elem`.
    pub fn from_f32(elem: Elem, values: &[f32]) -> EagerBuffer {
        let mut b = EagerBuffer::zeros(elem, values.len());
        for (to, &x) in b.bytes.chunks_exact_mut(elem.bytes()).zip(values) {
            let lane = if elem.is_float() { Lane::Float(round::round(elem, x)) } else { Lane::Int(x as i64) };
            round::write(elem, lane, to);
        }
        b
    }

    /// An integer buffer; each element is wrapped to `elem`.
    pub fn from_i64(elem: Elem, values: &[i64]) -> EagerBuffer {
        let mut b = EagerBuffer::zeros(elem, values.len());
        for (to, &x) in b.bytes.chunks_exact_mut(elem.bytes()).zip(values) {
            let lane = if elem.is_float() { Lane::Float(round::round_int(elem, x)) } else { Lane::Int(x) };
            round::write(elem, lane, to);
        }
        b
    }

    /// The elements as `f32`, whatever their type (wide integers are rounded).
    pub fn to_f32(&self) -> Vec<f32> {
        self.lanes()
            .map(|l| match l {
                Lane::Float(x) => x,
                Lane::Int(x) => x as f32,
                Lane::Bool(x) => x.into(),
            })
            .collect()
    }

    /// The elements as `i64`, whatever their type (floats are truncated).
    pub fn to_i64(&self) -> Vec<i64> {
        self.lanes()
            .map(|l| match l {
                Lane::Float(x) => x as i64,
                Lane::Int(x) => x,
                Lane::Bool(x) => x.into(),
            })
            .collect()
    }

    fn lanes(&self) -> impl Iterator<Item = Lane> {
        self.bytes.chunks_exact(self.elem.bytes()).filter_map(|b| round::read(self.elem, b))
    }

    /// Element type.
    pub fn elem(&self) -> Elem {
        self.elem
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.bytes.len() / self.elem.bytes()
    }

    /// Whether it holds no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes, to be filled from outside; all elements count as written from now on.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.written = None;
        &mut self.bytes
    }

    /// The bytes, taken out.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Whether somebody has written an element.
    pub fn is_written(&self, i: usize) -> bool {
        self.written.as_ref().is_none_or(|w| w.get(i).copied().unwrap_or(false))
    }

    /// Forgets who wrote what: a new launch begins.
    pub(in crate::eager) fn forget_writers(&mut self) {
        self.writers.clear();
    }

    pub(super) fn writer(&self, i: usize) -> Option<Writer> {
        let code = *self.writers.get(i)?;
        Some(Writer { program: (code >> 1).checked_sub(1)?, atomic: code & 1 == 1 })
    }

    pub(super) fn put(&mut self, i: usize, lane: Lane, writer: Writer) {
        let n = self.elem.bytes();
        if let Some(to) = self.bytes.get_mut(i * n..) {
            round::write(self.elem, lane, to);
        }
        if let Some(w) = self.written.as_mut().and_then(|w| w.get_mut(i)) {
            *w = true;
        }
        if self.writers.is_empty() {
            self.writers = vec![0; self.len()];
        }
        if let Some(w) = self.writers.get_mut(i) {
            *w = (writer.program + 1) << 1 | u32::from(writer.atomic);
        }
    }
}
