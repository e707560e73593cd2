//! Random kernels on the simulator against eager mode.
//!
//! `KCC_FUZZ_SEEDS=a..b` runs other seeds, `KCC_FUZZ_SHOW=1` prints each kernel before it runs, `KCC_FUZZ_REDUCE=1`
//! prints the smallest kernel found for each failure.

use super::sim;
use kcc_dsl::fuzz::{Case, Profile, generate, listing, reduce};

fn seeds(default: std::ops::Range<u64>) -> std::ops::Range<u64> {
    let Ok(text) = std::env::var("KCC_FUZZ_SEEDS") else { return default };
    let (a, b) = text.split_once("..").expect("KCC_FUZZ_SEEDS=a..b");
    a.parse().expect("a number")..b.parse().expect("a number")
}

fn asked(name: &str) -> bool {
    std::env::var_os(name).is_some()
}

/// Compiles and runs a case; the first line of what is wrong with it, if something is.
fn attempt(case: &Case, target: &str) -> Option<String> {
    let outcome = std::panic::catch_unwind(|| {
        let mut actual = case.buffers.clone();
        sim::run(&case.kernel, case.grid, &mut actual, &case.args, target, case.seed)?;
        case.check(&actual)
    });
    match outcome {
        Ok(Ok(())) => None,
        Ok(Err(e)) => Some(e),
        Err(_) => Some("panic".into()),
    }
}

fn run(profile: &Profile, default: std::ops::Range<u64>, target: &str) {
    let seeds = seeds(default);
    let mut failures = Vec::new();
    for seed in seeds.clone() {
        let case = generate(seed, profile).expect("the generator makes valid kernels");
        if asked("KCC_FUZZ_SHOW") {
            eprintln!("seed {seed}\n{}{:?} {:?}", listing(&case.kernel), case.grid, case.args);
        }
        let Some(e) = attempt(&case, target) else { continue };
        failures.push(format!("seed {seed}: {e}"));
        if asked("KCC_FUZZ_REDUCE") {
            let small = reduce(&case, |c| attempt(c, target).is_some());
            let e = attempt(&small, target).unwrap_or_default();
            failures.push(format!("{}{:?} {:?}\n{e}", listing(&small.kernel), small.grid, small.args));
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {seeds:?} failed on {target}:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[test]
fn random_elementwise_kernels_agree_with_eager_mode() {
    run(&Profile::basic(), 0..30, "sim:sm_80");
}

#[test]
fn random_kernels_of_every_family_agree_with_eager_mode() {
    run(&Profile::default(), 0..60, "sim:sm_80");
}

#[test]
fn random_kernels_with_special_values_agree_with_eager_mode() {
    run(&Profile::everything(), 0..60, "sim:sm_90a");
}
