//! The driver's library: found and checked once per process, so that no call meets a missing one.

use crate::drivers::gpu::library::first;
use crate::error::{Error, Result};
use cudarc::driver::sys::{self, CUresult};
use std::ffi::CStr;
use std::sync::OnceLock;

/// Every function that this driver calls.
const NEEDED: &[&str] = &[
    "cuInit",
    "cuDriverGetVersion",
    "cuDeviceGetCount",
    "cuDeviceGet",
    "cuDeviceGetName",
    "cuDeviceGetAttribute",
    "cuDevicePrimaryCtxRetain",
    "cuDevicePrimaryCtxRelease_v2",
    "cuCtxSetCurrent",
    "cuGetErrorName",
    "cuGetErrorString",
    "cuMemAlloc_v2",
    "cuMemFree_v2",
    "cuMemcpyHtoDAsync_v2",
    "cuMemcpyDtoHAsync_v2",
    "cuMemsetD8Async",
    "cuStreamCreate",
    "cuStreamDestroy_v2",
    "cuStreamSynchronize",
    "cuStreamIsCapturing",
    "cuStreamBeginCapture_v2",
    "cuStreamEndCapture",
    "cuGraphInstantiateWithFlags",
    "cuGraphLaunch",
    "cuGraphDestroy",
    "cuGraphExecDestroy",
    "cuEventCreate",
    "cuEventRecord",
    "cuEventSynchronize",
    "cuEventElapsedTime",
    "cuEventDestroy_v2",
    "cuModuleLoadDataEx",
    "cuModuleUnload",
    "cuModuleGetFunction",
    "cuFuncSetAttribute",
    "cuLaunchKernelEx",
    "cuTensorMapEncodeTiled",
];

/// The driver's library. Where another crate of the program has it linked, it is loaded already, and found again.
const LIBRARY: [&str; 2] = ["libcuda.so", "libcuda.so.1"];

/// The oldest CUDA version whose driver has all of [`NEEDED`].
const OLDEST: i32 = 12_000;

/// Opens and initialises the driver; the CUDA version that it supports, as `1000 * major + 10 * minor`.
///
/// # Errors
/// No driver, one that is too old, or no device that it may use: what was looked for, and what to do.
pub(super) fn open() -> Result<i32> {
    static OPENED: OnceLock<std::result::Result<i32, String>> = OnceLock::new();
    let opened = OPENED.get_or_init(|| {
        let library = first(&LIBRARY).map_err(|names| {
            format!(
                "no NVIDIA driver was found (looked for {names} on the library path); install NVIDIA's driver, put its folder on \
                 LD_LIBRARY_PATH, or use the device `cpu` or `sim:sm_90a`"
            )
        })?;
        let absent = |name: &&str| {
            // SAFETY: only the presence of the symbol matters, it is not called through this type.
            unsafe { library.get::<unsafe extern "C" fn()>(name.as_bytes()) }.is_err()
        };
        if let Some(name) = NEEDED.iter().copied().find(|n| absent(n)) {
            let (major, minor) = (OLDEST / 1000, OLDEST % 1000 / 10);
            return Err(format!(
                "the NVIDIA driver lacks {name}; kcc needs a driver for CUDA {major}.{minor} or newer: update it"
            ));
        }
        let mut version = 0;
        // SAFETY: both functions are there; `version` is a valid place for an int.
        unsafe {
            check(sys::cuInit(0)).map_err(|e| {
                format!("the NVIDIA driver does not start: {e}; check that `nvidia-smi` lists a GPU")
            })?;
            check(sys::cuDriverGetVersion(&mut version))?;
        }
        Ok(version)
    });
    opened.clone().map_err(|reason| Error::Device { device: "cuda".into(), reason })
}

/// The driver's answer: nothing, or name and meaning of the error.
pub(super) fn check(result: CUresult) -> std::result::Result<(), String> {
    if result == CUresult::CUDA_SUCCESS {
        return Ok(());
    }
    let (mut name, mut text) = (std::ptr::null(), std::ptr::null());
    // SAFETY: both take a valid place for a pointer to a static text, and leave null where they know the error not.
    unsafe {
        let _ = sys::cuGetErrorName(result, &mut name);
        let _ = sys::cuGetErrorString(result, &mut text);
    }
    let read = |p: *const std::ffi::c_char| {
        // SAFETY: a static, NUL-terminated text of the driver.
        (!p.is_null()).then(|| unsafe { CStr::from_ptr(p) }.to_string_lossy().into_owned())
    };
    let name = read(name).unwrap_or_else(|| format!("error {}", result as u32));
    Err(read(text).map_or(name.clone(), |t| format!("{t} ({name})")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_driver_the_error_says_what_was_looked_for_and_what_to_do() {
        if first(&LIBRARY).is_ok() {
            return;
        }
        let e = open().unwrap_err().to_string();
        assert!(e.contains("libcuda.so.1") && e.contains("install") && e.contains("sim:sm_90a"), "{e}");
    }
}
