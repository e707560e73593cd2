//! From the GPU level to per-thread code: `llvm`, `arith`, `math` and `scf`, with the target's own operations written by its
//! hooks. One walk; one file per family of operations.
//!
//! ```text
//! %d = subf %v, %b : f32[4, 256] in L (8 registers)   →   8 × arith.subf : f32
//! ```
//!
//! | file | what |
//! | --- | --- |
//! | `function` | the kernel's parameters, program indices, launch facts |
//! | `value` | what stands for a value: registers, packed words, views, addresses |
//! | `control` | loops and branches |
//! | `elementwise` | operations on one register at a time |
//! | `shape` | operations that only rename registers |
//! | `address` | coordinates, addresses and masks |
//! | `buffer` | views through descriptors whose bounds the hardware checks |
//! | `memory` | loads and stores of blocks and rows |
//! | `movement` | slices, concatenations, joins and splits |
//! | `reduce` | reductions within threads, warps and blocks |
//! | `scan` | scans, and reductions by closures |
//! | `sort` | sorts, the largest few, histograms |
//! | `indexed` | gathers, scatters, atomics |
//! | `report` | assertions and prints |
//! | `convert`, `rearrange` | the same tile in another layout: through scratch memory, or as layouts find cheapest |
//! | `shared` | buffers in shared memory |
//! | `async_copy`, `direct_copy` | copies from global to shared memory, by threads and by whole warps |
//! | `dot`, `multiply_add` | products by instructions, and without |
//! | `wide` | asynchronous products of groups of warps |
//! | `bulk` | copies by the bulk engine, barriers, warps in roles |

mod address;
mod async_copy;
mod buffer;
mod bulk;
mod control;
mod convert;
mod direct_copy;
mod dot;
mod elementwise;
mod function;
mod indexed;
mod memory;
mod movement;
mod multiply_add;
mod rearrange;
mod reduce;
mod report;
mod scan;
mod shape;
mod shared;
mod sort;
mod value;
mod wide;

pub(crate) use convert::{half as scratch_of_all, need as scratch_bytes};
pub use function::{Memory, lower, memory};
pub use value::{SharedVal, Stride, Val, ViewVal};

use crate::emit::{Emit, V};
use crate::error::{Error, at, bug};
use crate::gpu::GpuTarget;
use crate::ktg::access::Views;
use crate::ktg::axis::Divisibility;
use crate::ktg::sign::Nonnegative;
use crate::ktg::{Block, Func, GpuOp, Kind, Op};
use kcc_dsl::ir::{Const, OpKind, ValueId};
use std::collections::HashMap;

/// The walk.
pub struct Lower<'f> {
    /// The writer.
    pub e: Emit,
    /// The function.
    pub func: &'f Func,
    /// The target.
    pub target: &'f dyn GpuTarget,
    /// What is known of views.
    pub views: Views,
    /// What divides offsets.
    pub div: Divisibility,
    /// Which offsets are no less than 0.
    sign: Nonnegative,
    values: Vec<Option<Val>>,
    /// Constants, where a value is one.
    consts: HashMap<ValueId, Const>,
    /// Index of the thread's lane in its warp, and of its warp in its role (`i32`).
    pub lane: V,
    /// As above.
    pub warp: V,
    /// This program's indices, and the numbers of programs.
    programs: [V; 3],
    counts: [V; 3],
    /// Address of the status buffer (`i64`).
    status: V,
    reports: report::Reports,
    /// The block's dynamic shared memory.
    pub shared: V,
    scratch: convert::Scratch,
    direct: direct_copy::Direct,
    /// Operands that were read ahead of their products.
    read: HashMap<[ValueId; 2], std::rc::Rc<dot::Read>>,
    order: memory::Order,
    /// Barrier and number of threads that run this code together; 0 threads is the whole block.
    pub group: (u32, u32),
    /// Barriers in shared memory that have a place but are not made yet: address, how many, arrivals of each.
    new_barriers: Vec<(V, u32, u32)>,
    /// Tensor maps, in the order of [`Func::tensor_maps`].
    pub tensor_maps: Vec<V>,
}

impl Lower<'_> {
    /// What stands for a value.
    ///
    /// # Errors
    /// A bug: use before definition.
    pub fn val(&self, v: ValueId) -> Result<&Val, Error> {
        let found = self.values.get(v.0 as usize).and_then(Option::as_ref);
        found.ok_or_else(|| bug(format!("value {} has no code", v.0)))
    }

    /// Says what stands for a value.
    pub fn set(&mut self, v: ValueId, val: Val) {
        self.values[v.0 as usize] = Some(val);
    }

    /// The constant that a value is, if it is one in all elements.
    pub fn constant(&self, v: ValueId) -> Option<Const> {
        self.consts.get(&v).copied()
    }

    /// The operations of a block.
    ///
    /// # Errors
    /// What the target cannot do; bugs.
    pub fn block(&mut self, block: &Block) -> Result<(), Error> {
        for op in &block.ops {
            let place = self.func.loc(op.loc).clone();
            self.e.set_place(Some(&place));
            self.op(op).map_err(|e| e.or_at(&place))?;
        }
        Ok(())
    }

    fn op(&mut self, op: &Op) -> Result<(), Error> {
        match &op.kind {
            Kind::Tile(k) => self.tile_op(k, op),
            Kind::Gpu(g) => self.gpu_op(g, op),
        }
    }

    fn tile_op(&mut self, kind: &OpKind, op: &Op) -> Result<(), Error> {
        self.tile_op_by_family(kind, op)?;
        // What lanes found out among each other they all hold alike, which the target may not see.
        let found = matches!(
            kind,
            OpKind::Reduce { .. }
                | OpKind::ArgReduce { .. }
                | OpKind::ReduceWith { .. }
                | OpKind::Gather
                | OpKind::Atomic { .. }
                | OpKind::AtomicCas { .. }
        );
        for v in op.results.iter().filter(|_| found) {
            if self.func.ty(*v).tile().is_some_and(|t| t.rank() == 0) {
                let x = self.scalar(*v)?;
                let x = if x.ty.k.bytes() == 4 { self.target.settle(&mut self.e, x) } else { x };
                self.set(*v, Val::Regs(vec![x]));
            }
        }
        Ok(())
    }

    fn tile_op_by_family(&mut self, kind: &OpKind, op: &Op) -> Result<(), Error> {
        match kind {
            OpKind::ProgramId(a) => {
                let v = self.programs[usize::from(*a)];
                self.set(op.results[0], Val::Regs(vec![v]));
                Ok(())
            }
            OpKind::NumPrograms(a) => {
                let v = self.counts[usize::from(*a)];
                self.set(op.results[0], Val::Regs(vec![v]));
                Ok(())
            }
            OpKind::Constant(_) | OpKind::Arange => self.elementwise(kind, op),
            k if k.is_elementwise() => self.elementwise(kind, op),
            OpKind::Broadcast { .. } | OpKind::Reshape | OpKind::Transpose { .. } => self.shape_op(kind, op),
            OpKind::Slice { .. } | OpKind::Concat { .. } | OpKind::Join | OpKind::Split => {
                self.movement(kind, op)
            }
            OpKind::Dim(_) | OpKind::At => self.view_op(kind, op),
            OpKind::Load { .. }
            | OpKind::LoadRows { .. }
            | OpKind::Store { .. }
            | OpKind::StoreRows { .. } => self.memory_op(kind, op),
            OpKind::Reduce { axis, op: combine } => self.reduce(usize::from(*axis), *combine, op),
            OpKind::ArgReduce { axis, max } => self.arg_reduce(usize::from(*axis), *max, op),
            OpKind::Scan { .. } | OpKind::ScanWith { .. } | OpKind::ReduceWith { .. } => {
                self.scan_op(kind, op)
            }
            OpKind::Sort { .. } | OpKind::TopK { .. } | OpKind::Histogram { .. } => self.sort_op(kind, op),
            OpKind::Gather | OpKind::Scatter | OpKind::Atomic { .. } | OpKind::AtomicCas { .. } => {
                self.indexed_op(kind, op)
            }
            OpKind::For { .. } | OpKind::While | OpKind::If => self.control(kind, op),
            OpKind::Assume => Ok(()),
            OpKind::Assert { message } => self.assertion(op, message),
            OpKind::Print { format } => self.print(op, format),
            k => Err(self.missing(op, k.name())),
        }
    }

    fn gpu_op(&mut self, kind: &GpuOp, op: &Op) -> Result<(), Error> {
        match kind {
            GpuOp::ConvertLayout => self.convert(op),
            GpuOp::BlockIndex | GpuOp::BlockCount => {
                let target = self.target;
                let v = match kind {
                    GpuOp::BlockIndex => target.block_id(&mut self.e, 0),
                    _ => target.num_blocks(&mut self.e, 0),
                };
                self.set(op.results[0], Val::Regs(vec![v]));
                Ok(())
            }
            GpuOp::MmaAsync { .. } | GpuOp::MmaFence | GpuOp::MmaCommit | GpuOp::MmaWait { .. } => {
                self.wide_op(kind, op)
            }
            GpuOp::AllocBarriers { .. }
            | GpuOp::BarrierExpect { .. }
            | GpuOp::BarrierArrive
            | GpuOp::BarrierWait
            | GpuOp::BulkLoad { .. }
            | GpuOp::BulkStore { .. }
            | GpuOp::BulkCommit
            | GpuOp::BulkWait { .. }
            | GpuOp::FenceAsync
            | GpuOp::TurnWait { .. }
            | GpuOp::TurnPass { .. }
            | GpuOp::ClusterBarrier
            | GpuOp::WarpSpecialize { .. } => self.bulk_op(kind, op),
            GpuOp::BlockBarrier { id: 0, threads: 0 } => {
                self.sync();
                Ok(())
            }
            GpuOp::BlockBarrier { id, threads } => {
                self.target.block_barrier(&mut self.e, *id, *threads);
                Ok(())
            }
            GpuOp::AllocShared { .. }
            | GpuOp::Slot
            | GpuOp::SharedTranspose { .. }
            | GpuOp::SharedSlice { .. }
            | GpuOp::StoreShared
            | GpuOp::LoadShared => self.shared_op(kind, op),
            GpuOp::AsyncLoad { .. }
            | GpuOp::AsyncLoadRows { .. }
            | GpuOp::AsyncCommit
            | GpuOp::AsyncWait { .. } => self.async_op(kind, op),
            GpuOp::Mma { instr, depth } => self.product(instr, *depth, op),
            GpuOp::MmaRead { instr } => self.read_operands(instr, op),
            GpuOp::Phase { only } => self.phase(*only),
            GpuOp::Priority { level } => {
                self.target.priority(&mut self.e, *level);
                Ok(())
            }
            GpuOp::Interleave { products, reads } => {
                self.target.interleave(&mut self.e, *products, *reads);
                Ok(())
            }
            g => Err(self.missing(op, g.name())),
        }
    }

    fn missing(&self, op: &Op, name: &str) -> Error {
        at(self.func.loc(op.loc)).unsupported(format!("`{name}` on GPUs, in this version,"))
    }
}
