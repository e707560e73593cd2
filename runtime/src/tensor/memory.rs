//! Owned memory for tensors: zeroed, aligned to a cache line, on huge pages where that pays.
//!
//! ```text
//! under 2 MiB   allocator, 64-byte aligned
//! from 2 MiB    anonymous mapping aligned to 2 MiB, with huge-page advice; untouched pages cost nothing
//! ```

use crate::error::{Error, Result};
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;

/// Alignment of every allocation: one cache line, one AVX-512 register.
pub const ALIGN: usize = 64;

/// Size from which huge pages are asked for, and their size.
const HUGE: usize = 2 << 20;

/// A block of zero-initialised memory.
pub(crate) struct Memory {
    ptr: NonNull<u8>,
    bytes: usize,
    kind: Kind,
}

enum Kind {
    /// From the allocator.
    Heap(Layout),
    /// A mapping of its own: start and length as mapped.
    #[cfg(unix)]
    Map(NonNull<u8>, usize),
}

// SAFETY: the block is owned and reached only through `&self`/`&mut self`, like a `Box<[u8]>`.
unsafe impl Send for Memory {}
// SAFETY: as above; shared access only reads.
unsafe impl Sync for Memory {}

impl Memory {
    /// `bytes` bytes of zeros.
    pub(crate) fn zeroed(bytes: usize) -> Result<Memory> {
        if bytes == 0 {
            let layout = Layout::from_size_align(0, ALIGN).map_err(|_| Error::OutOfMemory { bytes })?;
            // 64 is a valid, aligned, non-null address for zero bytes.
            let ptr = NonNull::without_provenance(
                std::num::NonZeroUsize::new(ALIGN).ok_or(Error::OutOfMemory { bytes })?,
            );
            return Ok(Memory { ptr, bytes, kind: Kind::Heap(layout) });
        }
        #[cfg(unix)]
        if bytes >= HUGE {
            return Memory::mapped(bytes);
        }
        let layout = Layout::from_size_align(bytes, ALIGN).map_err(|_| Error::OutOfMemory { bytes })?;
        // SAFETY: the size is not zero.
        let ptr = unsafe { alloc_zeroed(layout) };
        let ptr = NonNull::new(ptr).ok_or(Error::OutOfMemory { bytes })?;
        Ok(Memory { ptr, bytes, kind: Kind::Heap(layout) })
    }

    #[cfg(unix)]
    fn mapped(bytes: usize) -> Result<Memory> {
        let fail = || Error::OutOfMemory { bytes };
        let len = bytes.checked_add(2 * HUGE).ok_or_else(fail)? & !(HUGE - 1);
        // SAFETY: an anonymous private mapping at an address of the system's choice touches nothing of ours.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(fail());
        }
        let base = NonNull::new(base.cast::<u8>()).ok_or_else(fail)?;
        let pad = base.as_ptr().align_offset(HUGE);
        // SAFETY: `len` exceeds `bytes` by at least HUGE, so the aligned start leaves `bytes` in the mapping.
        let ptr = unsafe { base.add(pad) };
        #[cfg(target_os = "linux")]
        // SAFETY: the range lies inside the mapping made above. Advice: a failure changes nothing.
        unsafe {
            libc::madvise(
                ptr.as_ptr().cast(),
                (len - pad).min(bytes.next_multiple_of(HUGE)),
                libc::MADV_HUGEPAGE,
            );
        }
        Ok(Memory { ptr, bytes, kind: Kind::Map(base, len) })
    }

    /// First byte.
    pub(crate) fn as_ptr(&self) -> *mut u8 {
        self.ptr.as_ptr()
    }

    /// Length in bytes.
    pub(crate) fn len(&self) -> usize {
        self.bytes
    }

    /// The bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: `bytes` bytes from `ptr` are owned and initialised.
        unsafe { std::slice::from_raw_parts(self.ptr.as_ptr(), self.bytes) }
    }

    /// The bytes, to write.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`, and `self` is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.ptr.as_ptr(), self.bytes) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        match &self.kind {
            Kind::Heap(layout) if layout.size() > 0 => {
                // SAFETY: allocated in `zeroed` with this layout.
                unsafe { dealloc(self.ptr.as_ptr(), *layout) }
            }
            Kind::Heap(_) => {}
            #[cfg(unix)]
            Kind::Map(base, len) => {
                // SAFETY: mapped in `mapped` with this start and length.
                unsafe { libc::munmap(base.as_ptr().cast(), *len) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_aligned_and_zero_at_every_size_class() {
        for bytes in [0, 1, 63, 64, 65, 4096, HUGE - 1, HUGE, HUGE + 1, 5 * HUGE + 3] {
            let mut m = Memory::zeroed(bytes).unwrap();
            assert_eq!(m.as_ptr() as usize % ALIGN, 0);
            assert_eq!(m.len(), bytes);
            assert!(m.bytes().iter().all(|&b| b == 0));
            m.bytes_mut().fill(7);
            assert!(m.bytes().iter().all(|&b| b == 7));
        }
    }

    #[test]
    fn an_impossible_size_is_an_error() {
        assert!(matches!(Memory::zeroed(usize::MAX), Err(Error::OutOfMemory { .. })));
        assert!(matches!(Memory::zeroed(isize::MAX as usize - 63), Err(Error::OutOfMemory { .. })));
    }
}
