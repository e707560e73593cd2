//! Hashes the sources of the compiler and of every crate whose code reaches its output, so that a cache of compiled
//! kernels tells two builds of one version apart.

use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::{env, fs};

fn sources(dir: &Path, out: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for path in entries.flatten().map(|e| e.path()) {
        match path.extension().and_then(|e| e.to_str()) {
            _ if path.is_dir() => sources(&path, out),
            Some("rs" | "mlir" | "toml") => out.push(path),
            _ => {}
        }
    }
}

fn main() {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let mut files = Vec::new();
    // Beside this crate in the repository: the backends, and the IR and its arithmetic. In a published crate they are
    // absent, and the version numbers of the lock file stand for them.
    for dir in ["src", "../backends", "../dsl/src/ir", "../dsl/src/elem", "../dsl/src/exchange"] {
        let dir = here.join(dir);
        if dir.is_dir() {
            println!("cargo:rerun-if-changed={}", dir.display());
        }
        sources(&dir, &mut files);
    }
    files.push(here.join("../dsl/src/exchange.rs"));
    files.sort();
    let mut hash = Sha256::new();
    for file in files {
        hash.update(fs::read(&file).unwrap_or_default());
        hash.update([0]);
    }
    let hex: String = hash.finalize().iter().take(8).map(|b| format!("{b:02x}")).collect();
    println!("cargo:rustc-env=KCC_BUILD_HASH={hex}");
}
