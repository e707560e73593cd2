//! A library of launchers, and launches through it.
//!
//! ```text
//! void NAME_launch_slots(uint32_t blocks, void* stream, const int64_t* slots)
//! ```
//! The slots are those that [`kcc_dsl::exchange::npu`] lists.

use super::device::Device;
use super::meta::meta;
use super::scalar::scalar;
use super::source;
use crate::device::Launching;
use crate::drivers::gpu::native::{Homes, Native, RawStream};
use crate::drivers::gpu::{DeviceMemory, Module};
use crate::error::{ArgumentProblem, Error, Result};
use crate::launch::{Arg, How, Label, Raw};
use kcc_dsl::exchange::{Artifact, NpuMeta};
use libloading::Library;
use smallvec::SmallVec;
use std::collections::HashMap;
use std::ffi::c_void;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// A launcher of the library.
type Launcher = unsafe extern "C" fn(u32, *mut c_void, *const i64);

/// A loaded kernel.
pub(super) struct Code {
    device: Arc<Device>,
    launcher: Launcher,
    meta: NpuMeta,
    /// Workspaces by stream: what is in one stream runs one after another.
    workspaces: Mutex<HashMap<usize, u64>>,
    /// Keeps the launcher in place.
    _library: Library,
}

impl Code {
    /// Loads a library, or builds one of a source.
    pub(super) fn load(device: Arc<Device>, kernel: &str, artifact: &Artifact) -> Result<Code> {
        let fail = |reason: String| Error::Load { kernel: kernel.into(), reason };
        let meta = meta(kernel, artifact)?;
        if artifact.bytes.starts_with(b"\x7fELF") {
            let folder = tempfile::tempdir().map_err(|e| fail(format!("a temporary folder: {e}")))?;
            let file = folder.path().join("kernel.so");
            std::fs::write(&file, &artifact.bytes).map_err(|e| fail(format!("{}: {e}", file.display())))?;
            return Code::open(device, kernel, &artifact.symbol, meta, &file);
        }
        let compiler = source::compiler().map_err(fail)?;
        let file = source::library(&compiler, &artifact.bytes, &meta.arch, None).map_err(fail)?;
        Code::open(device, kernel, &artifact.symbol, meta, &file)
    }

    /// Opens a library of launchers.
    pub(super) fn open(
        device: Arc<Device>,
        kernel: &str,
        symbol: &str,
        meta: NpuMeta,
        file: &Path,
    ) -> Result<Code> {
        let fail = |reason: String| Error::Load { kernel: kernel.into(), reason };
        device.enter()?;
        // SAFETY: a library that CANN's compiler made of a source of ours registers its kernels when it is loaded, no more.
        let library = unsafe { Library::new(file) }.map_err(|e| fail(e.to_string()))?;
        let name = format!("{symbol}_launch_slots");
        // SAFETY: the type is that of the launchers which the Ascend backend writes.
        let launcher = *unsafe { library.get::<Launcher>(name.as_bytes()) }.map_err(|_| {
            fail(format!("the library has no `{name}`; build it of the source that kcc wrote"))
        })?;
        Ok(Code { device, launcher, meta, workspaces: Mutex::default(), _library: library })
    }

    /// Blocks that run at once: no more than the code's chip has, since a pack states the workspace for those.
    fn at_once(&self) -> u32 {
        self.device.at_once(self.meta.blocks).min(self.meta.most_blocks)
    }

    /// The workspace of a launch: the caller's, or one that is kept for the stream; 0 if there is none.
    fn workspace(&self, label: &Label<'_>, how: How, stream: RawStream) -> Result<u64> {
        let bytes = u64::from(self.at_once()) * self.meta.workspace_bytes;
        if bytes == 0 {
            return Ok(0);
        }
        if let Some(given) = how.workspace {
            let problem = ArgumentProblem::Workspace { needed: bytes, given: given.bytes() };
            let short = || Error::argument(label.to_string(), "workspace", problem);
            return given.address(bytes).ok_or_else(short);
        }
        let mut all = self.workspaces.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(&address) = all.get(&(stream as usize)) {
            return Ok(address);
        }
        let size = usize::try_from(bytes).map_err(|_| Error::OutOfMemory { bytes: usize::MAX })?;
        let address = self.device.alloc(size)?;
        all.insert(stream as usize, address);
        Ok(address)
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        let all = std::mem::take(self.workspaces.get_mut().unwrap_or_else(PoisonError::into_inner));
        for (stream, address) in all {
            // SAFETY: allocated in `workspace`; what was launched with it is done. A stream that is gone has nothing left to do.
            unsafe {
                let _ = (self.device.api.stream_synchronize)(stream as *mut c_void);
                self.device.free(address);
            }
        }
    }
}

/// The words of a launch.
fn slots(args: &[Arg<'_>], addresses: &[u64], grid: [i64; 3], workspace: u64) -> SmallVec<[i64; 64]> {
    let mut slots = SmallVec::new();
    for (arg, address) in args.iter().zip(addresses) {
        match &arg.raw {
            Raw::Scalar { elem, bits } => slots.push(scalar(*elem, *bits)),
            Raw::View(v) => {
                slots.push(*address as i64);
                slots.extend(v.layout.dims.iter().chain(&v.layout.strides).copied());
            }
        }
    }
    slots.extend(grid);
    if workspace != 0 {
        slots.push(workspace as i64);
    }
    slots
}

impl Module for Code {
    fn run(&self, label: &Label<'_>, launch: &Launching<'_>) -> Result<()> {
        self.device.enter()?;
        let stream = self.device.stream(launch.how.stream);
        let blocks = self.meta.blocks(launch.grid, Some(self.at_once()));
        let workspace = self.workspace(label, launch.how, stream)?;
        let mut homes = Homes::new(&*self.device, launch.args)?;
        let slots = slots(launch.args, &homes.addresses, launch.grid, workspace);
        // SAFETY: the slots are those that the launcher reads, checked against the kernel's parameters; it copies them before it
        // returns. The memory that the kernel touches lives until the work is done (host views are staged; device views promise it).
        unsafe { (self.launcher)(blocks, stream, slots.as_ptr()) };
        if Homes::are_needed(launch.args) {
            self.device.wait(stream)?;
            homes.back(launch.args)?;
        }
        Ok(())
    }
}
