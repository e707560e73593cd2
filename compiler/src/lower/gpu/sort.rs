//! Sorts, the largest few, and histograms, by counting.
//!
//! ```text
//! rank of an element = how many come before it        sorted[rank] = element        each element counts on its own
//! ```
//! A row of `n` elements costs `n` comparisons an element: good for the rows of a few hundred that kernels sort.

use super::convert::Strided;
use super::reduce::groups;
use super::{Lower, Val};
use crate::emit::{Emit, K, Ty, V};
use crate::error::{Error, bug};
use crate::ktg::{Func, Op};
use crate::layout::Presence;
use kcc_dsl::ir::{CmpOp, Elem, OpKind, Scope};

/// Bytes of scratch memory: the elements, and an index for each.
pub(super) fn scratch_bytes(func: &Func, op: &Op) -> u32 {
    let tile = func.ty(op.operands[0]).tile();
    let sorted = tile.map_or(0, |t| t.len() * (t.elem.bytes() + 4) + 8);
    match &op.kind {
        crate::ktg::Kind::Tile(OpKind::Histogram { bins }) => 4 * *bins as u32,
        _ => sorted as u32,
    }
}

impl Lower<'_> {
    pub(super) fn sort_op(&mut self, kind: &OpKind, op: &Op) -> Result<(), Error> {
        match kind {
            OpKind::Sort { descending } => self.sort(op, *descending, usize::MAX),
            OpKind::TopK { k } => self.sort(op, true, *k),
            OpKind::Histogram { bins } => self.histogram(op, *bins),
            k => Err(bug(format!("`{}` does not count", k.name()))),
        }
    }

    /// Whether element `j` (`y`) comes before element `i` (`x`): NaN last, equal ones in order.
    fn comes_before(&mut self, descending: bool, elem: Elem, (y, j): (V, V), (x, i): (V, V)) -> V {
        let better = self.e.compare(if descending { CmpOp::Gt } else { CmpOp::Lt }, elem, y, x);
        let mut equal = self.e.compare(CmpOp::Eq, elem, y, x);
        let mut first = better;
        if elem.is_float() {
            let (ny, nx) = (self.e.compare(CmpOp::Ne, elem, y, y), self.e.compare(CmpOp::Ne, elem, x, x));
            let both = self.e.op2("arith.andi", ny, nx);
            equal = self.e.op2("arith.ori", equal, both);
            let yes = self.e.int(K::I1, 1);
            let number = self.e.op2("arith.xori", ny, yes);
            let only = self.e.op2("arith.andi", number, nx);
            first = self.e.op2("arith.ori", first, only);
        }
        let earlier = self.e.cmpi("ult", j, i);
        let tie = self.e.op2("arith.andi", equal, earlier);
        self.e.op2("arith.ori", first, tie)
    }

    fn sort(&mut self, op: &Op, descending: bool, most: usize) -> Result<(), Error> {
        let from = op.operands[0];
        let elem = self.elem(from)?;
        let layout = self.layout(from)?;
        let shape = self.shape_of(from);
        let regs = self.regs(from)?;
        let axis = shape.len() - 1;
        let (bytes, k) = (elem.bytes() as i64, Emit::mem(elem));
        let rows = Strided::rows(&shape);
        let base = self.take_scratch();
        self.write_scratch(base, elem, &regs, &layout, &shape, &rows)?;
        self.sync_scratch();
        // Where each register's row starts.
        let (groups, count) = groups(&layout, axis)?;
        let mut line: Vec<Option<V>> = vec![None; count];
        let (zero, one) = (self.i32(0), self.i32(1));
        for (r, g) in groups.iter().enumerate() {
            if line[*g].is_some() {
                continue;
            }
            let mut offset = zero;
            let mut inside = None;
            for (a, extent) in shape.iter().enumerate().take(axis) {
                let along = self.along(&layout, a, None)?;
                let c = self.coordinate(&along, r as u32);
                let extent = self.i32(*extent as i64);
                let ok = self.e.cmpi("ult", c, extent);
                inside = Some(self.both(inside, ok));
                let term = self.times(c, i64::from(rows.strides[a]) * bytes);
                offset = self.e.op2("arith.addi", offset, term);
            }
            line[*g] = Some(inside.map_or(offset, |ok| self.e.select(ok, offset, zero)));
        }
        let along = self.along(&layout, axis, None)?;
        let own: Vec<V> = (0..layout.registers()).map(|r| self.coordinate(&along, r)).collect();
        let end = self.i32(shape[axis] as i64);
        let (open, j, ranks) = self.e.begin_for(zero, end, one, &vec![zero; regs.len()]);
        let step = self.times(j, bytes);
        let mut others = Vec::new();
        for offset in line {
            let at = self.e.op2("arith.addi", offset.unwrap_or(zero), step);
            let p = self.shared_address(base, Some(at), 0);
            let raw = self.target.load_shared(&mut self.e, p, Ty::scalar(k));
            others.push(self.e.from_mem(raw, elem));
        }
        let mut next = Vec::new();
        for (r, g) in groups.iter().enumerate() {
            let before = self.comes_before(descending, elem, (others[*g], j), (regs[r], own[r]));
            let add = self.e.conv("arith.extui", before, K::I32);
            next.push(self.e.op2("arith.addi", ranks[r], add));
        }
        let ranks = self.e.end_for(open, &next);
        self.enter_block();
        self.place_by_rank(op, &ranks, &own, most)
    }

    /// Writes elements and their indices to the places of their ranks, and reads both results.
    fn place_by_rank(&mut self, op: &Op, ranks: &[V], own: &[V], most: usize) -> Result<(), Error> {
        let (from, values, indices) = (op.operands[0], op.results[0], op.results[1]);
        let elem = self.elem(from)?;
        let layout = self.layout(from)?;
        let (shape, result) = (self.shape_of(from), self.shape_of(values));
        let regs = self.regs(from)?;
        let axis = shape.len() - 1;
        let out = Strided::rows(&result);
        // Indices first: they want the wider alignment.
        let room = 4 * result.iter().product::<usize>() as i64;
        let room = (room + 7) & !7;
        let coverage = layout.coverage(&shape.iter().map(|e| *e as u32).collect::<Vec<_>>());
        let owner = self.owner(Some(&layout));
        let redundant = layout.redundant(crate::layout::Dim::Register);
        let base = self.take_scratch();
        for r in 0..layout.registers() {
            if coverage.register(r) == Presence::Never || r & redundant != 0 {
                continue;
            }
            let mut mask = self.inside_tile(&layout, &shape, r)?;
            if let Some(o) = owner {
                mask = Some(self.both(mask, o));
            }
            if most < shape[axis] {
                let limit = self.i32(most as i64);
                let kept = self.e.cmpi("ult", ranks[r as usize], limit);
                mask = Some(self.both(mask, kept));
            }
            let mut place = ranks[r as usize];
            for a in 0..axis {
                let along = self.along(&layout, a, None)?;
                let c = self.coordinate(&along, r);
                let term = self.times(c, i64::from(out.strides[a]));
                place = self.e.op2("arith.addi", place, term);
            }
            let raw = self.e.to_mem(regs[r as usize], elem);
            let (at, index_at) = (self.times(place, elem.bytes() as i64), self.times(place, 4));
            let p = self.shared_address(base, Some(at), room);
            let q = self.shared_address(base, Some(index_at), 0);
            self.when(mask, |l| {
                l.target.store_shared(&mut l.e, raw, p);
                l.target.store_shared(&mut l.e, own[r as usize], q);
            });
        }
        self.sync_scratch();
        let behind = self.shared_address(base, None, room);
        for (v, elem, base) in [(values, elem, behind), (indices, Elem::I32, base)] {
            let (layout, shape) = (self.layout(v)?, self.shape_of(v));
            let regs = self.read_scratch(base, elem, &layout, &shape, &out)?;
            self.set(v, Val::Regs(regs));
        }
        Ok(())
    }

    /// Counts in scratch memory.
    fn histogram(&mut self, op: &Op, bins: usize) -> Result<(), Error> {
        let (from, to) = (op.operands[0], op.results[0]);
        let (layout, counts) = (self.layout(from)?, self.layout(to)?);
        let shape = self.shape_of(from);
        let regs = self.regs(from)?;
        let zero = self.i32(0);
        let rows = Strided::rows(&[bins]);
        let base = self.take_scratch();
        self.write_scratch(
            base,
            Elem::I32,
            &vec![zero; counts.registers() as usize],
            &counts,
            &[bins],
            &rows,
        )?;
        self.sync_scratch();
        let owner = self.owner(Some(&layout));
        let redundant = layout.redundant(crate::layout::Dim::Register);
        let (limit, one) = (self.i32(bins as i64), self.i32(1));
        let scope = self.target.sync_scope(Scope::Block);
        let coverage = layout.coverage(&shape.iter().map(|e| *e as u32).collect::<Vec<_>>());
        for r in 0..layout.registers() {
            if r & redundant != 0 || coverage.register(r) == Presence::Never {
                continue;
            }
            let known = self.e.cmpi("ult", regs[r as usize], limit);
            let mut mask = self.both(owner, known);
            if let Some(inside) = self.inside_tile(&layout, &shape, r)? {
                mask = self.both(Some(inside), mask);
            }
            let at = self.times(regs[r as usize], 4);
            let p = self.shared_address(base, Some(at), 0);
            self.when(Some(mask), |l| {
                l.e.here(
                    Ty::scalar(K::I32),
                    format!("llvm.atomicrmw add {p}, {one} syncscope(\"{scope}\") monotonic : {}, i32", p.ty),
                );
            });
        }
        self.sync_scratch();
        let regs = self.read_scratch(base, Elem::I32, &counts, &[bins], &rows)?;
        self.set(to, Val::Regs(regs));
        Ok(())
    }
}
