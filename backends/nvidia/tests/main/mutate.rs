//! Deleted barriers, waits, fences, arrivals and commits are noticed; see [`kcc_backend_tests::mutate`].

use super::open;
use kcc_backend_tests::mutate::Subject;
use kcc_dsl::ir::Elem;

/// Enough steps to go round every ring.
const STEPS: i64 = 648;

#[test]
fn deleted_synchronisation_of_products_is_noticed() {
    let roles = [("warps", "4")];
    Subject::product(&open("sim:sm_90a"), Elem::BF16, STEPS, (64, 64, 32), &roles).check("with roles", 0);
    let plain = [("warps", "4"), ("specialise", "0")];
    Subject::product(&open("sim:sm_90a"), Elem::F16, STEPS, (64, 64, 32), &plain).check("without roles", 0);
    // Fewer steps than buffers: what orders one program's end and the next one's is not the ring.
    let persistent = [("warps", "4"), ("persistent", "1")];
    Subject::product(&open("sim:sm_90a"), Elem::BF16, 136, (64, 16, 64), &persistent).check("persistent", 0);
    // Three blocks in two clusters; a block that ends early, or fills a slot that its neighbour still reads.
    let pair = [("warps", "4"), ("cluster", "2"), ("stages", "2")];
    Subject::product_of(&open("sim:sm_90a"), Elem::BF16, [140, 56, 264], (64, 64, 32), &pair)
        .check("in pairs", 0);
    Subject::product(&open("sim:sm_80"), Elem::BF16, STEPS, (64, 64, 32), &roles).check("sm_80", 0);
}

#[test]
fn deleted_synchronisation_of_attention_is_noticed() {
    Subject::weighing(&open("sim:sm_90a"), 600, 64, &[("warps", "4")]).check("sm_90a", 0);
    // The two are waits for a turn, which are there for speed only.
    Subject::weighing(&open("sim:sm_90a"), 600, 128, &[("warps", "8")]).check("sm_90a, two groups", 2);
    Subject::weighing(&open("sim:sm_80"), 600, 64, &[("warps", "4")]).check("sm_80", 0);
}
