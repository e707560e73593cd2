//! A pack of kernels written in C, so that these tests need no compiler of kernels, and ways to run programs.

pub mod guide;
#[path = "../../../runtime/tests/support/object.rs"]
mod object;

use kcc_dsl::exchange::{ArgSpec, CpuMeta};
use kcc_dsl::ir::Loc;
use object::object;
use runtime::detect;
use runtime::pack::Writer;
use runtime::pack::format::*;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use tempfile::TempDir;

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// A folder for this run.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    FOLDER.get_or_init(|| tempfile::tempdir().unwrap()).path()
}

/// The library under test. Cargo builds no library for tests that do not link it, so this asks for it, in the same profile.
pub fn library() -> PathBuf {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    let build = || {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(root()).args(["build", "-q", "-p", "kcc-capi", "--lib", "--message-format=json"]);
        if !cfg!(debug_assertions) {
            cargo.arg("--release");
        }
        let out = cargo.output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let said = String::from_utf8(out.stdout).unwrap();
        let made = said.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let made: Vec<_> = made.filter(|m| m["target"]["name"] == "kcc_runtime").collect();
        let files = made.iter().filter_map(|m| m["filenames"].as_array()).flatten();
        let mut files = files.filter_map(|f| f.as_str()).map(PathBuf::from);
        files.find(|f| f.extension().is_some_and(|e| e == std::env::consts::DLL_EXTENSION)).unwrap()
    };
    LIBRARY.get_or_init(build).clone()
}

/// Runs a program and gives what it printed.
pub fn run(program: &str, args: &[&str], env: &[(&str, &str)]) -> String {
    let out = Command::new(program).args(args).envs(env.iter().copied()).output();
    let out = out.unwrap_or_else(|e| panic!("{program}: {e}"));
    let (said, complained) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{program} {args:?}: {}\n{said}{complained}", out.status);
    said.into_owned()
}

/// Drops the `# Safety` sections of a header, and the empty comment lines before them.
pub fn without_safety(header: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut skipping = false;
    for line in header.lines() {
        let comment = line.trim_start().starts_with("//");
        if comment && line.contains("# Safety") {
            skipping = true;
            kept.truncate(kept.iter().rposition(|l| l.trim() != "//").map_or(0, |i| i + 1));
        }
        skipping &= comment;
        if !skipping {
            kept.push(line);
        }
    }
    kept.join("\n") + "\n"
}

fn variant(object: &[u8], symbol: &str, dtypes: &[&str], unit_axis: bool) -> Variant {
    let dtypes: Vec<Dtype> = dtypes.iter().map(|d| Dtype::try_from((*d).to_owned()).unwrap()).collect();
    // The last two parameters are the views.
    let axis = |i: usize| if unit_axis && i + 2 >= dtypes.len() { Some(1) } else { None };
    Variant {
        backend: Backend {
            r#type: "cpu".into(),
            archs: vec!["x86-64-v3".into()],
            target: "cpu:x86-64-v3".into(),
        },
        generics: String::new(),
        args: (0..dtypes.len()).map(|i| ArgSpec { unit_axis: axis(i), ..ArgSpec::default() }).collect(),
        dtypes,
        when: Vec::new(),
        cost: String::new(),
        grid: ["x.dim(0)".into(), "1".into(), "1".into()],
        workspace: String::new(),
        tolerance: Tolerance { absolute: 0.0, relative: 0.0 },
        code: Code::new("bin/cpu-x86-64-v3/kernels.o", CodeKind::Object, symbol, object),
        cpu: Some(CpuMeta {
            asserts: vec![(
                "a row is not negative".into(),
                Loc { file: "kernels.c".into(), line: 7, column: 1 },
            )],
            ..CpuMeta::default()
        }),
        gpu: None,
        npu: None,
    }
}

/// The pack's path: `axpby` (three variants), `checked` (asserts), `worked` (wants a workspace).
pub fn pack() -> &'static str {
    static PACK: OnceLock<String> = OnceLock::new();
    PACK.get_or_init(|| {
        detect::resolve("cpu:x86-64-v3").expect("these tests need an x86-64-v3 processor");
        let object = object();
        let param = |name: &str, kind, rank| Param { name: name.into(), kind, rank };
        let views = || vec![param("x", Kind::Input, 2), param("y", Kind::Output, 2)];
        let kernel = |name: &str, params: Vec<Param>, variants| Kernel {
            name: name.into(),
            op: Op { name: name.into(), version: 1 },
            params,
            source: None,
            variants,
        };
        let f32s = ["f32"; 4];
        let short =
            Variant { when: vec!["x.dim(1) <= 8".into()], ..variant(&object, "axpby_f32", &f32s, true) };
        let long = Variant { cost: "1".into(), ..variant(&object, "axpby_f32", &f32s, false) };
        let ints = variant(&object, "axpby_i64", &["i64"; 4], false);
        let mut axpby = vec![param("a", Kind::Scalar, 0), param("b", Kind::Scalar, 0)];
        axpby.extend(views());
        let worked =
            Variant { workspace: "x.dim(0) * 4".into(), ..variant(&object, "copy_f32", &f32s[..2], false) };
        let kernels = vec![
            kernel("axpby", axpby, vec![short, long, ints]),
            kernel("checked", views(), vec![variant(&object, "checked_f32", &f32s[..2], false)]),
            kernel("worked", views(), vec![worked]),
        ];
        let manifest = Manifest::new("test", "1.0.0", "cc", kernels);
        let files = BTreeMap::from([("bin/cpu-x86-64-v3/kernels.o".to_owned(), object)]);
        let path = folder().join("test.kpack");
        std::fs::write(&path, Writer::new(&manifest, files).unwrap().zip().unwrap()).unwrap();
        path.to_str().unwrap().to_owned()
    })
}

/// A Python with this module: `KCC_PYTHON`, which must have it; else the benchmarks' environment, or the system's, if they have it.
pub fn python(module: &str) -> Option<String> {
    let has = |python: &str| {
        let out = Command::new(python).args(["-c", &format!("import {module}")]).output();
        out.is_ok_and(|o| o.status.success())
    };
    if let Ok(named) = std::env::var("KCC_PYTHON") {
        assert!(has(&named), "KCC_PYTHON is {named}, which has no {module}");
        return Some(named);
    }
    let bench = root().join(".cache/venv/bench/bin/python");
    let found = [bench.to_str().unwrap(), "python3"].into_iter().find(|p| has(p)).map(str::to_owned);
    if found.is_none() {
        eprintln!("not run: no Python with {module}; KCC_PYTHON names one");
    }
    found
}

/// The code blocks of a page in one language, one after another.
pub fn blocks(page: &str, language: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join("docs").join(page)).unwrap();
    let fence = format!("```{language}\n");
    let blocks: Vec<String> =
        text.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect();
    assert!(!blocks.is_empty(), "{page} has no {language}");
    blocks
}
