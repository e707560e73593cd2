//! A GPU as the compiler sees it: facts, a table of matrix products, and hooks that write the target's own operations.
//!
//! Values in hooks are per-thread scalars or short vectors; pointers have their address space in their kind
//! ([`K::Global`], [`K::Shared`]). A hook writes into the innermost open scope of the writer unless the operation is
//! pure.

use super::wide::{BulkCopy, WideMma};
use crate::emit::{Emit, Hooks, K, Ty, V};
use crate::error::{Error, bug};
use crate::ktg::{Func, Layout};
use kcc_dsl::ir::{Cache, Elem};

/// What a chip has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Architecture in the backend's words, for messages and launches.
    pub arch: String,
    /// Lanes of a warp.
    pub lanes: u32,
    /// Threads of a block, at most.
    pub max_threads: u32,
    /// Shared memory of a block in bytes, at most.
    pub shared_bytes: u32,
    /// Banks of shared memory, four bytes wide.
    pub banks: u32,
    /// Registers of a thread, at most.
    pub registers: u32,
    /// 32-bit registers of a multiprocessor.
    pub registers_per_sm: u32,
    /// Threads can copy global to shared memory asynchronously.
    pub async_copy: bool,
    /// Bytes of each lane that warps can copy from global to shared memory without registers, lanes one after the other, with
    /// [`Buffers::copy`]; 0: they cannot.
    pub direct_copy: u32,
    /// Warps can read 8×8 matrices of 16-bit elements from shared memory.
    pub matrix_loads: bool,
    /// There is an engine that copies boxes of tensors by itself, with barriers that count bytes.
    pub bulk_copy: bool,
    /// There are asynchronous products of whole groups of warps, with operands in shared memory.
    pub wide_mma: bool,
    /// Blocks form clusters.
    pub clusters: bool,
    /// Units that issue instructions, each for its own warps of a block: with twice as many warps each has two, and keeps both its matrix unit
    /// and memory busy where one computes while the other reads. 0: nobody looks after that.
    pub schedulers: u32,
    /// Operands of products lie in both halves of a warp, so that a thread has twice as much of them.
    pub twin_operands: bool,
    /// One instruction adds, multiplies, or both, two `f32` of a thread with two others.
    pub pairs_f32: bool,
    /// Largest access of global memory by one thread, in bytes.
    pub max_access: u32,
}

/// How a matrix product is issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MmaKind {
    /// By a warp, operands and result in registers.
    Sync,
    /// By a group of warps, asynchronously, operand B (and maybe A) in shared memory.
    Async,
}

/// One matrix product of a target: `acc[m, n] += a[m, k] · b[k, n]`.
#[derive(Clone, Debug, PartialEq)]
pub struct MmaRow {
    /// Unique name, in the words of the target's manual.
    pub name: String,
    /// Rows of `a` and `acc`.
    pub m: u32,
    /// Columns of `b` and `acc`.
    pub n: u32,
    /// Columns of `a`, rows of `b`.
    pub k: u32,
    /// Element type of `a`.
    pub a: Elem,
    /// Element type of `b`.
    pub b: Elem,
    /// Element type of the accumulator.
    pub acc: Elem,
    /// Whether `f32` operands lose mantissa bits.
    pub reduced: bool,
    /// How it is issued.
    pub kind: MmaKind,
    /// Instructions that it is made of.
    pub issues: u32,
    /// Warps that issue it together.
    pub warps: u32,
    /// Fragment of `a` as a layout of `[m, k]`.
    pub a_layout: Layout,
    /// Fragment of `b` as a layout of `[k, n]`.
    pub b_layout: Layout,
    /// Fragment of the accumulator as a layout of `[m, n]`.
    pub acc_layout: Layout,
    /// Where blocks of [`SCALED`] elements along `k` may have scales: fragments of those of `a`, of `[m, k / 32]`, and of `b`, of
    /// `[k / 32, n]`, one register each.
    pub scales: Option<[Layout; 2]>,
}

/// What a product is made of: operands in the order of their layouts' registers, narrow elements packed into `i32` (lowest first), `f32`
/// as it is; the accumulator one value per register.
#[derive(Clone, Copy, Debug)]
pub struct Fragments<'f> {
    /// The left operand.
    pub a: &'f [V],
    /// The right one.
    pub b: &'f [V],
    /// What is added to.
    pub acc: &'f [V],
    /// Scales of `a` and of `b`, where the row has them: the `s` of `2^(s - 127)` as `i32`.
    pub scales: Option<[V; 2]>,
    /// No other product adds to the result before it is used.
    pub last: bool,
}

/// Elements along the depth that share a scale (`dot_scaled`).
pub const SCALED: u32 = 32;

/// Which lane a shuffle reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shuffle {
    /// Lane `own ^ by`.
    Xor,
    /// Lane `by`.
    Index,
    /// Lane `own - by`; own value where there is none.
    Up,
    /// Lane `own + by`; own value where there is none.
    Down,
}

/// Global memory behind a base that all lanes share, by offsets of 32 bits whose bounds the hardware checks.
pub trait Buffers: Sync {
    /// The descriptor of so many bytes (`i32`, unsigned, at most 2³¹) from a pointer on; both are the same in all lanes.
    fn resource(&self, e: &mut Emit, base: V, bytes: V) -> V;

    /// Reads integers (one of 8, 16 or 32 bits, or 2 to 4 of 32) at an offset in bytes (`i32`, unsigned); 0 behind the end.
    fn load(&self, e: &mut Emit, resource: V, offset: V, ty: Ty, cache: Cache) -> V;

    /// Writes such integers at an offset; nothing behind the end.
    fn store(&self, e: &mut Emit, value: V, resource: V, offset: V, cache: Cache);

    /// Starts copying [`Facts::direct_copy`] bytes from each lane's offset to shared memory, from `to` on, which is the same in all lanes;
    /// zeros behind the end.
    ///
    /// # Errors
    /// Where the target has no such copies.
    fn copy(&self, e: &mut Emit, resource: V, to: V, offset: V, cache: Cache) -> Result<(), Error> {
        let _ = (e, resource, to, offset, cache);
        Err(bug("a direct copy on a target without them"))
    }
}

/// The GPU part of a backend, for one chip.
pub trait GpuTarget: Send + Sync {
    /// What the chip has.
    fn facts(&self) -> &Facts;

    /// The matrix products of the chip, best first among those that fit a given use.
    fn mma_table(&self) -> &[MmaRow] {
        &[]
    }

    /// The row of that name.
    fn mma_named(&self, instr: &str) -> Option<&MmaRow> {
        self.mma_table().iter().find(|r| r.name == instr)
    }

    /// Registers that a thread must have for this product, or (`None`) for any code, so that the target's assembler takes it; 0
    /// where that is never the matter.
    fn fewest_registers(&self, product: Option<&MmaRow>) -> u32 {
        let _ = product;
        0
    }

    /// What the chip does better than the portable way, element-wise.
    fn hooks(&self) -> &'static dyn Hooks;

    // ---- the kernel as a function -------------------------------------------------------------------

    /// Version of the instruction set that the code of a lowered module is written in, major and minor.
    fn isa_version(&self, module: &str) -> (u8, u8);

    /// Attributes of the kernel function, in MLIR's syntax, separated by commas.
    fn kernel_attributes(&self, func: &Func) -> String;

    /// What a module needs beside the function, one operation a line.
    fn module_items(&self) -> &'static str {
        ""
    }

    /// Whether the code itself states how much shared memory a block has, so that a launch asks for none.
    fn static_shared(&self) -> bool {
        false
    }

    /// Type and attributes of a parameter that holds a tensor map by value.
    fn tensor_map_parameter(&self) -> Result<String, Error> {
        Err(bug("tensor maps on a target without them"))
    }

    // ---- who am I -----------------------------------------------------------------------------------

    /// Index of the thread in its block (`i32`).
    fn thread_id(&self, e: &mut Emit) -> V;

    /// Index of the block along a grid axis (`i32`).
    fn block_id(&self, e: &mut Emit, axis: u8) -> V;

    /// Blocks of the grid along an axis (`i32`).
    fn num_blocks(&self, e: &mut Emit, axis: u8) -> V;

    /// The value of the first active lane, in the form that the target keeps uniform values in: may be `v` itself.
    fn uniform(&self, e: &mut Emit, v: V) -> V {
        let _ = e;
        v
    }

    /// The counter of a loop, which all lanes share, in the form to compute with where tiles of several products take most registers: may be
    /// `v` itself.
    fn counter(&self, e: &mut Emit, v: V) -> V {
        let _ = e;
        v
    }

    // ---- between lanes ------------------------------------------------------------------------------

    /// A 32-bit value (`i32` or `f32`) of another lane; all lanes of the warp take part. `by` is an `i32`.
    fn shuffle(&self, e: &mut Emit, how: Shuffle, v: V, by: V) -> V;

    /// The same by a constant.
    fn shuffle_constant(&self, e: &mut Emit, how: Shuffle, v: V, by: u32) -> V {
        let by = e.int(K::I32, i64::from(by));
        self.shuffle(e, how, v, by)
    }

    /// A 32-bit value of this lane and that of lane `own ^ by`, in an order that both lanes share, where that is cheaper than the other's alone.
    fn exchange_both(&self, e: &mut Emit, v: V, by: u32) -> Option<[V; 2]> {
        let _ = (e, v, by);
        None
    }

    /// Bit `l` of the result is lane `l`'s predicate (`i32` up to 32 lanes, else `i64`); all lanes take part.
    fn ballot(&self, e: &mut Emit, predicate: V) -> V;

    /// Waits for `threads` threads of the block (0: all of it) at barrier `id`, and orders shared memory.
    fn block_barrier(&self, e: &mut Emit, id: u32, threads: u32);

    /// Arrives at such a barrier without waiting.
    ///
    /// # Errors
    /// Where the target has no such thing.
    fn named_arrive(&self, e: &mut Emit, id: u32, threads: u32) -> Result<(), Error> {
        let _ = (e, id, threads);
        Err(bug("a split barrier on a target without them"))
    }

    /// The end of a phase: a barrier of the whole block, with shared memory in order, that no instruction is moved over.
    fn end_phase(&self, e: &mut Emit) {
        self.block_barrier(e, 0, 0);
    }

    /// From here on the warp is served before others of lower priority; 0 is the usual one.
    fn priority(&self, e: &mut Emit, level: u32) {
        let _ = (e, level);
    }

    /// Products of the code before are to stand between its reads of shared memory: a hint for who orders instructions.
    fn interleave(&self, e: &mut Emit, products: u32, reads: u32) {
        let _ = (e, products, reads);
    }

    // ---- memory -------------------------------------------------------------------------------------

    /// Reads a scalar or vector at a pointer aligned to all of it; zero where the predicate (`i1`) does not hold, without
    /// touching memory.
    fn load_global(&self, e: &mut Emit, p: V, ty: Ty, predicate: Option<V>, cache: Cache) -> V {
        let _ = cache;
        let Some(predicate) = predicate else { return e.load_aligned(p, ty) };
        let zero = if ty.k.is_float() { e.zero_float(ty) } else { e.int_like(ty, 0) };
        let mut open = e.begin_if(predicate, &[ty]);
        let read = e.load_aligned(p, ty);
        e.begin_else(&mut open, &[read]);
        e.end_if(open, &[zero])[0]
    }

    /// Writes a scalar or vector to a pointer aligned to all of it, where the predicate holds.
    fn store_global(&self, e: &mut Emit, value: V, p: V, predicate: Option<V>, cache: Cache) {
        let _ = cache;
        let Some(predicate) = predicate else { return e.store_aligned(value, p) };
        let open = e.begin_if(predicate, &[]);
        e.store_aligned(value, p);
        e.end_if(open, &[]);
    }

    /// Descriptors of global memory whose bounds the hardware checks, where the chip has them.
    fn buffers(&self) -> Option<&dyn Buffers> {
        None
    }

    /// A value that all lanes hold alike, in the form in which the target keeps such values: may be `v` itself.
    fn settle(&self, e: &mut Emit, v: V) -> V {
        let _ = e;
        v
    }

    /// Reads shared memory at a pointer aligned to all of the vector.
    fn load_shared(&self, e: &mut Emit, p: V, ty: Ty) -> V {
        e.load_aligned(p, ty)
    }

    /// Writes shared memory at a pointer aligned to all of the vector.
    fn store_shared(&self, e: &mut Emit, value: V, p: V) {
        e.store_aligned(value, p);
    }

    /// Reads `count` (1, 2, 4) 8×8 matrices of 16-bit elements from shared memory, lane `l` giving the address of row `l % 8`
    /// of matrix `l / 8`: one `i32` of two elements each; `transposed` gives each lane a column's neighbours instead.
    /// `None` if the target has no such instruction.
    fn load_matrices(&self, e: &mut Emit, p: V, count: u32, transposed: bool) -> Option<Vec<V>> {
        let _ = (e, p, count, transposed);
        None
    }

    /// Whether [`GpuTarget::load_columns`] is there.
    fn column_loads(&self) -> bool {
        false
    }

    /// Reads columns of 4 by 16 elements of 16 bits from shared memory, by each 16 lanes of a warp: lane `l` points at four
    /// neighbours of row `l / 4`, those from column `4 · (l % 4)` on, and gets the four rows of column `l`: two `i32`.
    ///
    /// # Errors
    /// Where the target has no such thing.
    fn load_columns(&self, e: &mut Emit, p: V) -> Result<[V; 2], Error> {
        let _ = (e, p);
        Err(bug("loads of columns on a target without them"))
    }

    /// Starts copying `bytes` (4, 8, 16) from global to shared memory, of which only the first `valid` (`i32`) are read and
    /// the rest are zero; a `valid` of `i1` says whether all are read or none.
    ///
    /// # Errors
    /// Where the target has no such copies.
    fn async_copy(&self, e: &mut Emit, to: V, from: V, bytes: u32, valid: Option<V>) -> Result<(), Error> {
        let _ = (e, to, from, bytes, valid);
        Err(bug("an asynchronous copy on a target without them"))
    }

    /// Closes a group of asynchronous copies.
    ///
    /// # Errors
    /// Where the target has no such copies.
    fn async_commit(&self, e: &mut Emit) -> Result<(), Error> {
        let _ = e;
        Err(bug("an asynchronous copy on a target without them"))
    }

    /// Waits until at most `pending` of this warp's direct copies are unfinished.
    ///
    /// # Errors
    /// Where the target has no such copies.
    fn wait_direct(&self, e: &mut Emit, pending: u32) -> Result<(), Error> {
        let _ = (e, pending);
        Err(bug("a direct copy on a target without them"))
    }

    /// Waits until at most `pending` groups of asynchronous copies are unfinished.
    ///
    /// # Errors
    /// Where the target has no such copies.
    fn async_wait(&self, e: &mut Emit, pending: u32) -> Result<(), Error> {
        let _ = (e, pending);
        Err(bug("an asynchronous copy on a target without them"))
    }

    // ---- products -----------------------------------------------------------------------------------

    /// One synchronous product.
    ///
    /// # Errors
    /// A row that is not the target's.
    fn mma(&self, e: &mut Emit, row: &MmaRow, given: Fragments<'_>) -> Result<Vec<V>, Error> {
        let _ = (e, given);
        Err(bug(format!("`{}` on a target without it", row.name)))
    }

    /// Asynchronous products of groups of warps, where the chip has them.
    fn wide(&self) -> Option<&dyn WideMma> {
        None
    }

    /// The engine that copies boxes of tensors, where the chip has one.
    fn bulk(&self) -> Option<&dyn BulkCopy> {
        None
    }

    // ---- atomics ------------------------------------------------------------------------------------

    /// The scope's name in fences and atomic operations (`syncscope("…")`); empty for the whole system.
    fn sync_scope(&self, scope: kcc_dsl::ir::Scope) -> &'static str {
        let _ = scope;
        ""
    }
}

/// Address kind of a pointer value.
pub fn is_shared(p: V) -> bool {
    p.ty.k == K::Shared
}
