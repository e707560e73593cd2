//! The two compilers of the kit: one that writes down what it compiles, and one that only finds what was written.

use kcc_dsl::exchange::{CompileRequest, CompileResult};
use kcc_runtime::jit::{Compiler, DiskCache};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Compiles through another compiler and remembers what failed.
pub struct Recorder {
    /// The other compiler.
    pub inner: Arc<dyn Compiler>,
    /// Kernels that did not compile, with the reason.
    pub failed: Mutex<Vec<String>>,
    /// Folder for a PTX file per kernel.
    pub texts: std::path::PathBuf,
}

impl Compiler for Recorder {
    fn version(&self, cache: Option<&DiskCache>) -> Result<String, String> {
        self.inner.version(cache)
    }

    fn compile(&self, request: &CompileRequest) -> Result<CompileResult, String> {
        let outcome = self.inner.compile(request);
        let name = format!("{}<{}> for {}", request.kernel.name, request.kernel.generics, request.target);
        let reason = match &outcome {
            Ok(Ok(artifact)) => {
                let folder = self.texts.join(request.target.replace(':', "-"));
                let written = std::fs::create_dir_all(&folder).and_then(|()| {
                    // Instances of one kernel for other argument facts would overwrite each other.
                    let number = std::fs::read_dir(&folder)?.count();
                    std::fs::write(folder.join(format!("{}.{number}.ptx", artifact.symbol)), &artifact.bytes)
                });
                written.err().map(|e| e.to_string())
            }
            Ok(Err(diagnostics)) => diagnostics.first().map(|d| d.message.clone()),
            Err(e) => Some(e.clone()),
        };
        if let Some(reason) = reason {
            let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
            failed.push(format!("{name}: {reason}"));
        }
        outcome
    }
}

/// Finds nothing by itself: the disk cache in the kit's folder is asked before any compiler.
pub struct Shelf {
    version: String,
}

impl Shelf {
    /// The kit in a folder.
    pub fn open(folder: &Path) -> anyhow::Result<Shelf> {
        let path = folder.join("version");
        let version = std::fs::read_to_string(&path)
            .map_err(|e| anyhow::anyhow!("{}: {e}; `make gpu-kit` makes the kit", path.display()))?;
        Ok(Shelf { version })
    }
}

impl Compiler for Shelf {
    fn version(&self, _: Option<&DiskCache>) -> Result<String, String> {
        Ok(self.version.clone())
    }

    fn compile(&self, request: &CompileRequest) -> Result<CompileResult, String> {
        let (name, generics) = (&request.kernel.name, &request.kernel.generics);
        Err(format!("{name}<{generics}> for {} is not in this kit; `make gpu-kit` again", request.target))
    }
}
