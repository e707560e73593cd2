//! The passes that have something to do on these chips alone; see [`kcc_backend_tests::passes`].

use super::open;
use kcc_backend_tests::kernels::matmul;
use kcc_backend_tests::passes::{Case, check};
use kcc_dsl::ir::{Elem, Kernel};
use std::path::Path;

fn large() -> Kernel {
    matmul(Elem::BF16, 256, 128, 64)
}

fn small() -> Kernel {
    matmul(Elem::BF16, 64, 64, 64)
}

const fn case(
    pass: &'static str,
    name: &'static str,
    kernel: fn() -> Kernel,
    knobs: &'static [(&'static str, &'static str)],
) -> Case {
    Case { pass, name, kernel, target: "amd:gfx942", knobs }
}

const CASES: &[Case] = &[
    case("pipeline_loops", "tiles_are_stored_behind_products", large, &[("warps", "8")]),
    case("alternate_phases", "two_groups_one_phase_apart", large, &[("warps", "8")]),
    case("alternate_phases", "products_are_served_first", small, &[("warps", "4")]),
];

#[test]
fn each_pass_makes_what_is_expected_of_its_input() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/filetests");
    check(CASES, &folder, &|name| Box::new(open(name)));
}
