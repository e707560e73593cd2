//! Libraries that stand in for a vendor's, built when the tests run: they remember their calls and fail when asked to.

use crate::device::Launching;
use crate::drivers::gpu::Module;
use crate::error::Result;
use crate::launch::{Arg, Label, PrintHandler};
use kcc_dsl::exchange::{Artifact, GpuArg, GpuMeta};
use kcc_dsl::ir::Elem;
use libloading::Library;
use std::ffi::{CStr, CString, c_char};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// A library of its own for each test: its state is not shared.
pub(crate) struct StandIn {
    library: Library,
    pub(crate) path: PathBuf,
    _folder: Option<tempfile::TempDir>,
}

impl StandIn {
    /// The library of a file beside a driver, under the name that the driver looks for.
    pub(crate) fn build(source: &str, name: &str) -> StandIn {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/drivers").join(source);
        let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
        let flags = ["-shared", "-fPIC", "-Wall", "-Werror", "-o"];
        let built = Command::new(compiler).args(flags).arg(&path).arg(source).status();
        assert!(built.unwrap().success());
        StandIn { _folder: Some(folder), ..StandIn::open(path) }
    }

    /// One that was built.
    pub(crate) fn open(path: PathBuf) -> StandIn {
        // SAFETY: a library made by `build`; loading it runs no code.
        let library = unsafe { Library::new(&path) }.unwrap();
        StandIn { library, path, _folder: None }
    }

    /// From now on this call fails.
    pub(crate) fn fail(&self, name: &str) {
        let name = CString::new(name).unwrap();
        // SAFETY: the type is that of `stand_in.h`.
        unsafe {
            let f = self.library.get::<unsafe extern "C" fn(*const c_char)>(b"fake_fail").unwrap();
            f(name.as_ptr());
        }
    }

    /// The names of the calls since the last time.
    pub(crate) fn calls(&self) -> Vec<String> {
        // SAFETY: the types are those of `stand_in.h`; the text is copied before it is cleared.
        unsafe {
            let text = self.library.get::<unsafe extern "C" fn() -> *const c_char>(b"fake_calls").unwrap();
            let calls = CStr::from_ptr(text()).to_str().unwrap().split_whitespace().map(Into::into).collect();
            self.library.get::<unsafe extern "C" fn()>(b"fake_forget").unwrap()();
            calls
        }
    }

    /// Blocks, threads, shared memory, stream and blocks of a cluster of the last launch; its arguments.
    pub(crate) fn launch(&self) -> ([u64; 9], Vec<u8>) {
        let size = self.value::<usize>("fake_size");
        (self.value("fake_launch"), self.value::<[u8; 512]>("fake_arguments")[..size].to_vec())
    }

    /// The value of a variable.
    pub(crate) fn value<T: Copy>(&self, name: &str) -> T {
        // SAFETY: the tests name a variable with its type.
        unsafe { **self.library.get::<*const T>(name.as_bytes()).unwrap() }
    }

    /// Sets a variable.
    pub(crate) fn set<T: Copy>(&self, name: &str, value: T) {
        // SAFETY: as in `value`; no call reads it at the same time.
        unsafe { **self.library.get::<*mut T>(name.as_bytes()).unwrap() = value }
    }
}

/// A kernel of one view for a chip; `f` changes what the compiler says of it.
pub(crate) fn artifact(target: &str, f: impl FnOnce(&mut Artifact, &mut GpuMeta)) -> Artifact {
    let mut meta = GpuMeta {
        arch: target.split_once(':').unwrap().1.into(),
        warp: 32,
        threads: 256,
        shared_bytes: 1024,
        cluster: [1; 3],
        args: vec![GpuArg::View { rank: 1, elem: Elem::F32 }],
        ..GpuMeta::default()
    };
    let mut artifact = Artifact {
        target: target.into(),
        symbol: "plus_one".into(),
        bytes: b"\x7fELF and so on".to_vec(),
        cpu: Default::default(),
        gpu: None,
        npu: None,
        timings: vec![],
    };
    f(&mut artifact, &mut meta);
    artifact.gpu = Some(meta);
    artifact
}

/// Launches it on a grid of 5 by 2.
pub(crate) fn run(module: &dyn Module, arg: Arg<'_>) -> Result<()> {
    let print: PrintHandler = Arc::new(|_| {});
    let launching = Launching { grid: [5, 2, 1], args: &[arg], how: Default::default(), print: &print };
    module.run(&Label { name: "plus_one", generics: "" }, &launching)
}
