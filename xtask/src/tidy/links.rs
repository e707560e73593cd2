//! Documents name files that exist.
//!
//! ```text
//! [text](docs/eager.md)          any document: a path relative to it
//! `dsl/src/ir/validate.rs`       ARCHITECTURE.md, the map: a path from the root
//! docs/SUMMARY.md                the table of contents: every page of docs/
//! ```

use super::{File, Finding};

const MAP: &str = "ARCHITECTURE.md";
const SUMMARY: &str = "docs/SUMMARY.md";

pub(super) fn check(files: &[File]) -> Vec<Finding> {
    let exists = |path: &str| {
        let folder = format!("{}/", path.trim_end_matches('/'));
        files.iter().any(|file| file.path == path || file.path.starts_with(&folder))
    };
    let tops: Vec<&str> =
        files.iter().filter_map(|file| file.path.split_once('/')).map(|(top, _)| top).collect();
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.path.ends_with(".md")) {
        let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (at, line) in file.text.lines().enumerate() {
            let mut named: Vec<String> = links(line).iter().map(|link| resolve(folder, link)).collect();
            if file.path == MAP {
                named.extend(code(line).filter(|path| is_path(path, &tops)).map(str::to_owned));
            }
            for path in named.iter().filter(|path| !exists(path)) {
                findings.push(file.finding(at + 1, format!("`{path}` does not exist; correct the name")));
            }
        }
    }
    findings.extend(left_out(files));
    findings
}

/// Pages that the table of contents does not name.
fn left_out(files: &[File]) -> Vec<Finding> {
    let Some(summary) = files.iter().find(|file| file.path == SUMMARY) else { return Vec::new() };
    let named: Vec<String> = summary.text.lines().flat_map(links).map(|link| resolve("docs", link)).collect();
    let pages = files.iter().filter(|file| file.path.starts_with("docs/") && file.path.ends_with(".md"));
    let missing = pages.filter(|page| page.path != SUMMARY && !named.contains(&page.path));
    missing.map(|page| page.finding(0, format!("{SUMMARY} does not name it; add a line"))).collect()
}

/// Targets of the links in a line that stay inside the repository, without their anchors.
fn links(line: &str) -> Vec<&str> {
    let targets = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let inside = targets.filter(|target| !target.contains("://") && !target.starts_with('#'));
    inside.filter_map(|target| target.split('#').next()).collect()
}

/// What stands between single backticks.
fn code(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// A path from the root, not a pattern or a command.
fn is_path(text: &str, tops: &[&str]) -> bool {
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "/_-.".contains(c));
    plain && text.split_once('/').is_some_and(|(top, _)| tops.contains(&top))
}

/// A link seen from a folder, `..` followed.
fn resolve(folder: &str, link: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in link.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." | "" => {}
            name => parts.push(name),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        let file = |path: &str, text: &str| File { path: path.into(), text: text.into() };
        let files = [file("docs/a.md", ""), file("dsl/src/lib.rs", ""), file(path, text)];
        check(&files).iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn a_page_that_the_contents_leave_out_is_found() {
        let file = |path: &str, text: &str| File { path: path.into(), text: text.into() };
        let files = [file(SUMMARY, "- [a](a.md)\n"), file("docs/a.md", ""), file("docs/x/b.md", "")];
        let paths: Vec<String> = check(&files).into_iter().map(|f| f.path).collect();
        assert_eq!(paths, ["docs/x/b.md"]);
    }

    #[test]
    fn dead_links_are_found() {
        assert_eq!(
            lines("docs/b.md", "[x](a.md)\n[x](c.md#part)\n[x](../dsl/src/lib.rs)\n[x](#part)\n"),
            [2]
        );
        assert_eq!(lines("README.md", "[x](docs/a.md), [y](docs/none.md)\n"), [1]);
    }

    #[test]
    fn the_map_names_files_that_exist() {
        assert_eq!(lines(MAP, "`dsl/src/lib.rs` `dsl/` `a → b` `make test`\n`dsl/src/gone.rs`\n"), [2]);
        assert_eq!(lines("docs/b.md", "`dsl/src/gone.rs`\n"), []);
    }
}
