//! A dialect that only some backends need, with its translation to LLVM IR: the compiler itself registers no vendor's.

use super::Context;
use melior::dialect::DialectRegistry;
use std::ffi::c_void;

/// A dialect and its translation, ready to be added to contexts.
pub struct Registry(DialectRegistry);

// SAFETY: the registry is filled before it is shared and only read afterwards, by `mlirContextAppendDialectRegistry`.
unsafe impl Send for Registry {}
// SAFETY: as above.
unsafe impl Sync for Registry {}

impl Registry {
    /// A registry of one dialect.
    ///
    /// # Safety
    /// `dialect` is a handle of MLIR's; `translation` takes a `DialectRegistry &` and only registers.
    pub unsafe fn new(
        dialect: mlir_sys::MlirDialectHandle,
        translation: unsafe extern "C" fn(*mut c_void),
    ) -> Registry {
        let registry = DialectRegistry::new();
        // SAFETY: the handle is a static of MLIR; the registry is ours and not shared yet. The translation takes
        // `DialectRegistry &`, which is the pointer inside `MlirDialectRegistry`.
        unsafe {
            mlir_sys::mlirDialectHandleInsertDialect(dialect, registry.to_raw());
            translation(registry.to_raw().ptr);
        }
        Registry(registry)
    }

    /// Makes a context read the dialect and translate it.
    pub fn add_to(&self, context: &Context) {
        // SAFETY: both are valid; the registry is only read.
        unsafe { mlir_sys::mlirContextAppendDialectRegistry(context.to_raw(), self.0.to_raw()) }
    }
}
