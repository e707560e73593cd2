//! `kcc pack diff`: what differs between two packs, by kernel and variant.

use super::super::{Failure, say};
use super::size;
use kcc_runtime::pack::Pack;
use kcc_runtime::pack::format::{Kernel, Manifest, Variant};
use std::path::Path;

/// What makes two variants the same one.
fn key(v: &Variant) -> (&str, &str, &[String]) {
    (&v.backend.target, &v.generics, &v.when)
}

fn name(kernel: &Kernel, v: &Variant) -> String {
    let when = if v.when.is_empty() { String::new() } else { format!(" when {}", v.when.join(", ")) };
    format!("{}<{}> for {}{when}", kernel.name, v.generics, v.backend.target)
}

/// What a pack says of itself.
fn head(old: &Manifest, new: &Manifest) -> Vec<String> {
    let fields = |m: &Manifest| {
        [
            ("name", m.name.clone()),
            ("version", m.version.clone()),
            ("license", m.license.clone()),
            ("python-depends", m.python_depends.join(", ")),
            ("compiler", m.compiler.clone()),
        ]
    };
    let pairs = fields(old).into_iter().zip(fields(new));
    pairs.filter(|(a, b)| a != b).map(|(a, b)| format!("! {}: {:?} became {:?}", a.0, a.1, b.1)).collect()
}

fn lines(old: &[Kernel], new: &[Kernel]) -> Vec<String> {
    let mut out = Vec::new();
    for kernel in old.iter().filter(|k| !new.iter().any(|n| n.name == k.name)) {
        out.push(format!("- kernel {}", kernel.name));
    }
    for kernel in new {
        let Some(before) = old.iter().find(|k| k.name == kernel.name) else {
            out.push(format!("+ kernel {}, {} variants", kernel.name, kernel.variants.len()));
            continue;
        };
        if before.op != kernel.op {
            let (a, b) = (&before.op, &kernel.op);
            out.push(format!(
                "! kernel {}: {}@{} became {}@{}",
                kernel.name, a.name, a.version, b.name, b.version
            ));
        }
        if before.params != kernel.params {
            out.push(format!("! kernel {}: other parameters", kernel.name));
        }
        for v in before.variants.iter().filter(|v| !kernel.variants.iter().any(|n| key(n) == key(v))) {
            out.push(format!("- {}", name(kernel, v)));
        }
        for v in &kernel.variants {
            match before.variants.iter().find(|b| key(b) == key(v)) {
                None => out.push(format!("+ {}", name(kernel, v))),
                Some(b) if b.code.sha256 != v.code.sha256 => out.push(format!(
                    "! {}: other code, {} became {}",
                    name(kernel, v),
                    size(b.code.bytes),
                    size(v.code.bytes)
                )),
                Some(b) if b != v => {
                    out.push(format!("! {}: other launch facts, the same code", name(kernel, v)))
                }
                Some(_) => {}
            }
        }
    }
    out
}

pub(super) fn run(old: &Path, new: &Path, json: bool) -> Result<(), Failure> {
    let (a, b) = (Pack::open(old)?, Pack::open(new)?);
    let mut lines = lines(&a.manifest().kernels, &b.manifest().kernels);
    lines.splice(0..0, head(a.manifest(), b.manifest()));
    if json {
        say(serde_json::json!({ "ok": true, "differences": lines }));
    } else {
        lines.iter().for_each(say);
    }
    if lines.is_empty() {
        return Ok(());
    }
    Err(Failure::input(format!("{} and {} differ in {} places", old.display(), new.display(), lines.len())))
}
