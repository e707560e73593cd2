//! What a launch may choose beside grid and arguments.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Receives each text that a kernel prints; called from any thread.
pub type PrintHandler = Arc<dyn Fn(&str) + Send + Sync>;

/// A stream of a GPU: launches into one stream run in order. A handle that somebody else owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stream(usize);

impl Stream {
    /// A stream by the handle of the vendor's API (a `CUstream`).
    ///
    /// # Safety
    /// The stream belongs to the primary context of the device that it is used with, and stays open as long as
    /// something is launched into it.
    pub unsafe fn from_raw(raw: *mut std::ffi::c_void) -> Stream {
        Stream(raw as usize)
    }

    /// The handle.
    #[cfg_attr(not(any(feature = "cuda", feature = "hip", feature = "ascend")), allow(dead_code))]
    pub(crate) fn raw(self) -> *mut std::ffi::c_void {
        self.0 as *mut std::ffi::c_void
    }
}

/// How a launch runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaunchOptions {
    /// At most so many threads; `None`: all that the device has.
    pub threads: Option<usize>,
    /// On a GPU, the stream to launch into; `None`: the device's own.
    pub stream: Option<Stream>,
    /// Options for the compiler, by name; another set means another compilation.
    pub compile: BTreeMap<String, String>,
}
