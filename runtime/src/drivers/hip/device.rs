//! One GPU: its properties, its memory, and the calls behind streams, events and graphs.

use super::library::{Api, Code, OUT_OF_MEMORY};
use super::module;
use crate::drivers::gpu::Handle;
use crate::drivers::gpu::native::{Native, RawStream};
use crate::drivers::gpu::streams::Vendor;
use crate::drivers::gpu::{DeviceMemory, Module};
use crate::error::{Error, Result};
use crate::launch::{Place, Stream};
use kcc_dsl::exchange::Artifact;
use std::ffi::{CStr, c_int, c_void};
use std::sync::Arc;

/// `hipDeviceAttribute_t`, the same since ROCm 4.3.
const MULTIPROCESSORS: c_int = 63;
const SHARED_PER_BLOCK: c_int = 74;
/// `hipStreamNonBlocking`: does not wait for the default stream.
const NON_BLOCKING: u32 = 1;
/// `hipStreamCaptureModeThreadLocal`.
const THREAD_LOCAL: c_int = 1;
/// Numbers of places; those below are CUDA's.
const FIRST_PLACE: u32 = 1 << 16;
/// More than any form of `hipDeviceProp_t` has (1472 bytes in ROCm 6).
const PROPERTIES: usize = 16 << 10;
/// Its first field is the name, in so many bytes.
const NAME: usize = 256;

/// The chips that kcc compiles for.
const CHIPS: [(&str, &str); 4] = [
    ("gfx90a", "amd:gfx90a"),
    ("gfx942", "amd:gfx942"),
    ("gfx950", "amd:gfx950"),
    ("gfx1100", "amd:gfx1100"),
];

/// An open GPU.
pub(super) struct Device {
    pub(super) api: Arc<Api>,
    pub(super) index: u16,
    pub(super) name: String,
    pub(super) target: &'static str,
    /// ROCm's version as HIP numbers it.
    pub(super) driver: i32,
    processors: u32,
    /// Most LDS of a block, in bytes.
    pub(super) shared: u64,
    own: Handle,
}

// SAFETY: handles are only passed back to HIP, whose functions may be called from any thread after `enter`.
unsafe impl Send for Device {}
// SAFETY: as above; HIP's functions are thread-safe.
unsafe impl Sync for Device {}

/// The architecture in a record of properties, without its features: `gfx942` of `gfx942:sramecc+:xnack-`. Where the field
/// lies depends on HIP's version; behind the device's name no other text begins like it.
pub(super) fn architecture(properties: &[u8]) -> Option<&str> {
    let rest = properties.get(NAME..)?;
    let at = rest.windows(3).position(|window| window == b"gfx")?;
    let text = &rest[at..];
    let end = text.iter().position(|b| !b.is_ascii_alphanumeric()).unwrap_or(text.len());
    std::str::from_utf8(&text[..end]).ok()
}

impl Device {
    /// Opens GPU number `index`.
    pub(super) fn open(api: Arc<Api>, index: u16) -> Result<Device> {
        let fail = |reason: String| Error::Device { device: format!("hip:{index}"), reason };
        let number = c_int::from(index);
        let (mut count, mut driver) = (0, 0);
        // SAFETY: HIP is started; each call gets a valid place for its answer.
        unsafe {
            api.check((api.device_count)(&mut count)).map_err(fail)?;
            api.check((api.driver_version)(&mut driver)).map_err(fail)?;
        }
        if number >= count {
            return Err(fail(format!(
                "there are {count} GPUs, counted from 0 (HIP_VISIBLE_DEVICES hides those that it does not name)"
            )));
        }
        let attribute = |which: c_int| {
            let mut value = 0;
            // SAFETY: the device exists.
            api.check(unsafe { (api.attribute)(&mut value, which, number) }).map_err(fail)?;
            Ok::<i32, Error>(value)
        };
        let processors = attribute(MULTIPROCESSORS)?.max(1) as u32;
        let shared = attribute(SHARED_PER_BLOCK)?.max(0) as u64;
        // Words, so that the record is aligned.
        let mut record = vec![0u64; PROPERTIES / 8];
        let mut text = [0; NAME];
        // SAFETY: the device exists; the record is larger than HIP writes, and one byte is left for the text's end.
        unsafe {
            api.check((api.properties)(record.as_mut_ptr().cast(), number)).map_err(fail)?;
            api.check((api.device_name)(text.as_mut_ptr(), NAME as c_int - 1, number)).map_err(fail)?;
        }
        let bytes = bytemuck::cast_slice(&record);
        let found = architecture(bytes).unwrap_or("of unknown architecture");
        let Some((_, target)) = CHIPS.iter().find(|(chip, _)| *chip == found) else {
            let known: Vec<_> = CHIPS.iter().map(|(chip, _)| *chip).collect();
            return Err(fail(format!(
                "it is {found}; kcc compiles for {}: use another device",
                known.join(", ")
            )));
        };
        let mut own = std::ptr::null_mut();
        // SAFETY: the device exists; a valid place for the handle.
        unsafe {
            api.check((api.set_device)(number)).map_err(fail)?;
            api.check((api.stream_create)(&mut own, NON_BLOCKING)).map_err(fail)?;
        }
        // SAFETY: zeroed before, and HIP wrote at most all but the last byte.
        let name = unsafe { CStr::from_ptr(text.as_ptr()) }.to_string_lossy().into_owned();
        Ok(Device { api, index, name, target, driver, processors, shared, own })
    }

    /// HIP's answer as an error of this device.
    pub(super) fn check(&self, code: Code) -> Result<()> {
        self.api.check(code).map_err(|reason| self.error(reason))
    }

    pub(super) fn error(&self, reason: String) -> Error {
        Error::Device { device: format!("hip:{}", self.index), reason }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // SAFETY: made in `open`, not used after. Failures at the end of the process change nothing.
        unsafe {
            let _ = (self.api.set_device)(c_int::from(self.index));
            let _ = (self.api.stream_destroy)(self.own);
        }
    }
}

impl Native for Device {
    fn enter(&self) -> Result<()> {
        // SAFETY: the device exists.
        self.check(unsafe { (self.api.set_device)(c_int::from(self.index)) })
    }

    fn processors(&self) -> u32 {
        self.processors
    }

    fn stream(&self, stream: Option<Stream>) -> RawStream {
        stream.map_or(self.own, Stream::raw)
    }

    fn capturing(&self, stream: RawStream) -> Result<bool> {
        let mut status = 0;
        // SAFETY: an open stream, and a place for the answer.
        self.check(unsafe { (self.api.stream_is_capturing)(stream, &mut status) })?;
        Ok(status != 0)
    }

    fn wait(&self, stream: RawStream) -> Result<()> {
        // SAFETY: an open stream; one that the caller closed is their broken promise (`Stream::from_raw`).
        self.check(unsafe { (self.api.stream_synchronize)(stream) })
    }
}

impl Vendor for Device {
    fn describe(&self) -> String {
        format!("hip:{} ({}, {}, HIP {})", self.index, self.name, self.target, version(self.driver))
    }

    fn target(&self) -> &str {
        self.target
    }

    fn place(&self) -> Place {
        Place::Gpu(FIRST_PLACE + u32::from(self.index))
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
        self.check(unsafe { (self.api.stream_create)(&mut raw, NON_BLOCKING) })?;
        Ok(raw)
    }

    fn close_stream(&self, stream: RawStream) {
        // SAFETY: made by `open_stream`, not used after.
        let _ = unsafe { (self.api.stream_destroy)(stream) };
    }

    fn event(&self) -> Result<Handle> {
        let mut raw = std::ptr::null_mut();
        // SAFETY: a place for the handle.
        self.check(unsafe { (self.api.event_create)(&mut raw) })?;
        Ok(raw)
    }

    fn mark(&self, event: Handle, stream: RawStream) -> Result<()> {
        // SAFETY: both handles are open.
        self.check(unsafe { (self.api.event_record)(event, stream) })
    }

    fn reach(&self, event: Handle) -> Result<()> {
        // SAFETY: a recorded event.
        self.check(unsafe { (self.api.event_synchronize)(event) })
    }

    fn hold_back(&self, stream: RawStream, event: Handle) -> Result<()> {
        // SAFETY: both handles are open.
        self.check(unsafe { (self.api.stream_wait_event)(stream, event, 0) })
    }

    fn elapsed(&self, start: Handle, end: Handle) -> Result<f32> {
        let mut ms = 0.0;
        // SAFETY: both events are recorded.
        self.check(unsafe { (self.api.event_elapsed)(&mut ms, start, end) })?;
        Ok(ms)
    }

    fn drop_event(&self, event: Handle) {
        // SAFETY: made by `event`, not used after.
        let _ = unsafe { (self.api.event_destroy)(event) };
    }

    fn begin_capture(&self, stream: RawStream) -> Result<()> {
        // SAFETY: an open stream that is not capturing; HIP says so otherwise.
        self.check(unsafe { (self.api.begin_capture)(stream, THREAD_LOCAL) })
    }

    fn end_capture(&self, stream: RawStream, graph: &mut Handle) -> Result<()> {
        // SAFETY: the stream of `begin_capture`, and a place for the handle.
        self.check(unsafe { (self.api.end_capture)(stream, graph) })
    }

    fn instantiate(&self, graph: Handle) -> Result<Handle> {
        let mut raw = std::ptr::null_mut();
        // SAFETY: the graph is complete.
        self.check(unsafe { (self.api.graph_instantiate)(&mut raw, graph, 0) })?;
        Ok(raw)
    }

    fn drop_graph(&self, graph: Handle) {
        // SAFETY: made by `end_capture`, not used after.
        let _ = unsafe { (self.api.graph_destroy)(graph) };
    }

    fn replay(&self, instance: Handle, stream: RawStream) -> Result<()> {
        // SAFETY: both handles are open.
        self.check(unsafe { (self.api.graph_launch)(instance, stream) })
    }

    fn drop_instance(&self, instance: Handle) {
        // SAFETY: made by `instantiate`, not used after.
        let _ = unsafe { (self.api.graph_exec_destroy)(instance) };
    }
}

/// `6.2` of HIP's number: ten millions for a major version, hundred thousands for a minor one.
fn version(number: i32) -> String {
    format!("{}.{}", number / 10_000_000, number / 100_000 % 100)
}

/// An address as HIP takes it.
fn pointer(address: u64) -> *mut c_void {
    address as usize as *mut c_void
}

impl DeviceMemory for Device {
    fn alloc(&self, bytes: usize) -> Result<u64> {
        self.enter()?;
        let mut address = std::ptr::null_mut();
        // SAFETY: a valid place for an address.
        let code = unsafe { (self.api.malloc)(&mut address, bytes.max(1)) };
        if code == OUT_OF_MEMORY {
            return Err(Error::OutOfMemory { bytes });
        }
        self.check(code)?;
        Ok(address as u64)
    }

    unsafe fn free(&self, address: u64) {
        // SAFETY: by the caller's promise; a failure leaks.
        unsafe {
            let _ = (self.api.set_device)(c_int::from(self.index));
            let _ = (self.api.free)(pointer(address));
        }
    }

    unsafe fn start_write(&self, address: u64, bytes: &[u8], stream: Option<Stream>) -> Result<()> {
        self.enter()?;
        let (from, stream) = (bytes.as_ptr().cast(), self.stream(stream));
        // SAFETY: by the caller's promise.
        self.check(unsafe { (self.api.write)(pointer(address), from, bytes.len(), stream) })
    }

    unsafe fn start_read(&self, address: u64, bytes: &mut [u8], stream: Option<Stream>) -> Result<()> {
        self.enter()?;
        let (to, stream) = (bytes.as_mut_ptr().cast(), self.stream(stream));
        // SAFETY: by the caller's promise.
        self.check(unsafe { (self.api.read)(to, pointer(address), bytes.len(), stream) })
    }

    fn settle(&self, stream: Option<Stream>) -> Result<()> {
        self.wait(self.stream(stream))
    }

    unsafe fn zero(&self, address: u64, bytes: usize) -> Result<()> {
        self.enter()?;
        // SAFETY: by the caller's promise.
        self.check(unsafe { (self.api.fill)(pointer(address), 0, bytes, self.own) })
    }
}

#[cfg(test)]
mod tests {
    use super::architecture;

    #[test]
    fn the_architecture_is_found_wherever_the_record_has_it() {
        for at in [300, 1160] {
            let mut record = vec![0u8; 2000];
            record[..6].copy_from_slice(b"gfx906"); // some devices are called like a chip
            record[at..at + 22].copy_from_slice(b"gfx942:sramecc+:xnack-");
            assert_eq!(architecture(&record), Some("gfx942"));
        }
        assert_eq!(architecture(&[0; 100]), None);
    }
}
