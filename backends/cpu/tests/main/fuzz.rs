//! Kernels that no author would write: each compiles and runs without harm, or is refused.
//!
//! `KCC_FUZZ_SEEDS=a..b` starts from other kernels, `KCC_FUZZ_SHOW=1` prints each before it is compiled.

use crate::harness::{compile, specs};
use kcc_backend_tests::random::seeds;
use kcc_compiler::{Options, Session, verify};
use kcc_cpu::Cpu;
use kcc_dsl::eager::{self, interpret};
use kcc_dsl::exchange::{CompileRequest, Diagnostic, Severity};
use kcc_dsl::fuzz::{Case, Profile, Rng, corrupt, generate, listing};
use std::collections::BTreeMap;

/// Mutants made of one random kernel.
const EACH: usize = 24;

/// Compiles a mutant as the child process would, and runs it; the diagnostics if it is refused.
fn digest(case: &Case, target: &str) -> Result<(), Vec<Diagnostic>> {
    let cpu = Cpu::open(target).expect("the target is known");
    let request = CompileRequest {
        kernel: case.kernel.clone(),
        target: target.to_owned(),
        args: specs(&case.kernel, &case.args),
        options: BTreeMap::new(),
    };
    Session::new().compile(&request, &cpu, &Options::default())?;
    // What is endless for eager mode is so for compiled code.
    let mut actual = case.buffers.clone();
    let mut few =
        eager::Options { strict: false, check_races: false, max_ops: Some(100_000), ..Default::default() };
    if interpret(&case.kernel, case.grid, &mut actual, &case.args, &mut few).is_err() {
        return Ok(());
    }
    let mut actual = case.buffers.clone();
    let code = compile(&case.kernel, &request.args, target).expect("what the session compiles compiles");
    code.run(case.grid, &mut actual, &case.args);
    Ok(())
}

#[test]
fn corrupt_kernels_compile_or_are_refused() {
    let mut valid = 0;
    for seed in seeds(0..6) {
        let case = generate(seed, &Profile::everything()).expect("the generator makes valid kernels");
        let mut rng = Rng::new(seed);
        for round in 0..EACH {
            let Some(kernel) = corrupt(&case.kernel, &mut rng) else { continue };
            if verify::check(&kernel).is_err() || kernel.params != case.kernel.params {
                continue;
            }
            valid += 1;
            if std::env::var_os("KCC_FUZZ_SHOW").is_some() {
                eprintln!("seed {seed}, round {round}\n{}", listing(&kernel));
            }
            let mutant = Case { kernel, ..case.clone() };
            let target = if round % 2 == 0 { "cpu:native" } else { "cpu:x86-64-v3" };
            if let Err(e) = digest(&mutant, target) {
                let ours = e.iter().any(|d| d.severity == Severity::Bug);
                assert!(!ours, "seed {seed}, round {round}: {e:?}\n{}", listing(&mutant.kernel));
            }
        }
    }
    assert!(valid > 20, "only {valid} mutants were valid: the stages saw too little");
}
