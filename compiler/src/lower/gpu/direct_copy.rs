//! Copies from global memory straight into shared memory by whole warps, where lanes write one after the other.
//!
//! ```text
//! shared   ..|lane 0|lane 1|lane 2|…      the bytes of a warp side by side, as the buffer's layout has them
//! global      a piece of 16 bytes for each: that which the layout, swizzles included, puts there
//! ```
//! So it is each lane's place in global memory that follows from the layout, not its place in the buffer. What lies outside of the view
//! arrives as zeros, by the descriptor's bounds.

use super::Lower;
use super::buffer::{Reach, Term};
use crate::emit::{K, V};
use crate::error::{Error, bug};
use crate::ktg::{GpuOp, Op};
use crate::passes::gpu::pipeline_loops::direct_pieces;
use kcc_dsl::ir::Cache;

/// Copies that are under way.
#[derive(Default)]
pub(super) struct Direct {
    /// Those of the group that is open.
    open: u32,
    /// Those of the last group that was closed.
    group: u32,
}

impl Lower<'_> {
    /// Does the operation where asynchronous copies are direct ones; false elsewhere.
    pub(super) fn direct_op(&mut self, kind: &GpuOp, op: &Op) -> Result<bool, Error> {
        let facts = self.target.facts();
        if facts.async_copy || facts.direct_copy == 0 {
            return Ok(false);
        }
        match kind {
            GpuOp::AsyncLoad { cache } => self.direct_load(op, *cache)?,
            GpuOp::AsyncCommit => self.direct.group = std::mem::take(&mut self.direct.open),
            // Without direct copies before it, it is about loads into registers, which wait by themselves.
            GpuOp::AsyncWait { pending } if self.direct.group > 0 => {
                self.target.wait_direct(&mut self.e, pending * self.direct.group)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn direct_load(&mut self, op: &Op, cache: Cache) -> Result<(), Error> {
        let &[view_value, ref offsets @ .., buffer] = op.operands.as_slice() else {
            return Err(bug("a direct copy without operands"));
        };
        let ty = self.shared_type(buffer)?;
        let base = self.shared_val(buffer)?.base;
        let view = self.view(view_value)?;
        let (lanes, bytes) = (self.target.facts().lanes, self.target.facts().direct_copy);
        let layout = direct_pieces(&ty, bytes, lanes, self.warps())?;
        let (Some(descriptor), Some(buffers)) = (self.descriptor(&view), self.target.buffers()) else {
            return Err(bug("a direct copy of a view without a descriptor"));
        };
        let mut along = Vec::new();
        for (axis, offset) in offsets.iter().enumerate() {
            let from_zero = self.sign.holds(*offset);
            let offset = self.scalar(*offset)?;
            along.push((self.along(&layout, axis, Some(offset))?, from_zero));
        }
        // A warp's part of the first row of pieces; the rows follow each other.
        let own = self.times(self.warp, i64::from(lanes * bytes));
        let to = self.e.address(base, K::I8, &[own], 0);
        let vector = bytes / ty.elem.bytes() as u32;
        let row = lanes * bytes * self.warps();
        for (number, r) in (0..layout.registers()).step_by(vector as usize).enumerate() {
            let terms: Vec<Term> = along
                .iter()
                .enumerate()
                .map(|(axis, (along, from_zero))| Term {
                    own: self.within_tile(along, r),
                    offset: along.offset,
                    from_zero: *from_zero,
                    dim: view.dims[axis],
                })
                .collect();
            let Reach::Buffer { resource, offset } = self.buffer_offset(&descriptor, ty.elem.bytes(), &terms)
            else {
                return Err(bug("a direct copy by a pointer"));
            };
            let to: V = self.e.address(to, K::I8, &[], number as i64 * i64::from(row));
            buffers.copy(&mut self.e, resource, to, offset, cache)?;
            self.direct.open += 1;
        }
        Ok(())
    }
}
