//! `kcc.toml`: what a pack is built from.
//!
//! ```toml
//! [pack]
//! name = "standard"
//! version = "0.1.0"
//! targets = ["cpu:x86-64-v3", "cpu:x86-64-v4"]
//!
//! [[kernel]]
//! name = "softmax"                  # in the pack
//! function = "softmax_tile"         # in the crate
//! op = { name = "softmax", version = 1 }
//! grid = ["x.dim(0)"]
//! variants = [
//!   { generics = "f32, 1024", when = ["x.dim(1) <= 1024"], tolerance = { relative = 1e-6 } },
//!   { generics = "f32, 4096", when = ["x.dim(1) <= 4096"], cost = "1", tolerance = { relative = 1e-6 } },
//! ]
//! ```

use super::Failure;
use kcc_runtime::pack::format::{Op, Tolerance};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct List {
    pub(super) pack: Head,
    #[serde(default, rename = "kernel")]
    pub(super) kernels: Vec<Kernel>,
}

/// About the pack as a whole.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Head {
    pub(super) name: String,
    pub(super) version: String,
    #[serde(default)]
    pub(super) license: String,
    #[serde(default)]
    pub(super) python_depends: Vec<String>,
    /// Targets of every variant that names none.
    pub(super) targets: Vec<String>,
}

/// One kernel of the pack.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Kernel {
    pub(super) name: String,
    pub(super) function: String,
    pub(super) op: Op,
    /// One to three formulas; axes that are not given have one program.
    pub(super) grid: Vec<String>,
    /// Conditions of every variant, beside its own.
    #[serde(default)]
    pub(super) when: Vec<String>,
    pub(super) variants: Vec<Variant>,
    /// What `kcc tune` tries beside them; in a pack only where it was fastest.
    #[serde(default)]
    pub(super) candidates: Vec<Variant>,
}

/// One choice of const arguments.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Variant {
    pub(super) generics: String,
    /// Instead of the kernel's function, one with the same parameters.
    pub(super) function: Option<String>,
    /// Instead of the kernel's.
    pub(super) grid: Option<Vec<String>>,
    #[serde(default)]
    pub(super) when: Vec<String>,
    #[serde(default)]
    pub(super) cost: String,
    #[serde(default)]
    pub(super) workspace: String,
    pub(super) tolerance: Error,
    /// Code for any strides, instead of a last axis of stride 1.
    #[serde(default)]
    pub(super) any_strides: bool,
    /// Options of the compiler.
    #[serde(default)]
    pub(super) options: BTreeMap<String, String>,
    /// Instead of the pack's.
    pub(super) targets: Option<Vec<String>>,
}

/// A tolerance of which one half may be left out.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Error {
    #[serde(default)]
    absolute: f64,
    #[serde(default)]
    relative: f64,
}

impl From<Error> for Tolerance {
    fn from(e: Error) -> Tolerance {
        Tolerance { absolute: e.absolute, relative: e.relative }
    }
}

/// Programs per axis from one to three formulas.
pub(super) fn grid(list: &[String]) -> Option<[String; 3]> {
    let axis = |i: usize| list.get(i).cloned().unwrap_or_else(|| "1".into());
    (1..=3).contains(&list.len()).then(|| [axis(0), axis(1), axis(2)])
}

impl Variant {
    /// Targets that are wanted, of those that it is for.
    pub(super) fn targets(&self, pack: &Head, wanted: &dyn Fn(&str) -> bool) -> Vec<String> {
        self.targets.as_ref().unwrap_or(&pack.targets).iter().filter(|t| wanted(t)).cloned().collect()
    }
}

/// The list's file and the crate's folder, from either.
pub(super) fn place(given: &Path) -> (PathBuf, PathBuf) {
    let path = if given.is_dir() { given.join("kcc.toml") } else { given.to_owned() };
    let dir = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned();
    (path, dir)
}

pub(super) fn read(path: &Path) -> Result<List, Failure> {
    let text = std::fs::read_to_string(path).map_err(|e| {
        Failure::with_help(
            format!("{}: {e}", path.display()),
            "name a crate whose folder has a kcc.toml, the list of its kernels and their variants (docs/packs.md)",
        )
    })?;
    // The error shows the line.
    toml::from_str(&text)
        .map_err(|e| Failure::with_help(format!("{}: {e}", path.display()), "see docs/packs.md"))
}
