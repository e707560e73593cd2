//! The `rocdl` dialect and its translation to LLVM IR, for contexts that read these chips' modules.

use kcc_compiler::mlir::Registry;
use std::ffi::c_void;
use std::sync::LazyLock;

unsafe extern "C" {
    // LLVM 22, mlir/Target/LLVMIR/Dialect/ROCDL/ROCDLToLLVMIRTranslation.h.
    #[link_name = "_ZN4mlir31registerROCDLDialectTranslationERNS_15DialectRegistryE"]
    fn register_rocdl(registry: *mut c_void);
}

/// The dialect.
pub(crate) static ROCDL: LazyLock<Registry> =
    // SAFETY: MLIR's handle, and the registration of that dialect's translation.
    LazyLock::new(|| unsafe { Registry::new(mlir_sys::mlirGetDialectHandle__rocdl__(), register_rocdl) });
