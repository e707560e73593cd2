//! Machine code beside the PTX, where NVIDIA's assembler is at hand: it loads without compilation.

use crate::shelf::Recorded;
use anyhow::{Context, Result, anyhow};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// The assembler: `KCC_PTXAS`, or the one on the path.
pub fn find() -> Option<PathBuf> {
    let named = std::env::var_os("KCC_PTXAS").filter(|p| !p.is_empty()).map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    named.or_else(|| std::env::split_paths(&path).map(|d| d.join("ptxas")).find(|p| p.is_file()))
}

fn assemble(ptxas: &Path, ptx: &[u8], arch: &str) -> Result<Vec<u8>> {
    let folder = tempfile::tempdir()?;
    let (from, to) = (folder.path().join("a.ptx"), folder.path().join("a.cubin"));
    std::fs::write(&from, ptx)?;
    let run =
        Command::new(ptxas).args(["-arch", arch, "-o"]).args([&to, &from]).stdin(Stdio::null()).output();
    let out = run.with_context(|| ptxas.display().to_string())?;
    anyhow::ensure!(out.status.success(), "ptxas: {}", String::from_utf8_lossy(&out.stderr).trim());
    Ok(std::fs::read(&to)?)
}

/// Adds machine code to all kernels that are PTX; gives how many these are.
///
/// # Errors
/// The assembler cannot be run, or refuses a kernel.
pub fn all(ptxas: &Path, kernels: &mut [Recorded]) -> Result<usize> {
    let threads = std::thread::available_parallelism().map_or(1, Into::into);
    let count = AtomicUsize::new(0);
    let queue = Mutex::new(kernels.iter_mut());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = || -> Result<()> {
        while let Some(kernel) = next() {
            let text = &kernel.artifact.bytes;
            let Some(gpu) = kernel.artifact.gpu.as_ref().filter(|_| is_ptx(text)) else { continue };
            let bytes = assemble(ptxas, text, &gpu.arch).with_context(|| kernel.name.clone())?;
            kernel.cubin = Some(bytes);
            count.fetch_add(1, Relaxed);
        }
        Ok(())
    };
    std::thread::scope(|s| {
        let workers: Vec<_> = (0..threads).map(|_| s.spawn(work)).collect();
        workers.into_iter().try_for_each(|w| w.join().unwrap_or_else(|_| Err(anyhow!("a thread ended"))))
    })?;
    Ok(count.into_inner())
}

/// Whether code is PTX rather than a module for the simulator: its version comes after comments only.
fn is_ptx(bytes: &[u8]) -> bool {
    bytes.windows(8).take(4096).any(|w| w == b".version")
}
