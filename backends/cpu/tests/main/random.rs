//! Random kernels against eager mode; see [`kcc_backend_tests::random`].

use crate::harness::{compile, specs};
use kcc_backend_tests::random::check;
use kcc_dsl::fuzz::Profile;
use std::ops::Range;

fn run(profile: &Profile, default: Range<u64>, target: &str) {
    check(profile, default, target, &|case| {
        let first = |e: String| e.lines().next().unwrap_or_default().to_owned();
        let k = compile(&case.kernel, &specs(&case.kernel, &case.args), target).map_err(first)?;
        let mut actual = case.buffers.clone();
        k.run(case.grid, &mut actual, &case.args);
        case.check(&actual).map_err(first)
    });
}

#[test]
fn random_elementwise_kernels_agree_with_eager_mode() {
    run(&Profile::basic(), 0..30, "cpu:native");
}

#[test]
fn random_kernels_of_every_family_agree_with_eager_mode() {
    run(&Profile::default(), 0..60, "cpu:native");
}

#[test]
fn random_kernels_of_every_family_agree_with_eager_mode_on_avx2() {
    run(&Profile::default(), 60..90, "cpu:x86-64-v3");
}

#[test]
fn random_kernels_with_special_values_agree_with_eager_mode() {
    run(&Profile::everything(), 40..80, "cpu:native");
}

#[test]
fn random_kernels_with_special_values_agree_with_eager_mode_on_avx2() {
    run(&Profile::everything(), 0..40, "cpu:x86-64-v3");
}
