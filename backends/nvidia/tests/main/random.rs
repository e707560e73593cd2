//! Random kernels on the simulator against eager mode; see [`kcc_backend_tests::random`].

use super::open;
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
}
