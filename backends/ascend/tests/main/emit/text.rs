//! The text itself, of a program that has a bit of everything: `BLESS=1` rewrites the expected file.

use kcc_ascend::emit::{Lines, emit};
use kcc_davinci::ir::Program;
use std::path::Path;

#[test]
fn the_text_of_a_program() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/main/emit");
    let read = |name: &str| std::fs::read_to_string(here.join(name)).unwrap_or_default();
    let program = Program::from_text(&read("sample.davinci")).expect("it reads");
    kcc_davinci::verify(&program).expect("it keeps the rules");
    let text = emit(&program, Lines::places()).expect("it has a source");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(here.join("sample.asc"), &text).expect("written");
    }
    let want = read("sample.asc");
    assert!(text == want, "the text differs from sample.asc (BLESS=1 rewrites it):\n{text}");
}

#[test]
fn names_of_the_interface_are_not_taken() {
    let text = "davinci {\"name\":\"n\",\"chip\":\"ascend910b\",\"params\":[{\"name\":\"register\",\"kind\":{\"Scalar\":\"I32\"}},\
                {\"name\":\"r1\",\"kind\":{\"Scalar\":\"F32\"}}],\"workspace\":0}\nvector {\n  barrier pipe=all # 0\n}\n";
    let program = Program::from_text(text).unwrap_or_else(|e| panic!("{e}"));
    let text = emit(&program, Lines::places()).expect("it has a source");
    assert!(text.contains("int64_t register_2, float r1_2"), "{text}");
}
