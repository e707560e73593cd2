//! AscendCL's library. Names and types: the vendor's public reference of the Runtime API (hiascend.com, CANN 8.0 to 9.1).

use crate::drivers::gpu::library::{self, functions};
use crate::error::{Error, Result};
use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::sync::{Arc, OnceLock};

/// Names the library to open instead of the usual ones.
const VARIABLE: &str = "KCC_ASCENDCL_LIBRARY";

/// On the library path, and where the toolkit puts it.
const NAMES: [&str; 3] = [
    "libascendcl.so",
    "/usr/local/Ascend/ascend-toolkit/latest/lib64/libascendcl.so",
    "/usr/local/Ascend/latest/lib64/libascendcl.so",
];

/// `aclError`; 0 is success.
pub(super) type Code = c_int;
/// `ACL_ERROR_REPEAT_INITIALIZE`: another part of the program was first.
const ALREADY: Code = 100_002;
/// `ACL_ERROR_BAD_ALLOC` and `ACL_ERROR_RT_MEMORY_ALLOCATION`.
pub(super) const OUT_OF_MEMORY: [Code; 2] = [200_000, 207_001];

/// An opaque handle: stream or event.
pub(super) type Handle = *mut c_void;

functions! {
    {}
    init: "aclInit", (*const c_char) -> Code;
    recent_error: "aclGetRecentErrMsg", () -> *const c_char;
    version: "aclrtGetVersion", (*mut i32, *mut i32, *mut i32) -> Code;
    device_count: "aclrtGetDeviceCount", (*mut u32) -> Code;
    set_device: "aclrtSetDevice", (i32) -> Code;
    chip_name: "aclrtGetSocName", () -> *const c_char;
    device_info: "aclrtGetDeviceInfo", (u32, c_int, *mut i64) -> Code;
    malloc: "aclrtMalloc", (*mut *mut c_void, usize, c_int) -> Code;
    free: "aclrtFree", (*mut c_void) -> Code;
    copy: "aclrtMemcpyAsync", (*mut c_void, usize, *const c_void, usize, c_int, Handle) -> Code;
    fill: "aclrtMemsetAsync", (*mut c_void, usize, i32, usize, Handle) -> Code;
    stream_create: "aclrtCreateStream", (*mut Handle) -> Code;
    stream_destroy: "aclrtDestroyStream", (Handle) -> Code;
    stream_synchronize: "aclrtSynchronizeStream", (Handle) -> Code;
    event_create: "aclrtCreateEventWithFlag", (*mut Handle, u32) -> Code;
    event_record: "aclrtRecordEvent", (Handle, Handle) -> Code;
    event_synchronize: "aclrtSynchronizeEvent", (Handle) -> Code;
    event_elapsed: "aclrtEventElapsedTime", (*mut f32, Handle, Handle) -> Code;
    event_destroy: "aclrtDestroyEvent", (Handle) -> Code;
}

/// A text of the library's, copied; empty if there is none.
///
/// # Safety
/// Null, or a text with a terminator.
pub(super) unsafe fn text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: by the caller's promise.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().trim().to_owned()
}

impl Api {
    /// The process's library, opened and started once.
    ///
    /// # Errors
    /// No library, one that is too old, or one that does not start: what was looked for, and what to do.
    pub(super) fn shared() -> Result<Arc<Api>> {
        static OPENED: OnceLock<std::result::Result<Arc<Api>, String>> = OnceLock::new();
        let opened = OPENED.get_or_init(|| Api::open(&library::names(VARIABLE, &NAMES)).map(Arc::new));
        opened.clone().map_err(|reason| Error::Device { device: "ascend".into(), reason })
    }

    /// The first library that opens, started.
    pub(super) fn open(names: &[impl AsRef<OsStr>]) -> std::result::Result<Api, String> {
        let library = library::first(names).map_err(|names| {
            format!(
                "no AscendCL was found (looked for {names} on the library path); install CANN and run its `set_env.sh`, name the \
                 library in {VARIABLE}, or use the device `cpu` or `sim:ascend910b`"
            )
        })?;
        let api = Api::find(library)
            .map_err(|name| format!("AscendCL lacks {name}; kcc needs CANN 8.0 or newer: update it"))?;
        // SAFETY: null stands for no file of settings.
        let started = unsafe { (api.init)(std::ptr::null()) };
        if started != ALREADY {
            api.check(started).map_err(|e| {
                format!("AscendCL does not start: {e}; check that `npu-smi info` lists an NPU")
            })?;
        }
        Ok(api)
    }

    /// AscendCL's answer: nothing, or the code and what the library says of it.
    pub(super) fn check(&self, code: Code) -> std::result::Result<(), String> {
        if code == 0 {
            return Ok(());
        }
        // SAFETY: a text of the library, which it keeps until the next call on this thread.
        let said = unsafe { text((self.recent_error)()) };
        Err(if said.is_empty() { format!("error {code}") } else { format!("error {code}: {said}") })
    }
}
