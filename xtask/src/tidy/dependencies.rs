//! Dependencies point one way, and LLVM stays behind its door.
//!
//! ```text
//! kernels → dsl, runtime      backends → compiler → dsl      runtime → dsl (compiler only by a feature)
//! ```

use std::collections::BTreeSet;

use super::{File, Finding};
use toml::Table;

/// What one package may depend on inside the workspace.
struct Rule {
    package: &'static str,
    always: &'static [&'static str],
    /// Only as an optional dependency that no default feature turns on.
    optional: &'static [&'static str],
    llvm: bool,
}

const RULES: [Rule; 15] = [
    Rule { package: "kcc-macros", always: &[], optional: &[], llvm: false },
    Rule { package: "kcc-dsl", always: &["kcc-macros"], optional: &[], llvm: false },
    Rule { package: "kcc-compiler", always: &["kcc-dsl"], optional: &[], llvm: true },
    Rule { package: "kcc-cpu", always: &["kcc-dsl", "kcc-compiler"], optional: &[], llvm: true },
    Rule { package: "kcc-amd", always: &["kcc-dsl", "kcc-compiler"], optional: &[], llvm: true },
    Rule {
        package: "kcc-ascend",
        always: &["kcc-dsl", "kcc-compiler", "kcc-davinci"],
        optional: &[],
        llvm: true,
    },
    Rule { package: "kcc-nvidia", always: &["kcc-dsl", "kcc-compiler"], optional: &[], llvm: true },
    Rule {
        package: "kcc-backends",
        always: &["kcc-compiler", "kcc-cpu", "kcc-nvidia", "kcc-amd", "kcc-ascend"],
        optional: &[],
        llvm: true,
    },
    Rule { package: "kcc-simt", always: &[], optional: &[], llvm: false },
    Rule { package: "kcc-gcn", always: &[], optional: &[], llvm: false },
    Rule { package: "kcc-davinci", always: &["kcc-dsl"], optional: &[], llvm: false },
    Rule {
        package: "kcc-runtime",
        always: &["kcc-dsl"],
        optional: &["kcc-compiler", "kcc-backends", "kcc-simt", "kcc-davinci", "kcc-gcn"],
        llvm: false,
    },
    Rule { package: "kcc-capi", always: &["kcc-dsl", "kcc-runtime"], optional: &[], llvm: false },
    Rule {
        package: "kcc-kernels",
        always: &["kcc-dsl", "kcc-macros", "kcc-runtime"],
        optional: &[],
        llvm: false,
    },
    Rule {
        package: "kcc",
        always: &["kcc-dsl", "kcc-macros", "kcc-runtime"],
        optional: &[
            "kcc-compiler",
            "kcc-backends",
            "kcc-cpu",
            "kcc-nvidia",
            "kcc-amd",
            "kcc-ascend",
            "kcc-kernels",
        ],
        llvm: false,
    },
];

/// Packages that nothing depends on, and that may therefore use all the others.
const LEAVES: [&str; 9] = [
    "kcc-minilm",
    "kcc-candle",
    "kcc-cookbook",
    "kcc-bench",
    "kcc-gpu-kit",
    "kcc-tests",
    "kcc-fuzz",
    "kcc-backend-tests",
    "xtask",
];
const LLVM: [&str; 4] = ["melior", "mlir-sys", "inkwell", "llvm-sys"];

pub(super) fn check(files: &[File]) -> Result<Vec<Finding>, String> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.path.ends_with("Cargo.toml") && !file.path.contains("tests/"))
    {
        let manifest: Table = file.text.parse().map_err(|error| format!("{}: {error}", file.path))?;
        let Some(name) = manifest.get("package").and_then(|package| package.get("name")?.as_str()) else {
            continue; // the workspace itself
        };
        if LEAVES.contains(&name) || manifest.contains_key("workspace") {
            continue;
        }
        let Some(rule) = RULES.iter().find(|rule| rule.package == name) else {
            findings.push(
                file.finding(0, format!("`{name}` has no row in xtask/src/tidy/dependencies.rs; add one")),
            );
            continue;
        };
        let defaults = turned_on_by_default(&manifest);
        for (dependency, optional) in dependencies(&manifest) {
            let free = optional && !defaults.contains(&dependency);
            if let Some(message) = objection(rule, &dependency, free) {
                findings.push(file.finding(0, message));
            }
        }
    }
    Ok(findings)
}

/// What is wrong with a dependency; `free` when default features leave it out.
fn objection(rule: &Rule, dependency: &str, free: bool) -> Option<String> {
    let package = rule.package;
    if LLVM.contains(&dependency) {
        return (!rule.llvm).then(|| {
            format!("`{package}` depends on `{dependency}`; only the compiler and backends link LLVM")
        });
    }
    if LEAVES.contains(&dependency) {
        return Some(format!("`{package}` depends on `{dependency}`, which is a leaf"));
    }
    if !RULES.iter().any(|other| other.package == dependency) || rule.always.contains(&dependency) {
        return None;
    }
    if !rule.optional.contains(&dependency) {
        return Some(format!(
            "`{package}` may not depend on `{dependency}` (xtask/src/tidy/dependencies.rs)"
        ));
    }
    (!free)
        .then(|| format!("`{package}` may depend on `{dependency}` only by a feature that is off by default"))
}

/// Normal and build dependencies with whether they are optional; those of tests do not count.
fn dependencies(manifest: &Table) -> Vec<(String, bool)> {
    let tables =
        ["dependencies", "build-dependencies"].iter().filter_map(|key| manifest.get(*key)?.as_table());
    let targets = manifest.get("target").and_then(|target| target.as_table());
    let of_targets = targets
        .into_iter()
        .flat_map(|table| table.values())
        .filter_map(|one| one.get("dependencies")?.as_table());
    tables
        .chain(of_targets)
        .flatten()
        .map(|(key, value)| {
            let renamed = value.get("package").and_then(|package| package.as_str());
            let optional = value.get("optional").and_then(|flag| flag.as_bool()).unwrap_or(false);
            (renamed.unwrap_or(key).to_owned(), optional)
        })
        .collect()
}

/// The dependencies that the default feature enables, through any chain of features.
fn turned_on_by_default(manifest: &Table) -> BTreeSet<String> {
    let features = manifest.get("features").and_then(|features| features.as_table());
    let mut on = BTreeSet::new();
    let mut open = vec!["default".to_owned()];
    while let Some(name) = open.pop() {
        let Some(list) = features.and_then(|all| all.get(&name)?.as_array()) else { continue };
        for item in list.iter().filter_map(|item| item.as_str()) {
            let dependency = item.trim_start_matches("dep:").split(['/', '?']).next().unwrap_or_default();
            if on.insert(dependency.to_owned()) {
                open.push(dependency.to_owned());
            }
        }
    }
    on
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(text: &str) -> Vec<String> {
        let file = File { path: "a/Cargo.toml".into(), text: text.into() };
        check(&[file]).expect("the manifest parses").into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn the_dsl_may_not_link_llvm() {
        let found = messages("[package]\nname = \"kcc-dsl\"\n[dependencies]\nmelior.workspace = true\n");
        assert!(found[0].contains("only the compiler and backends link LLVM"), "{found:?}");
    }

    #[test]
    fn the_compiler_may_not_depend_on_a_backend() {
        let found =
            messages("[package]\nname = \"kcc-compiler\"\n[dependencies]\nkcc-cpu.workspace = true\n");
        assert!(found[0].contains("may not depend on `kcc-cpu`"), "{found:?}");
    }

    #[test]
    fn the_runtime_gets_the_compiler_only_by_a_feature() {
        let manifest = |default: &str| {
            format!(
                "[package]\nname = \"kcc-runtime\"\n[features]\ndefault = [{default}]\njit = [\"dep:kcc-compiler\"]\n\
                 [dependencies]\nkcc-compiler = {{ workspace = true, optional = true }}\n"
            )
        };
        assert_eq!(messages(&manifest("")), Vec::<String>::new());
        assert!(messages(&manifest("\"jit\""))[0].contains("off by default"));
    }

    #[test]
    fn a_new_package_needs_a_row() {
        assert!(messages("[package]\nname = \"kcc-new\"\n")[0].contains("has no row"));
    }
}
