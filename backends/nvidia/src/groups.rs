//! What groups of warps, blocks and clusters do together: barriers by name, registers handed from one group to another, one
//! thread chosen of a warp.

use kcc_compiler::emit::{Emit, K, Ty, V};

/// Waits at hardware barrier `id` (0 to 15) for `threads` threads, arrivals included; all threads of the warps take part.
pub fn barrier(e: &mut Emit, id: V, threads: V) {
    // The short form would take a value at the start of the next line for one more operand.
    let segments = "<{operandSegmentSizes = array<i32: 1, 1, 0>}>";
    e.line(format!("\"nvvm.barrier\"({id}, {threads}) {segments} : (i32, i32) -> ()"));
}

/// Arrives at hardware barrier `id` without waiting.
pub fn barrier_arrive(e: &mut Emit, id: V, threads: V) {
    e.line(format!(
        "llvm.call_intrinsic \"llvm.nvvm.barrier.cta.arrive.aligned.count\"({id}, {threads}) : (i32, i32) -> ()"
    ));
}

/// Gives registers back: at most `registers` (a multiple of 8, 24 to 256) from here on. All warps of a warpgroup.
pub fn registers_down(e: &mut Emit, registers: u32) {
    e.line(format!("nvvm.setmaxregister decrease {registers}"));
}

/// Waits for registers that others gave back: `registers` from here on. All warps of a warpgroup.
pub fn registers_up(e: &mut Emit, registers: u32) {
    e.line(format!("nvvm.setmaxregister increase {registers}"));
}

/// Whether this thread is the one chosen of its warp (i1); all lanes take part.
pub fn elect(e: &mut Emit) -> V {
    e.here(Ty::scalar(K::I1), "nvvm.elect.sync -> i1".into())
}

/// Makes the threads' writes of shared memory visible to bulk copies and warpgroup products.
pub fn fence_async(e: &mut Emit) {
    e.line(
        "nvvm.fence.proxy {kind = #nvvm.proxy_kind<async.shared>, space = #nvvm.shared_space<cta>}".into(),
    );
}

/// Waits for all threads of the cluster.
pub fn cluster_barrier(e: &mut Emit) {
    e.line("nvvm.cluster.arrive {aligned}".into());
    e.line("nvvm.cluster.wait {aligned}".into());
}

/// Number of this block within its cluster (i32).
pub fn cluster_rank(e: &mut Emit) -> V {
    e.pure(Ty::scalar(K::I32), "nvvm.read.ptx.sreg.cluster.ctarank : i32".into(), &[])
}

/// Orders the lanes of a warp, and their accesses of memory.
pub fn warp_barrier(e: &mut Emit) {
    let all = e.int(K::I32, -1);
    e.line(format!("nvvm.bar.warp.sync {all} : i32"));
}
