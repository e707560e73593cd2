//! Walks the files of the repository and asks each check what is wrong with them.
//!
//! A check is a function from one file (or, for dependencies, from all manifests) to findings. It knows nothing
//! of the file system, so that its tests hand it text.

mod dependencies;
mod documentation;
mod links;
mod safety;
mod shape;
mod twins;
mod words;

use std::fmt;
use std::path::Path;
use std::process::Command;

/// A file of the repository.
pub struct File {
    /// Path from the root of the repository, with forward slashes.
    pub path: String,
    /// The whole text.
    pub text: String,
}

/// One thing to change.
#[derive(Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file.
    pub path: String,
    /// The line, counted from 1; 0 when it is about the whole file.
    pub line: usize,
    /// The fact and the remedy.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.message),
            line => write!(f, "{}:{line}: {}", self.path, self.message),
        }
    }
}

impl File {
    fn finding(&self, line: usize, message: impl Into<String>) -> Finding {
        Finding { path: self.path.clone(), line, message: message.into() }
    }

    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Part of a crate's own source, as opposed to its tests, benches or build script.
    fn is_source(&self) -> bool {
        self.is_rust() && self.path.contains("src/") && !self.path.contains("tests/")
    }

    /// Source of a crate that users link.
    fn is_library(&self) -> bool {
        const CRATES: [&str; 6] =
            ["dsl/", "compiler/", "backends/", "runtime/", "kernels/", "kcc/src/lib.rs"];
        self.is_source() && CRATES.iter().any(|name| self.path.starts_with(name))
    }
}

const CHECKS: [fn(&File) -> Vec<Finding>; 4] =
    [shape::check, documentation::check, safety::check, words::check];

/// Everything wrong with the repository at `root`, in the order of its files.
///
/// # Errors
/// When the files cannot be listed or a manifest is not TOML.
pub fn check(root: &Path) -> Result<Vec<Finding>, String> {
    let files = files(root)?;
    let mut findings: Vec<Finding> =
        files.iter().flat_map(|file| CHECKS.iter().flat_map(move |check| check(file))).collect();
    findings.extend(dependencies::check(&files)?);
    findings.extend(links::check(&files));
    findings.extend(twins::check(&files));
    findings.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
    Ok(findings)
}

/// The text files that git tracks or would track.
fn files(root: &Path) -> Result<Vec<File>, String> {
    let listing = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .map_err(|error| format!("git is needed to list the files: {error}"))?;
    if !listing.status.success() {
        return Err(format!("git ls-files failed: {}", String::from_utf8_lossy(&listing.stderr).trim()));
    }
    let names = String::from_utf8_lossy(&listing.stdout).into_owned();
    Ok(names
        .split('\0')
        .filter(|name| !name.is_empty())
        // Deleted in the working tree, or not text: nothing to check.
        .filter_map(|name| {
            Some(File { path: name.to_owned(), text: std::fs::read_to_string(root.join(name)).ok()? })
        })
        .collect())
}
