//! Asynchronous copies from global to shared memory, each thread its own pieces.
//!
//! ```text
//! thread t: pieces of 16 bytes, neighbours in memory to neighbouring threads
//!   valid bytes = inside the view ? min(extent - column, 8) · 2 : 0         what is not valid arrives as zeros
//! ```

use super::{Lower, Stride, ViewVal};
use crate::emit::{K, V};
use crate::error::{Error, bug};
use crate::ktg::{GpuOp, Op};
use crate::layout::Presence;
use crate::passes::gpu::pipeline_loops::{copy_bytes, pieces};

impl Lower<'_> {
    pub(super) fn async_op(&mut self, kind: &GpuOp, op: &Op) -> Result<(), Error> {
        if self.direct_op(kind, op)? {
            return Ok(());
        }
        let target = self.target;
        match kind {
            GpuOp::AsyncCommit => target.async_commit(&mut self.e),
            GpuOp::AsyncWait { pending } => target.async_wait(&mut self.e, *pending),
            GpuOp::AsyncLoadRows { bytes, .. } => self.async_load(op, Some(*bytes)),
            _ => self.async_load(op, None),
        }
    }

    /// `row_wise`: the second operand says which rows are meant, each to be copied in pieces of so many bytes.
    fn async_load(&mut self, op: &Op, row_wise: Option<u32>) -> Result<(), Error> {
        let &[view_value, ref offsets @ .., buffer] = op.operands.as_slice() else {
            return Err(bug("an asynchronous load without operands"));
        };
        let ty = self.shared_type(buffer)?;
        let base = self.shared_val(buffer)?.base;
        let view = self.view(view_value)?;
        let bytes = match row_wise {
            Some(bytes) => bytes,
            None => copy_bytes(&self.views, &self.div, view_value, offsets, &ty),
        };
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
        let rows = row_wise.map(|_| self.row_registers(offsets[0], &layout)).transpose()?;
        for (axis, offset) in offsets.iter().enumerate() {
            let offset = if axis == 0 && rows.is_some() { self.i32(0) } else { self.scalar(*offset)? };
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
                let row = rows.as_ref().filter(|_| axis == 0).map(|rows| rows[r as usize]);
                let c = match row {
                    Some(row) => row,
                    None => self.coordinate(along, r),
                };
                let ok = self.e.cmpi("ult", c, view.dims[axis]);
                inside = Some(self.both(inside, ok));
                if axis == unit {
                    last = Some(c);
                }
                match within.constant(r) {
                    _ if row.is_some() => coordinates.push(c),
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
