//! Random kernels against eager mode. `KCC_FUZZ_SEEDS=a..b` runs other seeds.

use crate::harness::{compile, specs};
use kcc_dsl::fuzz::{Profile, generate};

fn seeds(default: std::ops::Range<u64>) -> std::ops::Range<u64> {
    let Ok(text) = std::env::var("KCC_FUZZ_SEEDS") else { return default };
    let (a, b) = text.split_once("..").expect("KCC_FUZZ_SEEDS=a..b");
    a.parse().expect("a number")..b.parse().expect("a number")
}

fn run(profile: &Profile, seeds: std::ops::Range<u64>, target: &str) {
    let mut failures = Vec::new();
    for seed in seeds.clone() {
        let case = generate(seed, profile).expect("the generator makes valid kernels");
        let specs = specs(&case.kernel, &case.args);
        if std::env::var("KCC_FUZZ_SHOW").is_ok() {
            show(&case.kernel);
            eprintln!("{:?} {:?}", case.grid, case.args);
        }
        let outcome = std::panic::catch_unwind(|| {
            let k = compile(&case.kernel, &specs, target)?;
            let mut actual = case.buffers.clone();
            k.run(case.grid, &mut actual, &case.args);
            case.check(&actual)
        });
        match outcome {
            Ok(Ok(())) => {}
            Ok(Err(e)) => failures.push(format!("seed {seed}: {}", e.lines().next().unwrap_or_default())),
            Err(_) => failures.push(format!("seed {seed}: panic")),
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
    run(&Profile::basic(), seeds(0..40), "cpu:native");
}

#[test]
fn random_kernels_of_every_family_agree_with_eager_mode() {
    run(&Profile::default(), seeds(0..60), "cpu:native");
}

#[test]
fn random_kernels_with_special_values_agree_with_eager_mode_on_avx2() {
    run(&Profile::everything(), seeds(0..40), "cpu:x86-64-v3");
}

/// The operations of a kernel, for reading a failure: set `KCC_FUZZ_SHOW`.
fn show(kernel: &kcc_dsl::ir::Kernel) {
    kernel.walk(&mut |op| {
        let tys: Vec<String> = op.results.iter().map(|r| format!("%{}: {}", r.0, kernel.ty(*r))).collect();
        let ins: Vec<String> = op.operands.iter().map(|o| format!("%{}", o.0)).collect();
        let regions: Vec<String> =
            op.regions.iter().map(|r| format!("{:?} -> {:?}", r.args, r.yields)).collect();
        eprintln!("{} = {:?}({}) {}", tys.join(", "), op.kind, ins.join(", "), regions.join(" | "));
    });
}
