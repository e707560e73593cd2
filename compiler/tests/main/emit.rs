//! The LLVM end: MLIR text to object code, and errors instead of aborts.

use kcc_compiler::llvm::{Machine, Output, emit};
use kcc_compiler::{Error, Timings};

const PASSES: &str = "convert-vector-to-scf,convert-vector-to-llvm{enable-x86vector},convert-scf-to-cf,\
                      convert-arith-to-llvm,convert-ub-to-llvm,convert-math-to-llvm,convert-index-to-llvm,\
                      convert-cf-to-llvm,convert-func-to-llvm,reconcile-unrealized-casts";

const AXPY: &str = r#"
func.func @axpy(%x: !llvm.ptr, %n: i64) {
  %c0 = arith.constant 0 : i64
  %c16 = arith.constant 16 : i64
  %two = arith.constant dense<2.0> : vector<16xf32>
  scf.for %i = %c0 to %n step %c16 : i64 {
    %p = llvm.getelementptr %x[%i] : (!llvm.ptr, i64) -> !llvm.ptr, f32
    %v = llvm.load %p {alignment = 4 : i64} : !llvm.ptr -> vector<16xf32>
    %w = vector.fma %v, %two, %v : vector<16xf32>
    llvm.store %w, %p {alignment = 4 : i64} : vector<16xf32>, !llvm.ptr
  }
  return
}"#;

fn machine() -> Machine {
    Machine { triple: "x86_64-unknown-linux-gnu".into(), cpu: "x86-64-v4".into(), features: String::new() }
}

fn run(text: &str, mlir: &str, llvm: &str, output: Output) -> Result<Vec<u8>, Error> {
    emit(text, mlir, &machine(), llvm, output, &mut Timings::default())
}

const OPT: &str = "function(early-cse,loop-mssa(licm),instcombine,early-cse)";

#[test]
fn object_assembly_and_llvm_ir_come_out() {
    let mut clock = Timings::default();
    let object = emit(AXPY, PASSES, &machine(), OPT, Output::Object, &mut clock).unwrap();
    println!("{clock:?}");
    let mut clock = Timings::default();
    emit(AXPY, PASSES, &machine(), OPT, Output::Object, &mut clock).unwrap();
    println!("again {clock:?}");
    assert_eq!(&object[..4], b"\x7fELF");
    let asm = String::from_utf8(run(AXPY, PASSES, OPT, Output::Assembly).unwrap()).unwrap();
    assert!(asm.contains("vfmadd") && asm.contains("zmm"), "{asm}");
    let ir = String::from_utf8(run(AXPY, PASSES, OPT, Output::LlvmIr).unwrap()).unwrap();
    assert!(ir.contains("define void @axpy(ptr"), "{ir}");
}

#[test]
fn bad_text_passes_and_machines_are_errors() {
    let cases = [
        ("func.func @f( {", PASSES, OPT, "lowered.mlir:1:"),
        ("func.func @f() { %0 = arith.addi %1, %1 : i32 return }", PASSES, OPT, "undeclared"),
        (AXPY, "no-such-pass", OPT, "no-such-pass"),
        (AXPY, "convert-func-to-llvm{no-such-option}", OPT, "no-such-option"),
        (AXPY, "convert-scf-to-cf", OPT, "cannot be converted to LLVM IR"),
        (AXPY, PASSES, "no-such-pass", "no-such-pass"),
        (AXPY, PASSES, "function(", "LLVM passes"),
    ];
    for (text, mlir, llvm, want) in cases {
        let e = run(text, mlir, llvm, Output::Object).unwrap_err().to_string();
        assert!(e.contains(want), "{want:?} not in {e:?}");
    }
    let odd = Machine { triple: "pdp11-unknown-none".into(), ..machine() };
    let e = emit(AXPY, PASSES, &odd, OPT, Output::Object, &mut Timings::default()).unwrap_err();
    assert!(e.to_string().contains("pdp11-unknown-none"), "{e}");
}

#[test]
fn an_error_that_the_code_generator_reports_does_not_end_the_process() {
    let text = r#"
    llvm.func @f(%x: i32) -> i32 {
      %0 = llvm.inline_asm "no_such_instruction $0, $1", "=r,r" %x : (i32) -> i32
      llvm.return %0 : i32
    }"#;
    let e = run(text, "", "", Output::Object).unwrap_err();
    assert!(matches!(e, Error::Bug { .. }), "{e}");
}
