//! Each unsafe block says why it is sound.

use super::{File, Finding};

/// How far above the block, within one statement, its comment may stand.
const REACH: usize = 12;

pub(super) fn check(file: &File) -> Vec<Finding> {
    if !file.is_rust() || file.path.starts_with("xtask/src/tidy/") {
        return Vec::new();
    }
    let lines: Vec<&str> = file.text.lines().collect();
    let missing = lines.iter().enumerate().filter(|(at, line)| opens_unsafe(line) && !explained(&lines, *at));
    missing
        .map(|(at, _)| {
            file.finding(at + 1, "unsafe without a `// SAFETY:` comment above it; say why it is sound")
        })
        .collect()
}

/// An unsafe block or implementation; `unsafe fn` and `unsafe extern` declare an obligation instead.
fn opens_unsafe(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    code.contains("unsafe {") || code.trim_start().starts_with("unsafe impl")
}

fn explained(lines: &[&str], at: usize) -> bool {
    if lines[at].contains("SAFETY:")
        || lines.get(at + 1).is_some_and(|next| next.trim().starts_with("// SAFETY:"))
    {
        return true;
    }
    for line in lines[..at].iter().rev().take(REACH).map(|line| line.trim()) {
        if line.contains("SAFETY:") {
            return true;
        }
        let comment = line.starts_with("//") || line.starts_with("#[");
        // A blank line or the end of another statement: what stands above belongs to something else. One comment
        // may cover the run of `unsafe impl`s below it.
        let ends = line.is_empty() || line.ends_with(';') || line.ends_with('}') || line.ends_with('{');
        if !comment && ends && !line.starts_with("unsafe impl") {
            return false;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<usize> {
        check(&File { path: "dsl/src/a.rs".into(), text: text.into() }).iter().map(|f| f.line).collect()
    }

    #[test]
    fn an_unexplained_block_is_found() {
        assert_eq!(lines("let a = 1;\nlet x = unsafe { f() };\n"), [2]);
        assert_eq!(lines("// SAFETY: for a\nlet a = unsafe { f() };\nlet x = unsafe { f() };\n"), [3]);
    }

    #[test]
    fn the_comment_may_stand_above_the_statement() {
        assert_eq!(lines("// SAFETY: f takes\n// no pointers.\nlet x: u8 =\n    unsafe { f() };\n"), []);
        assert_eq!(lines("unsafe {\n    // SAFETY: inside.\n    f()\n}\n"), []);
        assert_eq!(lines("// SAFETY: no state.\nunsafe impl Send for A {}\nunsafe impl Sync for A {}\n"), []);
        assert_eq!(lines("unsafe fn f() {}\n"), []);
    }
}
