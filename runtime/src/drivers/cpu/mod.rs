//! The CPU driver: loads compiled objects into memory and runs their programs on a thread pool.
//!
//! ```text
//! Artifact.bytes ── object.rs ──▶ pages, read-execute ── exec.rs ──▶ begin..end on each thread
//! .so + .json   ── shared.rs ──▶ dlopen ──────────────────┘
//! ```

pub mod detect;
mod exec;
mod object;
mod pages;
mod perf;
mod shared;
mod team;

pub(crate) use crate::drivers::print::Printer;
pub(crate) use exec::{Entry, Pool};

use crate::error::{Error, Result};
use kcc_dsl::exchange::{Artifact, CpuMeta};
use object::Object;
use std::path::Path;

/// Code in memory, ready to run.
pub(crate) struct Code {
    entry: Entry,
    /// Launch facts.
    pub(crate) meta: CpuMeta,
    /// Keeps the code's memory alive.
    _owner: Owner,
}

enum Owner {
    Object { _pages: Object },
    Shared { _library: libloading::Library },
}

impl Code {
    /// Loads a compiled object.
    pub(crate) fn from_artifact(kernel: &str, artifact: &Artifact) -> Result<Code> {
        check_meta(kernel, &artifact.cpu)?;
        let object = Object::load(&artifact.bytes, &artifact.symbol)
            .map_err(|reason| Error::Load { kernel: kernel.into(), reason })?;
        perf::announce(kernel, object.code());
        Ok(Code {
            entry: object.entry(),
            meta: artifact.cpu.clone(),
            _owner: Owner::Object { _pages: object },
        })
    }

    /// Opens a shared object.
    pub(crate) fn from_shared(path: &Path, symbol: &str, meta: &CpuMeta) -> Result<Code> {
        check_meta(&path.display().to_string(), meta)?;
        let (library, entry) = shared::open(path, symbol)?;
        Ok(Code { entry, meta: meta.clone(), _owner: Owner::Shared { _library: library } })
    }

    pub(crate) fn entry(&self) -> Entry {
        self.entry
    }
}

/// Launch facts come from files too: a size that no kernel can mean is refused here, before memory is asked for.
fn check_meta(kernel: &str, meta: &CpuMeta) -> Result<()> {
    if meta.scratch_bytes > 1 << 32 {
        let reason = format!("it asks for {} bytes of scratch memory per thread", meta.scratch_bytes);
        return Err(Error::Load { kernel: kernel.into(), reason });
    }
    Ok(())
}
