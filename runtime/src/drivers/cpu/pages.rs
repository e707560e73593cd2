//! Pages that are first written, then executed; never both.

use std::ptr::NonNull;

/// What a range of pages may be used for once loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protection {
    Execute,
    Read,
    Write,
}

/// An anonymous mapping.
pub(super) struct Pages {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping is owned; after loading it is only executed and read, its writable part by the code itself.
unsafe impl Send for Pages {}
// SAFETY: as above.
unsafe impl Sync for Pages {}

/// Size of a page.
#[cfg(unix)]
pub(super) fn page_size() -> usize {
    // SAFETY: a query without arguments in memory.
    let n = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(n).unwrap_or(4096).max(4096)
}

#[cfg(unix)]
impl Pages {
    /// `len` bytes, readable and writable; below 2 GiB if `low` (for code with 32-bit absolute addresses).
    pub(super) fn new(len: usize, low: bool) -> Result<Pages, String> {
        #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
        let extra = if low { libc::MAP_32BIT } else { 0 };
        #[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
        let extra = if low { return Err("32-bit absolute relocations".into()) } else { 0 };
        // SAFETY: an anonymous private mapping at an address of the system's choice touches nothing of ours.
        let p = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | extra,
                -1,
                0,
            )
        };
        match NonNull::new(p.cast::<u8>()) {
            Some(base) if p != libc::MAP_FAILED => Ok(Pages { base, len }),
            _ => Err(format!("no memory for {len} bytes of code: {}", std::io::Error::last_os_error())),
        }
    }

    /// Sets what the pages of a range (page-aligned) may be used for.
    pub(super) fn protect(&self, start: usize, len: usize, to: Protection) -> Result<(), String> {
        if len == 0 {
            return Ok(());
        }
        assert!(start.checked_add(len).is_some_and(|end| end <= self.len), "a range of the mapping");
        let flags = match to {
            Protection::Execute => libc::PROT_READ | libc::PROT_EXEC,
            Protection::Read => libc::PROT_READ,
            Protection::Write => libc::PROT_READ | libc::PROT_WRITE,
        };
        // SAFETY: the range lies in our own mapping, checked above.
        let rc = unsafe { libc::mprotect(self.base.as_ptr().add(start).cast(), len, flags) };
        if rc == 0 {
            Ok(())
        } else {
            Err(format!("cannot protect code pages: {}", std::io::Error::last_os_error()))
        }
    }
}

#[cfg(unix)]
impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: mapped in `new` with this length; whoever holds code pointers holds this too.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
    }
}

#[cfg(not(unix))]
pub(super) fn page_size() -> usize {
    4096
}

#[cfg(not(unix))]
impl Pages {
    pub(super) fn new(_: usize, _: bool) -> Result<Pages, String> {
        Err("loading compiled kernels is supported on Unix only; device `eager` runs anywhere".into())
    }
    pub(super) fn protect(&self, _: usize, _: usize, _: Protection) -> Result<(), String> {
        Ok(())
    }
}

impl Pages {
    /// First byte.
    pub(super) fn base(&self) -> *mut u8 {
        self.base.as_ptr()
    }

    /// The bytes while they are being filled in.
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: the whole mapping is readable and writable until `protect`, which loading calls last.
        unsafe { std::slice::from_raw_parts_mut(self.base.as_ptr(), self.len) }
    }
}
