//! The text itself, of a program that has a bit of everything: `BLESS=1` rewrites the expected file.

use crate::kernels::softmax;
use kcc_ascend::Ascend;
use kcc_ascend::emit::{Lines, emit};
use kcc_compiler::{Target, Timings};
use kcc_davinci::ir::Program;
use kcc_dsl::ir::Elem;
use std::collections::BTreeMap;
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
    assert!(text.contains("int64_t register_2, int64_t r1_2_bits"), "{text}");
}

#[test]
fn sources_are_a_target_of_the_compiler() {
    let kernel = softmax(Elem::F16, 64);
    let target = Ascend::open("ascend:910b").expect("a target");
    let direct = target.direct().expect("a way of its own");
    let compile = |options: &[(&str, &str)]| {
        let options: BTreeMap<String, String> =
            options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        direct.compile(&kernel, &[], &options, &mut Timings::default(), &mut |_, _| Ok(None))
    };
    let done = compile(&[("lines", "no")]).expect("it compiles");
    assert_eq!(done.symbol, "kcc_softmax");
    assert!(done.text.contains("__global__ __vector__ void kcc_softmax("), "{}", done.text);
    assert_eq!(done.npu.expect("launch facts").most_blocks, 48);
    let e = compile(&[("lines", "some")]).expect_err("no such value").to_string();
    assert!(e.contains("`some`"), "{e}");
    let e = compile(&[("rows", "2")]).expect_err("no such option").to_string();
    assert!(e.contains("`rows`"), "{e}");
    assert!(Ascend::open("ascend:310").is_none());
}
