//! Kernels compiled ahead of time, as shared objects.

use super::exec::Entry;
use crate::error::{Error, Result};
use libloading::Library;
use std::path::Path;

/// Opens a shared object and finds a kernel's entry point.
pub(super) fn open(path: &Path, symbol: &str) -> Result<(Library, Entry)> {
    let fail =
        |e: libloading::Error| Error::Load { kernel: path.display().to_string(), reason: e.to_string() };
    std::fs::metadata(path).map_err(|e| Error::file(path, e))?;
    // A bare file name would be looked up in the system's library folders.
    let path = std::fs::canonicalize(path).map_err(|e| Error::file(path, e))?;
    // SAFETY: loading runs the object's initialisers; objects that kcc writes have none. The caller vouches for the
    // file as for any library that it links.
    let library = unsafe { Library::new(&path) }.map_err(fail)?;
    // SAFETY: the symbol's type is the contract of `CpuMeta`.
    let entry = unsafe { library.get::<Entry>(symbol.as_bytes()) }.map(|s| *s).map_err(fail)?;
    Ok((library, entry))
}
