//! Files stay small and have names that say what is in them.

use super::{File, Finding};

const MOST_LINES: usize = 700;
/// The first line of a file that is one long table, and may be as long as it needs.
const TABLE: &str = "// Table:";
const VAGUE: [&str; 6] = ["utils", "util", "misc", "common", "helpers", "new2"];

pub(super) fn check(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !(file.is_rust() || file.path.ends_with(".py")) {
        return findings;
    }
    let lines = file.text.lines().count();
    if lines > MOST_LINES && !file.text.starts_with(TABLE) {
        findings.push(
            file.finding(
                0,
                format!("{lines} lines; split it by family of operations ({MOST_LINES} at most)"),
            ),
        );
    }
    let stem = file.path.trim_end_matches("/mod.rs").rsplit('/').next().unwrap_or_default();
    let stem = stem.split('.').next().unwrap_or_default();
    if VAGUE.contains(&stem) {
        findings
            .push(file.finding(0, format!("`{stem}` says nothing; name the file by the noun or pass in it")));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(path: &str, text: String) -> usize {
        check(&File { path: path.into(), text }).len()
    }

    #[test]
    fn long_files_are_found_and_tables_are_not() {
        let long = "x\n".repeat(701);
        assert_eq!(count("dsl/src/a.rs", long.clone()), 1);
        assert_eq!(count("dsl/src/a.rs", format!("// Table: intrinsics\n{long}")), 0);
        assert_eq!(count("dsl/src/a.rs", "x\n".repeat(700)), 0);
        assert_eq!(count("docs/a.md", long), 0);
    }

    #[test]
    fn vague_names_are_found() {
        assert_eq!(count("dsl/src/utils.rs", String::new()), 1);
        assert_eq!(count("dsl/src/common/mod.rs", String::new()), 1);
        assert_eq!(count("dsl/src/layout.rs", String::new()), 0);
    }
}
