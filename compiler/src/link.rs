//! Links one object into a shared object: `ld.lld`, or the system's C compiler where there is no lld.

use crate::error::{Error, nowhere};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// The linker: `KCC_LLD`, else beside the LLVM that this was built with, else on `PATH`; else `cc`.
fn linker() -> (PathBuf, &'static [&'static str]) {
    if let Some(lld) = env::var_os("KCC_LLD") {
        return (lld.into(), &[]);
    }
    let beside = option_env!("LLVM_SYS_221_PREFIX").map(|p| Path::new(p).join("bin/ld.lld"));
    let on_path = env::var_os("PATH").into_iter().flat_map(|p| env::split_paths(&p).collect::<Vec<_>>());
    let found = beside.into_iter().chain(on_path.map(|d| d.join("ld.lld"))).find(|p| p.is_file());
    found.map_or_else(|| ("cc".into(), &["-nostdlib"][..]), |lld| (lld, &[]))
}

fn failed(what: &str, path: &Path, error: &dyn std::fmt::Display) -> Error {
    nowhere()
        .invalid(format!("cannot {what} {}: {error}", path.display()))
        .help("check the path and the free space")
}

/// Writes a file whole or not at all.
///
/// # Errors
/// The path and why it cannot be written.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let temporary = beside(path);
    let result = fs::write(&temporary, bytes).and_then(|()| fs::rename(&temporary, path));
    result.map_err(|e| {
        let _ = fs::remove_file(&temporary);
        failed("write", path, &e)
    })
}

/// A name next to `path` that no other process uses.
fn beside(path: &Path) -> PathBuf {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.{}.part", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
    path.with_file_name(name)
}

/// Links an object (the bytes of a relocatable ELF file) into the shared object `path`, which appears whole or not
/// at all.
///
/// # Errors
/// No linker, what the linker said, or why a file cannot be written.
pub fn shared_object(object: &[u8], path: &Path) -> Result<(), Error> {
    let (program, more) = linker();
    link(object, path, &program, more)
}

/// Links an object of another machine than this one, by lld; nothing may stay undefined.
///
/// # Errors
/// As [`shared_object`].
pub fn foreign_object(object: &[u8]) -> Result<Vec<u8>, Error> {
    let (program, more) = linker();
    if !more.is_empty() {
        return Err(nowhere()
            .unsupported("linking for another machine without lld")
            .help("install lld, or name ld.lld in KCC_LLD"));
    }
    let path = beside(&env::temp_dir().join("kcc-link"));
    link(object, &path, &program, &["--no-undefined"])?;
    let linked = fs::read(&path).map_err(|e| failed("read", &path, &e));
    let _ = fs::remove_file(&path);
    linked
}

fn link(object: &[u8], path: &Path, program: &Path, more: &[&str]) -> Result<(), Error> {
    let input = beside(path).with_extension("o");
    let output = beside(path);
    fs::write(&input, object).map_err(|e| failed("write", &input, &e))?;
    let run = Command::new(program).args(more).arg("-shared").arg("-o").arg(&output).arg(&input).output();
    let _ = fs::remove_file(&input);
    let help = "install lld, or name a linker in KCC_LLD";
    let done = match run {
        Err(e) => {
            Err(nowhere().invalid(format!("cannot run the linker {}: {e}", program.display())).help(help))
        }
        Ok(run) if !run.status.success() => {
            let said = String::from_utf8_lossy(&run.stderr).trim().to_owned();
            Err(nowhere()
                .invalid(format!("{} failed ({}): {said}", program.display(), run.status))
                .help(help))
        }
        Ok(_) => fs::rename(&output, path).map_err(|e| failed("write", path, &e)),
    };
    if done.is_err() {
        let _ = fs::remove_file(&output);
    }
    done
}
