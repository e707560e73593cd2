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
