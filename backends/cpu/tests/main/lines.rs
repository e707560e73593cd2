//! With the option `lines`, code says which line of the author's source it came from.

use kcc_compiler::llvm::Output;
use kcc_compiler::session::{Options, Session};
use kcc_cpu::Cpu;
use kcc_dsl::exchange::{ArgSpec, CompileRequest};
use kcc_dsl::ir::{Builder, Elem};

/// Assembly of a sum, and the sum's line.
fn assembly(lines: Option<&str>) -> Result<(String, u32), String> {
    let mut b = Builder::new("add");
    let (x, y) = (b.view("x", Elem::F32, 1), b.view_mut("y", Elem::F32, 1));
    let (pid, size) = (b.program_id(0), b.i32(1024));
    let offset = b.mul(pid, size);
    let v = b.load(x, &[offset], &[1024]);
    let sum = b.add(v, v);
    let line_of_sum = line!() - 1;
    b.store(y, &[offset], sum);
    let kernel = b.finish().expect("valid");
    let target = Cpu::open("cpu:x86-64-v4").expect("a row");
    let options = lines.iter().map(|l| ("lines".to_owned(), (*l).to_owned())).collect();
    let request =
        CompileRequest { kernel, target: "cpu:x86-64-v4".into(), args: vec![ArgSpec::ideal(1); 2], options };
    let session = Options { output: Some(Output::Assembly), ..Options::default() };
    let artifact = Session::new().compile(&request, &target, &session).map_err(|d| format!("{d:?}"))?;
    Ok((String::from_utf8(artifact.bytes).expect("text"), line_of_sum))
}

#[test]
fn instructions_carry_the_authors_line_if_asked_to() {
    let (text, line_of_sum) = assembly(Some("yes")).expect("compiles");
    assert!(text.contains("lines.rs\""), "{text}");
    let mut place = "";
    let mut sums = 0;
    for line in text.lines().map(str::trim) {
        if line.starts_with(".loc") {
            place = line;
        }
        if line.starts_with("vaddps") {
            let number = place.split_whitespace().nth(2).unwrap_or_default();
            assert_eq!(number, line_of_sum.to_string(), "{text}");
            sums += 1;
        }
    }
    assert!(sums > 0, "{text}");
    assert!(!text.contains("lowered.mlir"), "places of our own text:\n{text}");
}

#[test]
fn without_the_option_there_are_no_lines() {
    let (text, _) = assembly(None).expect("compiles");
    assert!(!text.contains(".loc\t"), "{text}");
}

#[test]
fn another_value_is_refused() {
    let message = assembly(Some("some")).expect_err("no such value");
    assert!(message.contains("lines=some") && message.contains("`yes` or `no`"), "{message}");
}
