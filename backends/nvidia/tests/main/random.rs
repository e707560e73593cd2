//! Random kernels on the simulator against eager mode; see [`kcc_backend_tests::random`].

use super::open;
use kcc_backend_tests::products;
use kcc_backend_tests::random::run;
use kcc_dsl::fuzz::Profile;

#[test]
fn random_elementwise_kernels_agree_with_eager_mode() {
    run(&Profile::basic(), 0..30, &open("sim:sm_80"));
}

#[test]
fn random_kernels_of_every_family_agree_with_eager_mode() {
    run(&Profile::default(), 0..60, &open("sim:sm_80"));
}

#[test]
fn random_kernels_with_special_values_agree_with_eager_mode() {
    run(&Profile::everything(), 0..60, &open("sim:sm_90a"));
    // A histogram of 1445 elements, for which threads have room for 2048.
    run(&Profile::everything(), 1690..1691, &open("sim:sm_90a"));
}

/// Chips with `mma.sync`, with its 8-bit floats, with `wgmma` and TMA.
#[test]
fn random_kernels_of_products_are_exact() {
    for (chip, seeds) in
        [("sim:sm_80", 0..20), ("sim:sm_89", 20..40), ("sim:sm_90a", 0..60), ("sim:sm_100a", 40..50)]
    {
        products::check(seeds, &open(chip));
    }
}
