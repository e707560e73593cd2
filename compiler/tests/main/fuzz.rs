//! Random and mutated text: an error or a result, never a panic, an abort or an endless loop.
//!
//! `KCC_FUZZ_SEED=n` makes other texts.

use crate::samples;
use kcc_compiler::{import, mlir, pipeline, session, verify};
use kcc_dsl::fuzz::{Profile, Rng, corrupt, generate};

/// Pieces that are meaningful somewhere in a kt module.
const WORDS: &[&str] = &[
    "%0",
    "%1",
    "%5#1",
    "f32",
    "i32",
    "i1",
    "ui8",
    "bf16",
    "index",
    "f64",
    "tensor<8x8xf32>",
    "tensor<0xf32>",
    "tensor<?xi32>",
    "tensor<4294967296x4294967296xi8>",
    "!kt.view<f32, 2>",
    "!kt.view<f32, -1>",
    "!kt.view<i1, 9>",
    "!kt.view<\"x\">",
    "axis = 0 : i64",
    "axis = -1 : i64",
    "axis = 255 : i64",
    "axes = array<i64: 9>",
    "axes = array<i64>",
    "k = 0 : i64",
    "k = 9223372036854775807 : i64",
    "padding = 0.0 : f32",
    "padding = dense<0.0> : tensor<2xf32>",
    "value = unit",
    "captured = 3 : i64",
    "combine = @combine0",
    "combine = @elementwise",
    "op = \"sum\"",
    "op = \"\"",
    "{",
    "}",
    "(",
    ")",
    "<",
    ">",
    "\"",
    ":",
    "=",
    "->",
    "return",
    "scf.yield",
    "kt.load",
    "\"kt.store\"",
    "\"kt.reduce\"",
    "\"kt.dot\"",
    "arith.addf",
    "arith.constant",
    "dense<1>",
    "0x7FC00000",
    "-1",
    "^bb0",
    "loc(unknown)",
    "loc(\"a\":0:0)",
    "attributes {kt.kernel}",
    "memref<4xf32>",
    "vector<4xf32>",
    "tensor<4x4xf32, \"layout\">",
    "complex<f32>",
    "none",
];

/// A generator for one test, or the one that the environment asks for.
fn rng(default: u64) -> Rng {
    let asked = std::env::var("KCC_FUZZ_SEED").ok().map(|s| s.parse().expect("KCC_FUZZ_SEED is a number"));
    Rng::new(asked.unwrap_or(default))
}

fn mutate(text: &str, rng: &mut Rng) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut out: Vec<String> = lines.iter().map(|l| (*l).to_owned()).collect();
    for _ in 0..=rng.below(3) {
        let i = rng.below(out.len());
        match rng.below(6) {
            0 => {
                out.remove(i);
                if out.is_empty() {
                    out.push(String::new());
                }
            }
            1 => {
                let line = out[i].clone();
                let at = rng.below(out.len());
                out.insert(at, line);
            }
            2 => {
                let j = rng.below(out.len());
                out.swap(i, j);
            }
            // Replace or insert a word.
            k => {
                let mut words: Vec<String> = out[i].split(' ').map(str::to_owned).collect();
                let at = rng.below(words.len());
                let word = if rng.one_in(2) {
                    (*rng.pick(WORDS)).to_owned()
                } else {
                    let line = *rng.pick(&lines);
                    let from: Vec<&str> = line.split(' ').collect();
                    (*rng.pick(&from)).to_owned()
                };
                if k == 3 {
                    words.insert(at, word)
                } else {
                    words[at] = word
                }
                out[i] = words.join(" ");
            }
        }
    }
    out.join("\n")
}

/// Reads a text and, if it is a kernel, sends it through every pass.
fn digest(text: &str) -> bool {
    let Ok(kernel) = session::read_module_text(text, "fuzz.mlir") else { return false };
    let passes: Vec<&str> = pipeline::STAGES.iter().flat_map(|s| s.passes).map(|p| p.name).collect();
    let out = pipeline::run_named(text, "fuzz.mlir", &passes);
    assert!(out.is_ok(), "a kernel that verifies goes through the passes: {}\n{text}", out.unwrap_err());
    let again = import::to_text(&kernel);
    assert!(again.is_ok(), "a kernel that reads can be written");
    true
}

#[test]
fn mutated_modules_are_refused_or_compiled() {
    let mut rng = rng(7);
    let mut texts: Vec<String> =
        [samples::elementwise(), samples::structural()].iter().map(|k| import::to_text(k).unwrap()).collect();
    for seed in 0..40 {
        let kernel = generate(seed, &Profile::everything()).unwrap().kernel;
        let text = import::to_text(&kernel).unwrap();
        // As an author would edit it: the printed form.
        let context = mlir::Lease::new().unwrap();
        texts.push(mlir::print(&mlir::parse(&context, &text, "x").unwrap()));
        texts.push(text);
    }
    let mut good = 0;
    for _ in 0..3000 {
        let text = rng.pick(&texts).clone();
        good += usize::from(digest(&mutate(&text, &mut rng)));
    }
    assert!(good > 20, "only {good} mutants were kernels: the passes saw too little");
}

#[test]
fn random_text_is_refused() {
    let mut rng = rng(11);
    for _ in 0..2000 {
        let n = rng.below(40);
        let words: Vec<&str> = (0..n).map(|_| *rng.pick(WORDS)).collect();
        assert!(!digest(&words.join(" ")));
        let bytes: Vec<u8> = (0..n).map(|_| rng.bits() as u8).collect();
        assert!(!digest(&String::from_utf8_lossy(&bytes)));
    }
}

#[test]
fn deep_nesting_does_not_end_the_stack() {
    for (open, close) in [("(", ")"), ("{", "}"), ("tensor<", ">"), ("[", "]"), ("module {\n", "}")] {
        let text =
            format!("module attributes {{a = {}{}}} {{}}", open.repeat(100_000), close.repeat(100_000));
        assert!(!digest(&text));
        assert!(!digest(&open.repeat(100_000)));
    }
}

/// What the child process may receive: a kernel that passes the verifier compiles up to the target's lowering.
#[test]
fn corrupt_kernels_are_refused_or_read_back() {
    let mut rng = rng(13);
    let mut good = 0;
    for round in 0..4000 {
        let kernel = match round % 8 {
            0 => samples::elementwise(),
            1 => samples::structural(),
            n => generate(n, &Profile::everything()).unwrap().kernel,
        };
        let Some(kernel) = corrupt(&kernel, &mut rng) else { continue };
        if verify::check(&kernel).is_err() {
            continue;
        }
        good += 1;
        let text = import::to_text(&kernel).unwrap_or_else(|e| panic!("{e}: {kernel:?}"));
        assert!(
            digest(&text),
            "a valid kernel reads back:\n{text}\n{:?}",
            session::read_module_text(&text, "f")
        );
    }
    assert!(good > 50, "only {good} of the corrupt kernels were valid: the reader saw too little");
}
