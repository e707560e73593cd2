//! One GPU: its primary context, its properties, and its memory.

use super::library::{self, check};
use super::stream::{self, Stream};
use super::version;
use crate::drivers::gpu::DeviceMemory;
use crate::drivers::gpu::native::{Native, RawStream};
use crate::error::{Error, Result};
use crate::launch;
use cudarc::driver::sys::{self, CUcontext, CUdevice, CUdevice_attribute as Attribute};
use std::ffi::CStr;

/// An open GPU.
pub(super) struct Context {
    pub(super) index: u16,
    device: CUdevice,
    raw: CUcontext,
    pub(super) name: String,
    pub(super) target: &'static str,
    /// CUDA version of the driver.
    pub(super) driver: i32,
    pub(super) processors: u32,
    /// Most dynamic shared memory of a block, in bytes.
    pub(super) shared: u64,
    /// The stream of launches that name none.
    pub(super) stream: Stream,
}

// SAFETY: a primary context may be made current on any thread; the handle is only passed back to the driver.
unsafe impl Send for Context {}
// SAFETY: as above; the driver's functions are thread-safe.
unsafe impl Sync for Context {}

impl Context {
    /// Opens GPU number `index`.
    pub(super) fn open(index: u16) -> Result<Context> {
        let driver = library::open()?;
        let fail = |reason: String| Error::Device { device: format!("cuda:{index}"), reason };
        let (mut count, mut device) = (0, 0);
        // SAFETY: the driver is initialised; each call gets valid places for what it returns.
        unsafe {
            check(sys::cuDeviceGetCount(&mut count)).map_err(fail)?;
            if i32::from(index) >= count {
                return Err(fail(format!(
                    "there are {count} GPUs, counted from 0 (CUDA_VISIBLE_DEVICES hides those that it does not name)"
                )));
            }
            check(sys::cuDeviceGet(&mut device, i32::from(index))).map_err(fail)?;
        }
        let attribute = |a: Attribute| {
            let mut value = 0;
            // SAFETY: the device exists.
            check(unsafe { sys::cuDeviceGetAttribute(&mut value, a, device) }).map_err(fail)?;
            Ok::<i32, Error>(value)
        };
        let major = attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?;
        let minor = attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?;
        let target = version::target(major, minor).map_err(fail)?;
        let processors = attribute(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?;
        let shared = attribute(Attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)?;
        let mut text = [0; 256];
        let mut raw = std::ptr::null_mut();
        // SAFETY: the device exists; 255 bytes leave room for the terminator.
        let stream = unsafe {
            check(sys::cuDeviceGetName(text.as_mut_ptr(), 255, device)).map_err(fail)?;
            check(sys::cuDevicePrimaryCtxRetain(&mut raw, device)).map_err(fail)?;
            check(sys::cuCtxSetCurrent(raw)).and_then(|()| Stream::new())
        };
        let stream = stream.map_err(|e| {
            // SAFETY: retained above, not used any more.
            let _ = unsafe { sys::cuDevicePrimaryCtxRelease_v2(device) };
            fail(e)
        })?;
        // SAFETY: the driver wrote a NUL-terminated text.
        let name = unsafe { CStr::from_ptr(text.as_ptr()) }.to_string_lossy().into_owned();
        let (processors, shared) = (processors.max(1) as u32, shared.max(0) as u64);
        Ok(Context { index, device, raw, name, target, driver, processors, shared, stream })
    }

    /// Makes the context current on this thread.
    pub(super) fn enter(&self) -> Result<()> {
        // SAFETY: the context lives as long as `self`.
        self.check(unsafe { sys::cuCtxSetCurrent(self.raw) })
    }

    /// The driver's answer as an error of this device.
    pub(super) fn check(&self, result: sys::CUresult) -> Result<()> {
        check(result).map_err(|e| self.error(e))
    }

    pub(super) fn error(&self, reason: String) -> Error {
        Error::Device { device: format!("cuda:{}", self.index), reason }
    }
}

impl Context {
    /// Waits for the own stream.
    fn synchronize(&self) -> Result<()> {
        self.enter()?;
        self.stream.synchronize().map_err(|e| self.error(e))
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: the stream was made in this context and is not used after; the context was retained in `open`.
        // Failures at the end of the process change nothing.
        unsafe {
            let _ = sys::cuCtxSetCurrent(self.raw);
            self.stream.destroy();
            let _ = sys::cuDevicePrimaryCtxRelease_v2(self.device);
        }
    }
}

impl Native for Context {
    fn enter(&self) -> Result<()> {
        Context::enter(self)
    }

    fn processors(&self) -> u32 {
        self.processors
    }

    fn stream(&self, stream: Option<launch::Stream>) -> RawStream {
        stream.map_or(self.stream.raw().cast(), launch::Stream::raw)
    }

    fn capturing(&self, stream: RawStream) -> Result<bool> {
        stream::capturing(stream.cast()).map_err(|e| self.error(e))
    }

    fn wait(&self, stream: RawStream) -> Result<()> {
        stream::synchronize(stream.cast()).map_err(|e| self.error(e))
    }
}

impl DeviceMemory for Context {
    fn alloc(&self, bytes: usize) -> Result<u64> {
        self.enter()?;
        let mut address = 0;
        // SAFETY: a valid place for an address.
        let result = unsafe { sys::cuMemAlloc_v2(&mut address, bytes.max(1)) };
        if result == sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY {
            return Err(Error::OutOfMemory { bytes });
        }
        self.check(result)?;
        Ok(address)
    }

    unsafe fn free(&self, address: u64) {
        // SAFETY: by the caller's promise; a failure leaks.
        unsafe {
            let _ = sys::cuCtxSetCurrent(self.raw);
            let _ = sys::cuMemFree_v2(address);
        }
    }

    unsafe fn write(&self, address: u64, bytes: &[u8]) -> Result<()> {
        self.enter()?;
        // SAFETY: by the caller's promise; the copy has read `bytes` when `synchronize` returns.
        unsafe {
            let stream = self.stream.raw();
            self.check(sys::cuMemcpyHtoDAsync_v2(address, bytes.as_ptr().cast(), bytes.len(), stream))?;
        }
        self.synchronize()
    }

    unsafe fn read(&self, address: u64, bytes: &mut [u8]) -> Result<()> {
        self.enter()?;
        // SAFETY: by the caller's promise; the copy is complete when `synchronize` returns.
        unsafe {
            let stream = self.stream.raw();
            self.check(sys::cuMemcpyDtoHAsync_v2(bytes.as_mut_ptr().cast(), address, bytes.len(), stream))?;
        }
        self.synchronize()
    }

    unsafe fn zero(&self, address: u64, bytes: usize) -> Result<()> {
        self.enter()?;
        // SAFETY: by the caller's promise.
        unsafe { self.check(sys::cuMemsetD8Async(address, 0, bytes, self.stream.raw())) }
    }
}
