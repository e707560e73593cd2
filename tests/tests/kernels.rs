//! The shipped kernels against their references: the cases that `kcc-kernels` runs in eager mode, compiled for this machine, for
//! AVX2, and for GPUs and NPUs on the simulators; machine code of AMD's chips on the emulator.
//!
//! `KCC_CASES=text` runs only the cases whose names contain it, `KCC_CASES_SHOW=1` says how long each took. A simulated NPU and the
//! emulator take a part of them that KCC_SIM_SEED chooses, or all with `KCC_CASES_ALL=1`.

use kcc_kernels::cases::cases;
use kcc_runtime::{Builder, Device};
use std::time::Instant;

fn check(device: &Device) {
    check_part(device, 0, 1);
}

/// Every `of`-th case, from `part` on.
fn check_part(device: &Device, part: usize, of: usize) {
    let only = std::env::var("KCC_CASES").unwrap_or_default();
    let show = std::env::var_os("KCC_CASES_SHOW").is_some();
    let of = if std::env::var_os("KCC_CASES_ALL").is_some() || !only.is_empty() { 1 } else { of };
    let all = cases().into_iter().filter(|c| c.name.contains(&only));
    let all: Vec<_> = all.enumerate().filter(|(i, _)| i % of == part % of).map(|(_, c)| c).collect();
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

/// One of so many cases.
const PARTS: usize = 8;

fn seed() -> usize {
    std::env::var("KCC_SIM_SEED").ok().and_then(|s| s.trim().parse().ok()).unwrap_or(0)
}

#[test]
fn kernels_agree_with_their_references_on_a_simulated_910b() {
    check_part(&simulated("sim:ascend910b"), seed(), PARTS);
}

#[test]
fn kernels_agree_with_their_references_on_a_simulated_910b_of_20_groups() {
    check_part(&simulated("sim:ascend910b4"), seed() + PARTS / 2, PARTS);
}

/// One of so many cases, for each of the chips another one.
const EMULATED: usize = 16;

#[test]
fn machine_code_agrees_with_references_on_an_emulated_gfx90a() {
    check_part(&simulated("emu:gfx90a"), seed(), EMULATED);
}

#[test]
fn machine_code_agrees_with_references_on_an_emulated_gfx942() {
    check_part(&simulated("emu:gfx942"), seed() + 4, EMULATED);
}

#[test]
fn machine_code_agrees_with_references_on_an_emulated_gfx950() {
    check_part(&simulated("emu:gfx950"), seed() + 8, EMULATED);
}

#[test]
fn machine_code_agrees_with_references_on_an_emulated_gfx1100() {
    check_part(&simulated("emu:gfx1100"), seed() + 12, EMULATED);
}
