//! Reads the kernels of a crate: builds a tiny program that depends on it, and runs that.
//!
//! ```text
//! cargo metadata ──▶ target/kcc/NAME/{Cargo.toml, src/main.rs} ── cargo run ──▶ frames of traced kernels
//! ```
//! The program traces every instance that the crate lists (`#[kernel(instances(..))]`), so what rustc says of the crate
//! is shown by cargo itself.

use super::Failure;
use kcc_dsl::exchange::{Diagnostic, frame};
use kcc_dsl::ir::Kernel;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// One listed instance of a kernel.
pub(super) struct Traced {
    pub(super) name: String,
    pub(super) generics: String,
    pub(super) module: String,
    /// Only for the tuner.
    pub(super) candidate: bool,
    pub(super) kernel: Result<Kernel, Vec<Diagnostic>>,
}

const MAIN: &str = "\
//! Written by kcc: traces the kernels of a crate and hands them over.
use kcc_dsl::exchange::frame;
use kernels as _;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args_os().nth(1).ok_or(\"no file to write to\")?;
    let mut out = std::io::BufWriter::new(std::fs::File::create(path)?);
    for listed in kcc_dsl::registered() {
        let kernel = (listed.def)();
        let head = (listed.name, &kernel.generics, listed.module_path, listed.candidate);
        frame::write(&mut out, &(head, kernel.trace()))?;
    }
    Ok(())
}
";

/// What cargo says of a crate.
struct Facts {
    package: String,
    dir: PathBuf,
    workspace: PathBuf,
    target: PathBuf,
    /// The `kcc-dsl` that the crate uses, as a dependency.
    dsl: String,
}

fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn facts(dir: &Path) -> Result<Facts, Failure> {
    let manifest = dir.join("Cargo.toml");
    let manifest = std::fs::canonicalize(&manifest).map_err(|e| Failure::file(&manifest, &e))?;
    let out = cargo()
        .args(["metadata", "--format-version", "1", "--manifest-path"])
        .arg(&manifest)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| Failure::with_help(format!("cannot run cargo: {e}"), "install Rust, or set CARGO"))?;
    if !out.status.success() {
        return Err(Failure::input(format!("cargo does not accept {}", manifest.display())));
    }
    let meta: Value = serde_json::from_slice(&out.stdout)
        .map_err(|e| Failure::input(format!("cargo's metadata of {}: {e}", manifest.display())))?;
    let packages = meta["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let package =
        packages.iter().find(|p| Path::new(text(&p["manifest_path"])) == manifest).ok_or_else(|| {
            Failure::with_help(
                format!("{} is no package", manifest.display()),
                "name the folder of one crate",
            )
        })?;
    let is_lib = |t: &Value| t["kind"].as_array().is_some_and(|k| k.iter().any(|k| text(k).ends_with("lib")));
    if !package["targets"].as_array().is_some_and(|t| t.iter().any(is_lib)) {
        return Err(Failure::with_help(
            format!("package `{}` has no library", text(&package["name"])),
            "put the kernels into src/lib.rs or modules of it",
        ));
    }
    let dsl = packages.iter().find(|p| text(&p["name"]) == "kcc-dsl").ok_or_else(|| {
        Failure::with_help(
            format!("package `{}` does not depend on kcc", text(&package["name"])),
            "add `kcc` to its dependencies",
        )
    })?;
    let dsl = if dsl["source"].is_null() {
        let dir = Path::new(text(&dsl["manifest_path"])).parent().unwrap_or(Path::new("/"));
        format!("{{ path = {:?} }}", dir.display().to_string())
    } else if text(&dsl["source"]).starts_with("registry+") {
        format!("\"={}\"", text(&dsl["version"]))
    } else {
        return Err(Failure::with_help(
            format!("kcc-dsl comes from {}", text(&dsl["source"])),
            "depend on kcc by version or by path",
        ));
    };
    Ok(Facts {
        package: text(&package["name"]).to_owned(),
        dir: manifest.parent().unwrap_or(Path::new("/")).to_path_buf(),
        workspace: text(&meta["workspace_root"]).into(),
        target: text(&meta["target_directory"]).into(),
        dsl,
    })
}

/// Leaves a file alone that has the text already, so that cargo sees no change.
fn write(path: &Path, contents: &str) -> Result<(), Failure> {
    if std::fs::read_to_string(path).is_ok_and(|old| old == contents) {
        return Ok(());
    }
    kcc_compiler::link::write_atomically(path, contents.as_bytes()).map_err(Failure::from)
}

/// The kernels that a crate lists, by name, and the folders that their source paths may start at.
pub(super) fn trace(
    dir: &Path,
    features: &[String],
    quiet: bool,
) -> Result<(Vec<Traced>, Vec<PathBuf>), Failure> {
    let facts = facts(dir)?;
    let driver = facts.target.join("kcc").join(&facts.package);
    let source = driver.join("src");
    std::fs::create_dir_all(&source).map_err(|e| Failure::file(&source, &e))?;
    let features = serde_json::to_string(features).unwrap_or_default();
    let manifest = format!(
        "# Written by kcc.\n[package]\nname = \"kcc-driver\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
         [dependencies]\nkernels = {{ package = {:?}, path = {:?}, features = {features} }}\nkcc-dsl = {}\n\n\
         [profile.dev]\ndebug = false\n\n[workspace]\n",
        facts.package,
        facts.dir.display().to_string(),
        facts.dsl,
    );
    write(&driver.join("Cargo.toml"), &manifest)?;
    write(&source.join("main.rs"), MAIN)?;
    // The versions that the crate was tested with.
    let lock = std::fs::read_to_string(facts.workspace.join("Cargo.lock"));
    if let (Ok(lock), false) = (lock, driver.join("Cargo.lock").exists()) {
        write(&driver.join("Cargo.lock"), &lock)?;
    }
    let out = tempfile::NamedTempFile::new().map_err(|e| Failure::input(format!("a temporary file: {e}")))?;
    let mut run = cargo();
    run.arg("run").arg("--manifest-path").arg(driver.join("Cargo.toml"));
    run.arg("--target-dir").arg(facts.target.join("kcc").join("target"));
    if quiet {
        run.arg("--quiet");
    }
    let status = run.arg("--").arg(out.path()).stdout(Stdio::null()).status();
    let roots = vec![facts.workspace.clone(), facts.dir.clone(), driver];
    match status {
        Ok(status) if status.success() => {}
        Ok(_) => return Err(Failure::input(format!("package `{}` does not build", facts.package))),
        Err(e) => return Err(Failure::input(format!("cannot run cargo: {e}"))),
    }
    let file = std::fs::File::open(out.path()).map_err(|e| Failure::file(out.path(), &e))?;
    let mut file = std::io::BufReader::new(file);
    let mut found = Vec::new();
    type Entry = ((String, String, String, bool), Result<Kernel, Vec<Diagnostic>>);
    loop {
        match frame::read::<Entry>(&mut file) {
            Ok(Some(((name, generics, module, candidate), kernel))) => {
                found.push(Traced { name, generics, module, candidate, kernel })
            }
            Ok(None) => break,
            Err(e) => {
                return Err(Failure::with_help(
                    format!("the kernels of `{}` cannot be read: {e}", facts.package),
                    "use the kcc program that belongs to the crate's version of kcc",
                ));
            }
        }
    }
    found.sort_by(|a, b| (&a.module, &a.name, &a.generics).cmp(&(&b.module, &b.name, &b.generics)));
    if found.is_empty() {
        return Err(Failure::with_help(
            format!("package `{}` lists no kernels", facts.package),
            "list instances: `#[kernel(instances(<f32, 1024>))]`, or `#[kernel(instances(<>))]` without generics",
        ));
    }
    Ok((found, roots))
}
