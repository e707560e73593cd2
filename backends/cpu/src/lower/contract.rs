//! Contractions over a run-time K: whole loops that became one product.
//!
//! The lane operand is packed once into panels and kept in scratch memory for the programs that follow, as long as
//! they ask for the same block; the other is read in place, row by row, where its rows are contiguous along K.
//!
//! ```text
//! K range  |---- chunk ----|---- chunk ----|-- last --|     chunks before the last accumulate in scratch memory,
//!                                                           the last one runs in the nest with its epilogue
//! ```

use super::dot::{Kind, Source, Tiling};
use super::kept::Follow;
use super::nest::{even_segments, segments};
use super::panel::{NextPanel, Packing, Panel, UNROLL};
use super::tiles::{self, TileOperands};
use super::{Buffer, Coord, Lower, Result, Stride};
use crate::plan::Nest;
use crate::plan::contract::{Contract, Side};
use kcc_compiler::emit::{Emit, Ix, K, Ty, V};
use kcc_dsl::exchange::PanelForm;
use kcc_dsl::ir::{Elem, OpKind, TileType};

/// Largest panel, in bytes: a share of the second-level cache and of the memory behind it.
const PANEL_BYTES: usize = 1 << 20;
/// Bounds of a chunk of K.
const CHUNK: (usize, usize) = (256, 4096);
/// Blocks of rows in which all lines of a panel are asked for.
const ASKING_BLOCKS: usize = 8;
/// Chunk when the other operand must be converted too.
const CONVERTED_CHUNK: usize = 1024;

/// What a block of a contraction needs beside the packed panel.
#[derive(Clone)]
pub struct Edges<'k> {
    rows: Rows<'k>,
    /// Steps along K in this chunk, i64.
    steps: V,
    /// Whether a single element is left after the pairs.
    odd: Option<V>,
    /// Partial sums, and whether there are any.
    partial: (Buffer, V),
    /// What to ask for meanwhile.
    next: Option<NextPanel>,
}

/// Where the broadcast operand's rows are.
#[derive(Clone)]
enum Rows<'k> {
    /// In the view of this side, from this K on.
    View(Side<'k>, V),
    /// Converted, with this distance between rows.
    Packed(Source),
}

impl<'k> Lower<'k> {
    /// Prepares a contraction and writes the chunks before its last; all of it, where matrix tiles multiply: the result is
    /// then in scratch memory, and nothing is left to be done in the nest.
    pub(super) fn contraction(&mut self, n: &Nest<'k>, c: &Contract<'k>) -> Result<Option<Tiling<'k>>> {
        let w = self.w();
        let (lane_side, row_side) = if n.lane == 1 { (c.b, c.a) } else { (c.a, c.b) };
        let elem = self.f.tile(c.dot.operands[0]).elem;
        let kind = self.kind(elem);
        let (rows, cols) = (n.shape[1 - n.lane], n.shape[n.lane]);
        let padded = cols.next_multiple_of(w);
        let in_place = self.rows_in_place(&row_side, elem, kind);
        let on_tiles = self.multiplies_on_tiles(kind, rows);
        let whole_rows = if on_tiles { rows.next_multiple_of(tiles::ROWS) } else { rows };
        let mut chunk = (PANEL_BYTES / (padded * kind.lane().bytes()) * kind.depth()).clamp(CHUNK.0, CHUNK.1);
        if !in_place {
            chunk = chunk.min(CONVERTED_CHUNK);
        }
        let chunk = chunk / 64 * 64;
        // Inside the loop the loads' offset along K is the loop's variable; here coordinates are absolute.
        let zero = self.e.int(K::I32, 0);
        self.scalars.insert(c.loop_op.regions[0].args[0], zero);
        for op in &c.loop_op.regions[0].ops {
            if op.results.iter().all(|r| self.f.rank(*r) == 0) {
                self.scalar_op(op);
            }
        }
        let (k0, length) = self.k_range(c);
        let (mr, nv) = self.panel_block(rows, padded / w);
        // A strip of the panel is what a register block, or a pair of tiles, reads.
        let strip = if on_tiles { (2, tiles::ROWS) } else { (nv, 1) };
        let mut packing = self.packing(lane_side, kind, (cols, chunk), strip, (k0, length));
        if rows.div_ceil(mr) >= ASKING_BLOCKS {
            packing.follow = self.read_next(n, c, packing.form);
        }
        let converted = (!in_place || on_tiles).then(|| {
            let row = chunk + if on_tiles { tiles::DEPTH as usize } else { w };
            let ptr = self.reserve(((whole_rows * row + w) * kind.unit().bytes()) as i64);
            let k = if kind == Kind::F32 { 1 } else { 2 };
            Source { ptr, unit: kind.unit(), x: Stride::Known(row as i64), k: Stride::Known(k) }
        });
        let acc_elem = if kind == Kind::PairI16 { Elem::I32 } else { Elem::F32 };
        let mut shape = n.shape.clone();
        shape[1 - n.lane] = whole_rows;
        let mut partial_shape = shape.clone();
        if on_tiles {
            // Rows an odd number of lines apart: those of a tile lie in different sets of the first-level cache.
            partial_shape[n.lane] = (cols.div_ceil(w) | 1) * w;
        }
        let partial = self.allocate(&TileType::new(acc_elem, &partial_shape), n.lane);
        let partial = Buffer { shape, ..partial };
        let size = self.e.i64(chunk as i64);
        let one = self.e.i64(1);
        let zero = self.e.i64(0);
        // Chunks before the last: (length - 1) / chunk, rounded down, none for an empty range.
        let last = self.e.op2("arith.subi", length, one);
        let last = self.e.op2("arith.maxsi", last, zero);
        let before = self.e.op2("arith.divui", last, size);
        let some = self.e.cmpi("ugt", before, zero);
        if let Some(converted) = converted.filter(|_| on_tiles) {
            let operands = TileOperands { n, row_side, in_place, packing, converted };
            self.contract_on_tiles(c, &operands, &partial, (before, size));
            return Ok(None);
        }
        let tiling = |lane: Source, edges: Edges<'k>| Tiling {
            result: c.loop_op.results[0],
            acc: c.loop_op.operands[3],
            mr,
            nv,
            kind,
            lane,
            broadcast: lane,
            steps: Ix::from(0),
            contract: Some(edges),
            rowwise: false,
            unpaired: false,
            fetch: None,
            fetch_odd: None,
        };
        let row_block = (&row_side, rows, converted);
        let (open, i, _) = self.e.begin_for(zero, before, one, &[]);
        {
            let floor = std::mem::replace(&mut self.floor, self.e.level());
            let start = self.e.mul(i, size);
            let from = self.e.op2("arith.addi", k0, start);
            let later = self.e.cmpi("ugt", i, zero);
            let panel = self.panel(&packing, from, size, None);
            let edges = self.chunk(&packing, &panel, row_block, (from, size), (partial.clone(), later));
            let tiling = tiling(panel.source, edges);
            self.accumulate_chunk(n, &tiling, &partial, padded / w, rows);
            self.floor = floor;
        }
        self.e.end_for(open, &[]);
        self.settle();
        let start = self.e.mul(before, size);
        let from = self.e.op2("arith.addi", k0, start);
        let left = self.e.op2("arith.subi", length, start);
        let panel = self.panel(&packing, from, left, Some(some));
        if self.products.first().is_some_and(|first| std::ptr::eq(first.loop_op, c.loop_op)) {
            self.behind_first = panel.behind;
        }
        let edges = self.chunk(&packing, &panel, row_block, (from, left), (partial, some));
        Ok(Some(tiling(panel.source, edges)))
    }

    /// Whose panel is read after that of this contraction: that of the next one in the block, or of the first one in the next program.
    fn read_next(&mut self, n: &Nest<'k>, c: &Contract<'k>, form: PanelForm) -> Follow<'k> {
        let alike = |s: &Self, other: &Contract<'k>| {
            let elem =
                |c: &Contract<'k>| c.dot.operands[..2].iter().map(|v| s.f.tile(*v).elem).collect::<Vec<_>>();
            let result = other.loop_op.results[0];
            s.f.shape(result) == n.shape
                && usize::from(s.lanes[result.0 as usize]) == n.lane
                && elem(other) == elem(c)
        };
        let same = |other: &Contract<'k>| std::ptr::eq(other.loop_op, c.loop_op);
        let Some(at) = self.products.iter().position(same).filter(|_| self.products.len() > 1) else {
            return Follow::Behind;
        };
        if !self.products.iter().all(|p| alike(self, p)) {
            return Follow::Behind;
        }
        let Some(next) = self.products.get(at + 1) else {
            return self.behind_first.map_or(Follow::Behind, Follow::At);
        };
        let side = if n.lane == 1 { next.b } else { next.a };
        let load = side.load;
        let known = matches!(load.kind, OpKind::Load { .. })
            && self.views.contains_key(&load.operands[0])
            && self.scalars.contains_key(&load.operands[2 - side.k_axis]);
        let form = PanelForm { k_axis: side.k_axis as u8, ..form };
        match known.then(|| self.kept_slots(&side, form)).flatten() {
            Some(slots) => Follow::Other(side, slots),
            None => Follow::Behind,
        }
    }

    /// Whether the register block can read rows of this operand where they lie.
    pub(super) fn rows_in_place(&self, side: &Side<'k>, elem: Elem, kind: Kind) -> bool {
        match kind {
            Kind::F32 => elem == Elem::F32,
            Kind::PairBf16 => {
                elem == Elem::BF16 && self.f.unit_axis(side.load.operands[0]) == Some(side.k_axis)
            }
            Kind::PairI16 => false,
        }
    }

    /// First K and number of K that both operands have: elements outside a view count as zero.
    fn k_range(&mut self, c: &Contract<'k>) -> (V, V) {
        let ops = &c.loop_op.operands;
        let (lo, hi) = (self.index(ops[0]), self.index(ops[1]));
        let (lo, hi) = (self.e.ix(lo), self.e.ix(hi));
        let step = crate::plan::contract::constant(self.f, ops[2]).unwrap_or(1);
        let (zero, size) = (self.e.i64(0), self.e.i64(step));
        let span = self.e.op2("arith.subi", hi, lo);
        let span = self.e.op2("arith.maxsi", span, zero);
        let round = self.e.i64(step - 1);
        let trips = self.e.op2("arith.addi", span, round);
        let trips = self.e.op2("arith.divui", trips, size);
        let reach = self.e.op2("arith.muli", trips, size);
        let mut end = self.e.op2("arith.addi", lo, reach);
        for side in [c.a, c.b] {
            let d = self.view(side.load.operands[0]).dims[side.k_axis];
            end = self.e.op2("arith.minsi", end, d);
        }
        let begin = self.e.op2("arith.maxsi", lo, zero);
        let length = self.e.op2("arith.subi", end, begin);
        let length = self.e.op2("arith.maxsi", length, zero);
        (begin, length)
    }

    /// Runs `f`, except where `done` holds.
    pub(super) fn unless(&mut self, done: Option<V>, f: impl FnOnce(&mut Self)) {
        let skip = done.map(|p| {
            let mut open = self.e.begin_if(p, &[]);
            self.e.begin_else(&mut open, &[]);
            self.memo.truncate(self.e.level() as usize);
            open
        });
        f(self);
        if let Some(open) = skip {
            self.e.end_if(open, &[]);
            self.settle();
        }
    }

    /// Runs `f` where `some` holds; everywhere, if nothing is asked.
    pub(super) fn only_if(&mut self, some: Option<V>, f: impl FnOnce(&mut Self)) {
        let open = some.map(|p| self.e.begin_if(p, &[]));
        f(self);
        if let Some(mut open) = open {
            self.e.begin_else(&mut open, &[]);
            self.memo.truncate(self.e.level() as usize);
            self.e.end_if(open, &[]);
            self.settle();
        }
    }

    /// Packs one chunk of K and says how to read it.
    fn chunk(
        &mut self,
        p: &Packing<'k>,
        panel: &Panel,
        (row_side, rows, converted): (&Side<'k>, usize, Option<Source>),
        (from, length): (V, V),
        partial: (Buffer, V),
    ) -> Edges<'k> {
        self.fill_panel(p, panel, from, length);
        let rows = match converted {
            Some(dest) => {
                self.pack_row_block(row_side, p.kind, &dest, rows, from, length);
                Rows::Packed(dest)
            }
            None => Rows::View(*row_side, from),
        };
        let (steps, odd) = if p.kind == Kind::F32 {
            (length, None)
        } else {
            let one = self.e.i64(1);
            let steps = self.e.op2("arith.shrui", length, one);
            let bit = self.e.op2("arith.andi", length, one);
            let odd = self.e.cmpi("eq", bit, one);
            (steps, Some(odd))
        };
        Edges { rows, steps, odd, partial, next: panel.next }
    }

    /// Element(s) of a side's load at an absolute K, without the loop around it.
    pub(super) fn side_at(&mut self, side: &Side<'k>, x: Coord, k: Coord) -> V {
        let mut pt = [x; 2];
        pt[side.k_axis] = k;
        self.load_point(side.load, &pt)
    }

    /// Converts `rows` rows of K, K contiguous, zero after the end so that pairs (and tiles) are whole.
    pub(super) fn pack_row_block(
        &mut self,
        side: &Side<'k>,
        kind: Kind,
        to: &Source,
        rows: usize,
        from: V,
        length: V,
    ) {
        let signed = self.f.tile(side.value).elem.is_signed();
        let w = self.w();
        let (round, mask) = (self.e.i64(tiles::DEPTH - 1), self.e.i64(-tiles::DEPTH));
        let end = self.e.op2("arith.addi", length, round);
        let end = self.e.op2("arith.andi", end, mask);
        // Vectors of K run past the end of the range: every access is checked against it.
        self.over(&segments(rows, 1), 1, Vec::new(), &mut |s, row, _, _| {
            let (zero, step) = (s.e.i64(0), s.e.i64(w as i64));
            let (open, k, _) = s.e.begin_for(zero, end, step, &[]);
            let masked = std::mem::replace(&mut s.masked, true);
            let floor = std::mem::replace(&mut s.floor, s.e.level());
            let at = s.e.op2("arith.addi", k, from);
            let x = s.side_at(side, Coord::at(row), Coord::lanes(at));
            let x = s.e.splat(x, w);
            let inside = s.inside(Coord::lanes(k), Ix::from(0), length);
            let none = if x.ty.k.is_float() { s.e.zero_float(x.ty) } else { s.e.int_like(x.ty, 0) };
            let x = s.e.select(inside, x, none);
            let unit = match kind {
                Kind::F32 => x,
                Kind::PairBf16 => s.e.to_mem(x, Elem::BF16),
                Kind::PairI16 => s.e.widen_int(x, signed, K::I16),
            };
            let p = s.address(to.ptr, to.unit, &[Coord::at(row), Coord::at(k)], &[to.x, Stride::Known(1)]);
            s.e.store(unit, p);
            (s.masked, s.floor) = (masked, floor);
            s.e.end_for(open, &[]);
            s.settle();
            Vec::new()
        });
    }

    /// Whether a side's block along M or N stays inside its view.
    pub(super) fn other_axis_inside(&mut self, side: &Side<'k>, extent: usize) -> Option<V> {
        let OpKind::Load { .. } = side.load.kind else { return None };
        let axis = 1 - side.k_axis;
        let dim = self.view(side.load.operands[0]).dims[axis];
        let off = self.index(side.load.operands[1 + axis]);
        let end = self.e.ix(off.plus(extent as i64));
        let below = self.e.cmpi("sle", end, dim);
        let (o, zero) = (self.e.ix(off), self.e.i64(0));
        let above = self.e.cmpi("sge", o, zero);
        self.all(&[below, above])
    }

    /// Runs `f` without bounds checks if `full`, else with them.
    pub(super) fn checked(&mut self, full: Option<V>, f: &mut dyn FnMut(&mut Self)) {
        let Some(full) = full else {
            let masked = std::mem::replace(&mut self.masked, true);
            f(self);
            self.masked = masked;
            return;
        };
        let mut open = self.e.begin_if(full, &[]);
        let floor = std::mem::replace(&mut self.floor, self.e.level());
        let masked = std::mem::replace(&mut self.masked, false);
        f(self);
        self.e.begin_else(&mut open, &[]);
        self.memo.truncate(self.e.level() as usize);
        self.masked = true;
        f(self);
        (self.masked, self.floor) = (masked, floor);
        self.e.end_if(open, &[]);
        self.settle();
    }

    /// Adds one chunk into the partial sums.
    fn accumulate_chunk(
        &mut self,
        n: &Nest<'k>,
        t: &Tiling<'k>,
        partial: &Buffer,
        vectors: usize,
        rows: usize,
    ) {
        let w = self.w();
        let lanes = even_segments(vectors, t.nv);
        self.over(&lanes, w as i64, Vec::new(), &mut |s, lane, ls, _| {
            s.over(&even_segments(rows, t.mr), 1, Vec::new(), &mut |s, row, rs, _| {
                let mut points = Vec::new();
                for r in 0..rs {
                    for c in 0..ls {
                        let mut pt = vec![Coord::at(row.plus(r as i64)); 2];
                        pt[n.lane] = Coord::lanes(lane.plus((c * w) as i64));
                        points.push(pt);
                    }
                }
                let masked = std::mem::replace(&mut s.masked, true);
                let accs = s.multiply(t, (row, rs), (lane, ls), &points);
                s.masked = masked;
                for (p, a) in points.iter().zip(accs) {
                    s.write_buffer(partial, p, a);
                }
                Vec::new()
            })
        });
    }

    /// Accumulators of a block after this chunk.
    pub(super) fn multiply_long(
        &mut self,
        t: &Tiling<'k>,
        edges: &Edges<'k>,
        row: (Ix, usize),
        lane: (Ix, usize),
        points: &[Vec<Coord>],
        inits: Vec<V>,
    ) -> Vec<V> {
        let t = &Tiling { lane: t.lane.strip(lane.1 * self.w()), ..t.clone() };
        let (partial, some) = &edges.partial;
        let floor = std::mem::replace(&mut self.floor, self.e.level());
        // A branch, not a choice: masked loads of pages that were never written are very slow.
        let mut open = self.e.begin_if(*some, &[]);
        self.e.if_results(&mut open, &inits);
        let outside = std::mem::replace(&mut self.floor, self.e.level());
        let sums: Vec<V> = points.iter().map(|p| self.read_buffer(partial, p)).collect();
        self.e.begin_else(&mut open, &sums);
        self.memo.truncate(self.e.level() as usize);
        self.floor = outside;
        let mut accs = self.e.end_if(open, &inits);
        self.settle();
        let before = accs.clone();
        let (mut ptrs, mut valid, mut step) = (Vec::new(), Vec::new(), Stride::Known(1));
        for r in 0..row.1 {
            let at = row.0.plus(r as i64);
            match &edges.rows {
                Rows::Packed(s) => {
                    ptrs.push(self.address(s.ptr, s.unit, &[Coord::at(at)], &[s.x]));
                    step = s.k;
                    valid.push(None);
                }
                Rows::View(side, from) => {
                    let (p, ok) = self.row_pointer(side, at, *from);
                    ptrs.push(p);
                    valid.push(Some(ok));
                    let k = self.view(side.load.operands[0]).strides[side.k_axis];
                    step = if t.kind == Kind::F32 { k } else { Stride::Known(2) };
                }
            }
        }
        let unit = t.kind.unit();
        let rows = RowPointers { ptrs, unit, step };
        // Where none of the rows exists there is nothing to add.
        let exist: Vec<V> = valid.iter().flatten().copied().collect();
        let exists = self.any(&exist);
        let open_rows = exists.map(|some| {
            let mut open = self.e.begin_if(some, &[]);
            self.e.if_results(&mut open, &before);
            open
        });
        let ask = edges.next.map(|n| self.next_lines(n, t.kind, edges.steps));
        let (zero, four, one) = (self.e.i64(0), self.e.i64(UNROLL), self.e.i64(1));
        let mask = self.e.i64(-UNROLL);
        let main = self.e.op2("arith.andi", edges.steps, mask);
        let (open, iv, args) = self.e.begin_for(zero, main, four, &accs);
        accs = args;
        if let Some(ask) = ask {
            let k = self.e.scale(Ix::from(iv), t.kind.depth() as i64);
            self.ask(ask, k);
        }
        for u in 0..UNROLL {
            self.multiply_rows(t, &rows, lane, Ix::from(iv).plus(u), &mut accs, false);
        }
        accs = self.e.end_for(open, &accs);
        self.settle();
        let (open, iv, args) = self.e.begin_for(main, edges.steps, one, &accs);
        accs = args;
        self.multiply_rows(t, &rows, lane, Ix::from(iv), &mut accs, false);
        accs = self.e.end_for(open, &accs);
        self.settle();
        if let Some(odd) = edges.odd {
            let mut open = self.e.begin_if(odd, &[]);
            self.e.if_results(&mut open, &accs);
            let mut last = accs.clone();
            self.multiply_rows(t, &rows, lane, Ix::from(edges.steps), &mut last, true);
            self.e.begin_else(&mut open, &last);
            accs = self.e.end_if(open, &accs);
            self.settle();
        }
        for (r, ok) in valid.iter().enumerate() {
            let Some(ok) = ok else { continue };
            for c in 0..lane.1 {
                let i = r * lane.1 + c;
                accs[i] = self.e.select(*ok, accs[i], before[i]);
            }
        }
        if let Some(mut open) = open_rows {
            self.e.begin_else(&mut open, &accs);
            self.memo.truncate(self.e.level() as usize);
            accs = self.e.end_if(open, &before);
            self.settle();
        }
        self.floor = floor;
        accs
    }

    /// Address of a row of the broadcast operand at K = `from`, and whether the row exists (if not, some row that
    /// does).
    pub(super) fn row_pointer(&mut self, side: &Side<'k>, row: Ix, from: V) -> (V, V) {
        let view = self.view(side.load.operands[0]);
        let axis = 1 - side.k_axis;
        let at = match side.load.kind {
            OpKind::LoadRows { .. } => self.chosen_row(side.load, Coord::at(row)),
            _ => {
                let off = self.index(side.load.operands[1 + axis]);
                let at = self.e.add(row, off);
                self.e.ix(at)
            }
        };
        let dim = view.dims[axis];
        let ok = self.e.cmpi("ult", at, dim);
        let zero = self.e.i64(0);
        let at = self.e.select(ok, at, zero);
        let pt = [Coord::at(at), Coord::at(from)];
        let strides = [view.strides[axis], view.strides[side.k_axis]];
        let p = self.address(view.ptr, Emit::mem(view.elem), &pt, &strides);
        // A view without rows has no row 0 either; then there is no K to read (its extent is 0 or nothing is read).
        let none = self.e.cmpi("eq", dim, zero);
        let safe = self.scratch;
        let p = self.e.select(none, safe, p);
        (p, ok)
    }
}

/// One address per row of a block.
pub(super) struct RowPointers {
    pub ptrs: Vec<V>,
    pub unit: K,
    pub step: Stride,
}

impl<'k> Lower<'k> {
    /// One step along K of a block; `half`: the last element of an odd K, alone.
    pub(super) fn multiply_rows(
        &mut self,
        t: &Tiling<'k>,
        rows: &RowPointers,
        lane: (Ix, usize),
        k: Ix,
        accs: &mut [V],
        half: bool,
    ) {
        let (w, floor) = (self.w(), self.e.level());
        let vec = Ty::vector(t.kind.lane(), w);
        let lanes: Vec<V> = (0..lane.1)
            .map(|c| {
                if t.unpaired {
                    // Two vectors of 16 bits are a line.
                    let ahead = t.fetch.filter(|_| c % 2 == 0);
                    return self.pair_of_rows(&t.lane, lane.0.plus((c * w) as i64), k, ahead);
                }
                let p = self.panel_address(&t.lane, lane.0, c * w, k);
                if let Some(d) = t.fetch {
                    let q = self.e.address(p, t.lane.unit, &[d], 0);
                    self.e.prefetch(q);
                }
                if let Some(s) = t.fetch_odd.filter(|_| c % 2 == 0) {
                    let row = self.e.scale(k, 2).plus(1);
                    let at = [Coord::at(lane.0.plus((c * w) as i64)), Coord::at(row)];
                    let q = self.address(s.ptr, s.unit, &at, &[s.x, s.k]);
                    self.e.prefetch(q);
                }
                self.e.load_unaligned(floor, p, vec, 4)
            })
            .collect();
        for (r, row) in rows.ptrs.iter().enumerate() {
            let p = self.address(*row, rows.unit, &[Coord::at(k)], &[rows.step]);
            let s = if half {
                let x = self.e.load_unaligned(floor, p, Ty::scalar(K::I16), 2);
                self.e.conv("arith.extui", x, K::I32)
            } else {
                self.e.load_unaligned(floor, p, Ty::scalar(t.kind.lane()), rows.unit.bytes())
            };
            let s = self.e.splat(s, w);
            for (c, l) in lanes.iter().enumerate() {
                let i = r * lane.1 + c;
                accs[i] = self.fused(t.kind, accs[i], s, *l);
            }
        }
    }

    /// Addresses of the rows of a prepared operand.
    pub(super) fn rows_of(&mut self, s: &Source, row: (Ix, usize)) -> RowPointers {
        let ptrs = (0..row.1)
            .map(|r| self.address(s.ptr, s.unit, &[Coord::at(row.0.plus(r as i64))], &[s.x]))
            .collect();
        RowPointers { ptrs, unit: s.unit, step: s.k }
    }
}
