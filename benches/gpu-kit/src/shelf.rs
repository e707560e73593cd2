//! The two compilers of the kit: one that writes down what it compiles, and one that only finds what was written.
//!
//! ```text
//! KIT/version            of the compiler: part of the keys
//! KIT/unfit.json         key → why a kernel was not compiled
//! KIT/nvidia-sm_90a.kit  deflated: key, launch facts, PTX, machine code if there was an assembler
//! ```
//! A device loads machine code from a cache that is filled for the run; for what it cannot load (a driver or a chip that
//! the code is not for) it asks its compiler, the shelf, which has the PTX.

use anyhow::{Context, Result};
use flate2::{Compression, read::DeflateDecoder, write::DeflateEncoder};
use kcc_dsl::exchange::{Artifact, CompileRequest, CompileResult, frame};
use kcc_runtime::jit::{Compiler, DiskCache, Key};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A compiled kernel.
#[derive(Serialize, Deserialize)]
pub struct Recorded {
    /// Its name in caches.
    pub key: Key,
    /// `matmul_tile<bf16, 128, 256, 64, 0, false, false>`
    pub name: String,
    /// PTX text, or a module for the simulator.
    pub artifact: Artifact,
    /// Machine code.
    pub cubin: Option<Vec<u8>>,
}

/// Compiles through another compiler and remembers what came out.
pub struct Recorder {
    inner: Arc<dyn Compiler>,
    version: String,
    done: Mutex<Vec<Recorded>>,
    failed: Mutex<BTreeMap<String, String>>,
}

impl Recorder {
    /// Around a compiler.
    ///
    /// # Errors
    /// It cannot say its version.
    pub fn new(inner: Arc<dyn Compiler>) -> Result<Recorder> {
        let version = inner.version(None).map_err(anyhow::Error::msg)?;
        Ok(Recorder { inner, version, done: Mutex::default(), failed: Mutex::default() })
    }

    /// What was compiled, and, by key, why the rest was not.
    pub fn finish(&self) -> (Vec<Recorded>, BTreeMap<String, String>) {
        (std::mem::take(&mut lock(&self.done)), std::mem::take(&mut lock(&self.failed)))
    }
}

impl Compiler for Recorder {
    fn version(&self, _: Option<&DiskCache>) -> Result<String, String> {
        Ok(self.version.clone())
    }

    fn compile(&self, request: &CompileRequest) -> Result<CompileResult, String> {
        let outcome = self.inner.compile(request);
        let key = Key::new(request, &self.version);
        let name = format!("{}<{}>", request.kernel.name, request.kernel.generics);
        let reason = match &outcome {
            Ok(Ok(artifact)) => {
                lock(&self.done).push(Recorded { key, name, artifact: artifact.clone(), cubin: None });
                return outcome;
            }
            Ok(Err(diagnostics)) => diagnostics.first().map(|d| d.message.clone()).unwrap_or_default(),
            Err(e) => e.clone(),
        };
        lock(&self.failed).insert(key.to_string(), format!("{name} for {}: {reason}", request.target));
        outcome
    }
}

/// The file of a target's kernels.
fn file(folder: &Path, target: &str) -> PathBuf {
    folder.join(format!("{}.kit", target.replace(':', "-")))
}

/// Writes the kernels of a target.
///
/// # Errors
/// The system's.
pub fn write(folder: &Path, target: &str, kernels: &[&Recorded]) -> Result<()> {
    let path = file(folder, target);
    let out = File::create(&path).with_context(|| path.display().to_string())?;
    let mut out = DeflateEncoder::new(BufWriter::new(out), Compression::best());
    frame::write(&mut out, &kernels)?;
    Ok(out.finish()?.flush()?)
}

/// Finds PTX; machine code is found by the device itself, in the cache that [`Shelf::open`] fills.
pub struct Shelf {
    version: String,
    ptx: HashMap<Key, Artifact>,
    unfit: BTreeMap<String, String>,
    refused: Mutex<Vec<String>>,
}

impl Shelf {
    /// The kernels of a target, from the kit in a folder. Those that are machine code land in a cache.
    ///
    /// # Errors
    /// No kit, a damaged one, or one without this target.
    pub fn open(folder: &Path, target: &str, cache: &Path) -> Result<Shelf> {
        let read = |name: &str| {
            let path = folder.join(name);
            let help = || format!("{}: no kit is here; `make gpu-kit` makes one", path.display());
            std::fs::read_to_string(&path).with_context(help)
        };
        let (version, unfit) = (read("version")?, read("unfit.json")?);
        let path = file(folder, target);
        let kernels =
            File::open(&path).with_context(|| format!("{}: no code for {target}", path.display()))?;
        let mut kernels = BufReader::new(DeflateDecoder::new(kernels));
        let mut ptx = HashMap::new();
        let damaged = || format!("{} is damaged", path.display());
        let kernels =
            frame::read::<Vec<Recorded>>(&mut kernels).with_context(damaged)?.with_context(damaged)?;
        for kernel in kernels {
            if let Some(bytes) = kernel.cubin {
                let artifact = Artifact { bytes, ..kernel.artifact.clone() };
                DiskCache::new(cache).put(&kernel.key, &artifact)?;
            }
            ptx.insert(kernel.key, kernel.artifact);
        }
        let unfit = serde_json::from_str(&unfit).context("unfit.json")?;
        Ok(Shelf { version, ptx, unfit, refused: Mutex::default() })
    }

    /// Which kernels were asked for since the last call that cannot be compiled for the chip, and why.
    pub fn refused(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.refused))
    }
}

impl Compiler for Shelf {
    fn version(&self, _: Option<&DiskCache>) -> Result<String, String> {
        Ok(self.version.clone())
    }

    fn compile(&self, request: &CompileRequest) -> Result<CompileResult, String> {
        let key = Key::new(request, &self.version);
        if let Some(artifact) = self.ptx.get(&key) {
            return Ok(Ok(artifact.clone()));
        }
        if let Some(reason) = self.unfit.get(&key.to_string()) {
            lock(&self.refused).push(reason.clone());
            return Err(reason.clone());
        }
        let (name, generics) = (&request.kernel.name, &request.kernel.generics);
        Err(format!("{name}<{generics}> for {} is not in this kit; make it again", request.target))
    }
}
