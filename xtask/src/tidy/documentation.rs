//! Every module opens by saying why it exists.

use super::{File, Finding};

pub(super) fn check(file: &File) -> Vec<Finding> {
    if !file.is_source() {
        return Vec::new();
    }
    // Plain comments (a table's mark) and inner attributes may come first.
    let first = file.text.lines().map(str::trim).find(|line| {
        let plain = line.starts_with("//") && !line.starts_with("//!");
        !(line.is_empty() || plain || line.starts_with("#!["))
    });
    match first {
        Some(line) if line.starts_with("//!") => Vec::new(),
        _ => vec![file.finding(1, "no `//!` at its head; say why the module exists")],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(path: &str, text: &str) -> usize {
        check(&File { path: path.into(), text: text.into() }).len()
    }

    #[test]
    fn a_module_without_a_head_is_found() {
        assert_eq!(count("dsl/src/a.rs", "use x;\n//! late\n"), 1);
        assert_eq!(count("dsl/src/a.rs", ""), 1);
        assert_eq!(count("dsl/src/a.rs", "/// of the item\nfn f() {}\n"), 1);
    }

    #[test]
    fn attributes_and_marks_may_precede_the_head() {
        assert_eq!(count("dsl/src/a.rs", "// Table: x\n#![warn(x)]\n\n//! Why.\n"), 0);
        assert_eq!(count("dsl/tests/ui/a.rs", "fn main() {}\n"), 0);
    }
}
