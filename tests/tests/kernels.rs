//! The shipped kernels on the CPU against their references: the cases that `kcc-kernels` runs in eager mode, compiled
//! for this machine and for AVX2.

use kcc_kernels::cases::cases;
use kcc_runtime::{Builder, Device};

fn check(device: &Device) {
    let wrong: Vec<String> = cases().iter().filter_map(|c| c.check(device).err()).collect();
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases().len(), wrong.join("\n"));
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
fn products_and_attention_agree_on_a_simulated_hopper() {
    let device = Device::open("sim:sm_90a").expect("the simulator is part of this build");
    // Products of narrow floats; attention on f32 needs more shared memory than a block has, for the longest heads.
    let named = |c: &&kcc_kernels::cases::Case| {
        let product = c.name.contains("matmul") || c.name.contains("attention");
        product && (c.name.contains(" f16 ") || c.name.contains(" bf16 "))
    };
    let all = cases();
    let wrong: Vec<String> = all.iter().filter(named).filter_map(|c| c.check(&device).err()).collect();
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
}
