//! Random kernels on the four simulated chips; see [`kcc_backend_tests::random`].

use super::open;
use kcc_backend_tests::random::run;
use kcc_dsl::fuzz::Profile;

#[test]
fn random_elementwise_kernels_agree_with_eager_mode() {
    run(&Profile::basic(), 0..30, &open("sim:gfx90a"));
    run(&Profile::basic(), 0..30, &open("sim:gfx1100"));
}

#[test]
fn random_kernels_of_every_family_agree_with_eager_mode_on_gfx90a() {
    run(&Profile::default(), 0..60, &open("sim:gfx90a"));
}

#[test]
fn random_kernels_with_special_values_agree_with_eager_mode_on_gfx942() {
    run(&Profile::everything(), 0..60, &open("sim:gfx942"));
}

#[test]
fn random_kernels_of_every_family_agree_with_eager_mode_on_gfx950() {
    run(&Profile::default(), 0..60, &open("sim:gfx950"));
}

#[test]
fn random_kernels_with_special_values_agree_with_eager_mode_on_gfx1100() {
    run(&Profile::everything(), 0..60, &open("sim:gfx1100"));
}
