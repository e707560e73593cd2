//! Code on a GPU, and its launches: one buffer of arguments, one call of HIP.

use super::device::Device;
use super::layout::Layout;
use super::library::Handle;
use crate::device::Launching;
use crate::drivers::gpu::native::{self, Call, Native};
use crate::drivers::gpu::{self, DeviceMemory, Module, Status};
use crate::error::{Error, Result};
use crate::launch::Label;
use kcc_dsl::exchange::{Artifact, GpuMeta};
use std::ffi::{CString, c_void};
use std::sync::{Arc, Mutex, PoisonError};

/// What announces a buffer of arguments, its size, and the end (`HIP_LAUNCH_PARAM_…`).
const BUFFER: usize = 1;
const SIZE: usize = 2;
const END: usize = 3;

/// A loaded kernel.
pub(super) struct Code {
    device: Arc<Device>,
    module: Handle,
    function: Handle,
    meta: GpuMeta,
    layout: Layout,
    /// The status buffer, if the kernel reports anything; held for a whole launch.
    status: Mutex<Option<u64>>,
}

// SAFETY: handles of a device that `self` keeps alive; they are only passed to HIP, which is thread-safe.
unsafe impl Send for Code {}
// SAFETY: as above; the status buffer is behind a lock.
unsafe impl Sync for Code {}

impl Code {
    /// Loads a code object.
    pub(super) fn load(device: Arc<Device>, kernel: &str, artifact: &Artifact) -> Result<Code> {
        let meta = gpu::meta(kernel, artifact)?;
        let fail = |reason: String| Error::Load { kernel: kernel.into(), reason };
        gpu::code_object(kernel, artifact)?;
        if meta.shared_bytes > device.shared {
            return Err(fail(format!(
                "it needs {} bytes of LDS per block, {} offers {}; use smaller tiles or fewer stages",
                meta.shared_bytes, device.name, device.shared
            )));
        }
        if !meta.tensor_maps.is_empty() || meta.cluster != [1; 3] {
            return Err(fail("it asks for tensor maps or clusters, which AMD's chips lack".into()));
        }
        let name = CString::new(artifact.symbol.as_str()).map_err(|e| fail(e.to_string()))?;
        device.enter()?;
        let mut module = std::ptr::null_mut();
        // SAFETY: an ELF file in memory, whose size HIP takes from its headers; a place for the handle.
        let loaded = device
            .api
            .check(unsafe { (device.api.module_load)(&mut module, artifact.bytes.as_ptr().cast()) });
        loaded.map_err(|e| fail(format!("{} ({}) refuses the code: {e}", device.name, device.target)))?;
        let mut code = Code {
            layout: Layout::of(&meta),
            device,
            module,
            function: std::ptr::null_mut(),
            meta,
            status: Mutex::new(None),
        };
        let api = code.device.api.clone();
        // SAFETY: the module is loaded; the function belongs to it.
        api.check(unsafe { (api.module_function)(&mut code.function, code.module, name.as_ptr()) })
            .map_err(fail)?;
        if let Some(status) = Status::of(&code.meta) {
            let address = code.device.alloc(status.bytes())?;
            code.status = Mutex::new(Some(address));
        }
        Ok(code)
    }

    /// One call of HIP.
    fn call(&self, call: &Call<'_>) -> Result<()> {
        let mut buffer = self.layout.pack(call.slots);
        let mut size = buffer.len();
        let mut extra: [*mut c_void; 5] = [
            BUFFER as *mut c_void,
            buffer.as_mut_ptr().cast(),
            SIZE as *mut c_void,
            std::ptr::from_mut(&mut size).cast(),
            END as *mut c_void,
        ];
        let [x, y, z] = call.blocks;
        // The code object states its LDS; more would be added to that.
        let shared = 0;
        // SAFETY: the buffer holds every parameter as the code object's metadata lays them out; HIP copies it before it
        // returns. The memory that the kernel reads and writes was checked against its parameters, and lives until the work is
        // done (host views are staged; device views promise it).
        self.device.check(unsafe {
            (self.device.api.launch)(
                self.function,
                x,
                y,
                z,
                self.meta.threads,
                1,
                1,
                shared,
                call.stream,
                std::ptr::null_mut(),
                extra.as_mut_ptr(),
            )
        })
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        if self.device.enter().is_ok() {
            let status = self.status.get_mut().unwrap_or_else(PoisonError::into_inner).take();
            // SAFETY: loaded and allocated in `load`; no launch uses them any more, since each borrowed `self`, and those in
            // flight are waited for by HIP before it unloads.
            unsafe {
                if let Some(address) = status {
                    self.device.free(address);
                }
                let _ = (self.device.api.module_unload)(self.module);
            }
        }
    }
}

impl Module for Code {
    fn run(&self, label: &Label<'_>, launch: &Launching<'_>) -> Result<()> {
        native::run(&*self.device, &self.meta, &self.status, label, launch, &mut |call| self.call(&call))
    }
}
