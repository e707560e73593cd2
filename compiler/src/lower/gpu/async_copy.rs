//! Asynchronous copies from global to shared memory, each thread its own pieces.
//!
//! ```text
//! thread t: pieces of 16 bytes, neighbours in memory to neighbouring threads
//!   valid bytes = inside the view ? min(extent - column, 8) · 2 : 0         what is not valid arrives as zeros
//! ```

use super::{Lower, Stride, ViewVal};
use crate::emit::{K, V};
use crate::error::{Error, bug};
use crate::ktg::{GpuOp, Op, SharedType};
use crate::layout::{Blocked, Dim, Linear, Presence};
use crate::passes::gpu::pipeline_loops::copy_bytes;

impl Lower<'_> {
    pub(super) fn async_op(&mut self, kind: &GpuOp, op: &Op) -> Result<(), Error> {
        let target = self.target;
        match kind {
            GpuOp::AsyncCommit => target.async_commit(&mut self.e),
            GpuOp::AsyncWait { pending } => target.async_wait(&mut self.e, *pending),
            _ => self.async_load(op),
        }
    }

    fn async_load(&mut self, op: &Op) -> Result<(), Error> {
        let &[view_value, ref offsets @ .., buffer] = op.operands.as_slice() else {
            return Err(bug("an asynchronous load without operands"));
        };
        let ty = self.shared_type(buffer)?;
        let base = self.shared_val(buffer)?.base;
        let view = self.view(view_value)?;
        let bytes = copy_bytes(&self.views, &self.div, view_value, offsets, &ty);
        let facts = self.views.get(view_value).cloned();
        let (Some(facts), true) = (facts, bytes >= 4) else {
            return Err(bug("an asynchronous load of single elements"));
        };
        let unit = facts.unit_axis.ok_or_else(|| bug("an asynchronous load without a contiguous axis"))?;
        let elem = ty.elem.bytes() as u32;
        let vector = bytes / elem;
        let lanes = self.target.facts().lanes;
        let layout = pieces(&ty, unit, vector, lanes, self.warps())?;
        let places = layout.offsets_in(&ty.layout).map_err(|e| bug(e.to_string()))?;
        let places = self.places(&places, elem)?;
        // The block's place in the view is uniform, a thread's place in the block stays the same over a loop.
        let mut along = Vec::new();
        let mut block = Vec::new();
        for (axis, offset) in offsets.iter().enumerate() {
            let offset = self.scalar(*offset)?;
            block.push(offset);
            along.push((self.along(&layout, axis, Some(offset))?, self.along(&layout, axis, None)?));
        }
        let start = self.view_address(&view, &block, 0);
        let block = ViewVal { base: start, ..view.clone() };
        let coverage = layout.coverage(&ty.shape.iter().map(|e| *e as u32).collect::<Vec<_>>());
        // The extent along the unit axis is a multiple of a piece: a piece is inside or outside as a whole.
        let whole = u32::from(facts.spec.dim_align) >= bytes.trailing_zeros();
        let open = self.owner(Some(&layout)).map(|c| self.e.begin_if(c, &[]));
        for r in (0..layout.registers()).step_by(vector as usize) {
            if coverage.register(r) == Presence::Never {
                continue;
            }
            let mut inside = self.inside_tile(&layout, &ty.shape, r)?;
            let mut coordinates = Vec::new();
            let mut constant = 0;
            let mut last = None;
            for (axis, (along, within)) in along.iter().enumerate() {
                let c = self.coordinate(along, r);
                let ok = self.e.cmpi("ult", c, view.dims[axis]);
                inside = Some(self.both(inside, ok));
                if axis == unit {
                    last = Some(c);
                }
                match within.constant(r) {
                    Some(k) if view.strides.get(axis) == Some(&Stride::One) => {
                        constant = k;
                        coordinates.push(within.first);
                    }
                    _ => coordinates.push(self.coordinate(within, r)),
                }
            }
            let full = self.i32(i64::from(bytes));
            let mut valid: Option<V> = inside;
            if let (false, Some(c)) = (whole, last) {
                let left = self.e.op2("arith.subi", view.dims[unit], c);
                let left = self.times(left, i64::from(elem));
                let some = self.e.op2("arith.minsi", left, full);
                let none = self.i32(0);
                valid = Some(match inside {
                    Some(inside) => self.e.select(inside, some, none),
                    None => some,
                });
            }
            let from = self.view_address(&block, &coordinates, constant);
            let to = self.shared_place(base, &places, r);
            debug_assert_eq!(to.ty.k, K::Shared);
            self.target.async_copy(&mut self.e, to, from, bytes, valid)?;
        }
        if let Some(open) = open {
            self.e.end_if(open, &[]);
        }
        Ok(())
    }
}

/// Who copies what: pieces along the unit axis to neighbouring threads, then the other axes.
fn pieces(ty: &SharedType, unit: usize, vector: u32, lanes: u32, warps: u32) -> Result<Linear, Error> {
    let extents = ty.layout.extents().to_vec();
    let rank = extents.len();
    let mut order = vec![unit];
    order.extend((0..rank).rev().filter(|a| *a != unit));
    let mut per_thread = vec![1; rank];
    per_thread[unit] = vector;
    let mut cells: Vec<u32> = extents.iter().zip(&per_thread).map(|(e, v)| e / v).collect();
    let mut spread = |count: u32| {
        let (mut grid, mut rest) = (vec![1; rank], count);
        for &axis in &order {
            let own = rest.min(cells[axis]);
            grid[axis] = own;
            cells[axis] /= own;
            rest /= own;
        }
        // More threads than pieces: some copy what others copy, and are told not to.
        grid[order[rank - 1]] *= rest;
        grid
    };
    let (threads, groups) = (spread(lanes), spread(warps));
    let nest =
        Blocked { size_per_thread: &per_thread, threads_per_warp: &threads, warps: &groups, order: &order };
    let layout = Linear::blocked(&extents, nest).map_err(|e| bug(e.to_string()))?;
    debug_assert!(layout.basis(Dim::Lane).len() as u32 == lanes.trailing_zeros());
    Ok(layout)
}
