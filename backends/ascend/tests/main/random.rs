//! Random kernels against eager mode; see [`kcc_backend_tests::random`].

use super::harness::launch;
use kcc_backend_tests::random::check;
use kcc_dsl::fuzz::Profile;
use kcc_dsl::ir::Elem;
use std::cell::Cell;
use std::ops::Range;

/// What the chip lacks, or has too little of, is said, and is no failure.
fn refused(e: &str) -> bool {
    e.contains("is not supported") || e.contains("bytes of the ub memory")
}

fn run(profile: &Profile, default: Range<u64>) {
    let ran = Cell::new(0);
    check(profile, default, "ascend910b", &|case| {
        let mut actual = case.buffers.clone();
        match launch(&case.kernel, case.grid, &mut actual, &case.args, 3, case.seed) {
            Err(e) if refused(&e) => {
                if std::env::var_os("KCC_TEST_SHOW").is_some() {
                    eprintln!("refused: {e}");
                }
                Ok(())
            }
            Err(e) => Err(e),
            Ok(()) => {
                ran.set(ran.get() + 1);
                case.check(&actual)
            }
        }
    });
    eprintln!("{} ran", ran.get());
}

#[test]
fn random_kernels_agree_with_eager_mode() {
    run(&Profile::basic(), 0..60);
}

#[test]
fn random_kernels_of_every_family_agree_with_eager_mode() {
    let profile = Profile {
        elems: vec![Elem::F32, Elem::F16, Elem::BF16, Elem::I32],
        atomics: false,
        steps: 10,
        ..Profile::default()
    };
    run(&profile, 0..40);
}

#[test]
fn random_kernels_of_every_type_agree_with_eager_mode() {
    run(&Profile::everything(), 0..40);
}
