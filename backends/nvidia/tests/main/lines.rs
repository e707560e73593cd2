//! PTX says which line of the author's source an instruction came from.

use kcc_compiler::session::{Options, Session};
use kcc_dsl::exchange::{ArgSpec, CompileRequest};
use kcc_dsl::ir::{Builder, Elem};
use kcc_nvidia::Nvidia;
use std::collections::BTreeMap;

#[test]
fn instructions_carry_the_authors_file_and_line() {
    let mut b = Builder::new("add");
    let (x, y) = (b.view("x", Elem::F32, 1), b.view_mut("y", Elem::F32, 1));
    let (pid, size) = (b.program_id(0), b.i32(1024));
    let offset = b.mul(pid, size);
    let v = b.load(x, &[offset], &[1024]);
    let sum = b.add(v, v);
    let line_of_sum = line!() - 1;
    b.store(y, &[offset], sum);
    let kernel = b.finish().expect("valid");
    let target = Nvidia::open("nvidia:sm_90a").expect("a row");
    let request = CompileRequest {
        kernel,
        target: "nvidia:sm_90a".into(),
        args: vec![ArgSpec::ideal(1); 2],
        options: BTreeMap::new(),
    };
    let artifact = Session::new().compile(&request, &target, &Options::default()).expect("compiles");
    let ptx = String::from_utf8(artifact.bytes).expect("text");
    let number = ptx.lines().find_map(|l| {
        let rest = l.trim().strip_prefix(".file")?;
        rest.contains("lines.rs").then(|| rest.split_whitespace().next().unwrap_or_default().to_owned())
    });
    let number = number.unwrap_or_else(|| panic!("no file in\n{ptx}"));
    // The addition stands right after its line directive.
    let mut lines = ptx.lines().map(str::trim).skip_while(|l| !l.starts_with("add.f32")).peekable();
    assert!(lines.peek().is_some(), "{ptx}");
    let before: Vec<&str> = ptx.lines().map(str::trim).take_while(|l| !l.starts_with("add.f32")).collect();
    let last = before.iter().rev().find(|l| l.starts_with(".loc")).expect("a line directive");
    let fields: Vec<&str> = last.split_whitespace().collect();
    assert_eq!(fields[1..3], [number.as_str(), &line_of_sum.to_string()], "{ptx}");
    // Anything more would tell the assembler not to optimise.
    assert!(!ptx.contains(", debug"), "{ptx}");
}
