//! The operations of the GPU level.

use kcc_dsl::ir::{Cache, OpKind};
use serde::{Deserialize, Serialize};

/// What an operation does: any operation of the tile IR, on tiles with layouts, or one of this level.
///
/// Element-wise tile operations have one layout on all their tiles. A load may have any layout, a store takes any. An
/// operation that moves elements (broadcast, reshape, transpose, …) needs each element in the thread that wants it;
/// `assign_layouts` puts a [`GpuOp::ConvertLayout`] where it is not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Kind {
    /// An operation of the tile IR; operands, results and regions as [`OpKind`] states.
    Tile(OpKind),
    /// An operation of this level.
    Gpu(GpuOp),
}

impl Kind {
    /// The name users and dumps see.
    pub fn name(&self) -> &'static str {
        match self {
            Kind::Tile(k) => k.name(),
            Kind::Gpu(g) => g.name(),
        }
    }
}

impl From<OpKind> for Kind {
    fn from(k: OpKind) -> Kind {
        Kind::Tile(k)
    }
}

impl From<GpuOp> for Kind {
    fn from(g: GpuOp) -> Kind {
        Kind::Gpu(g)
    }
}

/// Operations of threads, shared memory and asynchronous engines. Operands are written `(a, b)`; `shared` is a single
/// buffer (a ring of one) unless said otherwise; indices are uniform `i32`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum GpuOp {
    // ---- layouts -----------------------------------------------------------------------------------
    /// `(tile) -> tile`: the same elements in another layout.
    ConvertLayout,

    // ---- shared memory -----------------------------------------------------------------------------
    /// `() -> shared ring`: uninitialised buffers.
    AllocShared {
        /// Bytes from the start of the block's shared memory; `allocate_shared` decides.
        offset: Option<u32>,
    },
    /// `(shared ring, i32) -> shared`: one buffer; the index is less than the number of stages.
    Slot,
    /// `(shared) -> shared`: the same bytes with axis `i` of the result being axis `perm[i]` of the operand.
    SharedTranspose {
        /// Operand axis of each result axis.
        perm: Vec<u8>,
    },
    /// `(shared) -> shared`: the block of the result's shape at these offsets; its layout's offsets are relative to it.
    SharedSlice {
        /// First element along each axis; multiples of the result's extents.
        offsets: Vec<usize>,
    },
    /// `(tile, shared) -> ()`
    StoreShared,
    /// `(shared) -> tile`
    LoadShared,

    // ---- copies by threads, asynchronous -----------------------------------------------------------
    /// `(view, i32 × R, shared) -> ()`: starts copying the block at these offsets, zeros outside the view; in shared
    /// memory once the group that holds it was waited for.
    AsyncLoad {
        /// Cache hint.
        cache: Cache,
    },
    /// `(view<T, 2>, i32[M] rows, i32 col, shared) -> ()`: as [`GpuOp::AsyncLoad`], row `i` from `rows[i]`, whose layout
    /// must be that of the threads that copy ([`crate::passes::gpu::pipeline_loops::rows_layout`]).
    AsyncLoadRows {
        /// Cache hint.
        cache: Cache,
        /// Bytes of a copy: 4, 8 or 16.
        bytes: u32,
    },
    /// `() -> ()`: closes a group of the thread's asynchronous loads.
    AsyncCommit,
    /// `() -> ()`: waits until at most `pending` of the youngest groups are unfinished.
    AsyncWait {
        /// Groups that may be unfinished.
        pending: u32,
    },

    // ---- copies by the bulk engine -----------------------------------------------------------------
    /// `(view, i32 × R, shared, barriers, i32) -> ()`: one thread starts the copy of a block, zeros outside the view;
    /// its bytes arrive at the barrier of that index.
    BulkLoad {
        /// Index into [`super::Func::tensor_maps`].
        map: u32,
        /// Blocks of the cluster that all receive it, as bits; 0 is this block alone.
        multicast: u16,
    },
    /// `(view, i32 × R, shared) -> ()`: one thread starts the copy to global memory; nothing outside the view is written.
    BulkStore {
        /// Index into [`super::Func::tensor_maps`].
        map: u32,
    },
    /// `() -> ()`: closes a group of bulk stores.
    BulkCommit,
    /// `() -> ()`: waits until at most `pending` of the youngest groups of bulk stores are unfinished.
    BulkWait {
        /// Groups that may be unfinished.
        pending: u32,
        /// Only until their shared memory has been read.
        read: bool,
    },

    // ---- barriers in shared memory -----------------------------------------------------------------
    /// `() -> barriers`: initialised, each for this number of arrivals, and visible to all threads (and engines).
    AllocBarriers {
        /// Arrivals that complete a phase.
        arrivals: u32,
        /// Bytes from the start of the block's shared memory; `allocate_shared` decides.
        offset: Option<u32>,
    },
    /// `(barriers, i32) -> ()`: one thread arrives and announces bytes that copies will bring.
    BarrierExpect {
        /// Bytes.
        bytes: u32,
    },
    /// `(barriers, i32[, bool]) -> ()`: one arrival of each warp that runs it, where the flag holds if there is one.
    BarrierArrive,
    /// `(barriers, i32 index, i32 parity) -> ()`: until the phase of this parity is complete.
    BarrierWait,

    // ---- products ----------------------------------------------------------------------------------
    /// `(a tile|shared, b tile|shared, acc[, scales of a, of b]) -> acc`: `acc + a · b` by an instruction of the target's table; with
    /// scales (`u8`) as `dot_scaled` has them.
    Mma {
        /// Name of the row in [`crate::gpu::GpuTarget::mma_table`].
        instr: String,
        /// Only this part of the depth, from and to, by what [`GpuOp::MmaRead`] has read of the same operands; all of it without.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        depth: Option<[u32; 2]>,
    },
    /// `(a shared, b shared, acc) -> ()`: reads the operands of such products into registers, all that a thread gives to them.
    MmaRead {
        /// As of the products.
        instr: String,
    },
    /// `(a tile|shared, b shared, acc, bool use_acc) -> acc`: starts `acc + a · b`, without `acc` where the flag is false;
    /// the result may be used once waited for.
    MmaAsync {
        /// Name of the row in [`crate::gpu::GpuTarget::mma_table`].
        instr: String,
    },
    /// `() -> ()`: orders earlier register writes before asynchronous products.
    MmaFence,
    /// `() -> ()`: closes a group of asynchronous products.
    MmaCommit,
    /// `(accs…) -> accs…`: waits until at most `pending` of the youngest groups are unfinished; the results are the
    /// operands, now usable.
    MmaWait {
        /// Groups that may be unfinished.
        pending: u32,
    },

    // ---- order -------------------------------------------------------------------------------------
    /// `() -> ()`: the threads' writes of shared memory become visible to bulk copies and asynchronous products.
    FenceAsync,
    /// `() -> ()`: waits for threads, and orders their accesses of shared memory.
    BlockBarrier {
        /// Hardware barrier, 0 to 15.
        id: u32,
        /// Threads that take part; 0 is the whole block.
        threads: u32,
    },
    /// `() -> ()`: arrives at such a barrier without waiting.
    NamedArrive {
        /// Hardware barrier.
        id: u32,
        /// Threads that take part, those that wait included.
        threads: u32,
    },
    /// `() -> ()`: waits until it is this group of warps' turn.
    TurnWait {
        /// The only group that does so.
        only: Option<u32>,
    },
    /// `() -> ()`: gives the turn to the next group of warps.
    TurnPass {
        /// The only group that does so.
        only: Option<u32>,
    },
    /// `() -> ()`: the end of a phase: a block barrier that no instruction passes. Groups of warps that began one barrier apart are in
    /// different phases between any two.
    Phase {
        /// The only group that waits here.
        only: Option<u32>,
    },
    /// `() -> ()`: from here on the warp is served before others of lower priority.
    Priority {
        /// 0 is the usual one.
        level: u32,
    },
    /// `() -> ()`: products of the code before are to stand between its reads of shared memory, spread evenly.
    Interleave {
        /// Products of a warp.
        products: u32,
        /// Reads of a thread, 16 bytes each.
        reads: u32,
    },
    /// `() -> ()`: waits for all blocks of the cluster.
    ClusterBarrier,

    // ---- blocks ------------------------------------------------------------------------------------
    /// `() -> i32`: index of the block among those of the launch.
    BlockIndex,
    /// `() -> i32`: blocks of the launch.
    BlockCount,

    // ---- warps -------------------------------------------------------------------------------------
    /// `() -> ()`: region `i` is run by its own warps, in order from warp 0 on; no region yields. Values from outside may
    /// be used if they are scalars, views, shared memory or barriers.
    WarpSpecialize {
        /// Warps of each region.
        warps: Vec<u32>,
        /// Registers that a thread of each region may use; 0 is no request.
        registers: Vec<u32>,
    },
}

impl GpuOp {
    /// The name in dumps.
    pub fn name(&self) -> &'static str {
        match self {
            GpuOp::ConvertLayout => "convert_layout",
            GpuOp::AllocShared { .. } => "alloc_shared",
            GpuOp::Slot => "slot",
            GpuOp::SharedTranspose { .. } => "shared_transpose",
            GpuOp::SharedSlice { .. } => "shared_slice",
            GpuOp::StoreShared => "store_shared",
            GpuOp::LoadShared => "load_shared",
            GpuOp::AsyncLoad { .. } => "async_load",
            GpuOp::AsyncLoadRows { .. } => "async_load_rows",
            GpuOp::AsyncCommit => "async_commit",
            GpuOp::AsyncWait { .. } => "async_wait",
            GpuOp::BulkLoad { .. } => "bulk_load",
            GpuOp::BulkStore { .. } => "bulk_store",
            GpuOp::BulkCommit => "bulk_commit",
            GpuOp::BulkWait { .. } => "bulk_wait",
            GpuOp::AllocBarriers { .. } => "alloc_barriers",
            GpuOp::BarrierExpect { .. } => "barrier_expect",
            GpuOp::BarrierArrive => "barrier_arrive",
            GpuOp::BarrierWait => "barrier_wait",
            GpuOp::Mma { .. } => "mma",
            GpuOp::MmaRead { .. } => "mma_read",
            GpuOp::Phase { .. } => "phase",
            GpuOp::Priority { .. } => "priority",
            GpuOp::Interleave { .. } => "interleave",
            GpuOp::MmaAsync { .. } => "mma_async",
            GpuOp::MmaFence => "mma_fence",
            GpuOp::MmaCommit => "mma_commit",
            GpuOp::MmaWait { .. } => "mma_wait",
            GpuOp::FenceAsync => "fence_async",
            GpuOp::BlockBarrier { .. } => "block_barrier",
            GpuOp::NamedArrive { .. } => "named_arrive",
            GpuOp::TurnWait { .. } => "turn_wait",
            GpuOp::TurnPass { .. } => "turn_pass",
            GpuOp::ClusterBarrier => "cluster_barrier",
            GpuOp::BlockIndex => "block_index",
            GpuOp::BlockCount => "block_count",
            GpuOp::WarpSpecialize { .. } => "warp_specialize",
        }
    }
}

impl Kind {
    /// Whether it touches global memory.
    pub fn is_memory(&self) -> bool {
        match self {
            Kind::Tile(k) => {
                k.reads_memory()
                    || matches!(k, OpKind::Store { .. } | OpKind::StoreRows { .. } | OpKind::Scatter)
            }
            Kind::Gpu(g) => matches!(
                g,
                GpuOp::AsyncLoad { .. }
                    | GpuOp::AsyncLoadRows { .. }
                    | GpuOp::BulkLoad { .. }
                    | GpuOp::BulkStore { .. }
            ),
        }
    }
}
