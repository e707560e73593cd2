//! Deleted barriers and waits are noticed; see [`kcc_backend_tests::mutate`].

use super::open;
use kcc_backend_tests::mutate::Subject;
use kcc_dsl::ir::Elem;

/// Enough steps to go round every ring.
const STEPS: i64 = 200;
// Direct copies past the end of a loop (gfx950) are waited for behind it, since its memory may serve others: one deletion that nobody
// notices where it serves none.
const FOUR: &[(&str, &str)] = &[("warps", "4")];

#[test]
fn deleted_synchronisation_of_products_is_noticed() {
    for chip in ["sim:gfx90a", "sim:gfx942", "sim:gfx950", "sim:gfx1100"] {
        for elem in [Elem::BF16, Elem::F32] {
            let most = usize::from(chip == "sim:gfx950");
            Subject::product(&open(chip), elem, STEPS, (64, 64, 32), FOUR).check(chip, most);
        }
    }
}

#[test]
fn deleted_synchronisation_of_attention_is_noticed() {
    for chip in ["sim:gfx942", "sim:gfx950", "sim:gfx1100"] {
        Subject::weighing(&open(chip), 200, 64, FOUR).check(chip, usize::from(chip == "sim:gfx950"));
    }
}
