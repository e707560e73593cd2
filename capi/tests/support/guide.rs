//! A page followed step by step: its `sh` blocks as one script, in an empty folder.

use super::{blocks, folder, library, python, root, run};
use std::path::PathBuf;

/// The compiler: `KCC`, else beside this test's folder.
fn kcc() -> PathBuf {
    let built = || {
        let test = std::env::current_exe().unwrap();
        test.parent().and_then(|deps| deps.parent()).unwrap().join("kcc")
    };
    let path = std::env::var_os("KCC").map_or_else(built, PathBuf::from);
    assert!(path.is_file(), "no compiler at {}: `make test` builds it", path.display());
    path
}

/// Runs the blocks; those with `python3` need a Python with this module. They must print what is `expected`, the last of it by Python.
/// Crates are built in a folder that stays, for the next run.
pub fn follow(page: &str, module: &str, expected: &[&str]) {
    let home = folder().join(page.trim_end_matches(".md"));
    let bin = home.join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    let kcc = kcc();
    let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, bin.join(name)).unwrap();
    link(kcc.to_str().unwrap(), "kcc");
    let mut script = blocks(page, "sh");
    match python(module) {
        // A link would lose the virtual environment.
        Some(python) => {
            let shim = bin.join("python3");
            std::fs::write(&shim, format!("#!/bin/sh\nexec {python} \"$@\"\n")).unwrap();
            run("chmod", &["+x", shim.to_str().unwrap()], &[]);
        }
        None => script.retain(|block| !block.contains("python3")),
    }
    let (root, library) = (root(), library());
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
    let modules = root.join("python/src");
    let target = root.join("target/tests/guide");
    let env = [
        ("PATH", path.as_str()),
        ("KCC", kcc.to_str().unwrap()),
        ("KCC_REPO", root.to_str().unwrap()),
        ("KCC_RUNTIME_LIBRARY", library.to_str().unwrap()),
        ("PYTHONPATH", modules.to_str().unwrap()),
        ("PYTHONDONTWRITEBYTECODE", "1"),
        ("CARGO_TARGET_DIR", target.to_str().unwrap()),
    ];
    let text = format!("cd {:?}\n{}", home, script.concat());
    let said = run("bash", &["-euo", "pipefail", "-c", &text], &env);
    let with_python = text.contains("python3");
    let (last, others) = expected.split_last().unwrap();
    for line in others.iter().chain(with_python.then_some(last)) {
        assert!(said.contains(line), "nothing printed {line:?}:\n{said}");
    }
}
