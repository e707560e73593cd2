//! MLIR contexts: one registry of dialects and passes per process, and a pool of contexts that outlive a compilation.
//!
//! Only what the pipelines use is registered: registering everything costs milliseconds on a cold start and
//! tens of megabytes of code to page in. `kt` is loaded into every context, so that any of them can hold any stage.

use crate::error::Error;
use melior::Context;
use melior::dialect::DialectRegistry;
use std::ops::Deref;
use std::sync::{LazyLock, Mutex, Once, PoisonError};

/// Contexts intern types, attributes and locations and never forget them: retire one after this many uses.
const USES: u32 = 256;

/// Contexts kept for the next compilation; more than this many at once are rare.
const KEPT: usize = 8;

struct Registry(DialectRegistry);
// SAFETY: the registry is filled before it is shared and only read afterwards, by `mlirContextAppendDialectRegistry`.
unsafe impl Send for Registry {}
// SAFETY: as above.
unsafe impl Sync for Registry {}

struct Kept {
    context: Context,
    uses: u32,
}
// SAFETY: a context with multithreading off belongs to no thread; the pool hands it to one owner at a time.
unsafe impl Send for Kept {}

static POOL: Mutex<Vec<Kept>> = Mutex::new(Vec::new());

// The C API registers the translations of every dialect at once, which would link all of them in. These two are all
// that the pipelines need: LLVM 22, mlir/Target/LLVMIR/Dialect/{LLVMIR,Builtin}/*ToLLVMIRTranslation.h.
unsafe extern "C" {
    #[link_name = "_ZN4mlir30registerLLVMDialectTranslationERNS_15DialectRegistryE"]
    fn register_llvm_translation(registry: *mut std::ffi::c_void);
    #[link_name = "_ZN4mlir33registerBuiltinDialectTranslationERNS_15DialectRegistryE"]
    fn register_builtin_translation(registry: *mut std::ffi::c_void);
}

fn register_passes() {
    use mlir_sys::*;
    static ONCE: Once = Once::new();
    // SAFETY: pass registration takes no arguments and runs once, before any pipeline is parsed.
    ONCE.call_once(|| unsafe {
        mlirRegisterConversionConvertVectorToSCF();
        mlirRegisterConversionConvertVectorToLLVMPass();
        mlirRegisterConversionSCFToControlFlowPass();
        mlirRegisterConversionLowerAffinePass();
        mlirRegisterConversionArithToLLVMConversionPass();
        mlirRegisterConversionConvertMathToLLVMPass();
        mlirRegisterConversionUBToLLVMConversionPass();
        mlirRegisterConversionConvertIndexToLLVMPass();
        mlirRegisterConversionConvertControlFlowToLLVMPass();
        mlirRegisterConversionConvertFuncToLLVMPass();
        mlirRegisterConversionFinalizeMemRefToLLVMConversionPass();
        mlirRegisterConversionReconcileUnrealizedCastsPass();
        mlirRegisterTransformsCanonicalizer();
        mlirRegisterTransformsCSE();
        mlirRegisterTransformsLoopInvariantCodeMotion();
        mlirRegisterLLVMDIScopeForLLVMFuncOpPass();
    });
}

static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
    use mlir_sys::*;
    let registry = DialectRegistry::new();
    // SAFETY: each handle is a static of MLIR; the registry is ours and not shared yet. The translation functions
    // take `DialectRegistry &`, which is the pointer inside `MlirDialectRegistry`.
    unsafe {
        for handle in [
            mlirGetDialectHandle__func__(),
            mlirGetDialectHandle__arith__(),
            mlirGetDialectHandle__math__(),
            mlirGetDialectHandle__scf__(),
            mlirGetDialectHandle__cf__(),
            mlirGetDialectHandle__ub__(),
            mlirGetDialectHandle__index__(),
            mlirGetDialectHandle__memref__(),
            mlirGetDialectHandle__vector__(),
            mlirGetDialectHandle__x86vector__(),
            mlirGetDialectHandle__llvm__(),
            mlirGetDialectHandle__irdl__(),
        ] {
            mlirDialectHandleInsertDialect(handle, registry.to_raw());
        }
        register_builtin_translation(registry.to_raw().ptr);
        register_llvm_translation(registry.to_raw().ptr);
    }
    register_passes();
    Registry(registry)
});

/// A context lent by the pool; it goes back when dropped.
pub struct Lease(Option<Kept>);

impl Lease {
    /// A context with every dialect of the compiler registered, and no other user until this is dropped.
    ///
    /// # Errors
    /// [`Error::Bug`] if the `kt` dialect does not load.
    pub fn new() -> Result<Self, Error> {
        if let Some(kept) = POOL.lock().unwrap_or_else(PoisonError::into_inner).pop() {
            return Ok(Lease(Some(kept)));
        }
        let context = Context::new_with_registry(&REGISTRY.0, false);
        crate::dialect::load(&context)?;
        Ok(Lease(Some(Kept { context, uses: 0 })))
    }
}

impl Deref for Lease {
    type Target = Context;
    fn deref(&self) -> &Context {
        match &self.0 {
            Some(kept) => &kept.context,
            None => unreachable!("a lease holds its context until it is dropped"),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(mut kept) = self.0.take() {
            kept.uses += 1;
            let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.uses < USES && pool.len() < KEPT {
                pool.push(kept);
            }
        }
    }
}
