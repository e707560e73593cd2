//! Copies by the bulk engine, the barriers that count their bytes, and warps in roles.
//!
//! ```text
//! buffer 128 × 128 of bf16, rows of 128 bytes:   box at column c → panel 0,   box at column c + 64 → panel 1
//! ```
//! One thread speaks for all: the first one of its role.

use super::wide::panels;
use super::{Lower, Val};
use crate::emit::{K, Ty, V};
use crate::error::{Error, bug};
use crate::gpu::wide::BulkCopy;
use crate::ktg::{GpuOp, Kind, Op, Type};
use kcc_dsl::ir::ValueId;
use std::collections::HashSet;

/// Warps of a group.
const GROUP: u32 = 4;
/// Barrier by name of the first group's turns; lower ones are the block's and the roles'.
const FIRST_TURN: u32 = 2;

impl Lower<'_> {
    pub(super) fn bulk_op(&mut self, kind: &GpuOp, op: &Op) -> Result<(), Error> {
        let target = self.target;
        let engine = target.bulk().ok_or_else(|| bug("a bulk copy on a target without them"))?;
        match kind {
            GpuOp::AllocBarriers { arrivals, offset } => {
                self.alloc_barriers(engine, op, *arrivals, *offset)?
            }
            GpuOp::BarrierExpect { bytes } => {
                let barrier = self.barrier(engine, op.operands[0], op.operands[1])?;
                self.by_one_thread(&mut |l| {
                    engine.barrier_expect(&mut l.e, barrier, *bytes);
                    Ok(())
                })?;
            }
            GpuOp::BarrierArrive => {
                let barrier = self.barrier(engine, op.operands[0], op.operands[1])?;
                if self.lanes_read_rings() {
                    engine.warp_barrier(&mut self.e);
                }
                // A lane for each block of the cluster.
                let blocks: u32 = self.func.cluster.iter().product();
                let (test, bound) = if blocks > 1 { ("ult", blocks) } else { ("eq", 0) };
                let bound = self.e.int(K::I32, i64::from(bound));
                let mut first = self.e.cmpi(test, self.lane, bound);
                if let Some(condition) = op.operands.get(2) {
                    let condition = self.scalar(*condition)?;
                    first = self.e.op2("arith.andi", first, condition);
                }
                let open = self.e.begin_if(first, &[]);
                if blocks > 1 {
                    // A rank that exists in every lane: the address is made outside of the branch.
                    let mask = self.e.int(K::I32, i64::from(blocks) - 1);
                    let rank = self.e.op2("arith.andi", self.lane, mask);
                    engine.barrier_arrive_at(&mut self.e, barrier, rank);
                } else {
                    engine.barrier_arrive(&mut self.e, barrier);
                }
                self.e.end_if(open, &[]);
            }
            GpuOp::BarrierWait => {
                let barrier = self.barrier(engine, op.operands[0], op.operands[1])?;
                let parity = self.scalar(op.operands[2])?;
                engine.barrier_wait(&mut self.e, barrier, parity);
            }
            GpuOp::BulkLoad { map, multicast } => self.bulk_load(engine, op, *map, *multicast)?,
            GpuOp::BulkStore { map } => self.bulk_store(engine, op, *map)?,
            GpuOp::BulkCommit => self.by_one_thread(&mut |l| {
                engine.commit(&mut l.e);
                Ok(())
            })?,
            GpuOp::BulkWait { pending, read } => self.by_one_thread(&mut |l| {
                engine.wait(&mut l.e, *pending, *read);
                Ok(())
            })?,
            GpuOp::FenceAsync => engine.fence(&mut self.e),
            GpuOp::TurnWait { only } => self.turn(engine, *only, false),
            GpuOp::TurnPass { only } => self.turn(engine, *only, true),
            GpuOp::ClusterBarrier => engine.cluster_barrier(&mut self.e),
            GpuOp::WarpSpecialize { warps, registers } => self.roles(engine, op, warps, registers)?,
            _ => return Err(bug("no bulk operation")),
        }
        Ok(())
    }

    /// Waits for the turn of this thread's group of warps, or passes it on to the next: each has a barrier by name, at which it
    /// waits and the one before it arrives.
    fn turn(&mut self, engine: &dyn BulkCopy, only: Option<u32>, pass: bool) {
        let groups = self.warps() / GROUP;
        let threads = 2 * GROUP * self.target.facts().lanes;
        let shift = self.i32(i64::from(GROUP.trailing_zeros()));
        let own = self.e.op2("arith.shrui", self.warp, shift);
        let own = self.target.uniform(&mut self.e, own);
        let open = only.map(|g| {
            let g = self.i32(i64::from(g));
            let is = self.e.cmpi("eq", own, g);
            self.e.begin_if(is, &[])
        });
        let mut whose = own;
        if pass {
            let (next, mask) = (self.plus(own, 1), self.i32(i64::from(groups) - 1));
            whose = self.e.op2("arith.andi", next, mask);
        }
        let id = self.plus(whose, i64::from(FIRST_TURN));
        engine.turn(&mut self.e, id, threads, pass);
        if let Some(open) = open {
            self.e.end_if(open, &[]);
        }
    }

    /// Warps that run the code that is being written.
    pub(super) fn warps(&self) -> u32 {
        match self.group.1 {
            0 => self.func.warps,
            threads => threads.div_ceil(self.target.facts().lanes),
        }
    }

    /// Whether the code that is being written is run by one thread only.
    fn alone(&self) -> bool {
        self.group.1 == 1
    }

    /// Code for the first thread of the role.
    fn by_one_thread(&mut self, write: &mut dyn FnMut(&mut Self) -> Result<(), Error>) -> Result<(), Error> {
        if self.alone() {
            return write(self);
        }
        let both = self.e.op2("arith.ori", self.lane, self.warp);
        let zero = self.e.int(K::I32, 0);
        let first = self.e.cmpi("eq", both, zero);
        let open = self.e.begin_if(first, &[]);
        write(self)?;
        self.e.end_if(open, &[]);
        Ok(())
    }

    fn alloc_barriers(
        &mut self,
        engine: &dyn BulkCopy,
        op: &Op,
        arrivals: u32,
        offset: Option<u32>,
    ) -> Result<(), Error> {
        let offset = offset.ok_or_else(|| bug("barriers without a place"))?;
        let Type::Barriers { count } = *self.func.ty(op.results[0]) else { return Err(bug("no barriers")) };
        let base = self.e.address(self.shared, K::I8, &[], i64::from(offset));
        self.set(op.results[0], Val::Barriers(base));
        self.new_barriers.push((base, count, arrivals));
        // They are made together, once the last ones have their place: one fence and one barrier do for all.
        let is = |op: &&Op| matches!(op.kind, Kind::Gpu(GpuOp::AllocBarriers { .. }));
        let last = self.func.body.ops.iter().rfind(is).and_then(|op| op.results.first());
        if last != op.results.first() {
            return Ok(());
        }
        let all = std::mem::take(&mut self.new_barriers);
        self.by_one_thread(&mut |l| {
            for (base, count, arrivals) in &all {
                for i in 0..*count {
                    let own = l.e.address(*base, K::I8, &[], i64::from(i * engine.barrier_bytes()));
                    engine.barrier_init(&mut l.e, own, *arrivals);
                }
            }
            engine.barrier_init_fence(&mut l.e);
            Ok(())
        })?;
        if self.func.cluster == [1; 3] {
            self.sync();
        } else {
            engine.cluster_barrier(&mut self.e);
        }
        Ok(())
    }

    /// Whether lanes read what the engine writes on their own, not all of them at once by an asynchronous product.
    fn lanes_read_rings(&self) -> bool {
        let mut filled = HashSet::new();
        let mut read = false;
        self.func.walk(&mut |op| match &op.kind {
            Kind::Gpu(GpuOp::Slot) => {
                filled.insert(op.results[0]);
            }
            Kind::Gpu(GpuOp::SharedTranspose { .. } | GpuOp::SharedSlice { .. })
                if filled.contains(&op.operands[0]) =>
            {
                filled.insert(op.results[0]);
            }
            Kind::Gpu(GpuOp::LoadShared | GpuOp::Mma { .. }) => {
                read |= op.operands.iter().any(|v| filled.contains(v));
            }
            _ => {}
        });
        read
    }

    /// Address of one barrier.
    fn barrier(&mut self, engine: &dyn BulkCopy, barriers: ValueId, index: ValueId) -> Result<V, Error> {
        let Val::Barriers(base) = *self.val(barriers)? else { return Err(bug("no barriers")) };
        let index = self.scalar(index)?;
        let size = self.e.int(K::I32, i64::from(engine.barrier_bytes()));
        let text = format!("arith.muli {index}, {size} overflow<nsw, nuw> : i32");
        let distance = self.e.pure(Ty::scalar(K::I32), text, &[index, size]);
        Ok(self.e.address(base, K::I8, &[distance], 0))
    }

    /// Address and coordinates of each box of a buffer.
    fn boxes(&mut self, op: &Op, buffer: ValueId, map: u32) -> Result<Vec<(V, Vec<V>)>, Error> {
        let recipe =
            self.func.tensor_maps.get(map as usize).ok_or_else(|| bug("a tensor map without a recipe"))?;
        let (axes, width) = (recipe.axes.clone(), recipe.box_dims[0]);
        let ty = self.shared_type(buffer)?;
        let (axis, row_bytes) = panels(&ty).ok_or_else(|| bug("a bulk copy of a buffer in no panels"))?;
        let count = ty.layout.extents()[axis] / width;
        let pitch = ty.buffer_bytes() / count.max(1);
        if row_bytes != width * ty.elem.bytes() as u32 {
            return Err(bug("a box that is not as wide as the buffer's panels"));
        }
        let base = self.shared_val(buffer)?.base;
        let mut coords = Vec::new();
        for a in axes {
            coords.push(self.scalar(op.operands[usize::from(a) + 1])?);
        }
        let mut boxes = Vec::new();
        for panel in 0..count {
            let mut own = coords.clone();
            if panel > 0 {
                let far = self.e.int(K::I32, i64::from(panel * width));
                own[0] = self.e.op2("arith.addi", own[0], far);
            }
            boxes.push((self.e.address(base, K::I8, &[], i64::from(panel * pitch)), own));
        }
        Ok(boxes)
    }

    fn bulk_load(&mut self, engine: &dyn BulkCopy, op: &Op, map: u32, multicast: u16) -> Result<(), Error> {
        let rank = op.operands.len() - 4;
        let mut boxes = self.boxes(op, op.operands[rank + 1], map)?;
        if multicast != 0 {
            self.own_part(engine, op.operands[rank + 1], map, &mut boxes)?;
        }
        let barrier = self.barrier(engine, op.operands[rank + 2], op.operands[rank + 3])?;
        let descriptor = self.tensor_map(map)?;
        self.by_one_thread(&mut |l| {
            for (to, coords) in &boxes {
                engine.load(&mut l.e, *to, descriptor, barrier, coords, multicast);
            }
            Ok(())
        })
    }

    /// Moves boxes that are a part of the buffer's rows to this block's part.
    fn own_part(
        &mut self,
        engine: &dyn BulkCopy,
        buffer: ValueId,
        map: u32,
        boxes: &mut [(V, Vec<V>)],
    ) -> Result<(), Error> {
        let row = panels(&self.shared_type(buffer)?).map(|p| i64::from(p.1));
        let rows = self.func.tensor_maps.get(map as usize).and_then(|m| m.box_dims.get(1)).copied();
        let (Some(row), Some(rows)) = (row, rows) else { return Err(bug("a part of a buffer without rows")) };
        let rank = engine.cluster_rank(&mut self.e);
        let first = self.times(rank, i64::from(rows));
        let distance = self.times(rank, i64::from(rows) * row);
        for (to, coords) in boxes {
            *to = self.e.address(*to, K::I8, &[distance], 0);
            coords[1] = self.e.op2("arith.addi", coords[1], first);
        }
        Ok(())
    }

    fn bulk_store(&mut self, engine: &dyn BulkCopy, op: &Op, map: u32) -> Result<(), Error> {
        let rank = op.operands.len() - 2;
        let boxes = self.boxes(op, op.operands[rank + 1], map)?;
        let descriptor = self.tensor_map(map)?;
        self.by_one_thread(&mut |l| {
            for (from, coords) in &boxes {
                engine.store(&mut l.e, descriptor, *from, coords);
            }
            Ok(())
        })
    }

    fn tensor_map(&self, map: u32) -> Result<V, Error> {
        self.tensor_maps.get(map as usize).copied().ok_or_else(|| bug("a tensor map without a parameter"))
    }

    /// Each region for its own warps; a region that only fills rings is run by one thread.
    fn roles(
        &mut self,
        engine: &dyn BulkCopy,
        op: &Op,
        warps: &[u32],
        registers: &[u32],
    ) -> Result<(), Error> {
        let (&[users, _], [work, fill]) = (warps, op.regions.as_slice()) else {
            return Err(bug("roles other than users and fillers"));
        };
        let lanes = self.target.facts().lanes;
        let outer = (self.group, self.warp);
        let border = self.e.int(K::I32, i64::from(users));
        let uses = self.e.cmpi("ult", self.warp, border);
        let mut open = self.e.begin_if(uses, &[]);
        let ask = |l: &mut Self, role: usize, more: bool| {
            if let Some(&count) = registers.get(role).filter(|c| **c > 0) {
                engine.set_registers(&mut l.e, count, more);
            }
        };
        ask(self, 0, true);
        self.group = (1, users * lanes);
        self.block(work)?;
        self.e.begin_else(&mut open, &[]);
        ask(self, 1, false);
        let own = self.e.op2("arith.subi", self.warp, border);
        let both = self.e.op2("arith.ori", self.lane, own);
        let zero = self.e.int(K::I32, 0);
        let first = self.e.cmpi("eq", both, zero);
        let inner = self.e.begin_if(first, &[]);
        self.group = (0, 1);
        self.warp = own;
        self.block(fill)?;
        self.e.end_if(inner, &[]);
        self.e.end_if(open, &[]);
        (self.group, self.warp) = outer;
        Ok(())
    }
}
