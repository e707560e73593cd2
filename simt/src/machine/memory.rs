//! Global memory: buffers of the launcher, each at an address of its own with room around it.

use super::race::Cell;

const FIRST: u64 = 0x1000_0000_0000;
const GUARD: u64 = 1 << 20;
/// Bytes of shadow allocated at a time.
const PAGE: usize = 1024;

/// The buffers that a kernel may touch. Addresses are the simulator's own; every access is checked against them.
#[derive(Default)]
pub struct Memory<'m> {
    buffers: Vec<Buffer<'m>>,
}

struct Buffer<'m> {
    base: u64,
    bytes: Bytes<'m>,
    shadow: Vec<Option<Box<[Cell; PAGE]>>>,
}

enum Bytes<'m> {
    Owned(Vec<u8>),
    Borrowed(&'m mut [u8]),
    ReadOnly(&'m [u8]),
}

impl Bytes<'_> {
    fn get(&self) -> &[u8] {
        match self {
            Bytes::Owned(bytes) => bytes,
            Bytes::Borrowed(bytes) => bytes,
            Bytes::ReadOnly(bytes) => bytes,
        }
    }
}

/// A place in a buffer: which, and the byte offset.
pub(crate) type At = (usize, usize);

impl<'m> Memory<'m> {
    /// No buffers.
    pub fn new() -> Self {
        Memory::default()
    }

    /// A buffer of zeros; gives its address, a multiple of 256. Untouched parts cost no memory.
    pub fn alloc(&mut self, bytes: usize) -> u64 {
        self.push(Bytes::Owned(vec![0; bytes]))
    }

    /// A buffer with these contents.
    pub fn add(&mut self, bytes: Vec<u8>) -> u64 {
        self.push(Bytes::Owned(bytes))
    }

    /// The caller's bytes, written in place.
    pub fn borrow(&mut self, bytes: &'m mut [u8]) -> u64 {
        self.push(Bytes::Borrowed(bytes))
    }

    /// The caller's bytes, which a kernel must not write.
    pub fn borrow_const(&mut self, bytes: &'m [u8]) -> u64 {
        self.push(Bytes::ReadOnly(bytes))
    }

    /// The contents of the buffer that begins at `address`.
    pub fn bytes(&self, address: u64) -> Option<&[u8]> {
        Some(self.buffers.iter().find(|buffer| buffer.base == address)?.bytes.get())
    }

    fn push(&mut self, bytes: Bytes<'m>) -> u64 {
        let base = match self.buffers.last() {
            None => FIRST,
            Some(last) => (last.base + last.bytes.get().len() as u64 + GUARD).next_multiple_of(4096),
        };
        self.buffers.push(Buffer { base, bytes, shadow: Vec::new() });
        base
    }

    /// Where `address` lies when `length` bytes from there are in one buffer.
    pub(crate) fn find(&self, address: u64, length: usize) -> Option<At> {
        let index = self.buffers.partition_point(|buffer| buffer.base <= address).checked_sub(1)?;
        let at = usize::try_from(address - self.buffers[index].base).ok()?;
        let end = at.checked_add(length)?;
        (end <= self.buffers[index].bytes.get().len()).then_some((index, at))
    }

    /// For messages: which buffer is nearest below `address`, and how far in.
    pub(crate) fn nearest(&self, address: u64) -> Option<(usize, u64, usize)> {
        let index = self.buffers.partition_point(|buffer| buffer.base <= address).checked_sub(1)?;
        let buffer = &self.buffers[index];
        Some((index, address - buffer.base, buffer.bytes.get().len()))
    }

    pub(crate) fn slice(&self, at: At, length: usize) -> &[u8] {
        &self.buffers[at.0].bytes.get()[at.1..at.1 + length]
    }

    /// The bytes to write; `None` in a read-only buffer.
    pub(crate) fn slice_mut(&mut self, at: At, length: usize) -> Option<&mut [u8]> {
        match &mut self.buffers[at.0].bytes {
            Bytes::Owned(bytes) => Some(&mut bytes[at.1..at.1 + length]),
            Bytes::Borrowed(bytes) => Some(&mut bytes[at.1..at.1 + length]),
            Bytes::ReadOnly(_) => None,
        }
    }

    /// Visits the shadow of a range in pieces: the cells, and the offset of the first within the range.
    pub(crate) fn shadow<E>(
        &mut self,
        at: At,
        length: usize,
        mut visit: impl FnMut(&mut [Cell], usize) -> Result<(), E>,
    ) -> Result<(), E> {
        let buffer = &mut self.buffers[at.0];
        if buffer.shadow.is_empty() {
            buffer.shadow.resize_with(buffer.bytes.get().len().div_ceil(PAGE), || None);
        }
        let mut done = 0;
        while done < length {
            let (page, first) = ((at.1 + done) / PAGE, (at.1 + done) % PAGE);
            let count = (PAGE - first).min(length - done);
            let cells = buffer.shadow[page].get_or_insert_with(|| Box::new([Cell::default(); PAGE]));
            visit(&mut cells[first..first + count], done)?;
            done += count;
        }
        Ok(())
    }

    /// Forgets who accessed what, for a next launch (which begins after this one has ended).
    pub(crate) fn forget(&mut self) {
        self.buffers.iter_mut().for_each(|buffer| buffer.shadow.clear());
    }
}
