//! Random kernels against eager mode.
//!
//! `KCC_FUZZ_SEEDS=a..b` runs other seeds, `KCC_FUZZ_SHOW=1` prints each kernel before it runs, `KCC_FUZZ_REDUCE=1`
//! prints the smallest kernel found for each failure.

use super::emulate::{self, Run};
use super::simulate;
use kcc_compiler::Target;
use kcc_dsl::fuzz::{Case, Profile, generate, listing, reduce};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The seeds that the environment asks for, else these.
///
/// # Panics
/// If `KCC_FUZZ_SEEDS` is no range.
pub fn seeds(default: Range<u64>) -> Range<u64> {
    let Ok(text) = std::env::var("KCC_FUZZ_SEEDS") else { return default };
    let (a, b) = text.split_once("..").expect("KCC_FUZZ_SEEDS=a..b");
    a.parse().expect("a number")..b.parse().expect("a number")
}

pub(crate) fn asked(name: &str) -> bool {
    std::env::var_os(name).is_some()
}

/// Runs a case; what is wrong with it, if something is.
fn attempt(case: &Case, run: &dyn Fn(&Case) -> Result<(), String>) -> Option<String> {
    match catch_unwind(AssertUnwindSafe(|| run(case))) {
        Ok(Ok(())) => None,
        Ok(Err(e)) => Some(e),
        Err(_) => Some("panic".into()),
    }
}

/// Runs the kernels of these seeds, unless the environment names others, on a GPU's simulator.
///
/// # Panics
/// As [`check`].
pub fn run(profile: &Profile, default: Range<u64>, target: &dyn Target) {
    check(profile, default, target.name(), &|case| {
        let mut actual = case.buffers.clone();
        simulate::run(&case.kernel, case.grid, &mut actual, &case.args, target, case.seed)?;
        case.check(&actual)
    });
}

/// The same by machine code, on the emulator of AMD's chips.
///
/// # Panics
/// As [`check`].
pub fn run_machine_code(profile: &Profile, default: Range<u64>, target: &dyn Target) {
    check(profile, default, target.name(), &|case| {
        let mut actual = case.buffers.clone();
        let run = Run { kernel: &case.kernel, grid: case.grid, args: &case.args, seed: case.seed };
        emulate::run(run, &mut actual, target, &[])?;
        case.check(&actual)
    });
}

/// The same by a function that runs a case and compares.
///
/// # Panics
/// With the seeds that failed, and how.
pub fn check(profile: &Profile, default: Range<u64>, name: &str, run: &dyn Fn(&Case) -> Result<(), String>) {
    let seeds = seeds(default);
    let mut failures = Vec::new();
    for seed in seeds.clone() {
        let case = generate(seed, profile).expect("the generator makes valid kernels");
        if asked("KCC_FUZZ_SHOW") {
            eprintln!("seed {seed}\n{}{:?} {:?}", listing(&case.kernel), case.grid, case.args);
        }
        let Some(e) = attempt(&case, run) else { continue };
        failures.push(format!("seed {seed}: {e}"));
        if asked("KCC_FUZZ_REDUCE") {
            let small = reduce(&case, |c| attempt(c, run).is_some());
            let e = attempt(&small, run).unwrap_or_default();
            failures.push(format!("{}{:?} {:?}\n{e}", listing(&small.kernel), small.grid, small.args));
        }
    }
    let all = failures.join("\n");
    assert!(failures.is_empty(), "{} of {seeds:?} failed on {name}:\n{all}", failures.len());
}
