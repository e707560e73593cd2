//! The C ABI of the runtime: opens packs and launches their kernels, for C and all that speaks C.
//!
//! ```text
//! kcc_pack_open ─► kcc_pack ─┐
//! kcc_device_open ─► kcc_device ─┴─ kcc_kernel_load ─► kcc_kernel ─ kcc_prepare ─► kcc_prepared ─ kcc_launch …
//! ```
//! Every function that can fail returns a [`kcc_status`](error::kcc_status) and, where the caller asks for it, an error object
//! with a text. Nothing here unwinds into the caller, and there is no global state. `include/kcc.h` is made of these files.
#![allow(non_camel_case_types)] // The names are C's.

mod args;
mod device;
mod error;
mod kernel;
mod pack;

use std::ffi::c_char;

/// Version of this interface. It grows when something that programs use changes its meaning.
pub const KCC_ABI_VERSION: u32 = 1;

/// The version of the interface that the library has; compare it with `KCC_ABI_VERSION`.
#[unsafe(no_mangle)]
pub extern "C" fn kcc_abi_version() -> u32 {
    KCC_ABI_VERSION
}

/// The library's version, as `0.1.0`. Never freed.
#[unsafe(no_mangle)]
pub extern "C" fn kcc_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}
