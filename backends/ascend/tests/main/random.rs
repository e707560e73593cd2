//! Random kernels. `KCC_FUZZ_SEEDS=a..b` runs other seeds, `KCC_FUZZ_REDUCE=1` prints the smallest kernel found for each failure.

use super::harness::launch;
use kcc_dsl::fuzz::{Case, Profile, generate, listing, reduce};
use kcc_dsl::ir::Elem;

fn attempt(case: &Case) -> Option<String> {
    let mut actual = case.buffers.clone();
    let ran = launch(&case.kernel, case.grid, &mut actual, &case.args, 3, case.seed);
    match ran {
        // What the chip lacks, or has too little of, is said, and is no failure.
        Err(e) if refused(&e) => None,
        Err(e) => Some(e),
        Ok(()) => case.check(&actual).err(),
    }
}

fn supported(case: &Case) -> bool {
    let ran = launch(&case.kernel, case.grid, &mut case.buffers.clone(), &case.args, 3, case.seed);
    if let (Err(e), true) = (&ran, std::env::var_os("KCC_FUZZ_SHOW").is_some()) {
        eprintln!("{e}");
    }
    !matches!(ran, Err(e) if refused(&e))
}

fn refused(e: &str) -> bool {
    e.contains("is not supported") || e.contains("bytes of the ub memory")
}

/// The seeds that are asked for, or these.
fn seeds(default: std::ops::Range<u64>) -> std::ops::Range<u64> {
    let given = std::env::var("KCC_FUZZ_SEEDS").ok().and_then(|t| {
        let (a, b) = t.split_once("..")?;
        Some(a.parse().ok()?..b.parse().ok()?)
    });
    given.unwrap_or(default)
}

#[test]
fn random_kernels_agree_with_eager_mode() {
    let seeds = seeds(0..60);
    let mut failures = Vec::new();
    let mut ran = 0;
    for seed in seeds.clone() {
        let case = generate(seed, &Profile::basic()).expect("the generator makes valid kernels");
        ran += u32::from(supported(&case));
        let Some(e) = attempt(&case) else { continue };
        failures.push(format!("seed {seed}: {e}"));
        if std::env::var_os("KCC_FUZZ_REDUCE").is_some() {
            let small = reduce(&case, |c| attempt(c).is_some());
            let e = attempt(&small).unwrap_or_default();
            failures.push(format!("{}{:?} {:?}\n{e}", listing(&small.kernel), small.grid, small.args));
        }
    }
    eprintln!("{ran} of {seeds:?} ran");
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn random_kernels_of_every_family_agree_with_eager_mode() {
    let seeds = seeds(0..40);
    let profile = Profile {
        elems: vec![Elem::F32, Elem::F16, Elem::BF16, Elem::I32],
        atomics: false,
        steps: 10,
        ..Profile::default()
    };
    let mut failures = Vec::new();
    let mut ran = 0;
    for seed in seeds.clone() {
        let case = generate(seed, &profile).expect("the generator makes valid kernels");
        ran += u32::from(supported(&case));
        if let Some(e) = attempt(&case) {
            failures.push(format!("seed {seed}: {e}"));
            if std::env::var_os("KCC_FUZZ_REDUCE").is_some() {
                let small = reduce(&case, |c| attempt(c).is_some());
                let e = attempt(&small).unwrap_or_default();
                failures.push(format!("{}{:?} {:?}\n{e}", listing(&small.kernel), small.grid, small.args));
            }
        }
    }
    eprintln!("{ran} of {seeds:?} ran");
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}
