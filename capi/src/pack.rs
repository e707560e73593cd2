//! Packs: opened from a file or from memory, and what they hold.

use crate::error::{Failure, borrow, clear, give, guard, kcc_error, kcc_status, take_back};
use runtime::pack::Pack;
use runtime::pack::format::Kind;
use std::ffi::{CStr, CString, c_char, c_void};
use std::path::PathBuf;

/// A parameter that a kernel reads: a tensor.
pub const KCC_INPUT: i32 = 0;
/// A parameter that a kernel writes (and may read): a tensor.
pub const KCC_OUTPUT: i32 = 1;
/// A number.
pub const KCC_SCALAR: i32 = 2;

/// An open pack. Any number of threads may use one; kernels loaded from it outlive it.
pub struct kcc_pack {
    pub(crate) pack: Pack,
    manifest: CString,
    kernels: Vec<Named>,
}

/// A kernel's texts, as C has them.
struct Named {
    name: CString,
    op: CString,
    params: Vec<CString>,
}

/// A kernel of a pack. Texts are valid while the pack is open.
#[repr(C)]
pub struct kcc_kernel_info {
    /// What `kcc_kernel_load` takes.
    pub name: *const c_char,
    /// The contract that the kernel fulfils: what it computes.
    pub op: *const c_char,
    /// Another version is another contract.
    pub op_version: u32,
    /// Number of parameters.
    pub params: usize,
    /// Number of variants.
    pub variants: usize,
}

/// A parameter of a kernel.
#[repr(C)]
pub struct kcc_param {
    /// Its name; valid while the pack is open.
    pub name: *const c_char,
    /// `KCC_INPUT`, `KCC_OUTPUT` or `KCC_SCALAR`.
    pub kind: i32,
    /// Number of axes of a tensor.
    pub rank: i32,
}

fn text(s: &str) -> Result<CString, Failure> {
    CString::new(s).map_err(|_| Failure::invalid(format!("a name of the pack has a NUL byte: {s:?}")))
}

impl kcc_pack {
    fn new(pack: Pack) -> Result<kcc_pack, Failure> {
        let json = serde_json::to_string(pack.manifest()).map_err(|e| Failure::invalid(e.to_string()))?;
        let kernels = pack.manifest().kernels.iter().map(|k| {
            let params = k.params.iter().map(|p| text(&p.name)).collect::<Result<_, _>>()?;
            Ok(Named { name: text(&k.name)?, op: text(&k.op.name)?, params })
        });
        let kernels = kernels.collect::<Result<_, Failure>>()?;
        Ok(kcc_pack { manifest: text(&json)?, kernels, pack })
    }
}

/// The text behind a pointer.
///
/// # Safety
/// `s` is NULL or points to a text that ends with a NUL byte and stays for `'a`.
pub(crate) unsafe fn string<'a>(s: *const c_char, what: &str) -> Result<&'a str, Failure> {
    if s.is_null() {
        return Err(Failure::null(what));
    }
    // SAFETY: as the caller vouches.
    let s = unsafe { CStr::from_ptr(s) };
    s.to_str().map_err(|_| Failure::invalid(format!("`{what}` is not UTF-8")))
}

#[cfg(unix)]
fn path(bytes: &CStr) -> Result<PathBuf, Failure> {
    use std::os::unix::ffi::OsStrExt;
    Ok(std::ffi::OsStr::from_bytes(bytes.to_bytes()).into())
}

#[cfg(not(unix))]
fn path(bytes: &CStr) -> Result<PathBuf, Failure> {
    bytes.to_str().map(Into::into).map_err(|_| Failure::invalid("`path` is not UTF-8"))
}

/// Opens a pack: a file, or a folder. All that its manifest says is checked; no code is loaded.
///
/// # Safety
/// `path` is a text that ends with a NUL byte; `out` and `error` may be written (`error` may be NULL).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kcc_pack_open(
    path: *const c_char,
    out: *mut *mut kcc_pack,
    error: *mut *mut kcc_error,
) -> kcc_status {
    let body = || {
        // SAFETY: as the caller vouches.
        unsafe { clear(out)? };
        if path.is_null() {
            return Err(Failure::null("path"));
        }
        // SAFETY: not NULL, and as the caller vouches.
        let path = self::path(unsafe { CStr::from_ptr(path) })?;
        let pack = kcc_pack::new(Pack::open(path)?)?;
        // SAFETY: `out` was cleared.
        unsafe { give(out, pack) };
        Ok(())
    };
    // SAFETY: as the caller vouches.
    unsafe { guard(error, body) }
}

/// Opens a pack whose file lies in memory. The bytes are copied.
///
/// # Safety
/// `data` points to `bytes` bytes; `out` and `error` may be written (`error` may be NULL).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kcc_pack_open_memory(
    data: *const c_void,
    bytes: usize,
    out: *mut *mut kcc_pack,
    error: *mut *mut kcc_error,
) -> kcc_status {
    let body = || {
        // SAFETY: as the caller vouches.
        unsafe { clear(out)? };
        if data.is_null() {
            return Err(Failure::null("data"));
        }
        if bytes > isize::MAX as usize {
            return Err(Failure::invalid(format!("{bytes} bytes do not fit the address space")));
        }
        // SAFETY: as the caller vouches; the length was checked.
        let file = unsafe { std::slice::from_raw_parts(data.cast::<u8>(), bytes) };
        let pack = kcc_pack::new(Pack::from_bytes(file.to_vec())?)?;
        // SAFETY: `out` was cleared.
        unsafe { give(out, pack) };
        Ok(())
    };
    // SAFETY: as the caller vouches.
    unsafe { guard(error, body) }
}

/// Closes a pack; NULL is fine.
///
/// # Safety
/// `pack` is NULL or an open pack; it is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kcc_pack_close(pack: *mut kcc_pack) {
    // SAFETY: as the caller vouches.
    unsafe { take_back(pack) };
}

/// Number of kernels; 0 for NULL.
///
/// # Safety
/// `pack` is NULL or an open pack.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kcc_pack_kernels(pack: *const kcc_pack) -> usize {
    // SAFETY: as the caller vouches.
    unsafe { pack.as_ref() }.map_or(0, |p| p.kernels.len())
}

/// The manifest as JSON text, as docs/pack-format.md states it; NULL for NULL. Valid while the pack is open.
///
/// # Safety
/// `pack` is NULL or an open pack.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kcc_pack_manifest(pack: *const kcc_pack) -> *const c_char {
    // SAFETY: as the caller vouches.
    unsafe { pack.as_ref() }.map_or(std::ptr::null(), |p| p.manifest.as_ptr())
}

/// Compares the pack's files of code with their checksums. (Loading a kernel compares those that it loads.)
///
/// # Safety
/// `pack` is an open pack or NULL; `error` may be written or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kcc_pack_verify(pack: *const kcc_pack, error: *mut *mut kcc_error) -> kcc_status {
    // SAFETY: as the caller vouches.
    unsafe { guard(error, || Ok(borrow(pack, "pack")?.pack.verify()?)) }
}

fn nth<'a, T>(list: &'a [T], i: usize, what: &str) -> Result<&'a T, Failure> {
    list.get(i).ok_or_else(|| Failure::invalid(format!("there is no {what} {i}: there are {}", list.len())))
}

/// Kernel number `kernel`, from 0.
///
/// # Safety
/// `pack` is an open pack or NULL; `out` and `error` may be written or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kcc_pack_kernel(
    pack: *const kcc_pack,
    kernel: usize,
    out: *mut kcc_kernel_info,
    error: *mut *mut kcc_error,
) -> kcc_status {
    let body = || {
        // SAFETY: as the caller vouches.
        let pack = unsafe { borrow(pack, "pack")? };
        let (names, k) =
            (nth(&pack.kernels, kernel, "kernel")?, nth(&pack.pack.manifest().kernels, kernel, "kernel")?);
        let info = kcc_kernel_info {
            name: names.name.as_ptr(),
            op: names.op.as_ptr(),
            op_version: k.op.version,
            params: k.params.len(),
            variants: k.variants.len(),
        };
        if out.is_null() {
            return Err(Failure::null("out"));
        }
        // SAFETY: not NULL, and as the caller vouches.
        unsafe { out.write(info) };
        Ok(())
    };
    // SAFETY: as the caller vouches.
    unsafe { guard(error, body) }
}

/// Parameter number `param` of kernel number `kernel`, both from 0.
///
/// # Safety
/// `pack` is an open pack or NULL; `out` and `error` may be written or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kcc_pack_param(
    pack: *const kcc_pack,
    kernel: usize,
    param: usize,
    out: *mut kcc_param,
    error: *mut *mut kcc_error,
) -> kcc_status {
    let body = || {
        // SAFETY: as the caller vouches.
        let pack = unsafe { borrow(pack, "pack")? };
        let k = nth(&pack.pack.manifest().kernels, kernel, "kernel")?;
        let p = nth(&k.params, param, "parameter")?;
        let name = nth(&nth(&pack.kernels, kernel, "kernel")?.params, param, "parameter")?;
        let kind = match p.kind {
            Kind::Input => KCC_INPUT,
            Kind::Output => KCC_OUTPUT,
            Kind::Scalar => KCC_SCALAR,
        };
        if out.is_null() {
            return Err(Failure::null("out"));
        }
        let rank = i32::try_from(p.rank).unwrap_or(i32::MAX);
        // SAFETY: not NULL, and as the caller vouches.
        unsafe { out.write(kcc_param { name: name.as_ptr(), kind, rank }) };
        Ok(())
    };
    // SAFETY: as the caller vouches.
    unsafe { guard(error, body) }
}
