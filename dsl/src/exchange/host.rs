//! What the runtime and the compiler must find out alike about the processor that they run on, where the standard library
//! does not say it.

/// Whether the processor has AMX tiles with bf16 products (`tdpbf16ps`) and the system saves them. A process may have to
/// ask before it uses them.
///
/// Intel SDM volume 2A, CPUID leaf 7: EDX bit 22 (AMX-BF16) and 24 (AMX-TILE); volume 1, 13.3: XCR0 bits 17 and 18.
#[cfg(target_arch = "x86_64")]
pub fn amx_bf16() -> bool {
    use std::arch::x86_64::{__cpuid_count, __get_cpuid_max, _xgetbv};
    #[target_feature(enable = "xsave")]
    fn saved() -> u64 {
        // SAFETY: register 0 exists wherever the instruction does.
        unsafe { _xgetbv(0) }
    }
    const OSXSAVE: u32 = 1 << 27;
    const AMX: u32 = 1 << 22 | 1 << 24;
    const TILES: u64 = 1 << 17 | 1 << 18;
    #[allow(unused_unsafe)] // safe functions of newer toolchains
    // SAFETY: the leaves that are asked for exist, and `xgetbv` is there where OSXSAVE says so.
    unsafe {
        __get_cpuid_max(0).0 >= 7
            && __cpuid_count(1, 0).ecx & OSXSAVE != 0
            && __cpuid_count(7, 0).edx & AMX == AMX
            && saved() & TILES == TILES
    }
}

/// Other processors have none.
#[cfg(not(target_arch = "x86_64"))]
pub fn amx_bf16() -> bool {
    false
}
