//! Backends of the same family share mechanism by hooks, not by copies.
//!
//! ```text
//! backends/nvidia/src/x.rs   let a = f(b);  g(a, 1);  h(a)?;      names aside the same:
//! backends/amd/src/y.rs      let p = q(r);  s(p, 1);  t(p)?;      $ $ = $ ( $ ) ; …
//! ```
//! Lines are compared with names replaced, comments and blank lines left out; brackets and declarations (imports,
//! modules, fields, attributes) count for nothing.

use super::{File, Finding};
use std::collections::HashMap;

/// Lines of substance in a row that two backends may have in common: signatures of hooks are given.
const MOST: usize = 7;

/// The backends that are compared with each other.
const PAIR: [&str; 2] = ["backends/nvidia/src/", "backends/amd/src/"];

/// A line with its names replaced; `None` if it says nothing.
fn shape(line: &str) -> Option<String> {
    let code = line.split("//").next().unwrap_or_default().trim();
    // Declarations: names of modules, fields of a row.
    let declares = ["use ", "#[", "mod ", "pub mod "].iter().any(|start| code.starts_with(start))
        || code.starts_with("pub ") && code.ends_with(',') && !code.contains('(');
    if declares || !code.contains(char::is_alphanumeric) {
        return None;
    }
    let mut shape = String::new();
    let mut in_name = false;
    for c in code.chars().filter(|c| !c.is_whitespace()) {
        let part = c.is_alphanumeric() || c == '_';
        if !part {
            shape.push(c);
        } else if !in_name {
            shape.push('$');
        }
        in_name = part;
    }
    Some(shape)
}

/// Lines of substance, with their numbers.
fn shapes(file: &File) -> Vec<(usize, String)> {
    // Tests of a module come last.
    let code = file.text.split("#[cfg(test)]").next().unwrap_or_default();
    code.lines().enumerate().filter_map(|(i, l)| Some((i + 1, shape(l)?))).collect()
}

pub(super) fn check(files: &[File]) -> Vec<Finding> {
    let of = |start: &str| -> Vec<&File> {
        files.iter().filter(|f| f.is_rust() && f.path.starts_with(start)).collect()
    };
    let window = MOST + 1;
    let mut seen: HashMap<Vec<String>, (String, usize)> = HashMap::new();
    for file in of(PAIR[0]) {
        for w in shapes(file).windows(window) {
            let key = w.iter().map(|(_, s)| s.clone()).collect();
            seen.entry(key).or_insert((file.path.clone(), w[0].0));
        }
    }
    let mut findings = Vec::new();
    for file in of(PAIR[1]) {
        let mut after = 0;
        for w in shapes(file).windows(window) {
            let key: Vec<String> = w.iter().map(|(_, s)| s.clone()).collect();
            let Some((path, line)) = seen.get(&key).filter(|_| w[0].0 > after) else { continue };
            after = w[window - 1].0;
            let message =
                format!("{window} lines as in {path}:{line}, names aside; make it a hook of the compiler");
            findings.push(file.finding(w[0].0, message));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File { path: path.into(), text: text.into() }
    }

    fn body(names: [&str; 2], lines: usize) -> String {
        let [a, b] = names;
        (0..lines).map(|i| format!("    let {a} = {b}({i}, {a}){};\n", "?".repeat(i % 3))).collect()
    }

    #[test]
    fn copied_lines_are_found_though_names_differ() {
        let ours = file("backends/amd/src/a.rs", &body(["x", "f"], MOST + 1));
        let theirs = file("backends/nvidia/src/b.rs", &format!("// why\n{}", body(["value", "g"], MOST + 1)));
        let found = check(&[ours, theirs]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].path.as_str(), found[0].line), ("backends/amd/src/a.rs", 1));
    }

    #[test]
    fn short_likeness_and_imports_are_no_copies() {
        let few = |path, name| file(path, &body([name, "f"], MOST));
        assert!(check(&[few("backends/amd/src/a.rs", "x"), few("backends/nvidia/src/a.rs", "y")]).is_empty());
        let imports = "use a::b;\n".repeat(20);
        let both = ["backends/amd/src/a.rs", "backends/nvidia/src/a.rs"].map(|p| file(p, &imports));
        assert!(check(&both).is_empty());
    }
}
