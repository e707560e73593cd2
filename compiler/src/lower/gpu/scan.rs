//! Scans, and reductions and scans by a closure: prefixes of doubling length, through scratch memory.
//!
//! ```text
//! round d = 1, 2, 4, …   every element becomes  combine(element d before it, itself)   where there is one
//! ```
//! The order of operands is kept, so a closure need not be commutative. A reduction by a closure is the last element of
//! its scan.

use super::convert::{Strided, carrier};
use super::{Lower, Val};
use crate::emit::{Emit, K, Ty, V};
use crate::error::{Error, bug};
use crate::ktg::{Func, Op};
use crate::layout::{Linear, Presence};
use kcc_dsl::ir::{Elem, OpKind, ReduceOp};

/// Combines what comes before with an element, tile by tile.
type Combine<'c, 'f> = dyn FnMut(&mut Lower<'f>, &[V], &[V]) -> Result<Vec<V>, Error> + 'c;

/// A tile that is scanned.
struct Scanned {
    elem: Elem,
    regs: Vec<V>,
}

/// Bytes of scratch memory that a scan of an operation's tiles needs.
pub(super) fn scratch_bytes(func: &Func, op: &Op) -> u32 {
    let bytes = |v| func.ty(v).tile().map_or(0, |t| t.len() * held(t.elem).bytes());
    op.operands.iter().map(|v| bytes(*v)).sum::<usize>() as u32
}

/// The kind that an element is held in between rounds.
fn held(elem: Elem) -> K {
    carrier(Emit::reg(elem))
}

impl<'f> Lower<'f> {
    pub(super) fn scan_op(&mut self, kind: &OpKind, op: &Op) -> Result<(), Error> {
        let layout = self.layout(op.operands[0])?;
        let shape = self.shape_of(op.operands[0]);
        let mut tiles = Vec::new();
        for v in &op.operands {
            tiles.push(Scanned { elem: self.elem(*v)?, regs: self.regs(*v)? });
        }
        match kind {
            OpKind::Scan { axis, op: combine, reverse } => {
                let (combine, elem) = (*combine, tiles[0].elem);
                let float = elem.is_float();
                if float && matches!(combine, ReduceOp::Min | ReduceOp::Max) {
                    // The identity takes NaN out.
                    let identity = self.e.identity(combine, elem);
                    for x in &mut tiles[0].regs {
                        *x = self.e.combine(combine, elem, identity, *x);
                    }
                }
                let axis = usize::from(*axis);
                self.scan(&mut tiles, &layout, &shape, (axis, *reverse), &mut |l, acc, x| {
                    Ok(vec![l.e.combine(combine, elem, acc[0], x[0])])
                })?;
                let mut regs = std::mem::take(&mut tiles[0].regs);
                if float && matches!(combine, ReduceOp::Sum | ReduceOp::Prod) {
                    for x in &mut regs {
                        *x = self.e.round(elem, *x);
                    }
                }
                self.set(op.results[0], Val::Regs(regs));
                Ok(())
            }
            OpKind::ScanWith { axis, reverse } => {
                self.scan(&mut tiles, &layout, &shape, (usize::from(*axis), *reverse), &mut |l, acc, x| {
                    l.closure(op, acc, x)
                })?;
                for (r, t) in op.results.iter().zip(tiles) {
                    self.set(*r, Val::Regs(t.regs));
                }
                Ok(())
            }
            OpKind::ReduceWith { axis } => self.reduce_with(op, usize::from(*axis), tiles, &layout, &shape),
            k => Err(bug(format!("`{}` is no scan", k.name()))),
        }
    }

    /// The closure of a reduction or scan, on scalars.
    fn closure(&mut self, op: &Op, acc: &[V], x: &[V]) -> Result<Vec<V>, Error> {
        let region = &op.regions[0];
        for (arg, v) in region.args.iter().zip(acc.iter().chain(x)) {
            self.set(*arg, Val::Regs(vec![*v]));
        }
        self.block(region)?;
        region.yields.iter().map(|y| self.scalar(*y)).collect()
    }

    /// Scans tiles of one layout in place.
    fn scan(
        &mut self,
        tiles: &mut [Scanned],
        layout: &Linear,
        shape: &[usize],
        (axis, reverse): (usize, bool),
        combine: &mut Combine<'_, 'f>,
    ) -> Result<(), Error> {
        let extent = shape[axis];
        let elements: usize = shape.iter().product();
        let coverage = layout.coverage(&shape.iter().map(|e| *e as u32).collect::<Vec<_>>());
        let rows = Strided::rows(shape);
        let owner = self.owner(Some(layout));
        let along = self.along(layout, axis, None)?;
        let live: Vec<u32> = coverage.live().collect();
        let mut distance = 1;
        while distance < extent {
            let base = self.take_scratch();
            let mut start = 0;
            let mut starts = Vec::new();
            for t in tiles.iter() {
                let k = held(t.elem);
                starts.push(start);
                for r in &live {
                    let mut mask = self.inside_tile(layout, shape, *r)?;
                    if let Some(o) = owner {
                        mask = Some(self.both(mask, o));
                    }
                    let (offset, constant) = self.scratch_offset(layout, &rows, k.bytes() as i64, *r)?;
                    let p = self.shared_address(base, offset, constant + start);
                    let raw = self.widen(t.regs[*r as usize], k);
                    self.when(mask, |l| l.target.store_shared(&mut l.e, raw, p));
                }
                start += (elements * k.bytes()) as i64;
            }
            self.sync_scratch();
            for r in &live {
                let c = self.coordinate(&along, *r);
                let mut ok = if reverse {
                    let limit = self.i32((extent - distance) as i64);
                    self.e.cmpi("ult", c, limit)
                } else {
                    let limit = self.i32(distance as i64);
                    self.e.cmpi("uge", c, limit)
                };
                if let Some(inside) = self.inside_tile(layout, shape, *r)? {
                    ok = self.both(Some(inside), ok);
                }
                if coverage.register(*r) == Presence::Never {
                    continue;
                }
                let mut before = Vec::new();
                for (t, start) in tiles.iter().zip(&starts) {
                    let k = held(t.elem);
                    let (offset, constant) = self.scratch_offset(layout, &rows, k.bytes() as i64, *r)?;
                    let step = distance as i64 * i64::from(rows.strides[axis]) * k.bytes() as i64;
                    let zero = self.i32(0);
                    let at = offset.unwrap_or(zero);
                    let at = self.plus(at, constant + if reverse { step } else { -step });
                    let at = self.e.select(ok, at, zero);
                    let p = self.shared_address(base, Some(at), *start);
                    let raw = self.target.load_shared(&mut self.e, p, Ty::scalar(k));
                    before.push(self.narrow(raw, Emit::reg(t.elem)));
                }
                let own: Vec<V> = tiles.iter().map(|t| t.regs[*r as usize]).collect();
                let new = combine(self, &before, &own)?;
                for (t, n) in tiles.iter_mut().zip(new) {
                    let kept = t.regs[*r as usize];
                    t.regs[*r as usize] = self.e.select(ok, n, kept);
                }
            }
            distance *= 2;
        }
        Ok(())
    }

    /// The last element of each scan, in the layout of the result.
    fn reduce_with(
        &mut self,
        op: &Op,
        axis: usize,
        mut tiles: Vec<Scanned>,
        layout: &Linear,
        shape: &[usize],
    ) -> Result<(), Error> {
        self.scan(&mut tiles, layout, shape, (axis, false), &mut |l, acc, x| l.closure(op, acc, x))?;
        let rows = Strided::rows(shape);
        for (r, t) in op.results.iter().zip(tiles) {
            let base = self.take_scratch();
            self.write_scratch(base, t.elem, &t.regs, layout, shape, &rows)?;
            self.sync_scratch();
            let mut strides = rows.strides.clone();
            let last = strides.remove(axis) * (shape[axis] as u32 - 1);
            let read = Strided { strides, base: last };
            let (to, result) = (self.layout_or_scalar(*r), self.shape_of(*r));
            let regs = self.read_scratch(base, t.elem, &to, &result, &read)?;
            self.set(*r, Val::Regs(regs));
        }
        Ok(())
    }
}
