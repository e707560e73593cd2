//! Each pass on a program of its own: text in, text out.
//!
//! `tests/filetests/<pass>.<case>.in` is what the pass gets, `….out` what it makes of it; what lowering gets is a kernel below.
//! `BLESS=1` rewrites what comes out; `BLESS=inputs` makes the inputs anew too, by the passes that run before.

use kcc_ascend::pipeline::{STAGES, compile_by};
use kcc_compiler::Timings;
use kcc_davinci::Chip;
use kcc_davinci::ir::{Program, Stmt};
use kcc_dsl::exchange::ArgSpec;
use kcc_dsl::ir::{BinaryOp, Builder, Elem, Kernel, LocId, ReduceOp, UnaryOp};
use std::path::{Path, PathBuf};

/// `y = 2^(x - max x)` of rows, and their sum.
fn powers() -> Kernel {
    let mut b = Builder::new("powers");
    let (x, y, sums) =
        (b.view("x", Elem::F32, 2), b.view_mut("y", Elem::F16, 2), b.view_mut("s", Elem::F32, 1));
    let (row, zero) = (b.program_id(0), b.i32(0));
    let eight = b.i32(8);
    let first = b.mul(row, eight);
    let v = b.load(x, &[first, zero], &[8, 128]);
    let max = b.reduce(ReduceOp::Max, v, 1);
    let max = b.broadcast(max, &[0], &[8, 128]);
    let d = b.sub(v, max);
    let e = b.unary(UnaryOp::Exp2, d);
    let sum = b.reduce(ReduceOp::Sum, e, 1);
    let narrow = b.cast(e, Elem::F16);
    b.store(y, &[first, zero], narrow);
    b.store(sums, &[first], sum);
    b.finish().expect("valid")
}

/// Two sums that have nothing to do with each other.
fn apart() -> Kernel {
    let mut b = Builder::new("apart");
    let (x, y, zero) = (b.view("x", Elem::F32, 1), b.view_mut("y", Elem::F32, 2), b.i32(0));
    let one = b.i32(1);
    let v = b.load(x, &[zero], &[64]);
    let mut ends = [v, v];
    for (i, end) in ends.iter_mut().enumerate() {
        for step in 0..2 {
            let c = b.full(Elem::F32, &[64], (1 + i + step) as f32);
            *end = b.binary(if step == 0 { BinaryOp::Mul } else { BinaryOp::Add }, *end, c);
        }
    }
    let rows = [b.at(y, &[zero]), b.at(y, &[one])];
    b.store(rows[0], &[zero], ends[0]);
    b.store(rows[1], &[zero], ends[1]);
    b.finish().expect("valid")
}

fn moved() -> Kernel {
    let mut b = Builder::new("moved");
    let (x, y, zero) = (b.view("x", Elem::F16, 2), b.view_mut("y", Elem::F16, 2), b.i32(0));
    let v = b.load(x, &[zero, zero], &[4, 32]);
    let s = b.slice(v, &[0, 16], &[4, 16]);
    let t = b.transpose(s, &[1, 0]);
    b.store(y, &[zero, zero], t);
    b.finish().expect("valid")
}

fn product() -> Kernel {
    kcc_backend_tests::kernels::matmul(Elem::F16, 16, 16, 16)
}

type Case = (&'static str, &'static str, fn() -> Kernel);

const CASES: &[Case] = &[
    ("lower", "exponentials_of_rows", powers),
    ("lower", "rows_move_by_copies_and_gathers", moved),
    ("lower", "a_product_keeps_its_sums", product),
    ("group_vectors", "two_chains_share_barriers", apart),
    ("double_buffer", "operands_of_a_product", product),
    ("assign_addresses", "results_take_the_place_of_operands", powers),
    ("order", "a_row_after_another", powers),
    ("order", "a_product", product),
];

fn path(case: &Case, extension: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/filetests");
    folder.join(format!("{}.{}.{extension}", case.0, case.1))
}

/// Without places in this repository's tests.
fn placeless(p: &Program) -> Program {
    fn clear(stmts: &mut [Stmt]) {
        for s in stmts {
            if let Stmt::Let { loc, .. } | Stmt::Issue { loc, .. } = s {
                *loc = LocId(0);
            }
            s.blocks_mut().into_iter().for_each(|b| clear(b));
        }
    }
    let mut p = p.clone();
    p.locs.truncate(1);
    p.locs.iter_mut().for_each(|l| (l.file, l.line, l.column) = ("kernel.rs".into(), 1, 1));
    p.cube.iter_mut().chain(&mut p.vector).for_each(|b| clear(b));
    p
}

/// Compiles, with `input` in place of what comes before stage `at`; what goes in there and what comes out.
fn run(kernel: &Kernel, at: usize, input: Option<Program>) -> (Option<Program>, Program) {
    let args: Vec<ArgSpec> = kernel.params.iter().map(|p| ArgSpec::dense(p.kind)).collect();
    let (mut before, mut out) = (None, None);
    let chip = Chip::find("ascend910b").expect("a chip");
    compile_by(kernel, &args, chip, &mut Timings::default(), &mut |stage, p| {
        if stage == at {
            out = Some(placeless(p));
        }
        if stage + 1 == at {
            before = Some(placeless(p));
            return Ok(input.clone());
        }
        Ok(None)
    })
    .unwrap_or_else(|e| panic!("{}: {e}", kernel.symbol()));
    (before, out.expect("the stage was run"))
}

#[test]
fn each_pass_makes_what_is_expected_of_its_input() {
    let bless = std::env::var("BLESS").unwrap_or_default();
    for case in CASES {
        let at = STAGES.iter().position(|s| s.0 == case.0).expect("a stage of that name");
        let kernel = (case.2)();
        let (from, to) = (path(case, "in"), path(case, "out"));
        if bless == "inputs" && at > 0 {
            let input = run(&kernel, at, None).0.expect("a stage before");
            std::fs::write(&from, input.to_text()).expect("the folder is writable");
        }
        let input = (at > 0).then(|| {
            let text = std::fs::read_to_string(&from).unwrap_or_else(|e| panic!("{}: {e}", from.display()));
            Program::from_text(&text).unwrap_or_else(|e| panic!("{}: {e}", from.display()))
        });
        let got = run(&kernel, at, input).1.to_text();
        if bless.is_empty() {
            let want = std::fs::read_to_string(&to).unwrap_or_else(|e| panic!("{}: {e}", to.display()));
            assert!(got == want, "{} differs; BLESS=1 rewrites it. Now:\n{got}", to.display());
        } else {
            std::fs::write(&to, got).expect("the folder is writable");
        }
    }
}

#[test]
fn every_pass_has_a_case() {
    for (name, _) in STAGES {
        assert!(CASES.iter().any(|c| c.0 == name), "no case for {name}");
    }
}
