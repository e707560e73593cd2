//! Bytes with what is known of each: whether it was written, and who touched it last.

use super::race::{Clocks, Epochs, NEVER, Reader};
use crate::error::{Fault, FaultKind};

/// A memory.
pub(super) struct Memory {
    pub data: Vec<u8>,
    /// One entry a byte; empty where every byte is defined and nothing is ever written.
    defined: Vec<bool>,
    writer: Vec<u32>,
    reader: Vec<u32>,
    /// Its name in messages.
    name: String,
}

/// Who makes an access.
#[derive(Clone, Copy)]
pub(super) struct By {
    /// Index of the pipe over all cores.
    pub agent: usize,
    /// The access as an entry of [`Epochs`].
    pub epoch: u32,
    /// Earlier instructions of the same pipe count as done.
    pub in_order: bool,
    /// It updates global memory atomically.
    pub atomic: bool,
}

impl Memory {
    /// Memory that nobody has written.
    pub fn blank(name: impl Into<String>, bytes: usize) -> Memory {
        Memory {
            data: vec![0; bytes],
            defined: vec![false; bytes],
            writer: vec![NEVER; bytes],
            reader: vec![NEVER; bytes],
            name: name.into(),
        }
    }

    /// Memory with contents; `written` says whether the kernel may write it.
    pub fn with(name: impl Into<String>, data: Vec<u8>, written: bool) -> Memory {
        let n = if written { data.len() } else { 0 };
        Memory {
            data,
            defined: vec![true; n],
            writer: vec![NEVER; n],
            reader: vec![NEVER; n],
            name: name.into(),
        }
    }

    fn bounds(&self, at: i64, len: i64) -> Result<(usize, usize), Fault> {
        if at < 0 || len < 0 || at + len > self.data.len() as i64 {
            let what = format!(
                "bytes {at} to {} of {} are touched, which has {} bytes",
                at + len,
                self.name,
                self.data.len()
            );
            return Err(Fault::new(FaultKind::Bounds, what));
        }
        Ok((at as usize, (at + len) as usize))
    }

    /// Notes a read of `len` bytes; gives the range.
    pub fn read(
        &mut self,
        at: i64,
        len: i64,
        by: By,
        clocks: &Clocks,
        epochs: &mut Epochs,
    ) -> Result<std::ops::Range<usize>, Fault> {
        let (from, to) = self.bounds(at, len)?;
        if self.writer.is_empty() {
            return Ok(from..to);
        }
        let mut last = NEVER;
        let mut readers = Reader::default();
        for i in from..to {
            let w = self.writer[i];
            if w != last {
                self.ordered(w, by, clocks, epochs, "is read while it may still be written", i)?;
                last = w;
            }
            self.reader[i] = readers.add(self.reader[i], by, clocks, epochs);
        }
        Ok(from..to)
    }

    /// Notes a write of `len` bytes; gives the range. What becomes defined is said with [`Memory::put`].
    pub fn write(
        &mut self,
        at: i64,
        len: i64,
        by: By,
        clocks: &Clocks,
        epochs: &mut Epochs,
    ) -> Result<std::ops::Range<usize>, Fault> {
        let (from, to) = self.bounds(at, len)?;
        if self.writer.is_empty() && from != to {
            let what = format!("{} is written, but it is read-only", self.name);
            return Err(Fault::new(FaultKind::Form, what));
        }
        let (mut last_w, mut last_r) = (NEVER, NEVER);
        for i in from..to {
            let (w, r) = (self.writer[i], self.reader[i]);
            if w != last_w {
                self.ordered(w, by, clocks, epochs, "is written twice in no order", i)?;
                last_w = w;
            }
            if r != last_r {
                self.ordered(r, by, clocks, epochs, "is written while it may still be read", i)?;
                last_r = r;
            }
            self.writer[i] = by.epoch;
            self.reader[i] = NEVER;
        }
        Ok(from..to)
    }

    fn ordered(
        &self,
        earlier: u32,
        by: By,
        clocks: &Clocks,
        epochs: &Epochs,
        how: &str,
        at: usize,
    ) -> Result<(), Fault> {
        match epochs.unordered(earlier, by, clocks) {
            None => Ok(()),
            Some((pipe, loc)) => {
                let what =
                    format!("byte {at} of {} {how}: nothing orders it after work of pipe {pipe}", self.name);
                let mut f = Fault::new(FaultKind::Race, what);
                f.other = loc;
                Err(f)
            }
        }
    }

    /// Whether a byte was written.
    pub fn is_defined(&self, at: usize) -> bool {
        self.defined.is_empty() || self.defined[at]
    }

    /// Whether all bytes of an element were written.
    pub fn all_defined(&self, at: usize, width: usize) -> bool {
        self.defined.is_empty() || self.defined[at..at + width].iter().all(|d| *d)
    }

    /// Writes bytes whose access was noted.
    pub fn put(&mut self, at: usize, bytes: &[u8], defined: bool) {
        self.data[at..at + bytes.len()].copy_from_slice(bytes);
        self.defined[at..at + bytes.len()].fill(defined);
    }

    /// Forgets the contents of bytes.
    pub fn blur(&mut self, range: std::ops::Range<usize>) {
        self.defined[range].fill(false);
    }

    /// The first byte of a range that was not written.
    pub fn undefined(&self, range: std::ops::Range<usize>) -> Option<usize> {
        if self.defined.is_empty() {
            return None;
        }
        range.into_iter().find(|i| !self.defined[*i])
    }
}
