//! One NPU: its cores, its own stream, its memory, and events in its streams.

use super::library::{Api, Code, Handle, OUT_OF_MEMORY, text};
use super::module;
use crate::drivers::gpu::native::{Native, RawStream};
use crate::drivers::gpu::{DeviceMemory, Driver, Module};
use crate::error::{Error, Result};
use crate::launch::{Facts, Place, Stream};
use kcc_dsl::exchange::{Artifact, NpuBlocks};
use std::ffi::{c_int, c_void};
use std::sync::Arc;

/// `aclrtDevAttr`.
const CUBE_CORES: c_int = 102;
const VECTOR_CORES: c_int = 201;
/// `ACL_MEM_MALLOC_HUGE_FIRST`.
const HUGE_FIRST: c_int = 0;
/// `aclrtMemcpyKind`.
const TO_DEVICE: c_int = 1;
const TO_HOST: c_int = 2;
/// `ACL_EVENT_TIME_LINE`.
const TIMED: u32 = 8;
/// Numbers of places; those below are CUDA's and HIP's.
const FIRST_PLACE: u32 = 1 << 17;
/// Bytes of a vector core's unified buffer that a kernel may use, arch 2201.
const UNIFIED: u64 = (192 << 10) - 256;

/// The chips that kcc compiles for: how their names begin, the target, and the groups that it counts on.
const CHIPS: [(&str, &str, i64); 4] = [
    ("Ascend910B", "ascend:910b", 24),
    ("Ascend910B", "ascend:910b4", 1),
    ("Ascend910_93", "ascend:910c", 24),
    ("Ascend910_93", "ascend:910c4", 1),
];

/// One architecture: code for any of them runs on all, on the groups that there are.
const TARGETS: [&str; 4] = [CHIPS[0].1, CHIPS[2].1, CHIPS[1].1, CHIPS[3].1];

/// An open NPU.
pub(super) struct Device {
    pub(super) api: Arc<Api>,
    pub(super) index: u16,
    pub(super) name: String,
    pub(super) target: &'static str,
    version: (i32, i32, i32),
    cube: u32,
    vector: u32,
    own: Handle,
}

// SAFETY: handles are only passed back to AscendCL, whose functions may be called from any thread after `enter`.
unsafe impl Send for Device {}
// SAFETY: as above; AscendCL's functions are thread-safe.
unsafe impl Sync for Device {}

/// Opens NPU number `index`.
///
/// # Errors
/// No AscendCL, an old one, no such NPU, a chip that kcc has no target for.
pub(crate) fn open(index: u16) -> Result<Arc<dyn Driver>> {
    Ok(Arc::new(Npu { device: Arc::new(Device::open(Api::shared()?, index)?) }))
}

impl Device {
    /// Opens NPU number `index`.
    pub(super) fn open(api: Arc<Api>, index: u16) -> Result<Device> {
        let fail = |reason: String| Error::Device { device: format!("ascend:{index}"), reason };
        let (mut count, mut version) = (0, (0, 0, 0));
        // SAFETY: AscendCL is started; each call gets valid places for its answers.
        unsafe {
            api.check((api.device_count)(&mut count)).map_err(fail)?;
            api.check((api.version)(&mut version.0, &mut version.1, &mut version.2)).map_err(fail)?;
        }
        if u32::from(index) >= count {
            return Err(fail(format!(
                "there are {count} NPUs, counted from 0 (ASCEND_RT_VISIBLE_DEVICES hides those that it does not name)"
            )));
        }
        let mut own = std::ptr::null_mut();
        // SAFETY: the device exists; the name is a static text of the library.
        let name = unsafe {
            api.check((api.set_device)(i32::from(index))).map_err(fail)?;
            text((api.chip_name)())
        };
        let cores = |which: c_int| {
            let mut value = 0;
            // SAFETY: the device exists, and is current.
            api.check(unsafe { (api.device_info)(u32::from(index), which, &mut value) }).map_err(fail)?;
            Ok::<i64, Error>(value)
        };
        let (cube, vector) = (cores(CUBE_CORES)?, cores(VECTOR_CORES)?);
        let known = CHIPS.iter().find(|(start, _, groups)| name.starts_with(start) && cube >= *groups);
        let Some((_, target, _)) = known.filter(|_| vector >= 2 * cube) else {
            return Err(fail(format!(
                "it is `{name}` with {cube} cube and {vector} vector cores; kcc compiles for 910B and 910C (arch 2201): use another \
                 device"
            )));
        };
        // SAFETY: a valid place for the handle.
        api.check(unsafe { (api.stream_create)(&mut own) }).map_err(fail)?;
        let (cube, vector) = (cube.clamp(1, 1 << 10) as u32, vector.clamp(1, 1 << 11) as u32);
        Ok(Device { api, index, name, target, version, cube, vector, own })
    }

    /// Blocks of a kernel that run at once.
    pub(super) fn at_once(&self, blocks: NpuBlocks) -> u32 {
        match blocks {
            NpuBlocks::Groups => self.cube,
            NpuBlocks::Vectors => self.vector,
        }
    }

    /// AscendCL's answer as an error of this device.
    pub(super) fn check(&self, code: Code) -> Result<()> {
        self.api.check(code).map_err(|reason| self.error(reason))
    }

    pub(super) fn error(&self, reason: String) -> Error {
        Error::Device { device: format!("ascend:{}", self.index), reason }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // SAFETY: made in `open`, not used after. Failures at the end of the process change nothing.
        unsafe {
            let _ = (self.api.set_device)(i32::from(self.index));
            let _ = (self.api.stream_destroy)(self.own);
        }
    }
}

impl Native for Device {
    fn enter(&self) -> Result<()> {
        // SAFETY: the device exists.
        self.check(unsafe { (self.api.set_device)(i32::from(self.index)) })
    }

    fn processors(&self) -> u32 {
        self.cube
    }

    fn stream(&self, stream: Option<Stream>) -> RawStream {
        stream.map_or(self.own, Stream::raw)
    }

    /// Streams are not recorded.
    fn capturing(&self, _: RawStream) -> Result<bool> {
        Ok(false)
    }

    fn wait(&self, stream: RawStream) -> Result<()> {
        // SAFETY: an open stream; one that the caller closed is their broken promise (`Stream::from_raw`).
        self.check(unsafe { (self.api.stream_synchronize)(stream) })
    }
}

/// An address as AscendCL takes it.
fn pointer(address: u64) -> *mut c_void {
    address as usize as *mut c_void
}

impl DeviceMemory for Device {
    fn alloc(&self, bytes: usize) -> Result<u64> {
        self.enter()?;
        let mut address = std::ptr::null_mut();
        // SAFETY: a valid place for an address.
        let code = unsafe { (self.api.malloc)(&mut address, bytes.max(1), HUGE_FIRST) };
        if OUT_OF_MEMORY.contains(&code) {
            return Err(Error::OutOfMemory { bytes });
        }
        self.check(code)?;
        Ok(address as u64)
    }

    unsafe fn free(&self, address: u64) {
        // SAFETY: by the caller's promise; a failure leaks.
        unsafe {
            let _ = (self.api.set_device)(i32::from(self.index));
            let _ = (self.api.free)(pointer(address));
        }
    }

    unsafe fn start_write(&self, address: u64, bytes: &[u8], stream: Option<Stream>) -> Result<()> {
        self.enter()?;
        let (n, from, stream) = (bytes.len(), bytes.as_ptr().cast(), self.stream(stream));
        // SAFETY: by the caller's promise.
        self.check(unsafe { (self.api.copy)(pointer(address), n, from, n, TO_DEVICE, stream) })
    }

    unsafe fn start_read(&self, address: u64, bytes: &mut [u8], stream: Option<Stream>) -> Result<()> {
        self.enter()?;
        let (n, to, stream) = (bytes.len(), bytes.as_mut_ptr().cast(), self.stream(stream));
        // SAFETY: by the caller's promise.
        self.check(unsafe { (self.api.copy)(to, n, pointer(address), n, TO_HOST, stream) })
    }

    fn settle(&self, stream: Option<Stream>) -> Result<()> {
        self.wait(self.stream(stream))
    }

    unsafe fn zero(&self, address: u64, bytes: usize) -> Result<()> {
        self.enter()?;
        // SAFETY: by the caller's promise.
        self.check(unsafe { (self.api.fill)(pointer(address), bytes, 0, bytes, self.own) })
    }
}

/// An open NPU as a driver.
pub(super) struct Npu {
    pub(super) device: Arc<Device>,
}

impl Driver for Npu {
    fn describe(&self) -> String {
        let d = &self.device;
        let (major, minor, patch) = d.version;
        let (cube, vector) = (d.cube, d.vector);
        format!(
            "ascend:{} ({}, {}, {cube} cube and {vector} vector cores, AscendCL {major}.{minor}.{patch})",
            d.index, d.name, d.target
        )
    }

    fn target(&self) -> &str {
        self.device.target
    }

    fn other_targets(&self) -> &[&'static str] {
        &TARGETS
    }

    fn facts(&self) -> Facts {
        Facts::Cpu
    }

    fn shared_bytes(&self) -> Option<u64> {
        Some(UNIFIED)
    }

    fn place(&self) -> Place {
        Place::Gpu(FIRST_PLACE + u32::from(self.device.index))
    }

    fn load(&self, kernel: &str, artifact: &Artifact) -> Result<Box<dyn Module>> {
        Ok(Box::new(module::Code::load(self.device.clone(), kernel, artifact)?))
    }

    fn memory(&self) -> Option<Arc<dyn DeviceMemory>> {
        Some(self.device.clone())
    }

    fn synchronize(&self, stream: Option<Stream>) -> Result<()> {
        self.device.enter()?;
        self.device.wait(self.device.stream(stream))
    }

    fn time(&self, stream: Option<Stream>, f: &mut dyn FnMut() -> Result<()>) -> Result<f32> {
        self.device.enter()?;
        let stream = self.device.stream(stream);
        let start = Event::record(&self.device, stream)?;
        f()?;
        self.device.enter()?;
        Event::record(&self.device, stream)?.since(&start)
    }
}

/// A moment in a stream.
struct Event<'d> {
    device: &'d Device,
    raw: Handle,
}

impl<'d> Event<'d> {
    /// Records a moment in a stream of the device, which is current.
    fn record(device: &'d Device, stream: RawStream) -> Result<Event<'d>> {
        let mut raw = std::ptr::null_mut();
        // SAFETY: a place for the handle; the event is dropped below if it cannot be recorded.
        device.check(unsafe { (device.api.event_create)(&mut raw, TIMED) })?;
        let event = Event { device, raw };
        // SAFETY: both handles are open.
        device.check(unsafe { (device.api.event_record)(event.raw, stream) })?;
        Ok(event)
    }

    /// Milliseconds from `start` to here, waiting for here.
    fn since(&self, start: &Event<'_>) -> Result<f32> {
        let (api, mut ms) = (&self.device.api, 0.0);
        // SAFETY: both events are recorded.
        unsafe {
            self.device.check((api.event_synchronize)(self.raw))?;
            self.device.check((api.event_elapsed)(&mut ms, start.raw, self.raw))?;
        }
        Ok(ms)
    }
}

impl Drop for Event<'_> {
    fn drop(&mut self) {
        // SAFETY: made in `record`, not used after.
        let _ = unsafe { (self.device.api.event_destroy)(self.raw) };
    }
}
