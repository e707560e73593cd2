//! Matrix products in register blocks.
//!
//! One operand lies in vector lanes along the result's lane axis, the other is read as scalars and broadcast:
//!
//! ```text
//! acc[r][c] += splat(broadcast[row + r, k]) * lane[k, 16c ..]        f32
//! acc[r][c] += pairs of k at once (vdpbf16ps, vpmaddwd)              bf16, f8 · i8
//! ```

use super::{Buffer, Coord, Lower, Result, Stride, Unsupported};
use crate::plan::Nest;
use crate::plan::lanes::through_transposes;
use kcc_compiler::emit::{Emit, Ix, K, V};
use kcc_dsl::ir::{Block, Elem, Op, OpKind, ValueId};

/// Sums that a block of a product with a packed panel keeps in registers.
const PANEL_SUMS: usize = 24;
/// Most rows of such a block.
const PANEL_ROWS: usize = 8;

/// How an operand takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// In vector lanes.
    Lane,
    /// As scalars.
    Broadcast,
}

/// What is multiplied per lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// One f32.
    F32,
    /// Two bf16 along K, accumulated in f32.
    PairBf16,
    /// Two i16 along K, accumulated in i32.
    PairI16,
}

impl Kind {
    /// Elements of K that one lane holds.
    pub fn depth(self) -> usize {
        if self == Kind::F32 { 1 } else { 2 }
    }

    /// Memory kind of one element of an operand.
    pub fn unit(self) -> K {
        if self == Kind::F32 { K::F32 } else { K::I16 }
    }

    /// Memory kind of one lane.
    pub fn lane(self) -> K {
        if self == Kind::F32 { K::F32 } else { K::I32 }
    }
}

/// An operand ready to be multiplied; distances in elements of [`Source::unit`].
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// Element (0, 0).
    pub ptr: V,
    /// What distances count.
    pub unit: K,
    /// Distance between neighbours along M or N; of an operand in strips, between the blocks of lanes that strips begin with.
    pub x: Stride,
    /// Distance along K: between neighbours (f32) or between pairs.
    pub k: Stride,
}

impl Source {
    /// The strip of a packed operand that has so many lanes.
    pub(super) fn strip(self, lanes: usize) -> Source {
        Source { k: Stride::Known(lanes as i64), ..self }
    }
}

/// A product ready to be written block by block.
#[derive(Clone)]
pub struct Tiling<'k> {
    /// The value that it gives.
    pub result: ValueId,
    /// What it adds to.
    pub acc: ValueId,
    /// Rows of a block.
    pub mr: usize,
    /// Vectors of a block.
    pub nv: usize,
    pub(super) kind: Kind,
    pub(super) lane: Source,
    pub(super) broadcast: Source,
    /// Steps along K (elements or pairs).
    pub(super) steps: Ix,
    pub(super) contract: Option<super::contract::Edges<'k>>,
    /// Whether K lies in the lanes of both operands.
    pub(super) rowwise: bool,
    /// Whether the operand in lanes is bf16 as it lies in memory, its pairs made when they are read.
    pub(super) unpaired: bool,
    /// Distance to the data of the next iteration, to be asked for.
    pub(super) fetch: Option<V>,
    /// Where the operand in lanes was copied: what the next iteration's copy reads, of which the product asks for the
    /// rows that this copy left out. Distances in elements of 16 bits.
    pub(super) fetch_odd: Option<Source>,
}

impl<'k> Lower<'k> {
    /// Which instruction multiplies elements of this type.
    pub(super) fn kind(&self, elem: Elem) -> Kind {
        match elem {
            Elem::BF16 | Elem::F8E4M3 | Elem::F8E5M2 if self.isa.bf16 => Kind::PairBf16,
            e if e.is_float() => Kind::F32,
            _ => Kind::PairI16,
        }
    }

    /// Rows and vectors of a register block for a result of `rows` × `vectors`.
    pub(super) fn register_block(&self, rows: usize, vectors: usize) -> (usize, usize) {
        let budget = if self.isa.avx512 { 16 } else { 12 };
        let nv = vectors.clamp(1, 4);
        let mut mr = (budget / nv).min(rows).max(1);
        // Prefer blocks that divide the rows.
        while mr > 2 && !rows.is_multiple_of(mr) {
            mr -= 1;
        }
        if !rows.is_multiple_of(mr) && rows > 1 && mr <= 2 {
            mr = (budget / nv).min(rows).max(1);
        }
        (mr, nv)
    }

    /// The most rows and vectors of a block of a product with a packed panel. More sums than latency asks for hide the second-level
    /// cache that a panel comes from (1024³ in f32 in turns, one core of a Xeon, medians in GFLOP/s: 8 × 2 vectors 170 to 174, 6 × 4 180 to
    /// 184, 8 × 3 185 to 186); with more than eight rows, those 4 KiB apart push each other out of the first-level cache (11 × 2 172 to 175).
    pub(super) fn panel_block(&self, rows: usize, vectors: usize) -> (usize, usize) {
        if !self.isa.avx512 || vectors < 2 {
            return self.register_block(rows, vectors);
        }
        let block = |nv: usize| ((PANEL_SUMS / nv).min(PANEL_ROWS).min(rows.max(1)), nv);
        let blocks = |nv: usize| rows.max(1).div_ceil(block(nv).0) * vectors.div_ceil(nv);
        let nv = (2..=4).min_by_key(|nv| blocks(*nv)).unwrap_or(2);
        // Strips are as even as can be: no wider than that.
        block(vectors.div_ceil(vectors.div_ceil(nv)))
    }

    /// Prepares the operands of a nest's product, whose result may be written at once where it is to be kept.
    pub(super) fn tiling(&mut self, n: &Nest<'k>, keep: &[(ValueId, Buffer)]) -> Result<Option<Tiling<'k>>> {
        if let Some(c) = &n.contract {
            return self.contraction(n, c);
        }
        let Some(op) = n.dot else { return Ok(None) };
        let (a, b) = (op.operands[0], op.operands[1]);
        let elem = self.f.tile(a).elem;
        if elem == Elem::Bool || elem.bytes() > 1 && !elem.is_float() {
            return Err(Unsupported {
                loc: op.loc,
                message: format!("`dot` of {elem} operands is not available on the CPU"),
                help: "cast the operands to f32, f16, bf16 or i8".into(),
            });
        }
        let kind = self.kind(elem);
        let (lane_value, other) = if n.lane == 1 { (b, a) } else { (a, b) };
        let k = self.f.shape(a)[1];
        if let Some(t) = self.rowwise(n, op, kind) {
            return Ok(Some(t));
        }
        if self.dot_on_tiles(n, op, kind, keep) {
            return Ok(None);
        }
        let next = self.next_lanes(op, n.lane);
        let (rows, vectors) = (n.shape[1 - n.lane], n.shape[n.lane].div_ceil(self.w()));
        let unpaired = self.unpaired(lane_value, n.lane, rows, kind);
        // A copy asks for every second row, the product for the others: memory is kept busy all the time.
        self.ahead_by = next.map(|(v, by)| (v, by, kind.depth() as i64));
        let lane = match unpaired {
            Some(lane) => lane,
            None => self.source(lane_value, Role::Lane, n.lane, kind),
        };
        self.ahead_by = None;
        // What was copied has been asked for by the copy.
        let in_place = unpaired.is_some() || kind == Kind::F32 && !matches!(lane.k, Stride::Known(_));
        let fetch = next.filter(|_| in_place).map(|n| n.1);
        let broadcast = self.source(other, Role::Broadcast, 1 - n.lane, kind);
        let (mut mr, mut nv) = self.register_block(rows, vectors);
        if unpaired.is_none() && fetch.is_some() && self.isa.avx512 && vectors <= 8 {
            // Whole rows of what comes from memory, one after another; the other rows' blocks find it in the caches.
            (mr, nv) = ((16 / vectors).min(rows), vectors);
        }
        Ok(Some(Tiling {
            result: op.results[0],
            acc: op.operands[2],
            mr,
            nv,
            kind,
            lane,
            broadcast,
            steps: Ix::from(k.div_ceil(kind.depth()) as i64),
            contract: None,
            rowwise: false,
            unpaired: unpaired.is_some(),
            fetch,
            fetch_odd: next
                .filter(|_| kind == Kind::PairBf16 && unpaired.is_none())
                .and_then(|(base, by)| self.next_source(base, by, lane_value != base, n.lane)),
        }))
    }

    /// Prepares, before a loop, the operands of the dots inside it that do not change in it.
    pub(super) fn prepare_outside(&mut self, body: &'k Block) {
        let mut inside = std::collections::HashSet::new();
        collect(body, &mut inside);
        let mut dots: Vec<&'k Op> = Vec::new();
        dots_in(body, &mut dots);
        for op in dots {
            let lane = self.lanes[op.results[0].0 as usize] as usize;
            if self.f.rank(op.results[0]) != 2 {
                continue;
            }
            for (i, v) in op.operands[..2].iter().enumerate() {
                let (base, _) = through_transposes(self.f, *v);
                let role = if i == lane { Role::Lane } else { Role::Broadcast };
                let load = self.f.op(base).is_some_and(|o| matches!(o.kind, OpKind::Load { .. }));
                let known = self.buffers.contains_key(&base) || load;
                if inside.contains(&base) || !known || self.prepared.contains_key(&(*v, role, i)) {
                    continue;
                }
                let kind = self.kind(self.f.tile(*v).elem);
                let source = self.source(*v, role, i, kind);
                self.prepared.insert((*v, role, i), source);
            }
        }
    }

    /// An operand in a form that the register block can read; `x_axis` is its axis along M or N.
    pub(super) fn source(&mut self, v: ValueId, role: Role, x_axis: usize, kind: Kind) -> Source {
        if let Some(s) = self.prepared.get(&(v, role, x_axis)) {
            return *s;
        }
        let (base, flip) = through_transposes(self.f, v);
        let axis = |a: usize| if flip { 1 - a } else { a };
        let (xa, ka) = (axis(x_axis), axis(1 - x_axis));
        let k = self.f.shape(v)[1 - x_axis];
        let elem = self.f.tile(v).elem;
        if let Some(b) = self.buffers.get(&base) {
            let (sx, sk) = (b.strides[xa], b.strides[ka]);
            let here = Source { ptr: b.ptr, unit: kind.unit(), x: Stride::Known(sx), k: Stride::Known(sk) };
            if self.readable(elem, kind, role, Stride::Known(sx), Stride::Known(sk), k) {
                return pairs(here, kind);
            }
            return self.pack(v, x_axis, kind, sk == 1 && role == Role::Broadcast);
        }
        if let Some(op) = self.f.op(base)
            && matches!(op.kind, OpKind::Load { .. })
        {
            let view = self.view(op.operands[0]);
            let (sx, sk) = (view.strides[xa], view.strides[ka]);
            let whole = role == Role::Broadcast || self.f.shape(v)[x_axis].is_multiple_of(self.w());
            if whole && self.readable(elem, kind, role, sx, sk, k) {
                return self.in_place(op, v, x_axis, kind, role, (sx, sk));
            }
            return self.pack_or_find(v, x_axis, kind, sk == Stride::Known(1) && role == Role::Broadcast);
        }
        self.pack(v, x_axis, kind, false)
    }

    /// Whether memory with these distances can be multiplied as it is.
    fn readable(&self, elem: Elem, kind: Kind, role: Role, x: Stride, k: Stride, extent: usize) -> bool {
        let one = Stride::Known(1);
        match (kind, role) {
            (Kind::F32, Role::Lane) => elem == Elem::F32 && x == one,
            (Kind::F32, Role::Broadcast) => elem == Elem::F32,
            (Kind::PairBf16, Role::Broadcast) => elem == Elem::BF16 && k == one && extent.is_multiple_of(2),
            _ => false,
        }
    }

    /// Reads a block of a view where it lies if it is wholly inside, else copies it.
    fn in_place(
        &mut self,
        op: &'k Op,
        v: ValueId,
        x_axis: usize,
        kind: Kind,
        role: Role,
        (sx, sk): (Stride, Stride),
    ) -> Source {
        let view = self.view(op.operands[0]);
        let at: Vec<Coord> = (0..2)
            .map(|a| {
                let off = self.index(op.operands[1 + a]);
                Coord::at(off)
            })
            .collect();
        let ptr = self.address(view.ptr, Emit::mem(view.elem), &at, &view.strides);
        let unit = kind.unit();
        let Some(full) = self.full(op) else { return pairs(Source { ptr, unit, x: sx, k: sk }, kind) };
        // The copy keeps the contiguous axis, so that only the other distance differs.
        let value = |s: &mut Self, d: Stride| match d {
            Stride::Known(c) => s.e.i64(c),
            Stride::Value(v) => v,
        };
        let (x0, k0) = (value(self, sx), value(self, sk));
        let mut open = self.e.begin_if(full, &[]);
        self.e.if_results(&mut open, &[ptr, x0, k0]);
        self.e.begin_else(&mut open, &[ptr, x0, k0]);
        self.memo.truncate(self.e.level() as usize);
        let (masked, floor) = (self.masked, self.floor);
        (self.masked, self.floor) = (true, self.e.level());
        let copy = self.pack(v, x_axis, kind, role == Role::Broadcast && sk == Stride::Known(1));
        (self.masked, self.floor) = (masked, floor);
        let (x1, mut k1) = (value(self, copy.x), value(self, copy.k));
        if kind != Kind::F32 && role == Role::Broadcast {
            // Pairs of a row: the distance along K counts elements here.
            k1 = self.e.i64(1);
        }
        let out = self.e.end_if(open, &[copy.ptr, x1, k1]);
        self.settle();
        let pick = |known: Stride, v: V| if known == Stride::Known(1) { known } else { Stride::Value(v) };
        pairs(Source { ptr: out[0], unit, x: pick(sx, out[1]), k: pick(sk, out[2]) }, kind)
    }

    /// Accumulators of a block after the whole K range, in the order of `points`.
    pub(super) fn multiply(
        &mut self,
        t: &Tiling<'k>,
        row: (Ix, usize),
        lane: (Ix, usize),
        points: &[Vec<Coord>],
    ) -> Vec<V> {
        let w = self.w();
        let acc_kind = if t.kind == Kind::PairI16 { K::I32 } else { K::F32 };
        let mut accs: Vec<V> = Vec::with_capacity(points.len());
        for p in points {
            let x = self.eval(t.acc, p);
            let x = self.e.splat(x, w);
            debug_assert_eq!(x.ty.k, acc_kind);
            accs.push(x);
        }
        if t.rowwise {
            return self.multiply_rowwise(t, row, lane.0, accs);
        }
        if let Some(edges) = &t.contract {
            let edges = edges.clone();
            return self.multiply_long(t, &edges, row, lane, points, accs);
        }
        let floor = std::mem::replace(&mut self.floor, self.e.level());
        let known = match t.steps.v {
            None => t.steps.c,
            Some(_) => unreachable!("a dot's K is static"),
        };
        let rows = self.rows_of(&t.broadcast, row);
        let unroll = 4.min(known.max(1));
        let main = known / unroll * unroll;
        if main / unroll > 1 {
            let (lo, hi, step) = (self.e.i64(0), self.e.i64(main), self.e.i64(unroll));
            let (open, iv, args) = self.e.begin_for(lo, hi, step, &accs);
            accs = args;
            for u in 0..unroll {
                self.multiply_rows(t, &rows, lane, Ix::from(iv).plus(u), &mut accs, false);
            }
            accs = self.e.end_for(open, &accs);
            self.settle();
        } else {
            for u in 0..main {
                self.multiply_rows(t, &rows, lane, Ix::from(u), &mut accs, false);
            }
        }
        for k in main..known {
            self.multiply_rows(t, &rows, lane, Ix::from(k), &mut accs, false);
        }
        self.floor = floor;
        accs
    }

    /// `acc + a · b` per lane.
    pub(super) fn fused(&mut self, kind: Kind, acc: V, a: V, b: V) -> V {
        let w = self.w();
        match kind {
            Kind::F32 => self.e.fma(a, b, acc),
            Kind::PairBf16 => {
                let (a, b) = (self.e.relane(a, K::BF16, 2 * w), self.e.relane(b, K::BF16, 2 * w));
                let text = format!("x86vector.avx512.dot {acc}, {a}, {b} : {} -> {}", a.ty, acc.ty);
                self.e.pure(acc.ty, text, &[acc, a, b])
            }
            Kind::PairI16 => {
                let (a, b) = (self.e.relane(a, K::I16, 2 * w), self.e.relane(b, K::I16, 2 * w));
                let name = if w == 16 { "llvm.x86.avx512.pmaddw.d.512" } else { "llvm.x86.avx2.pmadd.wd" };
                let text =
                    format!("llvm.call_intrinsic \"{name}\"({a}, {b}) : ({}, {}) -> {}", a.ty, b.ty, acc.ty);
                let p = self.e.pure(acc.ty, text, &[a, b]);
                self.e.op2("arith.addi", acc, p)
            }
        }
    }
}

/// Counts K in lanes instead of elements: neighbours of a pair lie together, so the distance of pairs is twice that
/// of elements.
pub(super) fn pairs(s: Source, kind: Kind) -> Source {
    match (kind, s.k) {
        (Kind::F32, _) => s,
        (_, Stride::Known(k)) => Source { k: Stride::Known(2 * k), ..s },
        (_, Stride::Value(_)) => s,
    }
}

fn collect(b: &Block, out: &mut std::collections::HashSet<ValueId>) {
    out.extend(&b.args);
    for op in &b.ops {
        out.extend(&op.results);
        for r in &op.regions {
            collect(r, out);
        }
    }
}

fn dots_in<'k>(b: &'k Block, out: &mut Vec<&'k Op>) {
    for op in &b.ops {
        if matches!(op.kind, OpKind::Dot { .. }) {
            out.push(op);
        }
        for r in &op.regions {
            dots_in(r, out);
        }
    }
}
