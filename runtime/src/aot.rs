//! Kernels compiled ahead of time: a shared object and a manifest beside it.
//!
//! ```text
//! softmax.so     code              written by `kcc build --emit so`
//! softmax.json   Manifest: parameters, layouts, launch facts
//! ```

use crate::device::{Code, CompiledKernel, Device, Loaded};
use crate::drivers::cpu::{self, detect};
use crate::error::{Error, Result};
use kcc_dsl::exchange::{ArgSpec, Artifact, CpuMeta, GpuMeta, NpuMeta};
use kcc_dsl::ir::{Kernel, Param};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Version of the manifest's format.
pub const FORMAT: u32 = 1;

/// What a shared object's user must know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// Kernel name.
    pub name: String,
    /// Its generic arguments.
    pub generics: String,
    /// Parameters in order.
    pub params: Vec<Param>,
    /// What the code relies on, per parameter.
    pub args: Vec<ArgSpec>,
    /// Target that the code needs.
    pub target: String,
    /// Exported symbol.
    pub symbol: String,
    /// Launch facts on a CPU.
    pub cpu: CpuMeta,
    /// Launch facts on a GPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<GpuMeta>,
    /// Launch facts on an NPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub npu: Option<NpuMeta>,
}

impl Manifest {
    /// The manifest of a kernel's code.
    pub fn new(kernel: &Kernel, args: &[ArgSpec], artifact: &Artifact) -> Manifest {
        Manifest {
            format: FORMAT,
            name: kernel.name.clone(),
            generics: kernel.generics.clone(),
            params: kernel.params.clone(),
            args: args.to_vec(),
            target: artifact.target.clone(),
            symbol: artifact.symbol.clone(),
            cpu: artifact.cpu.clone(),
            gpu: artifact.gpu.clone(),
            npu: artifact.npu.clone(),
        }
    }

    /// Reads the manifest beside a shared object: the same name, ending in `.json`.
    ///
    /// # Errors
    /// A file that cannot be read, or is no manifest.
    pub fn beside(shared: &Path) -> Result<Manifest> {
        let path = shared.with_extension("json");
        let text = std::fs::read(&path).map_err(|e| Error::file(&path, e))?;
        let corrupt = |reason: String| Error::Corrupt { path: path.clone(), reason };
        let manifest: Manifest = serde_json::from_slice(&text).map_err(|e| corrupt(e.to_string()))?;
        if manifest.format != FORMAT {
            return Err(corrupt(format!("manifest format {}, this program reads {FORMAT}", manifest.format)));
        }
        if manifest.args.len() != manifest.params.len() {
            return Err(corrupt(format!(
                "{} layouts for {} parameters",
                manifest.args.len(),
                manifest.params.len()
            )));
        }
        Ok(manifest)
    }
}

impl Device {
    /// Loads a kernel from a shared object and the manifest beside it.
    ///
    /// # Safety
    /// The file's code runs in this process: it must be what `kcc build` wrote, together with its manifest.
    ///
    /// # Errors
    /// Files that cannot be read or do not fit together, code for another processor, the eager device.
    pub unsafe fn load_shared(&self, path: impl AsRef<Path>) -> Result<CompiledKernel> {
        let path = path.as_ref();
        let manifest = Manifest::beside(path)?;
        detect::resolve(&manifest.target)?;
        let code = Code::Cpu(cpu::Code::from_shared(path, &manifest.symbol, &manifest.cpu)?);
        self.adopt(Loaded {
            name: manifest.name,
            generics: manifest.generics,
            params: manifest.params,
            specs: manifest.args.into(),
            source: None,
            code,
        })
    }
}
