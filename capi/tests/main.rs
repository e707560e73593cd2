//! The C ABI from C: the header, a program that uses every function and every mistake, sanitized, and the example.

mod support;

use std::path::Path;
use support::{blocks, folder, guide, library, pack, root, run};

#[test]
fn the_header_is_what_the_source_says() {
    let root = root();
    let config = cbindgen::Config::from_file(root.join("capi/cbindgen.toml")).unwrap();
    // It follows the `mod` lines.
    let builder = cbindgen::Builder::new().with_config(config).with_src(root.join("capi/src/lib.rs"));
    let mut made = Vec::new();
    builder.generate().unwrap().write(&mut made);
    let made = String::from_utf8(made).unwrap();
    // What a Rust caller of an `unsafe fn` must know is said in other words at the top of the header.
    let made = support::without_safety(&made);
    let path = root.join("capi/include/kcc.h");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    assert!(std::fs::read_to_string(&path).unwrap() == made, "kcc.h is old; BLESS=1 makes it anew");
}

/// Compiles a C program against the header and the library, and gives its path.
fn compile(source: &Path, name: &str, flags: &[&str]) -> std::path::PathBuf {
    let out = folder().join(name);
    let library = library();
    let dir = library.parent().unwrap().to_str().unwrap();
    let include = root().join("capi/include");
    let (rpath, search) = (format!("-Wl,-rpath,{dir}"), format!("-L{dir}"));
    let mut args = vec!["-std=c11", "-g", "-Wall", "-Wextra", "-Werror", "-pthread"];
    args.extend(flags);
    args.extend(["-I", include.to_str().unwrap(), source.to_str().unwrap(), "-o", out.to_str().unwrap()]);
    args.extend([&*search, "-lkcc_runtime", &*rpath]);
    run("cc", &args, &[]);
    out
}

#[test]
fn every_function_and_every_mistake_sanitized() {
    let source = root().join("capi/tests/c/abi.c");
    // Undefined behaviour and memory of the C side, leaks of both: `Box`es are the C library's memory.
    let flags = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
    let program = compile(&source, "abi-sanitized", &flags);
    let said = run(program.to_str().unwrap(), &[pack()], &[("ASAN_OPTIONS", "detect_leaks=1")]);
    assert_eq!(said.trim(), "ok", "{said}");
    let program = compile(&source, "abi", &["-O2"]);
    assert_eq!(run(program.to_str().unwrap(), &[pack()], &[]).trim(), "ok");
}

#[test]
fn the_example_runs() {
    let program = compile(&root().join("examples/c/axpby.c"), "example", &[]);
    let said = run(program.to_str().unwrap(), &[pack()], &[]);
    assert!(said.ends_with("y[1][2] = 21\n"), "{said}");
    assert!(complaint(&program, "nowhere.kpack").contains("nowhere.kpack: No such file"));
}

/// What a program that is given a pack that is none says; it fails.
fn complaint(program: &Path, pack: &str) -> String {
    let out = std::process::Command::new(program).arg(pack).output().unwrap();
    assert_eq!(out.status.code(), Some(1));
    String::from_utf8(out.stderr).unwrap()
}

#[test]
fn the_header_is_cpp_too() {
    let source = folder().join("header.cpp");
    std::fs::write(
        &source,
        "#include <kcc.h>\nint main() { return kcc_abi_version() != KCC_ABI_VERSION; }\n",
    )
    .unwrap();
    let include = root().join("capi/include");
    let flags = ["-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I", include.to_str().unwrap()];
    run("c++", &[&flags[..], &[source.to_str().unwrap()]].concat(), &[]);
}

/// Runs a file of Python against the library, if there is a Python with this module.
fn python(file: &Path, needs: &str) {
    let Some(python) = support::python(needs) else { return };
    let path = root().join("python/src");
    let library = library();
    let env = [
        ("PYTHONPATH", path.to_str().unwrap()),
        ("KCC_RUNTIME_LIBRARY", library.to_str().unwrap()),
        ("KCC_TEST_PACK", pack()),
        ("PYTHONDONTWRITEBYTECODE", "1"),
        ("PYTHONWARNINGS", "error::ResourceWarning"),
    ];
    run(&python, &[file.to_str().unwrap()], &env);
}

#[test]
fn python_calls_kernels_on_numpy_arrays() {
    python(&root().join("python/tests/test_numpy.py"), "numpy");
}

#[test]
fn torch_knows_kernels_as_operators() {
    python(&root().join("python/tests/test_torch.py"), "torch");
}

#[test]
fn the_code_of_the_page_on_c_runs() {
    for (i, block) in blocks("c.md", "c").iter().enumerate() {
        let source = folder().join(format!("page-{i}.c"));
        std::fs::write(&source, block).unwrap();
        let program = compile(&source, &format!("page-{i}"), &["-fsanitize=address"]);
        run(program.to_str().unwrap(), &[pack()], &[("ASAN_OPTIONS", "detect_leaks=1")]);
        assert!(complaint(&program, "nowhere.kpack").contains("nowhere.kpack: No such file"));
    }
}

#[test]
fn the_code_of_the_page_on_python_runs() {
    let source = folder().join("page.py");
    // The page opens `test.kpack` where it is run.
    let here = format!("import os; os.chdir({:?})\n", folder());
    pack();
    std::fs::write(&source, here + &blocks("python.md", "python").concat()).unwrap();
    python(&source, "torch");
}

#[test]
fn a_newcomer_can_follow_the_guide() {
    let expected =
        ["eager", "cpu", "[1.0, 3.0, 5.0, 7.0]", "first.kpack", "st.global", "1 passed", "[1. 3. 5. 7.]"];
    guide::follow("getting-started.md", "numpy", &expected);
}

#[test]
fn the_page_on_vllm_can_be_followed() {
    guide::follow("vllm.md", "torch", &["vllm.kpack", "as torch computes it"]);
}

/// A program with the loader, stripped: this build is optimised less than a release, so it is larger.
#[test]
fn a_program_with_the_loader_is_small() {
    let archive = library().with_file_name("libkcc_runtime.a");
    let (source, out) = (root().join("examples/c/axpby.c"), folder().join("small"));
    let include = root().join("capi/include");
    let paths = [&source, &archive, &out].map(|p| p.to_str().unwrap());
    let flags = [
        "-O2",
        "-Wl,--gc-sections",
        "-s",
        "-I",
        include.to_str().unwrap(),
        paths[0],
        paths[1],
        "-o",
        paths[2],
    ];
    run("cc", &[&flags[..], &["-lpthread", "-ldl", "-lm"]].concat(), &[]);
    let said = run(paths[2], &[pack()], &[]);
    assert!(said.ends_with("y[1][2] = 21\n"), "{said}");
    let bytes = std::fs::metadata(&out).unwrap().len();
    assert!(bytes < 5_000_000, "{bytes} bytes");
}
