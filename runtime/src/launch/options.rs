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

/// Device memory that a launch may use as scratch. Somebody else owns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workspace {
    address: u64,
    bytes: u64,
}

impl Workspace {
    /// Memory of the device by its address, which is a multiple of 256.
    ///
    /// # Safety
    /// So many bytes lie there, and nothing else uses them until what was launched with them is done.
    pub unsafe fn from_raw(address: *mut std::ffi::c_void, bytes: u64) -> Workspace {
        Workspace { address: address as u64, bytes }
    }

    pub(crate) fn bytes(self) -> u64 {
        if self.address == 0 { 0 } else { self.bytes }
    }

    /// Its address, if it has at least so many bytes.
    #[cfg_attr(not(feature = "ascend"), allow(dead_code))]
    pub(crate) fn address(self, bytes: u64) -> Option<u64> {
        (self.bytes() >= bytes).then_some(self.address)
    }
}

/// What a launch of compiled code chooses beside its arguments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct How {
    /// On a CPU, at most so many threads; `None`: all that the device has.
    pub threads: Option<usize>,
    /// On a GPU or NPU, the stream to launch into; `None`: the device's own.
    pub stream: Option<Stream>,
    /// Scratch memory, of the bytes that the choice asks for; `None`: the device's own, allocated at the first launch into a stream
    /// that needs any.
    pub workspace: Option<Workspace>,
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
