//! Products: on the cube core from global memory to accumulators and out again, on vector cores what goes in and comes back.
//!
//! ```text
//! cube     nd_to_nz ─▶ L1 (Nz) ─load─▶ L0A (Zz), L0B (Zn) ─mmad─▶ L0C (Nz) ─fixpipe─▶ workspace
//! flags    READY    vector to cube: operands are written, the last result is read
//!          TAKEN    cube to vector: operands of an accumulating product are in L1
//!          DONE     cube to vector: the result is written
//! ```
//! Products wider than half the accumulators are computed and go out some columns at a time. Extents are padded to whole fractals with zeros, so that a product is always of whole fractals: one row is never taken for a
//! vector, and a depth that is no multiple of a fractal's adds zeros.

use super::assign_cores::{Chain, Operand, Product};
use super::skew::Skew;
use super::values::{Held, ViewValue};
use super::{Lower, pitch, rows, width};
use crate::passes::order::Answer;
use kcc_compiler::Error;
use kcc_davinci::ir::*;
use kcc_dsl::ir::{Elem, Op, TileType, ValueId};

/// Operands are in the workspace, and earlier results were read.
pub(super) const READY: u8 = 0;
/// The result is in the workspace.
const DONE: u8 = 1;
/// Operands of an accumulating product, or a number, were read.
pub(super) const TAKEN: u8 = 2;

/// Between the vector cores of a group: what one wrote may be read by the other.
pub(super) const PAIR: u8 = 10;

/// Each product's flags answer those before: vector cores wait for one before they raise the next.
pub(super) fn answers() -> Vec<(CoreKind, Answer)> {
    let answer = |kind, waits, raises| (kind, Answer { waits, raises, behind: 0 });
    vec![
        answer(CoreKind::Vector, DONE, READY),
        answer(CoreKind::Vector, TAKEN, READY),
        answer(CoreKind::Cube, READY, DONE),
        answer(CoreKind::Cube, READY, TAKEN),
    ]
}

/// Bytes of a fractal: 16 rows of 32 bytes.
const FRACTAL: i64 = 512;
/// Bytes of an operand that are brought to the operands' memories at a time: half of what there is.
const PIECE: i64 = 32 << 10;
/// Bytes of accumulators that are computed before they go out: half of what there is, so that the next may be computed meanwhile.
const SUMS: i64 = 64 << 10;

/// A matrix in L1 as columns of fractals.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fractals {
    pub buffer: u32,
    /// First byte.
    pub offset: i64,
    /// It is the tile with its axes swapped.
    pub swapped: bool,
}

/// A product's operands in L1.
pub(super) struct Operands {
    /// Of each product of its group: its matrices and their rows.
    left: Vec<(ValueId, Vec<Fractals>, i64)>,
    right: Vec<Fractals>,
}

/// Accumulators that the results of a turn take one after another.
pub(super) struct Ring {
    places: usize,
    /// What each result of the turn took.
    taken: Vec<Vec<u32>>,
}

/// Columns of products with so many rows that are computed at a time. In a skewed loop they are fewer: while one piece goes out, others
/// are computed.
fn columns(rows: &[i64], skewed: bool) -> i64 {
    let all: i64 = rows.iter().map(|m| up(*m, 16)).sum();
    let room = if skewed { SUMS / 2 } else { SUMS };
    (room / (all * 4) / 16 * 16).max(16)
}

fn up(n: i64, to: i64) -> i64 {
    (n + to - 1) / to * to
}

/// Extents of a product.
#[derive(Clone, Copy)]
struct Extents {
    batches: i64,
    n: i64,
    k: i64,
    elem: Elem,
}

impl Extents {
    /// Elements of 32 bytes.
    fn depth(self) -> i64 {
        32 / self.elem.bytes() as i64
    }
}

impl Lower<'_> {
    fn extents(&self, op: &Op) -> Result<Extents, Error> {
        let (a, b) = (self.tile(op.operands[0])?, self.tile(op.operands[1])?);
        let r = a.rank();
        Ok(Extents {
            batches: a.shape[..r - 2].iter().product::<usize>() as i64,
            k: a.shape[r - 1] as i64,
            n: b.shape[r - 1] as i64,
            elem: a.elem,
        })
    }

    fn product(&self, v: ValueId) -> Result<Product, Error> {
        let p = self.cores.and_then(|c| c.products.get(&v)).cloned();
        p.ok_or_else(|| self.bug("a product that no core was given"))
    }

    /// A place in the workspace of this block.
    pub(super) fn shared(&mut self, offset: u64, slot: Val) -> Global {
        let at = self.int(IntOp::Add, self.base, slot);
        let at = self.int(IntOp::Add, at, (offset as i64).into());
        Global::workspace(at)
    }

    pub(super) fn raise(&mut self, pipe: Pipe, flag: u8) {
        self.issue(CrossSet { mode: Mode::Group, pipe, flag });
    }

    /// The vector cores of a group wait for each other, and for all that they have under way.
    pub(super) fn meet(&mut self) {
        self.issue(Barrier { pipe: Pipes::All });
        self.issue(CrossSet { mode: Mode::Pair, pipe: Pipe::Mte3, flag: PAIR });
        self.issue(CrossWait { flag: PAIR });
    }

    // ---- vector cores ------------------------------------------------------------------------------------------

    /// What vector cores do for a product: operands out, the result in.
    pub(super) fn product_on_vector(&mut self, op: &Op) -> Result<(), Error> {
        let v = op.results[0];
        let p = self.product(v)?;
        let mut sent = false;
        for o in [&p.a, &p.b] {
            if let Some(at) = o.workspace {
                self.send(o.source, at, 0.into())?;
                sent = true;
            }
        }
        if p.chain.is_some() {
            if sent {
                self.raise(Pipe::Mte3, READY);
                self.issue(CrossWait { flag: TAKEN });
            }
            return Ok(());
        }
        let acc = op.operands[2];
        self.receive(v, p.out, Some(acc))
    }

    /// In a skewed loop: operands of a late product out.
    pub(super) fn send_operands(&mut self, op: &Op) -> Result<(), Error> {
        let v = op.results[0];
        let p = self.product(v)?;
        let slot = self.slot_of(v, false);
        for o in [&p.a, &p.b] {
            if let Some(at) = o.workspace {
                self.send(o.source, at, slot)?;
            }
        }
        if let Some(flag) = self.exchange(v).filter(|e| e.closes).and_then(|e| e.ready) {
            self.raise(Pipe::Mte3, flag);
        }
        Ok(())
    }

    /// A vector core writes its rows of a tile to the workspace; the first core, if the tile is not shared out.
    fn send(&mut self, v: ValueId, at: u64, slot: Val) -> Result<(), Error> {
        let t = self.tile(v)?.clone();
        let b = self.in_buffer(v)?;
        let w = t.elem.bytes() as i64;
        let dst = self.shared_rows(v, at, slot)?;
        self.open();
        let bytes = width(&t) * w;
        self.issue(CopyOut {
            dst,
            src: Local::new(b, 0),
            elem: t.elem,
            blocks: rows(&t).into(),
            bytes: bytes.into(),
            src_gap: ((pitch(&t) * w - up(bytes, 32)) / 32).into(),
            dst_gap: 0.into(),
            atomic: Atomic::None,
        });
        let then = self.close();
        if self.halves.contains_key(&v) {
            then.into_iter().for_each(|s| self.push(s));
        } else {
            self.only_first(then);
        }
        Ok(())
    }

    /// This core's rows of a tile in the workspace.
    fn shared_rows(&mut self, v: ValueId, at: u64, slot: Val) -> Result<Global, Error> {
        let t = self.tile(v)?.clone();
        let row = t.shape[1..].iter().product::<usize>() * t.elem.bytes();
        let first = self.first_row(v)?;
        let by = self.int(IntOp::Mul, first, (row as i64).into());
        let base = self.int(IntOp::Add, self.base, by);
        let base = self.int(IntOp::Add, base, slot);
        let at = self.int(IntOp::Add, base, (at as i64).into());
        Ok(Global::workspace(at))
    }

    /// Statements for the first vector core of a group alone.
    pub(super) fn only_first(&mut self, then: Vec<Stmt>) {
        self.push(Stmt::If { condition: self.first_core, then, otherwise: Vec::new() });
    }

    /// Waits for a result, and reads it.
    pub(super) fn receive(&mut self, v: ValueId, at: u64, acc: Option<ValueId>) -> Result<(), Error> {
        if !self.fetched.contains_key(&v) {
            self.await_result(v);
        }
        self.fetch(v, at, acc)
    }

    fn await_result(&mut self, v: ValueId) {
        match self.exchange(v) {
            Some(e) if e.opens => self.issue(CrossWait { flag: e.done }),
            Some(_) => {}
            None => self.await_results(v),
        }
    }

    /// In a skewed loop: waits for a result and has it copied in, before anything is done with it.
    pub(super) fn fetch_early(&mut self, op: &Op) -> Result<(), Error> {
        let v = op.results[0];
        self.await_result(v);
        let at = self.product(v)?.out;
        let dst = self.copy_result(v, at)?;
        self.fetched.insert(v, dst);
        Ok(())
    }

    fn is_quiet(&self, v: ValueId) -> bool {
        self.cores.is_some_and(|c| c.quiet.contains(&v))
    }

    /// Says that earlier results were read, unless a later result's flag will, and waits for the next.
    pub(super) fn await_results(&mut self, v: ValueId) {
        if !self.is_quiet(v) {
            self.raise(Pipe::Mte3, READY);
        }
        self.issue(CrossWait { flag: DONE });
    }

    /// Reads a result from the workspace and adds what it was to be added to.
    pub(super) fn fetch(&mut self, v: ValueId, at: u64, acc: Option<ValueId>) -> Result<(), Error> {
        let t = self.tile(v)?.clone();
        let dst = match self.fetched.remove(&v) {
            Some(dst) => dst,
            None => self.copy_result(v, at)?,
        };
        match acc.map(|a| self.get(a)).transpose()? {
            None | Some(Held::Splat(Val::Const(0))) => {}
            Some(Held::Scaled(b, by)) => {
                self.scale_rows_and_add(b, by, dst, &t);
                self.fresh.insert(v);
                self.set(v, Held::Tile(b));
                return Ok(());
            }
            Some(_) => {
                let b = self.in_buffer(acc.unwrap_or(v))?;
                self.binary(Binary::Add, dst, dst, b, &t);
            }
        }
        self.fresh.insert(v);
        self.set(v, Held::Tile(dst));
        Ok(())
    }

    /// A result from the workspace to a buffer.
    fn copy_result(&mut self, v: ValueId, at: u64) -> Result<u32, Error> {
        let t = self.tile(v)?.clone();
        let slot = self.slot_of(v, true);
        let (dst, src) = (self.buffer(&t), self.shared_rows(v, at, slot)?);
        let w = t.elem.bytes() as i64;
        let bytes = width(&t) * w;
        self.issue(CopyIn {
            dst: Local::new(dst, 0),
            src,
            elem: t.elem,
            blocks: rows(&t).into(),
            bytes: bytes.into(),
            src_gap: 0.into(),
            dst_gap: ((pitch(&t) * w - up(bytes, 32)) / 32).into(),
            pad: None,
        });
        Ok(dst)
    }

    // ---- the cube core -----------------------------------------------------------------------------------------

    fn cube_buffer(&mut self, space: Space, layout: Layout, elem: Elem, bytes: i64) -> u32 {
        let id = self.space(elem, bytes);
        if let Some(b) = self.buffers.last_mut() {
            (b.space, b.layout) = (space, layout);
        }
        if let (Space::L1, Some(turned)) = (space, &mut self.turned) {
            turned.insert(id);
        }
        id
    }

    /// In a skewed loop: waits for a late product's operands and has them copied; what is loaded already is named.
    pub(super) fn bring(&mut self, op: &Op) -> Result<(), Error> {
        let v = op.results[0];
        if self.exchange(v).is_some_and(|e| e.closes) {
            let x = self.extents(op)?;
            let all = self.operands_of(v, x)?;
            self.brought.insert(v, all);
        }
        Ok(())
    }

    /// Operands in L1, those of vector cores waited for.
    fn operands_of(&mut self, v: ValueId, x: Extents) -> Result<Operands, Error> {
        let p = self.product(v)?;
        let sent = p.a.workspace.is_some() || p.b.workspace.is_some();
        let exchange = self.exchange(v);
        match &exchange {
            Some(e) => {
                if let Some(flag) = e.ready {
                    self.issue(CrossWait { flag });
                }
            }
            None if sent || p.chain.is_none() && !self.is_quiet(v) => self.issue(CrossWait { flag: READY }),
            None => {}
        }
        let slot = self.slot_of(v, false);
        let right = self.matrices(&p.b, x, slot)?;
        // Rows of several products by the same right operand, or one product's matrices.
        let mut left = Vec::new();
        for member in exchange.map_or(vec![v], |e| e.group) {
            let (q, t) = (self.product(member)?, self.tile(member)?);
            let m = t.shape.iter().rev().nth(1).copied().unwrap_or(1) as i64;
            let slot = self.slot_of(member, false);
            left.push((member, self.matrices(&q.a, x, slot)?, m));
        }
        Ok(Operands { left, right })
    }

    /// A product on the cube core.
    pub(super) fn product_on_cube(&mut self, op: &Op) -> Result<(), Error> {
        let v = op.results[0];
        let (p, x, exchange) = (self.product(v)?, self.extents(op)?, self.exchange(v));
        if exchange.as_ref().is_some_and(|e| !e.closes) {
            // It comes with the last one of its group.
            return Ok(());
        }
        let o = match self.brought.remove(&v) {
            Some(o) => o,
            None => self.operands_of(v, x)?,
        };
        if let Some(chain) = p.chain {
            if p.a.workspace.is_some() || p.b.workspace.is_some() {
                self.raise(Pipe::Mte2, TAKEN);
            }
            let c = self.accumulators.get(&chain).copied();
            let c = c.ok_or_else(|| self.bug("no accumulators"))?;
            for (_, a, m) in &o.left {
                self.multiply(&[(a[0], *m, c)], o.right[0], x, (0, x.n), false);
            }
            return Ok(());
        }
        let rows: Vec<i64> = o.left.iter().map(|l| l.2).collect();
        let columns = columns(&rows, exchange.is_some());
        for (i, b) in o.right.iter().enumerate() {
            let mut first = 0;
            while first < x.n {
                let n = columns.min(x.n - first);
                let sums: Vec<u32> = rows.iter().map(|m| self.accumulator(*m, n, x.elem)).collect();
                let sums = self.in_ring(sums);
                let left: Vec<(Fractals, i64, u32)> =
                    o.left.iter().zip(&sums).map(|((_, a, m), c)| (a[i], *m, *c)).collect();
                self.multiply(&left, *b, x, (first, n), true);
                for ((member, _, m), c) in o.left.iter().zip(&sums) {
                    let (out, to, slot) =
                        (self.product(*member)?.out, self.tile(*member)?.elem, self.slot_of(*member, true));
                    let at = out + ((i as i64 * m * x.n + first) * to.bytes() as i64) as u64;
                    self.out(*c, (at, slot), (*m, n, x.n), to);
                }
                first += n;
            }
        }
        self.raise(Pipe::Fix, exchange.map_or(DONE, |e| e.done));
        Ok(())
    }

    /// Starts a turn of a skewed loop: accumulators go round its results.
    pub(super) fn start_ring(&mut self, s: &Skew) -> Result<(), Error> {
        let (mut pieces, mut most) = (0, 1);
        for group in s.groups() {
            let tiles = group.iter().map(|v| self.tile(*v)).collect::<Result<Vec<_>, _>>()?;
            let size = |t: &TileType, axis: usize| t.shape.get(axis).copied().unwrap_or(1) as i64;
            let rows: Vec<i64> = tiles.iter().map(|t| size(t, 0)).collect();
            let (columns, n) = (columns(&rows, true), tiles.first().map_or(1, |t| size(t, 1)));
            pieces += (n + columns - 1) / columns;
            most = most.max(rows.iter().map(|m| up(*m, 16)).sum::<i64>() * up(n.min(columns), 16) * 4);
        }
        let fit = (2 * SUMS / most).max(1);
        // Each is taken again after as many others as can be, by the last ones and the next turn's first as well.
        let places = (2..=fit).rev().find(|r| pieces % r == 0).unwrap_or(fit);
        self.ring = Some(Ring { places: places as usize, taken: Vec::new() });
        Ok(())
    }

    /// Accumulators, or those of the same size some results before.
    fn in_ring(&mut self, sums: Vec<u32>) -> Vec<u32> {
        let Some(ring) = &mut self.ring else { return sums };
        let bytes =
            |all: &[u32]| -> Vec<u32> { all.iter().map(|b| self.buffers[*b as usize].bytes).collect() };
        let old = ring.taken.len().checked_sub(ring.places).map(|i| ring.taken[i].clone());
        let sums = old.filter(|o| bytes(o) == bytes(&sums)).unwrap_or(sums);
        ring.taken.push(sums.clone());
        sums
    }

    fn accumulator(&mut self, m: i64, n: i64, elem: Elem) -> u32 {
        let to = if elem == Elem::I8 { Elem::I32 } else { Elem::F32 };
        self.cube_buffer(Space::L0c, Layout::Nz, to, up(m, 16) * up(n, 16) * 4)
    }

    /// Accumulators to the workspace, in that type, where rows are `stride` elements apart.
    fn out(&mut self, c: u32, (at, slot): (u64, Val), (m, n, stride): (i64, i64, i64), to: Elem) {
        let dst = self.shared(at, slot);
        self.issue(Fixpipe {
            dst,
            src: Local::new(c, 0),
            elem: if to == Elem::I32 { Elem::I32 } else { Elem::F32 },
            m: m.into(),
            n: n.into(),
            src_stride: up(m, 16).into(),
            dst_stride: stride.into(),
            quant: match to {
                Elem::F16 => Quant::F16,
                Elem::BF16 => Quant::Bf16,
                _ => Quant::None,
            },
            relu: false,
            atomic: Atomic::None,
        });
    }

    /// Accumulators of a loop, zero at first: products of zeros.
    pub(super) fn start_chain(&mut self, result: ValueId) -> Result<(), Error> {
        let t = self.tile(result)?.clone();
        let (m, n) = (t.shape[0] as i64, t.shape[1] as i64);
        let elem = if t.elem == Elem::I32 { Elem::I8 } else { Elem::F16 };
        let c = self.accumulator(m, n, elem);
        self.accumulators.insert(result, c);
        let zeros = self.cube_buffer(Space::L1, Layout::Nz, elem, FRACTAL);
        self.fill(zeros, FRACTAL);
        let (fm, fnn) = (up(m, 16) / 16, up(n, 16) / 16);
        let a = self.cube_buffer(Space::L0a, Layout::Zz, elem, fm * FRACTAL);
        let b = self.cube_buffer(Space::L0b, Layout::Zn, elem, fnn * FRACTAL);
        let from = Fractals { buffer: zeros, offset: 0, swapped: false };
        self.fractals(a, (0, 0, fm, 0), from, elem, false);
        self.fractals(b, (0, 0, fnn, 0), from, elem, false);
        let k = 32 / elem.bytes() as i64;
        self.mmad(c, (a, b), (up(m, 16), up(n, 16), k), elem, true);
        Ok(())
    }

    /// What accumulators of a loop hold, to the workspace.
    pub(super) fn end_chains(&mut self, chains: &[(ValueId, Chain)]) -> Result<(), Error> {
        if !chains.first().is_some_and(|c| self.is_quiet(c.0)) {
            self.issue(CrossWait { flag: READY });
        }
        for (result, chain) in chains {
            let t = self.tile(*result)?.clone();
            let c = self.accumulators.get(result).copied().ok_or_else(|| self.bug("no accumulators"))?;
            let (m, n) = (t.shape[0] as i64, t.shape[1] as i64);
            self.out(c, (chain.out, 0.into()), (m, n, n), t.elem);
        }
        self.raise(Pipe::Fix, DONE);
        Ok(())
    }

    /// The matrices of an operand in L1, one for each batch.
    fn matrices(&mut self, o: &Operand, x: Extents, slot: Val) -> Result<Vec<Fractals>, Error> {
        let Some(at) = o.workspace else {
            let Held::Fractals(f) = self.get(o.source)? else {
                return Err(self.bug("an operand that is not in L1"));
            };
            return Ok(vec![Fractals { swapped: f.swapped != o.swapped, ..f }]);
        };
        let t = self.tile(o.source)?.clone();
        let r = t.rank();
        let (n, k) = (t.shape[r - 2] as i64, t.shape[r - 1] as i64);
        let w = t.elem.bytes() as i64;
        let mut out = Vec::new();
        for i in 0..x.batches {
            let bytes = up(n, 16) * up(k, x.depth().max(16)) * w;
            let buffer = self.cube_buffer(Space::L1, Layout::Nz, t.elem, bytes);
            if n % 16 != 0 || k % x.depth().max(16) != 0 {
                self.fill(buffer, bytes);
            }
            let src = self.shared(at + (i * n * k * w) as u64, slot);
            self.issue(NdToNz {
                dst: Local::new(buffer, 0),
                src,
                elem: t.elem,
                matrices: 1.into(),
                rows: n.into(),
                columns: k.into(),
                src_matrix: 0.into(),
                src_row: k.into(),
                dst_column: up(n, 16).into(),
                dst_row: 1.into(),
                dst_matrix: 1.into(),
            });
            out.push(Fractals { buffer, offset: 0, swapped: o.swapped });
        }
        Ok(out)
    }

    fn fill(&mut self, buffer: u32, bytes: i64) {
        self.issue(FillL1 {
            dst: Local::new(buffer, 0),
            elem: Elem::F16,
            times: 1.into(),
            blocks: (bytes / 32).into(),
            gap: 0.into(),
            value: 0.into(),
        });
    }

    /// A block of a view to L1, as columns of fractals; zeros for what lies outside.
    pub(super) fn load_fractals(
        &mut self,
        view: &ViewValue,
        offsets: &[Val],
        t: &TileType,
    ) -> Result<Fractals, Error> {
        let swapped = view.strides[1].known() != Some(1);
        let (outer, inner) = if swapped { (1, 0) } else { (0, 1) };
        let w = t.elem.bytes() as i64;
        let depth = 32 / w;
        let (n, k) = (t.shape[outer] as i64, t.shape[inner] as i64);
        let bytes = up(n, 16) * up(k, depth.max(16)) * w;
        let buffer = self.cube_buffer(Space::L1, Layout::Nz, t.elem, bytes);
        let (first, rows) = self.inside(offsets[outer], n, view.dims[outer]);
        let (before, columns) = self.inside(offsets[inner], k, view.dims[inner]);
        // No element is before the first along the inner axis, unless an offset overflowed.
        let none = self.int(IntOp::Eq, before, 0.into());
        let columns = self.int(IntOp::Mul, columns, none);
        let some = self.int(IntOp::Lt, 0.into(), columns);
        let rows = self.int(IntOp::Mul, rows, some);
        let part = self.int(IntOp::Lt, rows, up(n, 16).into());
        let short = self.int(IntOp::Lt, columns, up(k, depth.max(16)).into());
        let part = self.int(IntOp::Or, part, short);
        self.open();
        self.fill(buffer, bytes);
        self.issue(Barrier { pipe: Pipes::One(Pipe::Mte2) });
        let fill = self.close();
        self.push(Stmt::If { condition: part, then: fill, otherwise: Vec::new() });
        let stride = view.strides[outer];
        let start = self.int(IntOp::Add, offsets[outer], first);
        let by = self.int(IntOp::Mul, start, stride);
        let by = self.int(IntOp::Add, by, offsets[inner]);
        let from = self.int(IntOp::Add, view.offset, by);
        let from = self.int(IntOp::Mul, from, w.into());
        let to = self.int(IntOp::Mul, first, 32.into());
        let copy = |src: Val, to: Val, rows: Val, stride: Val| NdToNz {
            dst: Local { buffer, offset: to },
            src: Global::of(view.param, src),
            elem: t.elem,
            matrices: 1.into(),
            rows,
            columns,
            src_matrix: 0.into(),
            src_row: stride,
            dst_column: up(n, 16).into(),
            dst_row: 1.into(),
            dst_matrix: 1.into(),
        };
        // The instruction's stride has 16 bits; rows further apart go one by one.
        let low = self.int(IntOp::Lt, 0.into(), stride);
        let high = self.int(IntOp::Le, stride, 65535.into());
        let near = self.int(IntOp::And, low, high);
        self.open();
        self.issue(copy(from, to, rows, stride));
        let then = self.close();
        let i = self.reg();
        self.open();
        let by = self.int(IntOp::Mul, i.into(), stride);
        let by = self.int(IntOp::Mul, by, w.into());
        let src = self.int(IntOp::Add, from, by);
        let by = self.int(IntOp::Mul, i.into(), 32.into());
        let row = self.int(IntOp::Add, to, by);
        self.issue(copy(src, row, 1.into(), 1.into()));
        let body = self.close();
        let otherwise = vec![Stmt::For { counter: i, from: 0.into(), to: rows, step: 1.into(), body }];
        self.push(Stmt::If { condition: near, then, otherwise });
        Ok(Fractals { buffer, offset: 0, swapped })
    }

    /// `c (+)= a · b` for each of the left operands, `n` columns of it from a multiple of 16 on, a piece of the depth at a time: a
    /// piece of the right operand is brought once.
    fn multiply(
        &mut self,
        parts: &[(Fractals, i64, u32)],
        b: Fractals,
        x: Extents,
        (column, n): (i64, i64),
        init: bool,
    ) {
        let (n, d) = (up(n, 16), x.depth());
        let column = column / 16;
        let w = x.elem.bytes() as i64;
        let all = up(x.k, d) / d;
        let rows: i64 = parts.iter().map(|p| up(p.1, 16)).sum();
        let most = (PIECE / (rows.max(n) * d * w)).clamp(1, 255);
        let fnn = n / 16;
        let mut first = 0;
        while first < all {
            let k = most.min(all - first);
            // The smaller operand has more places in its memory: it comes first, while the other's place is still read.
            let right_first = fnn < parts.first().map_or(0, |p| up(p.1, 16) / 16);
            let mut right = None;
            for (a, m, c) in parts {
                let (m, fm) = (up(*m, 16), up(*m, 16) / 16);
                if right_first && right.is_none() {
                    right = Some(self.right(b, x, (column, fnn), (first, k)));
                }
                let left = self.cube_buffer(Space::L0a, Layout::Zz, x.elem, fm * k * FRACTAL);
                for i in 0..fm {
                    // Rows of fractals; a swapped matrix has its fractals the other way round and each transposed.
                    let (start, step) = if a.swapped { (i * all + first, 1) } else { (first * fm + i, fm) };
                    self.fractals(left, (i * k, start, k, step), *a, x.elem, a.swapped);
                }
                let right = *right.get_or_insert_with(|| self.right(b, x, (column, fnn), (first, k)));
                self.mmad(*c, (left, right), (m, n, k * d), x.elem, init && first == 0);
            }
            first += k;
        }
    }

    /// A piece of a right operand: `n` columns of fractals, `k` of the depth.
    fn right(&mut self, b: Fractals, x: Extents, (column, n): (i64, i64), (first, k): (i64, i64)) -> u32 {
        let (columns, all) = (up(x.n, 16) / 16, up(x.k, x.depth()) / x.depth());
        let right = self.cube_buffer(Space::L0b, Layout::Zn, x.elem, n * k * FRACTAL);
        for i in 0..k {
            let (start, step) =
                if b.swapped { ((first + i) * columns + column, 1) } else { (column * all + first + i, all) };
            self.fractals(right, (i * n, start, n, step), b, x.elem, !b.swapped);
        }
        right
    }

    /// `times` fractals from `start` on, `step` apart, to fractal `to` of an operand's memory.
    fn fractals(
        &mut self,
        dst: u32,
        (to, start, times, step): (i64, i64, i64, i64),
        src: Fractals,
        elem: Elem,
        transpose: bool,
    ) {
        let dst_local = Local::new(dst, to * FRACTAL);
        // What was copied a turn before lies in the other slot: behind the buffer's bytes.
        let turned = self.plan.copies_ahead && self.turned.as_ref().is_some_and(|t| t.contains(&src.buffer));
        let other = if turned { i64::from(self.buffers[src.buffer as usize].bytes) } else { 0 };
        let src = Local::new(src.buffer, src.offset + other);
        let (start, times, src_stride, dst_gap) = (start.into(), times.into(), step.into(), 0.into());
        self.issue(LoadData { dst: dst_local, src, elem, start, times, src_stride, dst_gap, transpose });
    }

    fn mmad(&mut self, c: u32, (a, b): (u32, u32), (m, n, k): (i64, i64, i64), elem: Elem, init: bool) {
        self.issue(Mmad {
            dst: Local::new(c, 0),
            a: Local::new(a, 0),
            b: Local::new(b, 0),
            elem,
            m: m.into(),
            n: n.into(),
            k: k.into(),
            init,
        });
    }
}
