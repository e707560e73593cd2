//! `tests/filetests/*.mlir`: an input, and what comes out of the named passes, or the whole error message.
//!
//! ```text
//! // passes: canonicalize, dce
//! <input>
//! // ---- becomes
//! <output>, or lines of `error: place: message` and `help: remedy`
//! ```
//! `BLESS=1 cargo test -p kcc-compiler` writes what comes out into the files.

use kcc_compiler::{Error, pipeline};
use std::path::Path;

const MARK: &str = "// ---- becomes\n";

fn shown(e: &Error) -> String {
    let mut out = String::new();
    for d in e.diagnostics() {
        let place = d.loc.map(|l| format!("{l}: ")).unwrap_or_default();
        out.push_str(&format!("error: {place}{}\n", d.message));
        if let Some(help) = d.help {
            out.push_str(&format!("help: {help}\n"));
        }
    }
    out
}

#[test]
fn files_hold_what_comes_out() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/filetests");
    let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 10, "{files:?}");
    let mut wrong = Vec::new();
    for path in files {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let all = std::fs::read_to_string(&path).unwrap();
        let (input, expected) = all.split_once(MARK).unwrap_or((&all, ""));
        let first = input.lines().next().unwrap();
        let passes = first.strip_prefix("// passes:").unwrap_or_else(|| panic!("{name}: no `// passes:`"));
        let passes: Vec<&str> = passes.split(',').map(str::trim).filter(|p| !p.is_empty()).collect();
        let got = pipeline::run_named(input, &name, &passes).unwrap_or_else(|e| shown(&e));
        if got != expected {
            if std::env::var_os("BLESS").is_some() {
                std::fs::write(&path, format!("{input}{MARK}{got}")).unwrap();
            } else {
                wrong.push(format!("{name}: expected\n{expected}\ngot\n{got}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}\nset BLESS=1 if this is right", wrong.join("\n"));
}
