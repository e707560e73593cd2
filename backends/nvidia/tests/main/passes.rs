//! Each pass of the GPU level on a function of its own; see [`kcc_backend_tests::passes`].

use super::dots;
use kcc_backend_tests::kernels;
use kcc_backend_tests::passes::{Case, check};
use kcc_compiler::passes::gpu::PASSES;
use kcc_dsl::ir::{Builder, Elem, Kernel};
use kcc_nvidia::Nvidia;
use std::collections::BTreeSet;
use std::path::Path;

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

#[test]
fn each_pass_makes_what_is_expected_of_its_input() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/filetests");
    check(CASES, &folder, &|name| Box::new(Nvidia::open(name).expect("a known chip")));
}

/// Those that have nothing to do on NVIDIA's chips, and their cases with AMD's.
const ELSEWHERE: [&str; 1] = ["alternate_phases"];

#[test]
fn every_pass_has_a_case() {
    let with: BTreeSet<&str> = CASES.iter().map(|c| c.pass).chain(ELSEWHERE).collect();
    for pass in PASSES {
        assert!(with.contains(pass.name), "no case for {}", pass.name);
    }
}
