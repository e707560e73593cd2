//! Barriers in shared memory (`mbarrier`) that count arrivals of threads and bytes of bulk copies, phase by phase.
//!
//! ```text
//! producer                                  consumer                        one pair per stage of a ring
//!   wait(empty[s], parity ^ 1)                wait(full[s], parity)
//!   arrive_expect(full[s], bytes)             … uses the stage …            the parity flips after each turn of the ring
//!   tma::load(…, full[s])                     arrive(empty[s])
//! ```
//! Addresses are `!llvm.ptr<3>`, 8 bytes each, aligned to 8; counts, bytes and parities i32. A wait for the phase before the
//! first returns at once, hence the producer's `^ 1`.

use kcc_compiler::emit::{Emit, K, Ty, V};

/// Bytes of one barrier.
pub const BYTES: u32 = 8;

/// Makes a barrier of `arrivals` per phase. For one thread; [`fence_init`] and a barrier of the block must follow.
pub fn init(e: &mut Emit, barrier: V, arrivals: V) {
    e.line(format!("nvvm.mbarrier.init {barrier}, {arrivals} : !llvm.ptr<3>, i32"));
}

/// Makes initialised barriers visible to copies and to the cluster.
pub fn fence_init(e: &mut Emit) {
    e.line("nvvm.fence.mbarrier.init".into());
}

/// One arrival.
pub fn arrive(e: &mut Emit, barrier: V) {
    e.line(format!("nvvm.mbarrier.arrive {barrier} : !llvm.ptr<3>"));
}

/// One arrival at the barrier at the same offset in block `rank` of the cluster. The default scope: a wider one would wait for
/// all memory of the device.
pub fn arrive_at(e: &mut Emit, barrier: V, rank: V) {
    let there = e.pure(
        barrier.ty,
        format!("nvvm.mapa {barrier}, {rank} : !llvm.ptr<3> -> !llvm.ptr<7>"),
        &[barrier, rank],
    );
    e.line(format!("nvvm.mbarrier.arrive {there} : !llvm.ptr<7>"));
}

/// One arrival, and `bytes` more to come before the phase completes.
pub fn arrive_expect(e: &mut Emit, barrier: V, bytes: V) {
    e.line(format!("nvvm.mbarrier.arrive.expect_tx {barrier}, {bytes} : !llvm.ptr<3>, i32"));
}

/// Waits until the phase of this parity is complete.
pub fn wait(e: &mut Emit, barrier: V, parity: V) {
    let (mut open, _) = e.begin_while(&[]);
    let bool_ = Ty::scalar(K::I1);
    let done = e.here(bool_, format!("nvvm.mbarrier.try_wait {barrier}, {parity} : !llvm.ptr<3>, i32 -> i1"));
    let yes = e.int(K::I1, 1);
    let again = e.here(bool_, format!("arith.xori {done}, {yes} : i1"));
    e.while_body(&mut open, again, &[]);
    e.end_while(open, &[]);
}
