//! What commands work on: the kernels of a crate, or of a file of IR.

use super::Failure;
use super::driver::{self, Traced};
use clap::Args;
use kcc_compiler::Target;
use kcc_compiler::session::read_module_text;
use kcc_dsl::exchange::ArgSpec;
use kcc_dsl::ir::{Kernel, ParamKind};
use std::path::{Path, PathBuf};

/// Where kernels come from.
#[derive(Args)]
pub(super) struct Input {
    /// A folder with a crate of kernels, or a .mlir file
    input: PathBuf,
    /// Features of the crate to turn on, separated by commas
    #[arg(long, value_delimiter = ',')]
    features: Vec<String>,
    /// Only kernels of this name: `softmax`, `softmax<f32, 1024>`, or a symbol
    #[arg(long, short)]
    kernel: Option<String>,
}

/// Kernels that were read.
pub(super) struct Kernels {
    pub(super) list: Vec<Traced>,
    /// Where their source paths may start.
    pub(super) roots: Vec<PathBuf>,
}

/// Name with generic arguments.
pub(super) fn label(name: &str, generics: &str) -> String {
    if generics.is_empty() { name.to_owned() } else { format!("{name}<{generics}>") }
}

/// Contiguous arguments: the last axis of every view has stride 1. For a GPU, they are also aligned, and under 2 GiB.
pub(super) fn contiguous(kernel: &Kernel, target: &dyn Target) -> Vec<ArgSpec> {
    kernel
        .params
        .iter()
        .map(|p| match p.kind {
            ParamKind::View { rank, .. } if target.gpu().is_some() => ArgSpec::ideal(rank),
            kind => ArgSpec::dense(kind),
        })
        .collect()
}

fn without_spaces(s: &str) -> String {
    s.chars().filter(|c| !c.is_whitespace()).collect()
}

fn matches(t: &Traced, wanted: &str) -> bool {
    t.name == wanted
        || without_spaces(&label(&t.name, &t.generics)) == without_spaces(wanted)
        || t.kernel.as_ref().is_ok_and(|k| k.symbol() == wanted)
}

fn read_file(path: &Path) -> Result<Vec<Traced>, Failure> {
    let text = std::fs::read_to_string(path).map_err(|e| Failure::file(path, &e))?;
    let kernel = read_module_text(&text, &path.display().to_string())?;
    let (name, generics) = (kernel.name.clone(), kernel.generics.clone());
    Ok(vec![Traced { name, generics, module: String::new(), candidate: false, kernel: Ok(kernel) }])
}

/// What there is instead of the kernel of that name: other instances of it, else the names of all.
fn others(list: &[Traced], wanted: &str) -> String {
    let base = wanted.split('<').next().unwrap_or(wanted).trim();
    let mut names: Vec<String> =
        list.iter().filter(|t| t.name == base).map(|t| label(&t.name, &t.generics)).collect();
    if names.is_empty() {
        names = list.iter().map(|t| t.name.clone()).collect();
        names.dedup();
    }
    names.join("; ")
}

impl Input {
    /// Reads the kernels asked for; at least one.
    pub(super) fn read(&self, quiet: bool) -> Result<Kernels, Failure> {
        let (mut list, roots) = if self.input.is_dir() {
            let (mut list, roots) = driver::trace(&self.input, &self.features, quiet)?;
            // Candidates are the tuner's; whoever names one gets it all the same.
            let named = |t: &Traced| self.kernel.as_ref().is_some_and(|k| *k != t.name && matches(t, k));
            list.retain(|t| !t.candidate || named(t));
            (list, roots)
        } else if self.input.extension().is_some_and(|e| e == "mlir") {
            (read_file(&self.input)?, vec![])
        } else if self.input.exists() {
            return Err(Failure::with_help(
                format!("{} is neither a folder nor a .mlir file", self.input.display()),
                "name the folder of a crate, or a file of kt IR",
            ));
        } else {
            return Err(Failure::input(format!("{}: there is no such file or folder", self.input.display())));
        };
        if let Some(wanted) = &self.kernel {
            let there = others(&list, wanted);
            list.retain(|t| matches(t, wanted));
            if list.is_empty() {
                return Err(Failure::with_help(
                    format!("no kernel is called `{wanted}`"),
                    format!("there are {there}"),
                ));
            }
        }
        Ok(Kernels { list, roots })
    }

    /// Reads the one kernel asked for.
    pub(super) fn read_one(&self, quiet: bool) -> Result<(Kernel, Vec<PathBuf>), Failure> {
        let mut kernels = self.read(quiet)?;
        if kernels.list.len() > 1 {
            let all: Vec<String> = kernels.list.iter().map(|t| label(&t.name, &t.generics)).collect();
            return Err(Failure::with_help(
                "this command takes one kernel",
                format!("choose with --kernel: {}", all.join("; ")),
            ));
        }
        let Some(one) = kernels.list.pop() else { return Err(Failure::input("there is no kernel")) };
        let kernel = one.kernel.map_err(|d| Failure::from(d).rooted(&kernels.roots))?;
        Ok((kernel, kernels.roots))
    }
}
