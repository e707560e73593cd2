//! The runtime with a real compiler: launches, caches, and the child process. The `kcc` program must be built: it is
//! found beside the test binary's folder, or by `KCC`.

mod aot;
mod cache;
mod child;
mod frozen;
mod launch;
mod mxfp4;
mod reuse;
mod wide;

use kcc::jit::{ChildCompiler, find_kcc};
use std::sync::Arc;

/// A compiler child of one's own.
fn compiler() -> Arc<ChildCompiler> {
    Arc::new(ChildCompiler::new(&find_kcc().expect("build kcc first: cargo build -p kcc --features cli")))
}
