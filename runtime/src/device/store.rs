//! A device's kernels: found in memory, on disk, or compiled.
//!
//! ```text
//! (function, facts, options) ─▶ memory ─ miss ─▶ trace ─▶ disk ─ miss ─▶ compiler ─▶ Loader::load ─▶ memory
//! ```

use super::loaded::{Code, Loaded};
use crate::error::{Error, Result};
use crate::jit::{ChildCompiler, Compiler, DiskCache, Key, find_kcc};
use crate::launch::Label;
use crate::stats::{Compilation, Origin, Stats};
use kcc_dsl::KernelFn;
use kcc_dsl::exchange::{ArgSpec, Artifact, CompileRequest};
use kcc_dsl::ir::Kernel;
use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// Compiled kernels of one device, and the ways to get more.
pub(super) struct Store {
    disk: Option<DiskCache>,
    chosen: Option<Arc<dyn Compiler>>,
    found: OnceLock<Arc<dyn Compiler>>,
    /// By hash of the identity.
    ready: RwLock<HashMap<u64, Vec<Ready>>>,
    /// Held while a kernel is made, so that two threads that want one kernel make it once.
    making: Mutex<()>,
    stats: Mutex<Stats>,
}

/// What a device adds: the target to compile for, and how code gets into its memory.
pub(super) trait Loader {
    /// Full name of the target.
    fn target(&self) -> Result<&str>;

    /// Makes code runnable.
    fn load(&self, kernel: &str, artifact: &Artifact) -> Result<Code>;
}

/// A kernel in memory and what it was asked for by.
struct Ready {
    body: usize,
    name: &'static str,
    generics: String,
    options: BTreeMap<String, String>,
    loaded: Arc<Loaded>,
}

impl Store {
    pub(super) fn new(disk: Option<DiskCache>, chosen: Option<Arc<dyn Compiler>>) -> Store {
        Store {
            disk,
            chosen,
            found: OnceLock::new(),
            ready: RwLock::default(),
            making: Mutex::default(),
            stats: Mutex::default(),
        }
    }

    pub(super) fn stats(&self) -> Stats {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn compiler(&self) -> std::result::Result<&Arc<dyn Compiler>, String> {
        if let Some(compiler) = self.chosen.as_ref().or_else(|| self.found.get()) {
            return Ok(compiler);
        }
        #[cfg(feature = "jit-in-process")]
        let compiler: Arc<dyn Compiler> = match std::env::var_os("KCC") {
            Some(_) => ChildCompiler::shared(&find_kcc()?),
            None => crate::jit::InProcess::shared(),
        };
        #[cfg(not(feature = "jit-in-process"))]
        let compiler: Arc<dyn Compiler> = ChildCompiler::shared(&find_kcc()?);
        Ok(self.found.get_or_init(|| compiler))
    }

    fn find(
        &self,
        hash: u64,
        kernel: &KernelFn,
        specs: &[ArgSpec],
        options: &BTreeMap<String, String>,
    ) -> Option<Arc<Loaded>> {
        let ready = self.ready.read().unwrap_or_else(PoisonError::into_inner);
        let same = |r: &&Ready| {
            r.body == kernel.body as usize
                && r.name == kernel.name
                && r.generics == kernel.generics
                && r.loaded.specs.as_slice() == specs
                && r.options == *options
        };
        ready.get(&hash)?.iter().find(same).map(|r| r.loaded.clone())
    }

    /// The kernel's code for arguments of this kind.
    pub(super) fn load(
        &self,
        kernel: &KernelFn,
        specs: &[ArgSpec],
        options: &BTreeMap<String, String>,
        loader: &dyn Loader,
    ) -> Result<Arc<Loaded>> {
        let mut hasher = DefaultHasher::new();
        (kernel.body as usize, kernel.name, &kernel.generics, specs, options).hash(&mut hasher);
        let hash = hasher.finish();
        if let Some(loaded) = self.find(hash, kernel, specs, options) {
            return Ok(loaded);
        }
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(loaded) = self.find(hash, kernel, specs, options) {
            return Ok(loaded);
        }
        let start = Instant::now();
        let traced = kernel.trace().map_err(|diagnostics| Error::Compile {
            kernel: Label { name: kernel.name, generics: &kernel.generics }.to_string(),
            diagnostics,
        })?;
        let loaded = self.load_ir(traced, specs, options, loader, Some((start, start.elapsed())))?;
        let entry = Ready {
            body: kernel.body as usize,
            name: kernel.name,
            generics: kernel.generics.clone(),
            options: options.clone(),
            loaded: loaded.clone(),
        };
        self.ready.write().unwrap_or_else(PoisonError::into_inner).entry(hash).or_default().push(entry);
        Ok(loaded)
    }

    /// Code of recorded IR: from disk, else compiled. `traced`: when tracing began, and how long it took.
    pub(super) fn load_ir(
        &self,
        kernel: Kernel,
        specs: &[ArgSpec],
        options: &BTreeMap<String, String>,
        loader: &dyn Loader,
        traced: Option<(Instant, Duration)>,
    ) -> Result<Arc<Loaded>> {
        let (start, trace) = traced.unwrap_or_else(|| (Instant::now(), Duration::ZERO));
        let label = Label { name: &kernel.name, generics: &kernel.generics }.to_string();
        if specs.len() != kernel.params.len() {
            return Err(Error::ArgumentCount {
                kernel: label,
                expected: kernel.params.len(),
                given: specs.len(),
            });
        }
        let target = loader.target()?.to_owned();
        let request = CompileRequest { kernel, target, args: specs.to_vec(), options: options.clone() };
        let fail = |reason| Error::Compiler { kernel: label.clone(), reason };
        let compiler = self.compiler().map_err(fail)?;
        let version = compiler.version(self.disk.as_ref()).map_err(fail)?;
        let key = self.disk.as_ref().map(|disk| (disk, Key::new(&request, &version)));
        let cached = key.and_then(|(disk, key)| disk.get(&key));
        // An entry that does not load is treated like one that is not there.
        let cached = cached.and_then(|a| Some((loader.load(&label, &a).ok()?, a)));
        let (code, artifact, origin) = match cached {
            Some((code, artifact)) => (code, artifact, Origin::Disk),
            None => {
                let artifact = compiler
                    .compile(&request)
                    .map_err(fail)?
                    .map_err(|diagnostics| Error::Compile { kernel: label.clone(), diagnostics })?;
                let source = request.kernel.locs.first();
                let code = loader.load(&label, &artifact).map_err(|e| e.at_source(source))?;
                if let Some((disk, key)) = key
                    && let Err(e) = disk.put(&key, &artifact)
                {
                    let mut stats = self.stats.lock().unwrap_or_else(PoisonError::into_inner);
                    stats.cache_trouble.get_or_insert_with(|| format!("{}: {e}", disk.dir().display()));
                }
                (code, artifact, Origin::Compiler)
            }
        };
        self.record(label, artifact, origin, trace, start.elapsed());
        Ok(Arc::new(Loaded {
            name: request.kernel.name,
            generics: request.kernel.generics,
            params: request.kernel.params,
            specs: specs.into(),
            source: request.kernel.locs.into_iter().next(),
            code,
        }))
    }

    fn record(&self, kernel: String, artifact: Artifact, origin: Origin, trace: Duration, total: Duration) {
        let code_bytes = artifact.bytes.len();
        let stages = artifact.timings.into_iter().map(|(s, us)| (s, Duration::from_micros(us))).collect();
        let mut stats = self.stats.lock().unwrap_or_else(PoisonError::into_inner);
        stats.compilations.push(Compilation {
            kernel,
            target: artifact.target,
            origin,
            trace,
            total,
            stages,
            code_bytes,
        });
    }
}
