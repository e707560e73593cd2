//! Kernels: loaded for a device, prepared for a kind of arguments, launched.

use crate::args::{Args, Target, kcc_arg, read};
use crate::device::{Memory, kcc_device};
use crate::error::{Failure, borrow, clear, give, guard, kcc_error, kcc_status, take_back};
use crate::pack::{kcc_pack, string};
use runtime::pack::{Choice, PackKernel};
use runtime::{Device, How, Workspace};
use std::ffi::{c_char, c_void};
use std::sync::Arc;

/// A kernel of a pack, loaded for a device. Any number of threads may use one.
pub struct kcc_kernel(Arc<Loaded>);

struct Loaded {
    kernel: PackKernel,
    device: Device,
    memory: Memory,
}

/// A variant that was chosen. It keeps its kernel alive; any number of threads may launch it.
pub struct kcc_prepared {
    loaded: Arc<Loaded>,
    choice: Choice,
}

impl Loaded {
    /// # Safety
    /// As for [`read`].
    unsafe fn read<'a>(&self, args: *const kcc_arg, count: usize) -> Result<Args<'a>, Failure> {
        let target = Target { device: &self.device, memory: self.memory, params: self.kernel.params() };
        // SAFETY: as the caller vouches.
        unsafe { read(&target, args, count) }.map_err(|e| e.at(Name(self.kernel.name())))
    }

    /// What a launch gets beside its arguments.
    ///
    /// # Safety
    /// As for `kcc_launch`.
    unsafe fn how(&self, stream: *mut c_void, workspace: *mut c_void, bytes: usize) -> Result<How, Failure> {
        // SAFETY: as the caller vouches.
        let stream = unsafe { crate::device::stream(self.memory, stream)? };
        // SAFETY: as the caller vouches.
        let given = || unsafe { Workspace::from_raw(workspace, bytes as u64) };
        Ok(How { stream, workspace: (!workspace.is_null()).then(given), threads: None })
    }
}

/// The kernel as the place of a failure.
struct Name<'a>(&'a str);

impl std::fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "kernel `{}`", self.0)
    }
}

/// Loads the variants of a kernel that a device runs. Pack and device may be closed afterwards.
///
/// # Safety
/// `pack` and `device` are open, `name` is a text that ends with a NUL byte, or they are NULL; `out` and `error` may be written
/// or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kcc_kernel_load(
    pack: *const kcc_pack,
    device: *const kcc_device,
    name: *const c_char,
    out: *mut *mut kcc_kernel,
    error: *mut *mut kcc_error,
) -> kcc_status {
    let body = || {
        // SAFETY: as the caller vouches.
        let (pack, device, name) = unsafe {
            clear(out)?;
            (borrow(pack, "pack")?, borrow(device, "device")?, string(name, "name")?)
        };
        let kernel = pack.pack.kernel(name, &device.device)?;
        let loaded = Loaded { kernel, device: device.device.clone(), memory: device.memory };
        // SAFETY: `out` was cleared.
        unsafe { give(out, kcc_kernel(Arc::new(loaded))) };
        Ok(())
    };
    // SAFETY: as the caller vouches.
    unsafe { guard(error, body) }
}

/// Closes a kernel; NULL is fine. Launches into streams must be done.
///
/// # Safety
/// `kernel` is NULL or loaded; it is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kcc_kernel_close(kernel: *mut kcc_kernel) {
    // SAFETY: as the caller vouches.
    unsafe { take_back(kernel) };
}

/// Chooses the variant for these arguments, of which only types, dims, strides, alignment and numbers matter: no memory is read.
///
/// # Safety
/// `kernel` is loaded or NULL; `args` points to `count` arguments or is NULL, and pointers in them to what their fields say;
/// `out` and `error` may be written or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kcc_prepare(
    kernel: *const kcc_kernel,
    args: *const kcc_arg,
    count: usize,
    out: *mut *mut kcc_prepared,
    error: *mut *mut kcc_error,
) -> kcc_status {
    let body = || {
        // SAFETY: as the caller vouches.
        let loaded = unsafe {
            clear(out)?;
            &borrow(kernel, "kernel")?.0
        };
        // SAFETY: as the caller vouches.
        let args = unsafe { loaded.read(args, count)? };
        let choice = loaded.kernel.choose(&args)?;
        // SAFETY: `out` was cleared.
        unsafe { give(out, kcc_prepared { loaded: loaded.clone(), choice }) };
        Ok(())
    };
    // SAFETY: as the caller vouches.
    unsafe { guard(error, body) }
}

/// Frees a prepared launch; NULL is fine.
///
/// # Safety
/// `prepared` is NULL or came from `kcc_prepare`; it is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kcc_prepared_free(prepared: *mut kcc_prepared) {
    // SAFETY: as the caller vouches.
    unsafe { take_back(prepared) };
}

/// Bytes of device memory that a launch with the arguments that were prepared needs as workspace; 0 for NULL.
///
/// # Safety
/// `prepared` is NULL or came from `kcc_prepare`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kcc_prepared_workspace(prepared: *const kcc_prepared) -> u64 {
    // SAFETY: as the caller vouches.
    unsafe { prepared.as_ref() }.map_or(0, |p| p.choice.workspace)
}

/// Index of the chosen variant in the manifest; `SIZE_MAX` for NULL.
///
/// # Safety
/// `prepared` is NULL or came from `kcc_prepare`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kcc_prepared_variant(prepared: *const kcc_prepared) -> usize {
    // SAFETY: as the caller vouches.
    unsafe { prepared.as_ref() }.map_or(usize::MAX, |p| p.choice.variant)
}

/// Launches the prepared variant on any arguments that it may be chosen for; others are an error, and nothing runs. On a CPU the
/// call returns when the kernel is done; on a GPU the launch goes into `stream` (NULL: the device's own).
///
/// `workspace` is `workspace_bytes` bytes of device memory that nothing else uses until the launch is done; NULL and 0 where none is
/// needed.
///
/// # Safety
/// `prepared` came from `kcc_prepare` or is NULL; `args` as for `kcc_prepare`, and the tensors' memory may be read, or written, until
/// the launch is done; `stream` is NULL or a stream of the device; `error` may be written or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kcc_launch(
    prepared: *const kcc_prepared,
    args: *const kcc_arg,
    count: usize,
    stream: *mut c_void,
    workspace: *mut c_void,
    workspace_bytes: usize,
    error: *mut *mut kcc_error,
) -> kcc_status {
    let body = || {
        // SAFETY: as the caller vouches.
        let prepared = unsafe { borrow(prepared, "prepared")? };
        // SAFETY: as the caller vouches.
        let args = unsafe { prepared.loaded.read(args, count)? };
        // SAFETY: as the caller vouches.
        let mut how = unsafe { prepared.loaded.how(stream, workspace, workspace_bytes)? };
        // No workspace is one of no bytes: a prepared launch never allocates.
        // SAFETY: nothing lies there.
        how.workspace.get_or_insert(unsafe { Workspace::from_raw(std::ptr::null_mut(), 0) });
        Ok(prepared.loaded.kernel.launch_again(&prepared.choice, &args, how)?)
    };
    // SAFETY: as the caller vouches.
    unsafe { guard(error, body) }
}

/// Chooses a variant and launches it: `kcc_prepare` and `kcc_launch` in one. Without a workspace, a variant that needs one uses memory
/// of the device's, allocated at the first such launch into a stream.
///
/// # Safety
/// `kernel` is loaded or NULL; all else as for `kcc_launch`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kcc_kernel_launch(
    kernel: *const kcc_kernel,
    args: *const kcc_arg,
    count: usize,
    stream: *mut c_void,
    workspace: *mut c_void,
    workspace_bytes: usize,
    error: *mut *mut kcc_error,
) -> kcc_status {
    let body = || {
        // SAFETY: as the caller vouches.
        let loaded = unsafe { &borrow(kernel, "kernel")?.0 };
        // SAFETY: as the caller vouches.
        let args = unsafe { loaded.read(args, count)? };
        // SAFETY: as the caller vouches.
        let how = unsafe { loaded.how(stream, workspace, workspace_bytes)? };
        Ok(loaded.kernel.launch_with(&args, how)?)
    };
    // SAFETY: as the caller vouches.
    unsafe { guard(error, body) }
}

/// Handles are shared between threads: what is in them must allow it.
const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<kcc_pack>();
    shared::<kcc_device>();
    shared::<kcc_kernel>();
    shared::<kcc_prepared>();
};
