//! Bulk copies of boxes by the tensor memory accelerator (sm_90): one thread asks, the engine computes addresses, fills what
//! lies outside the tensor with zeros, and writes shared memory in the swizzled pattern that `wgmma` reads.
//!
//! ```text
//! load    tensor map, first element of the box ──► shared memory ──► bytes arrive at an mbarrier
//! store   shared memory ──► tensor; groups: [`commit`], [`wait`]
//! ```
//! Coordinates are innermost first, as in the tensor map. The map itself is a `__grid_constant__` parameter.

use kcc_compiler::emit::{Emit, V};

/// What a load may ask for besides the copy.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Blocks of the cluster that all receive the box, as an i16 of bits; the barrier at the same offset counts in each.
    pub multicast: Option<V>,
    /// A cache policy (i64).
    pub cache: Option<V>,
}

/// Cache policies: evict first, keep. The values are those that `createpolicy` makes for whole lines.
pub const EVICT_FIRST: i64 = 0x12F0_0000_0000_0000;
/// See [`EVICT_FIRST`].
pub const EVICT_LAST: i64 = 0x14F0_0000_0000_0000;

/// Attributes of a parameter that is a tensor map; without `grid_constant` it would be copied to local memory.
pub const PARAM: &str =
    "!llvm.ptr {llvm.byval = !llvm.array<128 x i8>, llvm.align = 64 : i64, nvvm.grid_constant}";

fn list(coords: &[V]) -> String {
    coords.iter().map(V::to_string).collect::<Vec<_>>().join(", ")
}

/// Starts the copy of a box to shared memory; its bytes arrive at `barrier`. `to` and `barrier` are `!llvm.ptr<3>`, `coords`
/// i32. For one thread.
pub fn load(e: &mut Emit, to: V, map: V, barrier: V, coords: &[V], options: Options) {
    let op = "nvvm.cp.async.bulk.tensor.shared.cluster.global";
    let coords = list(coords);
    let cache = options.cache.map_or(String::new(), |c| format!(" l2_cache_hint = {c}"));
    match options.multicast {
        None => e.line(format!(
            "{op} {to}, {map}, {barrier}, box[{coords}]{cache} {{isCTAOnly = true}} : !llvm.ptr<3>, !llvm.ptr"
        )),
        Some(mask) => {
            // The same 32 bits name the place in the cluster's window; `addrspacecast` would go through generic addresses.
            let bits = e.pure(to.ty, format!("llvm.ptrtoint {to} : !llvm.ptr<3> to i32"), &[to]);
            let to = e.pure(to.ty, format!("llvm.inttoptr {bits} : i32 to !llvm.ptr<7>"), &[bits]);
            e.line(format!(
                "{op} {to}, {map}, {barrier}, box[{coords}] multicast_mask = {mask}{cache} : !llvm.ptr<7>, !llvm.ptr"
            ));
        }
    }
}

/// Starts the copy of a box from shared memory; nothing outside the tensor is written. For one thread.
pub fn store(e: &mut Emit, map: V, from: V, coords: &[V]) {
    let coords = list(coords);
    e.line(format!(
        "nvvm.cp.async.bulk.tensor.global.shared.cta {map}, {from}, box[{coords}] : !llvm.ptr, !llvm.ptr<3>"
    ));
}

/// Closes a group of this thread's stores.
pub fn commit(e: &mut Emit) {
    e.line("nvvm.cp.async.bulk.commit.group".into());
}

/// Waits until at most `pending` of this thread's groups of stores are unfinished; with `read`, until they have read their
/// shared memory.
pub fn wait(e: &mut Emit, pending: u32, read: bool) {
    let read = if read { " {read}" } else { "" };
    e.line(format!("nvvm.cp.async.bulk.wait_group {pending}{read}"));
}

/// Brings a tensor map near. For one thread.
pub fn prefetch_map(e: &mut Emit, map: V) {
    // Without `in_param_space` the instruction comes out twice.
    e.line(format!("nvvm.prefetch tensormap in_param_space, {map} : !llvm.ptr"));
}
