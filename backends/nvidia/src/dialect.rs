//! What MLIR needs to read and translate the operations of these chips: the `nvvm` dialect, its translation to LLVM IR and its
//! passes. The compiler itself knows of no vendor.

use kcc_compiler::mlir::Context;
use melior::dialect::DialectRegistry;
use std::sync::{LazyLock, Once};

// The C API registers the translations of all dialects at once; LLVM 22,
// mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h registers this one.
unsafe extern "C" {
    #[link_name = "_ZN4mlir30registerNVVMDialectTranslationERNS_15DialectRegistryE"]
    fn register_nvvm_translation(registry: *mut std::ffi::c_void);
}

struct Registry(DialectRegistry);
// SAFETY: the registry is filled before it is shared and only read afterwards, by `mlirContextAppendDialectRegistry`.
unsafe impl Send for Registry {}
// SAFETY: as above.
unsafe impl Sync for Registry {}

static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
    let registry = DialectRegistry::new();
    // SAFETY: the handle is a static of MLIR; the registry is ours and not shared yet. The translation takes
    // `DialectRegistry &`, which is the pointer inside `MlirDialectRegistry`.
    unsafe {
        mlir_sys::mlirDialectHandleInsertDialect(mlir_sys::mlirGetDialectHandle__nvvm__(), registry.to_raw());
        register_nvvm_translation(registry.to_raw().ptr);
    }
    Registry(registry)
});

/// Makes a context read the dialect and translate it; registers the passes of [`crate::target`]'s pipelines.
pub fn prepare(context: &Context) {
    static PASSES: Once = Once::new();
    // SAFETY: registration of passes takes no arguments and runs once, before a pipeline that names them is parsed.
    PASSES.call_once(|| unsafe {
        mlir_sys::mlirRegisterConversionConvertNVVMToLLVMPass();
        mlir_sys::mlirRegisterLLVMDIScopeForLLVMFuncOpPass();
    });
    // SAFETY: both are valid; the registry is only read.
    unsafe { mlir_sys::mlirContextAppendDialectRegistry(context.to_raw(), REGISTRY.0.to_raw()) }
}
