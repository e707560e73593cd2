//! The shipped kernels against their references: the cases that `kcc-kernels` runs in eager mode, compiled for this machine, for
//! AVX2, and for GPUs on the simulator.
//!
//! `KCC_CASES=text` runs only the cases whose names contain it, `KCC_CASES_SHOW=1` says how long each took.

use kcc_kernels::cases::cases;
use kcc_runtime::{Builder, Device};
use std::time::Instant;

fn check(device: &Device) {
    let only = std::env::var("KCC_CASES").unwrap_or_default();
    let show = std::env::var_os("KCC_CASES_SHOW").is_some();
    let all: Vec<_> = cases().into_iter().filter(|c| c.name.contains(&only)).collect();
    let run = |c: &kcc_kernels::cases::Case| {
        let start = Instant::now();
        let wrong = c.check(device).err();
        if show {
            eprintln!("{:8.1} ms  {}", start.elapsed().as_secs_f64() * 1e3, c.name);
        }
        wrong
    };
    let wrong: Vec<String> = all.iter().filter_map(run).collect();
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), all.len(), wrong.join("\n"));
}

fn simulated(name: &str) -> Device {
    Device::open(name).expect("the simulator is part of this build")
}

#[test]
fn kernels_agree_with_their_references_on_this_machine() {
    check(&Device::cpu());
}

#[test]
fn kernels_agree_with_their_references_on_avx2() {
    check(&Builder::cpu().target("cpu:x86-64-v3").threads(2).build());
}

#[test]
fn kernels_agree_with_their_references_on_a_simulated_sm_80() {
    check(&simulated("sim:sm_80"));
}

#[test]
fn kernels_agree_with_their_references_on_a_simulated_sm_89() {
    check(&simulated("sim:sm_89"));
}

#[test]
fn kernels_agree_with_their_references_on_a_simulated_sm_90a() {
    check(&simulated("sim:sm_90a"));
}

#[test]
fn kernels_agree_with_their_references_on_a_simulated_gfx90a() {
    check(&simulated("sim:gfx90a"));
}

#[test]
fn kernels_agree_with_their_references_on_a_simulated_gfx942() {
    check(&simulated("sim:gfx942"));
}

#[test]
fn kernels_agree_with_their_references_on_a_simulated_gfx950() {
    check(&simulated("sim:gfx950"));
}

#[test]
fn kernels_agree_with_their_references_on_a_simulated_gfx1100() {
    check(&simulated("sim:gfx1100"));
}
