//! Whole kernels for sm_90a: products and attention through wgmma, TMA rings and warps in roles, as the assembler sees them.

use super::assemble::assemble;
use super::dots::compile;
use kcc_backend_tests::kernels::{attention, matmul};
use kcc_dsl::ir::{Elem, Kernel};

fn ptx(kernel: &Kernel) -> String {
    compile(kernel, "nvidia:sm_90a", &[])
}

#[test]
fn a_product_runs_ahead_of_its_copies() {
    let ptx = ptx(&matmul(Elem::BF16, 128, 256, 64));
    for what in
        ["wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16", "cp.async.bulk.tensor.2d", "setmaxnreg"]
    {
        assert!(ptx.contains(what), "no {what} in\n{ptx}");
    }
    assemble(&ptx);
}

#[test]
fn attention_keeps_its_weights_in_registers() {
    let ptx = ptx(&attention(Elem::BF16, 128, 128, 128));
    assert!(ptx.contains("wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16"), "{ptx}");
    assemble(&ptx);
}

#[test]
fn a_pair_of_blocks_shares_copies() {
    let ptx = compile(&matmul(Elem::BF16, 128, 256, 64), "nvidia:sm_90a", &[("cluster", "2")]);
    for what in [
        ".reqnctapercluster 2",
        "shared::cluster.global.tile.mbarrier::complete_tx::bytes.multicast::cluster",
        "mapa.shared::cluster",
        "barrier.cluster.arrive",
        "barrier.cluster.wait",
    ] {
        assert!(ptx.contains(what), "no {what} in\n{ptx}");
    }
    assemble(&ptx);
}

#[test]
fn operands_in_registers_are_packed_before_the_fence() {
    // Weights in 8 bits: four make a register.
    let ptx = compile(&attention(Elem::F8E4M3, 64, 64, 64), "nvidia:sm_90a", &[]);
    assert!(ptx.contains("wgmma.mma_async.sync.aligned.m64n64k32.f32.e4m3.e4m3"), "{ptx}");
    assemble(&ptx);
}
