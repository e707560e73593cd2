//! From a traced kernel to code: the compiler behind one trait, and the caches in front of it.
//!
//! ```text
//! key = SHA-256(IR, target, argument facts, options, compiler version)
//! disk.rs: key → artifact ── miss ──▶ child.rs: `kcc serve`      (default)
//!                                     in_process.rs: linked in   (feature jit-in-process)
//! ```

mod child;
mod disk;
#[cfg(feature = "jit-in-process")]
mod in_process;
mod key;

pub use child::{ChildCompiler, find_kcc};
pub use disk::{DiskCache, default_cache_dir};
#[cfg(feature = "jit-in-process")]
pub use in_process::InProcess;
pub use key::Key;

use kcc_dsl::exchange::{CompileRequest, CompileResult};

/// A door to the compiler.
pub trait Compiler: Send + Sync {
    /// The compiler's version string, part of every cache key. Cheap: `cache` may remember it.
    ///
    /// # Errors
    /// Why there is no compiler, and what to do.
    fn version(&self, cache: Option<&DiskCache>) -> Result<String, String>;

    /// Compiles one kernel. The inner result is the compiler's answer about the kernel.
    ///
    /// # Errors
    /// Why the compiler gave no answer, and what to do.
    fn compile(&self, request: &CompileRequest) -> Result<CompileResult, String>;
}
