//! Devices by name.

use crate::error::{Failure, borrow, clear, give, guard, kcc_error, kcc_status, take_back};
use crate::pack::string;
use runtime::{Builder, Device, Stream};
use std::ffi::{CString, c_char, c_void};

/// A device. Any number of threads may use one; kernels loaded for it keep it alive.
pub struct kcc_device {
    pub(crate) device: Device,
    pub(crate) memory: Memory,
    description: CString,
}

/// Which memory a device works in, as DLPack numbers devices.
#[derive(Clone, Copy)]
pub(crate) struct Memory {
    pub(crate) kind: i32,
    pub(crate) index: i32,
}

impl Memory {
    fn of(device: &str) -> Memory {
        let (kind, index) = device.split_once(':').unwrap_or((device, "0"));
        let kind = match kind {
            "cuda" => DL_CUDA,
            "hip" => DL_ROCM,
            "ascend" => DL_EXT_DEV,
            _ => return Memory { kind: DL_CPU, index: 0 },
        };
        Memory { kind, index: index.parse().unwrap_or(0) }
    }

    pub(crate) fn is_host(self) -> bool {
        self.kind == DL_CPU
    }
}

// DLPack, `DLDeviceType`.
pub(crate) const DL_CPU: i32 = 1;
const DL_CUDA: i32 = 2;
const DL_ROCM: i32 = 10;
/// What frameworks give for an NPU.
const DL_EXT_DEV: i32 = 12;

/// Opens a device: `cpu`, `cpu:4` (four threads), `cuda`, `cuda:1`, `hip`, `hip:1`, `ascend`, `ascend:1`. A driver is looked for here.
///
/// # Safety
/// `name` is a text that ends with a NUL byte, or NULL; `out` and `error` may be written or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kcc_device_open(
    name: *const c_char,
    out: *mut *mut kcc_device,
    error: *mut *mut kcc_error,
) -> kcc_status {
    let body = || {
        // SAFETY: as the caller vouches.
        let name = unsafe {
            clear(out)?;
            string(name, "name")?
        };
        // Packs are compiled: nothing is kept on disk.
        let device = Builder::open(name)?.no_disk_cache().build();
        let description = CString::new(device.describe()).unwrap_or_default();
        let handle = kcc_device { device, memory: Memory::of(name), description };
        // SAFETY: `out` was cleared.
        unsafe { give(out, handle) };
        Ok(())
    };
    // SAFETY: as the caller vouches.
    unsafe { guard(error, body) }
}

/// Closes a device; NULL is fine.
///
/// # Safety
/// `device` is NULL or an open device; it is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kcc_device_close(device: *mut kcc_device) {
    // SAFETY: as the caller vouches.
    unsafe { take_back(device) };
}

/// Name of the device and what it runs: `cpu (cpu:x86-64-v4, 2 threads)`; NULL for NULL. Valid while the device is open.
///
/// # Safety
/// `device` is NULL or an open device.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kcc_device_description(device: *const kcc_device) -> *const c_char {
    // SAFETY: as the caller vouches.
    unsafe { device.as_ref() }.map_or(std::ptr::null(), |d| d.description.as_ptr())
}

/// The stream behind a handle; a CPU has none.
///
/// # Safety
/// `stream` is NULL or a stream of the device that outlives what is launched into it.
pub(crate) unsafe fn stream(memory: Memory, stream: *mut c_void) -> Result<Option<Stream>, Failure> {
    if stream.is_null() {
        return Ok(None);
    }
    if memory.is_host() {
        return Err(Failure::invalid("a CPU has no streams: `stream` must be NULL"));
    }
    // SAFETY: as the caller vouches.
    Ok(Some(unsafe { Stream::from_raw(stream) }))
}

/// Waits for what was launched into a stream (NULL: the device's own). On a CPU there is nothing to wait for.
///
/// # Safety
/// `device` is an open device or NULL; `stream` is NULL or a stream of it; `error` may be written or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kcc_device_synchronize(
    device: *const kcc_device,
    stream: *mut c_void,
    error: *mut *mut kcc_error,
) -> kcc_status {
    let body = || {
        // SAFETY: as the caller vouches.
        let device = unsafe { borrow(device, "device")? };
        // SAFETY: as the caller vouches.
        let stream = unsafe { self::stream(device.memory, stream)? };
        Ok(device.device.synchronize(stream)?)
    };
    // SAFETY: as the caller vouches.
    unsafe { guard(error, body) }
}
