//! Each pass of the GPU level on a function of its own: text in, text out.
//!
//! `tests/filetests/<pass>.<case>.ktg` is what the pass gets, `….out` what it makes of it. `BLESS=1` rewrites what comes
//! out; `BLESS=inputs` makes the inputs anew too, from the kernels below by the passes that run before.

use super::dots;
use kcc_backend_tests::kernels;
use kcc_compiler::Target;
use kcc_compiler::gpu::GpuOptions;
use kcc_compiler::ktg::{Func, import, print, read, verify};
use kcc_compiler::passes::gpu::PASSES;
use kcc_dsl::exchange::ArgSpec;
use kcc_dsl::ir::{Builder, Elem, Kernel, ParamKind};
use kcc_nvidia::Nvidia;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// One pass on one kernel.
struct Case {
    pass: &'static str,
    name: &'static str,
    kernel: fn() -> Kernel,
    target: &'static str,
    knobs: &'static [(&'static str, &'static str)],
}

const OLD: &str = "nvidia:sm_80";
const NEW: &str = "nvidia:sm_90a";
const FOUR: &[(&str, &str)] = &[("warps", "4")];
const TURNS: &[(&str, &str)] = &[("warps", "4"), ("persistent", "1")];
const DIES: &[(&str, &str)] = &[("warps", "4"), ("dies", "4")];
const PAIR: &[(&str, &str)] = &[("warps", "4"), ("cluster", "2")];
const EIGHT: &[(&str, &str)] = &[("warps", "8")];

fn narrow() -> Kernel {
    dots::matmul(Elem::F8E4M3, (64, 64, 24))
}

fn old_product() -> Kernel {
    dots::matmul(Elem::BF16, (64, 64, 32))
}

fn old_attention() -> Kernel {
    kernels::attention_to(Elem::BF16, Elem::BF16, 64, 64, 64)
}

fn product() -> Kernel {
    kernels::matmul(Elem::BF16, 64, 64, 64)
}

fn attention() -> Kernel {
    kernels::attention(Elem::BF16, 128, 64, 64)
}

/// Rows of pages that a table names: it is read a turn before the rows are.
fn paged() -> Kernel {
    let mut b = Builder::new("paged");
    let (q, table) = (b.view("q", Elem::BF16, 2), b.view("table", Elem::I32, 1));
    let (cache, o) = (b.view("cache", Elem::BF16, 2), b.view_mut("o", Elem::F32, 2));
    let (zero, step, len) = (b.i32(0), b.i32(64), b.dim(table, 0));
    let queries = b.load(q, &[zero, zero], &[64, 64]);
    let acc = b.full(Elem::F32, &[64, 64], 0.0);
    let out = b.for_([zero, len, step], &[acc], |b, i, carried| {
        let rows = b.load(table, &[i], &[64]);
        let values = b.load_rows(cache, rows, zero, 64);
        vec![b.dot(queries, values, carried[0])]
    });
    b.store(o, &[zero, zero], out[0]);
    b.finish().expect("valid")
}

const fn case(
    pass: &'static str,
    name: &'static str,
    kernel: fn() -> Kernel,
    target: &'static str,
    knobs: &'static [(&'static str, &'static str)],
) -> Case {
    Case { pass, name, kernel, target, knobs }
}

const CASES: &[Case] = &[
    case("persistent", "programs_in_a_loop", product, NEW, TURNS),
    case("order_programs", "dies_take_turns", product, OLD, DIES),
    case("store_bulk", "rows_leave_through_shared_memory", product, NEW, FOUR),
    case("prepare_dots", "narrow_operands_become_wider_and_longer", narrow, OLD, FOUR),
    case("select_wide_mma", "product", product, NEW, FOUR),
    case("select_wide_mma", "chain_keeps_weights_in_registers", attention, NEW, EIGHT),
    case("load_bulk", "operands_that_go_together_share_barriers", product, NEW, FOUR),
    case("load_bulk", "operands_that_do_not_have_their_own", attention, NEW, EIGHT),
    case("form_clusters", "columns_are_copied_once", product, NEW, PAIR),
    case("select_mma", "product", old_product, OLD, FOUR),
    case("select_mma", "chain_keeps_weights_in_registers", old_attention, OLD, FOUR),
    case("pipeline_loops", "copies_run_two_turns_ahead", old_product, OLD, FOUR),
    case("pipeline_loops", "rows_are_looked_up_a_turn_earlier", paged, OLD, FOUR),
    case("assign_layouts", "product", old_product, OLD, FOUR),
    case("assign_layouts", "conversions_leave_the_loop", old_attention, OLD, FOUR),
    case("rotate_mma", "sums_are_one_turn_late", product, NEW, FOUR),
    case("rotate_mma", "softmax_runs_beside_the_product_before", attention, NEW, EIGHT),
    case("ping_pong", "two_groups_take_turns", attention, NEW, EIGHT),
    case("allocate_shared", "rings", old_attention, OLD, FOUR),
    case("insert_barriers", "one_for_a_turn", old_product, OLD, FOUR),
    case("specialise_warps", "one_warp_fills", product, NEW, FOUR),
    case("specialise_warps", "registers_change_hands", attention, NEW, EIGHT),
];

impl Case {
    fn path(&self, extension: &str) -> PathBuf {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/filetests");
        folder.join(format!("{}.{}.{extension}", self.pass, self.name))
    }

    fn options(&self) -> GpuOptions {
        let knobs: BTreeMap<String, String> =
            self.knobs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        GpuOptions::parse(&knobs).expect("known options")
    }

    fn run(&self, func: &mut Func, passes: std::ops::Range<usize>) {
        let target = Nvidia::open(self.target).expect("a known chip");
        let gpu = target.gpu().expect("a GPU");
        for pass in &PASSES[passes] {
            (pass.run)(func, gpu, &self.options()).unwrap_or_else(|e| panic!("{}: {e:?}", pass.name));
            verify::verify(func).unwrap_or_else(|e| panic!("after {}: {e:?}", pass.name));
        }
    }

    fn index(&self) -> usize {
        PASSES.iter().position(|p| p.name == self.pass).expect("a pass of that name")
    }

    /// What the passes before make of the kernel, without places in this repository's tests.
    fn input(&self) -> Func {
        let kernel = (self.kernel)();
        let args: Vec<ArgSpec> = kernel
            .params
            .iter()
            .map(|p| match p.kind {
                ParamKind::View { rank, .. } => ArgSpec::ideal(rank),
                ParamKind::Scalar(_) => ArgSpec::default(),
            })
            .collect();
        let mut func = import::import(&kernel, &args, self.options().warps.unwrap_or(4));
        self.run(&mut func, 0..self.index());
        func.locs.truncate(1);
        func.locs[0].file = "kernel.rs".into();
        func.walk_mut(&mut |op| op.loc = Default::default());
        func
    }
}

#[test]
fn each_pass_makes_what_is_expected_of_its_input() {
    let bless = std::env::var("BLESS").unwrap_or_default();
    for case in CASES {
        let (from, to) = (case.path("ktg"), case.path("out"));
        if bless == "inputs" {
            std::fs::write(&from, print::to_text(&case.input())).expect("the folder is writable");
        }
        let text = std::fs::read_to_string(&from).unwrap_or_else(|e| panic!("{}: {e}", from.display()));
        let mut func = read::from_text(&text, &from.display().to_string()).expect("a function");
        case.run(&mut func, case.index()..case.index() + 1);
        let made = print::to_text(&func);
        assert_ne!(made, text, "{} changes nothing in {}", case.pass, case.name);
        if !bless.is_empty() {
            std::fs::write(&to, &made).expect("the folder is writable");
        }
        let expected = std::fs::read_to_string(&to).unwrap_or_else(|e| panic!("{}: {e}", to.display()));
        for (i, (a, b)) in made.lines().zip(expected.lines()).enumerate() {
            assert_eq!(a, b, "{}:{}: BLESS=1 accepts what the pass makes", to.display(), i + 1);
        }
        assert_eq!(made.lines().count(), expected.lines().count(), "{}", to.display());
    }
}

#[test]
fn every_pass_has_a_case() {
    let with: BTreeSet<&str> = CASES.iter().map(|c| c.pass).collect();
    for pass in PASSES {
        assert!(with.contains(pass.name), "no case for {}", pass.name);
    }
}
