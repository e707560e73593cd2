//! One GPU: its primary context, its properties, its memory, and the calls behind streams, events and graphs.

use super::library::{self, check};
use super::{module, version};
use crate::drivers::gpu::native::{Native, RawStream};
use crate::drivers::gpu::streams::Vendor;
use crate::drivers::gpu::{DeviceMemory, Handle, Module, cuda_name};
use crate::error::{Error, Result};
use crate::launch::{Place, Stream};
use cudarc::driver::sys::{
    self, CUcontext, CUdevice, CUdevice_attribute as Attribute, CUstream, CUstreamCaptureMode as Mode,
};
use kcc_dsl::exchange::Artifact;
use std::ffi::CStr;
use std::sync::Arc;

/// A stream that does not wait for the default stream (`CU_STREAM_NON_BLOCKING`).
const NON_BLOCKING: u32 = 1;

/// An open GPU.
pub(super) struct Context {
    pub(super) index: u16,
    device: CUdevice,
    raw: CUcontext,
    pub(super) name: String,
    /// What to compile for, and what else runs; at least one.
    targets: Vec<&'static str>,
    /// CUDA version of the driver.
    pub(super) driver: i32,
    pub(super) processors: u32,
    /// Most dynamic shared memory of a block, in bytes.
    pub(super) shared: u64,
    /// The stream of launches that name none.
    own: CUstream,
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
        let targets = version::targets(major, minor).map_err(fail)?;
        let processors = attribute(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?;
        let shared = attribute(Attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)?;
        let mut text = [0; 256];
        let mut raw = std::ptr::null_mut();
        let mut own = std::ptr::null_mut();
        // SAFETY: the device exists; 255 bytes leave room for the terminator.
        let made = unsafe {
            check(sys::cuDeviceGetName(text.as_mut_ptr(), 255, device)).map_err(fail)?;
            check(sys::cuDevicePrimaryCtxRetain(&mut raw, device)).map_err(fail)?;
            check(sys::cuCtxSetCurrent(raw)).and_then(|()| check(sys::cuStreamCreate(&mut own, NON_BLOCKING)))
        };
        made.map_err(|e| {
            // SAFETY: retained above, not used any more.
            let _ = unsafe { sys::cuDevicePrimaryCtxRelease_v2(device) };
            fail(e)
        })?;
        // SAFETY: the driver wrote a NUL-terminated text.
        let name = unsafe { CStr::from_ptr(text.as_ptr()) }.to_string_lossy().into_owned();
        let (processors, shared) = (processors.max(1) as u32, shared.max(0) as u64);
        Ok(Context { index, device, raw, name, targets, driver, processors, shared, own })
    }

    /// The driver's answer as an error of this device.
    pub(super) fn check(&self, result: sys::CUresult) -> Result<()> {
        check(result).map_err(|e| self.error(e))
    }

    pub(super) fn error(&self, reason: String) -> Error {
        Error::Device { device: format!("cuda:{}", self.index), reason }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: the stream was made in this context and is not used after; the context was retained in `open`.
        // Failures at the end of the process change nothing.
        unsafe {
            let _ = sys::cuCtxSetCurrent(self.raw);
            let _ = sys::cuStreamDestroy_v2(self.own);
            let _ = sys::cuDevicePrimaryCtxRelease_v2(self.device);
        }
    }
}

impl Native for Context {
    fn enter(&self) -> Result<()> {
        // SAFETY: the context lives as long as `self`.
        self.check(unsafe { sys::cuCtxSetCurrent(self.raw) })
    }

    fn processors(&self) -> u32 {
        self.processors
    }

    fn stream(&self, stream: Option<Stream>) -> RawStream {
        stream.map_or(self.own.cast(), Stream::raw)
    }

    fn capturing(&self, stream: RawStream) -> Result<bool> {
        let mut status = sys::CUstreamCaptureStatus::CU_STREAM_CAPTURE_STATUS_NONE;
        // SAFETY: an open stream, and a place for the answer.
        self.check(unsafe { sys::cuStreamIsCapturing(stream.cast(), &mut status) })?;
        Ok(status != sys::CUstreamCaptureStatus::CU_STREAM_CAPTURE_STATUS_NONE)
    }

    fn wait(&self, stream: RawStream) -> Result<()> {
        // SAFETY: an open stream; one that the caller closed is their broken promise (`Stream::from_raw`).
        self.check(unsafe { sys::cuStreamSynchronize(stream.cast()) })
    }
}

impl Vendor for Context {
    fn describe(&self) -> String {
        let driver = cuda_name(self.driver);
        format!("cuda:{} ({}, {}, driver for CUDA {driver})", self.index, self.name, self.target())
    }

    fn target(&self) -> &str {
        self.targets[0]
    }

    fn other_targets(&self) -> &[&'static str] {
        &self.targets[1..]
    }

    fn place(&self) -> Place {
        Place::Gpu(u32::from(self.index))
    }

    fn shared_bytes(&self) -> u64 {
        self.shared
    }

    fn load(self: &Arc<Self>, kernel: &str, artifact: &Artifact) -> Result<Box<dyn Module>> {
        Ok(Box::new(module::Code::load(self.clone(), kernel, artifact)?))
    }

    fn open_stream(&self) -> Result<RawStream> {
        let mut raw = std::ptr::null_mut();
        // SAFETY: a place for the handle.
        self.check(unsafe { sys::cuStreamCreate(&mut raw, NON_BLOCKING) })?;
        Ok(raw.cast())
    }

    fn close_stream(&self, stream: RawStream) {
        // SAFETY: made by `open_stream`, not used after.
        let _ = unsafe { sys::cuStreamDestroy_v2(stream.cast()) };
    }

    fn event(&self) -> Result<Handle> {
        let mut raw = std::ptr::null_mut();
        // SAFETY: a place for the handle.
        self.check(unsafe { sys::cuEventCreate(&mut raw, 0) })?;
        Ok(raw.cast())
    }

    fn mark(&self, event: Handle, stream: RawStream) -> Result<()> {
        // SAFETY: both handles are open.
        self.check(unsafe { sys::cuEventRecord(event.cast(), stream.cast()) })
    }

    fn reach(&self, event: Handle) -> Result<()> {
        // SAFETY: a recorded event.
        self.check(unsafe { sys::cuEventSynchronize(event.cast()) })
    }

    fn hold_back(&self, stream: RawStream, event: Handle) -> Result<()> {
        // SAFETY: both handles are open.
        self.check(unsafe { sys::cuStreamWaitEvent(stream.cast(), event.cast(), 0) })
    }

    fn elapsed(&self, start: Handle, end: Handle) -> Result<f32> {
        let mut ms = 0.0;
        // SAFETY: both events are recorded.
        self.check(unsafe { sys::cuEventElapsedTime(&mut ms, start.cast(), end.cast()) })?;
        Ok(ms)
    }

    fn drop_event(&self, event: Handle) {
        // SAFETY: made by `event`, not used after.
        let _ = unsafe { sys::cuEventDestroy_v2(event.cast()) };
    }

    fn begin_capture(&self, stream: RawStream) -> Result<()> {
        let mode = Mode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        // SAFETY: an open stream that is not capturing; the driver says so otherwise.
        self.check(unsafe { sys::cuStreamBeginCapture_v2(stream.cast(), mode) })
    }

    fn end_capture(&self, stream: RawStream, graph: &mut Handle) -> Result<()> {
        let mut raw = std::ptr::null_mut();
        // SAFETY: the stream of `begin_capture`, and a place for the handle.
        let ended = self.check(unsafe { sys::cuStreamEndCapture(stream.cast(), &mut raw) });
        *graph = raw.cast();
        ended
    }

    fn instantiate(&self, graph: Handle) -> Result<Handle> {
        let mut raw = std::ptr::null_mut();
        // SAFETY: the graph is complete.
        self.check(unsafe { sys::cuGraphInstantiateWithFlags(&mut raw, graph.cast(), 0) })?;
        Ok(raw.cast())
    }

    fn drop_graph(&self, graph: Handle) {
        // SAFETY: made by `end_capture`, not used after.
        let _ = unsafe { sys::cuGraphDestroy(graph.cast()) };
    }

    fn replay(&self, instance: Handle, stream: RawStream) -> Result<()> {
        // SAFETY: both handles are open.
        self.check(unsafe { sys::cuGraphLaunch(instance.cast(), stream.cast()) })
    }

    fn drop_instance(&self, instance: Handle) {
        // SAFETY: made by `instantiate`, not used after.
        let _ = unsafe { sys::cuGraphExecDestroy(instance.cast()) };
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

    unsafe fn start_write(&self, address: u64, bytes: &[u8], stream: Option<Stream>) -> Result<()> {
        self.enter()?;
        let stream = self.stream(stream).cast();
        // SAFETY: by the caller's promise.
        self.check(unsafe { sys::cuMemcpyHtoDAsync_v2(address, bytes.as_ptr().cast(), bytes.len(), stream) })
    }

    unsafe fn start_read(&self, address: u64, bytes: &mut [u8], stream: Option<Stream>) -> Result<()> {
        self.enter()?;
        let stream = self.stream(stream).cast();
        // SAFETY: by the caller's promise.
        self.check(unsafe {
            sys::cuMemcpyDtoHAsync_v2(bytes.as_mut_ptr().cast(), address, bytes.len(), stream)
        })
    }

    fn settle(&self, stream: Option<Stream>) -> Result<()> {
        self.wait(self.stream(stream))
    }

    unsafe fn zero(&self, address: u64, bytes: usize) -> Result<()> {
        self.enter()?;
        // SAFETY: by the caller's promise.
        self.check(unsafe { sys::cuMemsetD8Async(address, 0, bytes, self.own) })
    }
}
