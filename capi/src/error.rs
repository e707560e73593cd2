//! Codes and error objects, and the guard around every function that can fail.
//!
//! ```text
//! guard(error, || …)    Ok ─► KCC_OK, *error = NULL      Err ─► code, *error = text      panic ─► KCC_INTERNAL
//! ```

use runtime::Error;
use std::ffi::{CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

/// How a call ended.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum kcc_status {
    /// All is well.
    KCC_OK = 0,
    /// A pointer is NULL where something must be.
    KCC_NULL = 1,
    /// A value means nothing: a code, an index, a rank, text that is not UTF-8.
    KCC_INVALID = 2,
    /// An argument does not fit its parameter, or cannot be a tensor.
    KCC_ARGUMENT = 3,
    /// No such kernel, no code for the device, or no variant for these arguments.
    KCC_LOAD = 4,
    /// A file cannot be read.
    KCC_FILE = 5,
    /// A pack is cut short, changed, or contradicts itself.
    KCC_CORRUPT = 6,
    /// No such device, or one that stopped working.
    KCC_DEVICE = 7,
    /// A launch exceeds what the device can do.
    KCC_LIMIT = 8,
    /// No memory.
    KCC_MEMORY = 9,
    /// An assertion of the kernel failed while it ran.
    KCC_STOPPED = 10,
    /// A mistake of this library; please report it.
    KCC_INTERNAL = 11,
}
use kcc_status::*;

/// What went wrong, in words. Owned by the caller: `kcc_error_free`.
pub struct kcc_error {
    status: kcc_status,
    message: CString,
}

/// A failure on its way to the caller.
pub(crate) struct Failure {
    status: kcc_status,
    message: String,
}

impl Failure {
    pub(crate) fn null(what: &str) -> Failure {
        Failure { status: KCC_NULL, message: format!("`{what}` is NULL") }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Failure {
        Failure { status: KCC_INVALID, message: message.into() }
    }

    pub(crate) fn argument(message: impl Into<String>) -> Failure {
        Failure { status: KCC_ARGUMENT, message: message.into() }
    }

    /// The same failure, with the place that it concerns.
    pub(crate) fn at(self, place: impl std::fmt::Display) -> Failure {
        Failure { message: format!("{place}: {}", self.message), ..self }
    }
}

impl From<Error> for Failure {
    fn from(e: Error) -> Failure {
        let status = match &e {
            Error::Argument { .. } | Error::ArgumentCount { .. } | Error::Grid { .. } | Error::View(_) => {
                KCC_ARGUMENT
            }
            Error::OutOfMemory { .. } => KCC_MEMORY,
            Error::UnknownDevice { .. }
            | Error::Device { .. }
            | Error::Target { .. }
            | Error::System { .. } => KCC_DEVICE,
            Error::Limit { .. } => KCC_LIMIT,
            Error::Stopped { .. } => KCC_STOPPED,
            Error::Load { .. } | Error::Variant { .. } => KCC_LOAD,
            Error::File { .. } => KCC_FILE,
            Error::Corrupt { .. } => KCC_CORRUPT,
            _ => KCC_INTERNAL,
        };
        Failure { status, message: e.to_string() }
    }
}

/// Runs a function's body; its failure, or its panic, becomes a code and, if `error` is not NULL, an object.
///
/// # Safety
/// `error` is NULL or may be written.
pub(crate) unsafe fn guard(
    error: *mut *mut kcc_error,
    body: impl FnOnce() -> Result<(), Failure>,
) -> kcc_status {
    // What a body could leave half done is dropped with it: handles are made whole or not at all.
    let outcome = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let said = said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
        Err(Failure { status: KCC_INTERNAL, message: format!("internal error: {said}; please report it") })
    });
    let (status, object) = match outcome {
        Ok(()) => (KCC_OK, ptr::null_mut()),
        Err(_) if error.is_null() => return failed_status(outcome),
        Err(Failure { status, message }) => {
            // A NUL byte would cut the text short.
            let message = CString::new(message.replace('\0', "\\0")).unwrap_or_default();
            (status, Box::into_raw(Box::new(kcc_error { status, message })))
        }
    };
    if !error.is_null() {
        // SAFETY: the caller vouches for a pointer that is not NULL.
        unsafe { error.write(object) };
    }
    status
}

fn failed_status(outcome: Result<(), Failure>) -> kcc_status {
    outcome.map_or_else(|f| f.status, |()| KCC_OK)
}

/// The reference behind a handle.
///
/// # Safety
/// `handle` is NULL or valid for `'a`.
pub(crate) unsafe fn borrow<'a, T>(handle: *const T, what: &str) -> Result<&'a T, Failure> {
    // SAFETY: as the caller vouches.
    unsafe { handle.as_ref() }.ok_or_else(|| Failure::null(what))
}

/// Writes NULL into an out parameter; says so if it is NULL itself.
///
/// # Safety
/// `out` is NULL or may be written.
pub(crate) unsafe fn clear<T>(out: *mut *mut T) -> Result<(), Failure> {
    if out.is_null() {
        return Err(Failure::null("out"));
    }
    // SAFETY: not NULL, and the caller vouches for the rest.
    unsafe { out.write(ptr::null_mut()) };
    Ok(())
}

/// Gives a new handle to the caller.
///
/// # Safety
/// `out` may be written: [`clear`] has said so.
pub(crate) unsafe fn give<T>(out: *mut *mut T, value: T) {
    // SAFETY: as the caller vouches.
    unsafe { out.write(Box::into_raw(Box::new(value))) };
}

/// Takes a handle back; a panic of a destructor stays here.
///
/// # Safety
/// `handle` is NULL or came from [`give`], and is not used again.
pub(crate) unsafe fn take_back<T>(handle: *mut T) {
    if !handle.is_null() {
        // SAFETY: as the caller vouches.
        let owned = unsafe { Box::from_raw(handle) };
        let _ = catch_unwind(AssertUnwindSafe(|| drop(owned)));
    }
}

/// The error's code; `KCC_OK` for NULL.
///
/// # Safety
/// `error` is NULL or an error that has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kcc_error_status(error: *const kcc_error) -> kcc_status {
    // SAFETY: as the caller vouches.
    unsafe { error.as_ref() }.map_or(KCC_OK, |e| e.status)
}

/// The error's text, UTF-8; empty for NULL. Valid until the error is freed.
///
/// # Safety
/// As for `kcc_error_status`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kcc_error_message(error: *const kcc_error) -> *const c_char {
    // SAFETY: as the caller vouches.
    unsafe { error.as_ref() }.map_or(c"".as_ptr(), |e| e.message.as_ptr())
}

/// Frees an error; NULL is fine.
///
/// # Safety
/// `error` is NULL or an error that has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kcc_error_free(error: *mut kcc_error) {
    // SAFETY: as the caller vouches.
    unsafe { take_back(error) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;

    #[test]
    fn a_panic_is_a_code_and_a_text() {
        let mut error = ptr::null_mut();
        // SAFETY: `error` may be written.
        let status = unsafe { guard(&mut error, || panic!("number {}", 7)) };
        assert_eq!(status, KCC_INTERNAL);
        // SAFETY: written by the guard, not freed yet.
        let text = unsafe { CStr::from_ptr(kcc_error_message(error)) }.to_str();
        assert_eq!(text, Ok("internal error: number 7; please report it"));
        // SAFETY: not used again.
        unsafe { kcc_error_free(error) };
        // SAFETY: NULL is allowed.
        assert_eq!(unsafe { guard(ptr::null_mut(), || panic!("nobody asks")) }, KCC_INTERNAL);
    }
}
