//! What MLIR needs to read and translate the operations of these chips: the `nvvm` dialect, its translation to LLVM IR and its
//! passes. The compiler itself knows of no vendor.

use kcc_compiler::mlir::{Context, Registry};
use std::sync::{LazyLock, Once};

// The C API registers the translations of all dialects at once; LLVM 22,
// mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h registers this one.
unsafe extern "C" {
    #[link_name = "_ZN4mlir30registerNVVMDialectTranslationERNS_15DialectRegistryE"]
    fn register_nvvm_translation(registry: *mut std::ffi::c_void);
}

// SAFETY: MLIR's handle, and the registration of that dialect's translation.
static NVVM: LazyLock<Registry> = LazyLock::new(|| unsafe {
    Registry::new(mlir_sys::mlirGetDialectHandle__nvvm__(), register_nvvm_translation)
});

/// Makes a context read the dialect and translate it; registers the passes of [`crate::target`]'s pipelines.
pub fn prepare(context: &Context) {
    static PASSES: Once = Once::new();
    // SAFETY: registration of passes takes no arguments and runs once, before a pipeline that names them is parsed.
    PASSES.call_once(|| unsafe { mlir_sys::mlirRegisterConversionConvertNVVMToLLVMPass() });
    NVVM.add_to(context);
}
