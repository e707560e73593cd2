//! Global memory: buffers of the launcher, exact to the byte, each at an address of its own with room around it.

use crate::error::Trouble;

const FIRST: u64 = 0x5000_0000_0000;
const GUARD: u64 = 1 << 20;

/// The buffers that a kernel may touch. Addresses are the emulator's own; every access is checked against them.
#[derive(Default)]
pub struct Memory<'m> {
    buffers: Vec<Buffer<'m>>,
    /// Where the last access was.
    recent: usize,
}

struct Buffer<'m> {
    base: u64,
    bytes: Bytes<'m>,
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

impl<'m> Memory<'m> {
    /// No buffers.
    pub fn new() -> Self {
        Memory::default()
    }

    /// A buffer with these contents; gives its address, a multiple of 4096.
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

    fn push(&mut self, bytes: Bytes<'m>) -> u64 {
        let base = match self.buffers.last() {
            None => FIRST,
            Some(last) => (last.base + last.bytes.get().len() as u64 + GUARD).next_multiple_of(4096),
        };
        self.buffers.push(Buffer { base, bytes });
        base
    }

    /// The contents of the buffer that begins at `address`.
    pub fn bytes(&self, address: u64) -> Option<&[u8]> {
        Some(self.buffers.iter().find(|buffer| buffer.base == address)?.bytes.get())
    }

    /// Forgets the last buffer.
    pub(crate) fn pop(&mut self) {
        self.buffers.pop();
        self.recent = 0;
    }

    /// Offset in the buffer that becomes the recent one.
    fn find(&mut self, address: u64, count: usize) -> Result<usize, Trouble> {
        let within = |buffer: &Buffer<'_>| {
            let at = usize::try_from(address.checked_sub(buffer.base)?).ok()?;
            (at.checked_add(count)? <= buffer.bytes.get().len()).then_some(at)
        };
        if let Some(at) = self.buffers.get(self.recent).and_then(within) {
            return Ok(at);
        }
        let index = self.buffers.partition_point(|buffer| buffer.base <= address);
        let nearest = index.checked_sub(1).map(|index| (index, &self.buffers[index]));
        if let Some((index, at)) = nearest.and_then(|(index, buffer)| Some((index, within(buffer)?))) {
            self.recent = index;
            return Ok(at);
        }
        let whose = nearest.map_or("before all buffers".into(), |(index, buffer)| {
            format!(
                "byte {} of buffer {index}, which has {}",
                address - buffer.base,
                buffer.bytes.get().len()
            )
        });
        Err(format!("{count} bytes at {address:#x} are in no buffer ({whose})"))
    }

    pub(crate) fn read(&mut self, address: u64, count: usize) -> Result<&[u8], Trouble> {
        let at = self.find(address, count)?;
        Ok(&self.buffers[self.recent].bytes.get()[at..at + count])
    }

    pub(crate) fn write(&mut self, address: u64, count: usize) -> Result<&mut [u8], Trouble> {
        let at = self.find(address, count)?;
        match &mut self.buffers[self.recent].bytes {
            Bytes::Owned(bytes) => Ok(&mut bytes[at..at + count]),
            Bytes::Borrowed(bytes) => Ok(&mut bytes[at..at + count]),
            Bytes::ReadOnly(_) => Err(format!("{address:#x} is written, and its buffer may only be read")),
        }
    }

    pub(crate) fn word(&mut self, address: u64) -> Result<u32, Trouble> {
        Ok(u32::from_le_bytes(self.read(address, 4)?.try_into().unwrap_or_default()))
    }
}
