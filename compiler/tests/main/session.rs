//! The session and the child process, with a target that lowers every kernel to one that returns 0.

use crate::samples;
use kcc_compiler::llvm::{Machine, Output};
use kcc_compiler::session::Options;
use kcc_compiler::{Error, Lowered, Session, Target, compiler_version, import, nowhere, serve};
use kcc_dsl::exchange::frame::{self, Hello, PROTOCOL};
use kcc_dsl::exchange::{ArgSpec, CompileRequest, CompileResult, Severity};
use kcc_dsl::ir::*;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;

struct Zero;

impl Target for Zero {
    fn name(&self) -> &str {
        "zero:x86-64"
    }
    fn check(&self, kernel: &Kernel) -> Result<(), Error> {
        if kernel.name == "refused" {
            return Err(nowhere().unsupported("this kernel").help("write another one"));
        }
        Ok(())
    }
    fn lower(
        &self,
        kernel: &Kernel,
        args: &[ArgSpec],
        _: &BTreeMap<String, String>,
    ) -> Result<Lowered, Error> {
        assert_eq!(args.len(), kernel.params.len());
        let symbol = kernel.symbol();
        let body = "%0 = llvm.mlir.constant(0 : i64) : i64\nllvm.return %0 : i64";
        let text = format!("llvm.func @{symbol}() -> i64 {{\n{body}\n}}\n");
        Ok(Lowered { text, symbol, ..Lowered::default() })
    }
    fn mlir_passes(&self) -> &str {
        ""
    }
    fn llvm_passes(&self, _: &str) -> &str {
        "function(instcombine)"
    }
    fn machine(&self, _: &str) -> Machine {
        Machine { triple: "x86_64-unknown-linux-gnu".into(), cpu: "x86-64".into(), features: String::new() }
    }
}

fn request(kernel: Kernel) -> CompileRequest {
    let args = vec![ArgSpec::default(); kernel.params.len()];
    CompileRequest { kernel, target: "zero:x86-64".into(), args, options: BTreeMap::new() }
}

fn folder(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("kcc-session-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    dir
}

#[test]
fn a_kernel_becomes_an_object_and_every_stage_is_timed() {
    let kernel = samples::structural();
    let artifact = Session::new().compile(&request(kernel.clone()), &Zero, &Options::default()).unwrap();
    assert_eq!(&artifact.bytes[..4], b"\x7fELF");
    assert_eq!((artifact.symbol, artifact.target.as_str()), (kernel.symbol(), "zero:x86-64"));
    let stages: Vec<&str> = artifact.timings.iter().map(|(s, _)| s.as_str()).collect();
    for stage in ["import", "canonicalize", "cse", "hoist", "dce", "verify", "lower", "codegen"] {
        assert!(stages.contains(&stage), "{stage} in {stages:?}");
    }
}

#[test]
fn each_stage_is_dumped_and_an_edited_file_takes_its_place() {
    let dir = folder("dump");
    let mut b = Builder::new("edited");
    let y = b.view_mut("y", Elem::F32, 1);
    let zero = b.i32(0);
    let v = b.full(Elem::F32, &[8], 1.5);
    b.store(y, &[zero], v);
    let request = request(b.finish().unwrap());
    let options = Options { dump: Some(dir.clone()), ..Options::default() };
    Session::new().compile(&request, &Zero, &options).unwrap();
    let mut names: Vec<String> =
        std::fs::read_dir(&dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let expected = [
        "00-import.mlir",
        "01-canonicalize.mlir",
        "02-cse.mlir",
        "03-hoist.mlir",
        "04-cse.mlir",
        "05-dce.mlir",
        "06-lower.mlir",
        "07-llvm-ir.ll",
        "08-assembly.s",
    ];
    assert_eq!(names, expected);
    let file = dir.join("01-canonicalize.mlir");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("1.500000e+00", "2.500000e+00")).unwrap();
    let stop = |replace| Options { replace, stop_after: Some("dce".into()), ..Options::default() };
    let edited = vec![("canonicalize".to_owned(), file.clone())];
    let out = Session::new().compile(&request, &Zero, &stop(edited.clone())).unwrap();
    assert!(String::from_utf8(out.bytes).unwrap().contains("2.500000e+00"));
    std::fs::write(&file, text.replace("tensor<8xf32>", "tensor<8x?xf32>")).unwrap();
    let e = Session::new().compile(&request, &Zero, &stop(edited)).unwrap_err();
    assert!(e[0].severity == Severity::Error && e[0].message.contains("static shape"), "{e:?}");
    assert_eq!(e[0].loc.as_ref().map(|l| l.file.clone()), Some(file.display().to_string()));
    let e = Session::new().compile(&request, &Zero, &stop(vec![("no-such".into(), file)])).unwrap_err();
    assert!(e[0].message.contains("no-such") && e[0].help.as_ref().unwrap().contains("03-hoist"), "{e:?}");
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn the_observer_sees_stages_in_order_and_the_output_can_be_chosen() {
    let seen = Mutex::new(Vec::new());
    let see = |name: &str, text: &str| seen.lock().unwrap().push((name.to_owned(), text.len()));
    let options = Options { observer: Some(&see), output: Some(Output::LlvmIr), ..Options::default() };
    let text = import::to_text(&samples::elementwise()).unwrap();
    let artifact =
        Session::new().compile_module_text(&text, "k.mlir", &[], &BTreeMap::new(), &Zero, &options).unwrap();
    assert!(String::from_utf8(artifact.bytes).unwrap().contains("ret i64 0"));
    let names: Vec<String> = seen.into_inner().unwrap().into_iter().map(|(n, _)| n).collect();
    assert_eq!(names[0], "00-import");
    assert!(names.is_sorted() && names.len() == 9, "{names:?}");
}

#[test]
fn mistakes_are_diagnostics_with_place_and_remedy() {
    let mut kernel = samples::structural();
    kernel.body.ops.reverse();
    let e = Session::new().compile(&request(kernel), &Zero, &Options::default()).unwrap_err();
    assert!(e[0].severity == Severity::Error && e[0].loc.is_some(), "{e:?}");
    let refused = Builder::new("refused").finish().unwrap();
    let e = Session::new().compile(&request(refused), &Zero, &Options::default()).unwrap_err();
    assert!(e[0].message.contains("not supported") && e[0].loc.is_some() && e[0].help.is_some(), "{e:?}");
    let text = "func.func @f(%x: i32) attributes {kt.kernel} {\n  %0 = arith.divsi %x, %x : i32\n  return\n}";
    let none = BTreeMap::new();
    let e = Session::new()
        .compile_module_text(text, "f.mlir", &[], &none, &Zero, &Options::default())
        .unwrap_err();
    let loc = e[0].loc.as_ref().unwrap();
    assert_eq!((loc.file.as_str(), loc.line), ("f.mlir", 2), "{e:?}");
}

#[test]
fn many_threads_compile_at_once() {
    std::thread::scope(|s| {
        for seed in 0..4u64 {
            s.spawn(move || {
                for i in 0..6 {
                    let profile = kcc_dsl::fuzz::Profile::default();
                    let kernel = kcc_dsl::fuzz::generate(seed * 100 + i, &profile).unwrap().kernel;
                    Session::new().compile(&request(kernel), &Zero, &Options::default()).unwrap();
                }
            });
        }
    });
}

#[test]
fn the_child_greets_answers_and_ends_with_the_pipe() {
    let mut input = Vec::new();
    frame::write(&mut input, &request(samples::structural())).unwrap();
    let unknown = CompileRequest { target: "abacus".into(), ..request(samples::structural()) };
    frame::write(&mut input, &unknown).unwrap();
    let mut output = Vec::new();
    serve(input.as_slice(), &mut output, &|name| {
        (name == "zero:x86-64").then(|| Box::new(Zero) as Box<dyn Target>)
    })
    .unwrap();
    let mut r = output.as_slice();
    let hello: Hello = frame::read(&mut r).unwrap().unwrap();
    assert_eq!((hello.protocol, hello.compiler.as_str()), (PROTOCOL, compiler_version()));
    assert!(frame::read::<CompileResult>(&mut r).unwrap().unwrap().is_ok());
    let e = frame::read::<CompileResult>(&mut r).unwrap().unwrap().unwrap_err();
    assert!(e[0].message.contains("abacus"), "{e:?}");
    assert_eq!(frame::read::<CompileResult>(&mut r).unwrap(), None);
}

#[test]
fn an_object_links_into_a_shared_object_that_appears_whole() {
    let dir = folder("link");
    std::fs::create_dir_all(&dir).unwrap();
    let object =
        Session::new().compile(&request(samples::structural()), &Zero, &Options::default()).unwrap().bytes;
    kcc_compiler::link::shared_object(&object, &dir.join("k.so")).unwrap();
    let e = kcc_compiler::link::shared_object(b"not an object", &dir.join("bad.so")).unwrap_err();
    assert!(!e.to_string().is_empty());
    let names: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["k.so"], "nothing is left behind");
    assert_eq!(&std::fs::read(dir.join("k.so")).unwrap()[..4], b"\x7fELF");
    std::fs::remove_dir_all(dir).unwrap();
}
