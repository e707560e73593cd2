//! Code on a GPU, and its launches: one array of argument addresses, one call of the driver, no allocation.

use super::context::Context;
use super::library::check;
use super::map;
use crate::device::Launching;
use crate::drivers::gpu::native::{self, Native as _};
use crate::drivers::gpu::{self, DeviceMemory, Module, Status};
use crate::error::{Error, Result};
use crate::launch::Label;
use cudarc::driver::sys::{
    self, CUfunction, CUfunction_attribute as FunctionAttribute, CUjit_option as Jit, CUlaunchAttribute,
    CUlaunchAttributeID, CUlaunchConfig, CUmodule, CUstream, CUtensorMap,
};
use kcc_dsl::exchange::{Artifact, GpuMeta};
use smallvec::SmallVec;
use std::ffi::{CString, c_void};
use std::sync::{Arc, Mutex, PoisonError};

/// Dynamic shared memory that needs no permission, in bytes.
const SHARED_WITHOUT_ASKING: u64 = 48 << 10;

/// Blocks of a cluster that every chip with clusters allows.
const PORTABLE_CLUSTER: u32 = 8;

/// A loaded kernel.
pub(super) struct Code {
    context: Arc<Context>,
    module: CUmodule,
    function: CUfunction,
    meta: GpuMeta,
    /// The status buffer, if the kernel reports anything; held for a whole launch.
    status: Mutex<Option<u64>>,
}

// SAFETY: handles of a context that `self` keeps alive; they are only passed to the driver, which is thread-safe.
unsafe impl Send for Code {}
// SAFETY: as above; the status buffer is behind a lock.
unsafe impl Sync for Code {}

/// Whether bytes are machine code (an ELF file) rather than text.
fn is_cubin(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x7fELF")
}

impl Code {
    /// Loads PTX text or a cubin.
    pub(super) fn load(context: Arc<Context>, kernel: &str, artifact: &Artifact) -> Result<Code> {
        let meta = gpu::meta(kernel, artifact)?;
        let fail = |reason: String| Error::Load { kernel: kernel.into(), reason };
        if meta.shared_bytes > context.shared {
            let reason = format!(
                "it needs {} bytes of shared memory per block, {} offers {}; use smaller tiles or fewer stages",
                meta.shared_bytes, context.name, context.shared
            );
            return Err(fail(reason));
        }
        let mut image = artifact.bytes.clone();
        if !is_cubin(&image) {
            gpu::check_ptx(meta.ptx, context.driver).map_err(fail)?;
            image.push(0);
        }
        let name = CString::new(artifact.symbol.as_str()).map_err(|e| fail(e.to_string()))?;
        context.enter()?;
        let mut log = vec![0u8; 8192];
        let mut options = [Jit::CU_JIT_ERROR_LOG_BUFFER, Jit::CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES];
        let mut values: [*mut c_void; 2] = [log.as_mut_ptr().cast(), (log.len() - 1) as *mut c_void];
        let mut module = std::ptr::null_mut();
        // SAFETY: the image is a cubin or NUL-terminated text; the two options come with a buffer and its size.
        let loaded = check(unsafe {
            sys::cuModuleLoadDataEx(
                &mut module,
                image.as_ptr().cast(),
                2,
                options.as_mut_ptr(),
                values.as_mut_ptr(),
            )
        });
        loaded.map_err(|e| {
            let end = log.iter().position(|&b| b == 0).unwrap_or(log.len());
            let said = String::from_utf8_lossy(&log[..end]);
            let driver = gpu::cuda_name(context.driver);
            let (major, minor) = meta.ptx;
            fail(format!(
                "the driver (for CUDA {driver}) refuses the code (PTX {major}.{minor} for {}): {e} {}",
                meta.arch,
                said.trim()
            ))
        })?;
        let mut code =
            Code { context, module, function: std::ptr::null_mut(), meta, status: Mutex::new(None) };
        code.prepare(&name).map_err(fail)?;
        if let Some(status) = Status::of(&code.meta) {
            let address = code.context.alloc(status.bytes())?;
            code.status = Mutex::new(Some(address));
        }
        Ok(code)
    }

    /// Finds the function and asks for what it needs beyond the usual.
    fn prepare(&mut self, name: &CString) -> std::result::Result<(), String> {
        // SAFETY: the module is loaded; the function belongs to it.
        unsafe {
            check(sys::cuModuleGetFunction(&mut self.function, self.module, name.as_ptr()))?;
            if self.meta.shared_bytes > SHARED_WITHOUT_ASKING {
                let attribute = FunctionAttribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
                check(sys::cuFuncSetAttribute(self.function, attribute, self.meta.shared_bytes as i32))?;
            }
            if self.meta.cluster.iter().product::<u32>() > PORTABLE_CLUSTER {
                let attribute = FunctionAttribute::CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED;
                check(sys::cuFuncSetAttribute(self.function, attribute, 1))?;
            }
        }
        Ok(())
    }

    /// One call of the driver.
    fn call(
        &self,
        blocks: [u32; 3],
        words: &[u64],
        maps: &mut [CUtensorMap],
        stream: CUstream,
    ) -> Result<()> {
        let mut pointers: SmallVec<[*mut c_void; 256]> =
            words.iter().map(|w| std::ptr::from_ref(w).cast_mut().cast()).collect();
        pointers.extend(maps.iter_mut().map(|m| std::ptr::from_mut(m).cast::<c_void>()));
        // SAFETY: all zeros is a value of this plain struct.
        let mut cluster: CUlaunchAttribute = unsafe { std::mem::zeroed() };
        cluster.id = CUlaunchAttributeID::CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION;
        let [x, y, z] = self.meta.cluster;
        cluster.value.clusterDim = sys::CUlaunchAttributeValue_union__bindgen_ty_1 { x, y, z };
        let clustered = self.meta.cluster != [1; 3];
        let config = CUlaunchConfig {
            gridDimX: blocks[0],
            gridDimY: blocks[1],
            gridDimZ: blocks[2],
            blockDimX: self.meta.threads,
            blockDimY: 1,
            blockDimZ: 1,
            sharedMemBytes: self.meta.shared_bytes as u32,
            hStream: stream,
            attrs: if clustered { &mut cluster } else { std::ptr::null_mut() },
            numAttrs: u32::from(clustered),
        };
        // SAFETY: one pointer per parameter of the function, in its order, each to a value at least as large as the
        // parameter; the driver copies them before it returns. The memory that the kernel reads and writes was checked
        // against its parameters, and lives until the work is done (host views are staged; device views promise it).
        self.context.check(unsafe {
            sys::cuLaunchKernelEx(&config, self.function, pointers.as_mut_ptr(), std::ptr::null_mut())
        })
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        if self.context.enter().is_ok() {
            let status = self.status.get_mut().unwrap_or_else(PoisonError::into_inner).take();
            // SAFETY: loaded and allocated in `load`; no launch uses them any more, since each borrowed `self` and those in
            // flight keep the module until they end.
            unsafe {
                if let Some(address) = status {
                    self.context.free(address);
                }
                let _ = sys::cuModuleUnload(self.module);
            }
        }
    }
}

impl Module for Code {
    fn run(&self, label: &Label<'_>, launch: &Launching<'_>) -> Result<()> {
        native::run(&*self.context, &self.meta, &self.status, label, launch, &mut |call| {
            let mut maps: SmallVec<[CUtensorMap; 4]> = SmallVec::new();
            for encoded in call.maps {
                maps.push(map::encode(encoded).map_err(|e| self.context.error(e))?);
            }
            self.call(call.blocks, call.slots, &mut maps, call.stream.cast())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machine_code_is_told_from_text() {
        assert!(is_cubin(b"\x7fELF\x02\x01"));
        assert!(!is_cubin(b".version 8.6\n") && !is_cubin(b""));
    }

    #[test]
    fn a_launch_configuration_is_laid_out_as_the_driver_expects() {
        // cuda.h: seven unsigned, a stream handle, a pointer, an unsigned.
        assert_eq!(std::mem::offset_of!(CUlaunchConfig, hStream), 32);
        assert_eq!(std::mem::offset_of!(CUlaunchConfig, attrs), 40);
        assert_eq!(size_of::<CUlaunchConfig>(), 56);
        // cuda.h: id, padding to 8 bytes, a union of 64 bytes.
        assert_eq!(std::mem::offset_of!(CUlaunchAttribute, value), 8);
        assert_eq!(size_of::<CUlaunchAttribute>(), 72);
    }
}
