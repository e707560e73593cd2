//! HIP's library: opened at run time, every function that the driver calls looked up at once, so that none is missing later.

use crate::drivers::gpu::library::{self, functions};
use crate::error::{Error, Result};
use libloading::Library;
use std::ffi::{CStr, OsStr, c_char, c_int, c_uint, c_void};
use std::sync::{Arc, OnceLock};

/// Names the library to open instead of the usual ones.
const VARIABLE: &str = "KCC_HIP_LIBRARY";

/// The usual names, newest first: with and without a version, and where the packages of ROCm put it.
const NAMES: [&str; 5] = [
    "libamdhip64.so",
    "libamdhip64.so.7",
    "libamdhip64.so.6",
    "libamdhip64.so.5",
    "/opt/rocm/lib/libamdhip64.so",
];

/// `hipError_t`; 0 is success.
pub(super) type Code = c_int;
pub(super) const OUT_OF_MEMORY: Code = 2;

pub(super) use crate::drivers::gpu::Handle;

/// `hipGetDeviceProperties`.
type Properties = unsafe extern "C" fn(*mut c_void, c_int) -> Code;

/// In the form that the library has: since ROCm 6 the record is larger, and the function has a name of its own.
fn find_properties(library: &Library) -> std::result::Result<Properties, &'static str> {
    let get = |name: &str| {
        // SAFETY: the type is that of HIP's header.
        unsafe { library.get::<Properties>(name.as_bytes()) }.map(|function| *function)
    };
    get("hipGetDevicePropertiesR0600")
        .or_else(|_| get("hipGetDeviceProperties"))
        .map_err(|_| "hipGetDeviceProperties")
}

functions! {
    { properties: Properties = find_properties; }
    init: "hipInit", (c_uint) -> Code;
    driver_version: "hipDriverGetVersion", (*mut c_int) -> Code;
    device_count: "hipGetDeviceCount", (*mut c_int) -> Code;
    set_device: "hipSetDevice", (c_int) -> Code;
    device_name: "hipDeviceGetName", (*mut c_char, c_int, c_int) -> Code;
    attribute: "hipDeviceGetAttribute", (*mut c_int, c_int, c_int) -> Code;
    error_name: "hipGetErrorName", (Code) -> *const c_char;
    error_string: "hipGetErrorString", (Code) -> *const c_char;
    malloc: "hipMalloc", (*mut *mut c_void, usize) -> Code;
    free: "hipFree", (*mut c_void) -> Code;
    write: "hipMemcpyHtoDAsync", (*mut c_void, *const c_void, usize, Handle) -> Code;
    read: "hipMemcpyDtoHAsync", (*mut c_void, *mut c_void, usize, Handle) -> Code;
    fill: "hipMemsetAsync", (*mut c_void, c_int, usize, Handle) -> Code;
    stream_create: "hipStreamCreateWithFlags", (*mut Handle, c_uint) -> Code;
    stream_destroy: "hipStreamDestroy", (Handle) -> Code;
    stream_synchronize: "hipStreamSynchronize", (Handle) -> Code;
    stream_wait_event: "hipStreamWaitEvent", (Handle, Handle, c_uint) -> Code;
    stream_is_capturing: "hipStreamIsCapturing", (Handle, *mut c_int) -> Code;
    begin_capture: "hipStreamBeginCapture", (Handle, c_int) -> Code;
    end_capture: "hipStreamEndCapture", (Handle, *mut Handle) -> Code;
    graph_instantiate: "hipGraphInstantiateWithFlags", (*mut Handle, Handle, u64) -> Code;
    graph_launch: "hipGraphLaunch", (Handle, Handle) -> Code;
    graph_destroy: "hipGraphDestroy", (Handle) -> Code;
    graph_exec_destroy: "hipGraphExecDestroy", (Handle) -> Code;
    event_create: "hipEventCreate", (*mut Handle) -> Code;
    event_record: "hipEventRecord", (Handle, Handle) -> Code;
    event_synchronize: "hipEventSynchronize", (Handle) -> Code;
    event_elapsed: "hipEventElapsedTime", (*mut f32, Handle, Handle) -> Code;
    event_destroy: "hipEventDestroy", (Handle) -> Code;
    module_load: "hipModuleLoadData", (*mut Handle, *const c_void) -> Code;
    module_unload: "hipModuleUnload", (Handle) -> Code;
    module_function: "hipModuleGetFunction", (*mut Handle, Handle, *const c_char) -> Code;
    launch: "hipModuleLaunchKernel", (
        Handle, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, Handle, *mut *mut c_void, *mut *mut c_void
    ) -> Code;
}

impl Api {
    /// The process's library, opened and started once.
    ///
    /// # Errors
    /// No library, one that is too old, or one that does not start: what was looked for, and what to do.
    pub(super) fn shared() -> Result<Arc<Api>> {
        static OPENED: OnceLock<std::result::Result<Arc<Api>, String>> = OnceLock::new();
        let opened = OPENED.get_or_init(|| Api::open(&library::names(VARIABLE, &NAMES)).map(Arc::new));
        opened.clone().map_err(|reason| Error::Device { device: "hip".into(), reason })
    }

    /// The first library that opens, started.
    pub(super) fn open(names: &[impl AsRef<OsStr>]) -> std::result::Result<Api, String> {
        let library = library::first(names).map_err(|names| {
            format!(
                "no HIP was found (looked for {names} on the library path); install ROCm, put its `lib` on LD_LIBRARY_PATH, name the \
                 library in {VARIABLE}, or use the device `cpu` or `sim:gfx942`"
            )
        })?;
        let api = Api::find(library)
            .map_err(|name| format!("HIP's library lacks {name}; kcc needs ROCm 5.3 or newer: update it"))?;
        // SAFETY: 0 is the only flag there is.
        api.check(unsafe { (api.init)(0) })
            .map_err(|e| format!("HIP does not start: {e}; check that `rocminfo` lists a GPU"))?;
        Ok(api)
    }

    /// HIP's answer: nothing, or meaning and name of the error.
    pub(super) fn check(&self, code: Code) -> std::result::Result<(), String> {
        if code == 0 {
            return Ok(());
        }
        let read = |text: *const c_char| {
            // SAFETY: null, or a static text of the library with a terminator.
            (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
        };
        // SAFETY: both take any number, and give a static text or null.
        let (name, text) = unsafe { (read((self.error_name)(code)), read((self.error_string)(code))) };
        let name = name.unwrap_or_else(|| format!("error {code}"));
        Err(text.map_or(name.clone(), |text| format!("{text} ({name})")))
    }
}
