//! Asynchronous products of groups of warps, and the engine that copies boxes of tensors: what a backend that has them
//! provides.
//!
//! ```text
//! BulkCopy::load ─► shared memory, barrier counts bytes ─► WideMma::multiply ─► commit, wait
//! ```

use super::MmaRow;
use crate::emit::{Emit, V};
use crate::error::Error;
use kcc_dsl::ir::Elem;

/// An operand in shared memory: panels of rows of `row_bytes`, swizzled (see [`crate::layout::shared`]).
#[derive(Clone, Copy, Debug)]
pub struct WideShared {
    /// Start of the buffer, plus the part of the offset that is known at run time only.
    pub address: V,
    /// Bytes of a row of a panel, which is the reach of the swizzle.
    pub row_bytes: u32,
    /// Rows of a panel.
    pub rows: u32,
    /// Whether the axis along a row is K.
    pub k_inner: bool,
    /// First row of `a` or column of `b`.
    pub first: u32,
}

/// Operand A of an asynchronous product.
#[derive(Clone, Copy, Debug)]
pub enum WideA<'a> {
    /// In shared memory.
    Shared(WideShared),
    /// Fragments in registers, packed as [`super::GpuTarget::mma`] takes them, one after another along K.
    Registers(&'a [V]),
}

/// One asynchronous product of one fragment of rows and columns, over all of K.
#[derive(Clone, Copy, Debug)]
pub struct WideProduct<'a> {
    /// Fragments along K.
    pub steps: u32,
    /// Operand A.
    pub a: WideA<'a>,
    /// Operand B.
    pub b: WideShared,
    /// Whether the result starts from the accumulator: `None` is always; an `i1` may be constant.
    pub use_acc: Option<V>,
    /// Whether the accumulator is known to be unused.
    pub fresh: bool,
}

/// Asynchronous products whose operand B, and maybe A, is in shared memory.
pub trait WideMma: Sync {
    /// The product of these element types whose fragment has `n` columns.
    fn row(&self, a: Elem, b: Elem, acc: Elem, n: u32) -> Option<MmaRow>;

    /// The product of that name.
    fn named(&self, name: &str) -> Option<MmaRow>;

    /// Whether operands of this type may have an axis other than K along their rows.
    fn transposes(&self, elem: Elem) -> bool;

    /// Whether the hardware's accumulator is coarser than `f32`, so that sums of more than 128 products must be made in
    /// registers.
    fn coarse(&self, elem: Elem) -> bool;

    /// Orders accesses to registers before the products that follow.
    fn fence(&self, e: &mut Emit);

    /// Starts a product; the result may be read once waited for.
    ///
    /// # Errors
    /// A row that is not the target's.
    fn multiply(&self, e: &mut Emit, row: &MmaRow, p: &WideProduct, acc: &[V]) -> Result<Vec<V>, Error>;

    /// Closes a group of products.
    fn commit(&self, e: &mut Emit);

    /// Waits until at most `pending` groups are unfinished.
    fn wait(&self, e: &mut Emit, pending: u32);
}

/// The engine that copies boxes of tensors, the barriers that count its bytes, and what comes with warps in roles.
pub trait BulkCopy: Sync {
    /// Bytes of a barrier in shared memory.
    fn barrier_bytes(&self) -> u32;

    /// Makes a barrier; one thread.
    fn barrier_init(&self, e: &mut Emit, barrier: V, arrivals: u32);

    /// Makes barriers visible to the engine and the cluster; the thread that made them.
    fn barrier_init_fence(&self, e: &mut Emit);

    /// One arrival.
    fn barrier_arrive(&self, e: &mut Emit, barrier: V);

    /// One arrival at the barrier at the same place in block `rank` (`i32`) of the cluster.
    fn barrier_arrive_at(&self, e: &mut Emit, barrier: V, rank: V);

    /// One arrival that announces bytes.
    fn barrier_expect(&self, e: &mut Emit, barrier: V, bytes: u32);

    /// Waits for the phase of this parity (`i32`).
    fn barrier_wait(&self, e: &mut Emit, barrier: V, parity: V);

    /// Starts copying a box to shared memory, of all blocks of the cluster in `multicast`, if any; coordinates (`i32`)
    /// innermost first; one thread.
    fn load(&self, e: &mut Emit, to: V, map: V, barrier: V, coords: &[V], multicast: u16);

    /// Starts copying a box from shared memory; one thread.
    fn store(&self, e: &mut Emit, map: V, from: V, coords: &[V]);

    /// Closes a group of this thread's stores.
    fn commit(&self, e: &mut Emit);

    /// Waits until at most `pending` groups of this thread's stores are unfinished, or have only been read.
    fn wait(&self, e: &mut Emit, pending: u32, read: bool);

    /// Makes the threads' writes of shared memory visible to the engine and to asynchronous products.
    fn fence(&self, e: &mut Emit);

    /// Orders the lanes of a warp.
    fn warp_barrier(&self, e: &mut Emit);

    /// Asks for this many registers per thread from here on; more (`true`) or fewer than before.
    fn set_registers(&self, e: &mut Emit, registers: u32, more: bool);

    /// At the named barrier `id` (`i32`) of that many threads: arrives (`pass`), or waits.
    fn turn(&self, e: &mut Emit, id: V, threads: u32, pass: bool);

    /// Number of this block in its cluster (`i32`).
    fn cluster_rank(&self, e: &mut Emit) -> V;

    /// Waits for all blocks of the cluster.
    fn cluster_barrier(&self, e: &mut Emit);
}
