//! Contractions on AMX: products of 16 rows by 16 columns, 32 bf16 along K at a time.
//!
//! ```text
//!               strip of the panel [K/2][32] pairs: two tiles from end to end
//!                            B0       B1
//! rows [16][K]  A0   ┌────────┬────────┐     four sums in tile registers while K goes by;
//!                    │ C0     │ C1     │     rows are read in place where 32 divides K and all rows exist,
//!               A1   ├────────┼────────┤     else from a copy that ends in zeros
//!                    │ C2     │ C3     │
//!                    └────────┴────────┘     sums are in scratch memory before the nest reads them
//! ```
//! Tiles 0 to 3 are sums, 4 and 5 rows, 6 and 7 columns (Intel SDM volume 2, TILELOADD, TDPBF16PS; palette 1).

use super::dot::{Kind, Source};
use super::nest::segments;
use super::panel::Packing;
use super::{Buffer, Coord, Lower, Stride};
use crate::plan::Nest;
use crate::plan::contract::{Contract, Side, is_zero_tile};
use kcc_compiler::emit::{Emit, Ix, K, Ty, V};
use kcc_dsl::ir::OpKind;

/// Rows of a tile, and its columns of 32 bits.
pub(super) const ROWS: usize = 16;
/// Elements along K that a tile holds.
pub(super) const DEPTH: i64 = 32;
/// Bytes of a tile's row.
const LINE: i64 = 64;
/// Tiles along K after which the sums go to memory, so that the panel's part for two columns of tiles stays in the first-level cache while
/// all rows go by (measured against whole K of 1024: +10%).
const BLOCK: i64 = 8;
/// Pairs of tiles of rows that ask for what is read next: as few as there often are.
const ASKING: usize = 2;
/// How many rows of K before packing reads them lines of a panel for matrix tiles are asked for.
const ROWS_AHEAD: i64 = 16;
/// Fewer rows than these leave too much of a tile empty.
const FEWEST_ROWS: usize = 4;
/// `LDTILECFG`: palette 1; 64 bytes a row and 16 rows for each of the eight tiles.
const CONFIG: [i64; 8] = [1, 0, 0x0040_0040_0040_0040, 0x0040_0040_0040_0040, 0, 0, 0x1010_1010_1010_1010, 0];

/// Where a contraction's operands are.
pub(super) struct TileOperands<'n, 'k> {
    pub n: &'n Nest<'k>,
    pub row_side: Side<'k>,
    /// Whether the rows hold bf16, K contiguous.
    pub in_place: bool,
    /// How the other operand is packed.
    pub packing: Packing<'k>,
    /// Room for a copy of the rows.
    pub converted: Source,
}

/// A product of tiles.
pub(super) struct Job {
    /// Pairs along K, `[K/2][columns]`, or in strips of two tiles.
    pub lane: Source,
    /// Address of the first row, bytes between rows.
    pub rows: (V, V),
    /// Tiles along K.
    pub steps: V,
    /// As many, where they are known and few.
    pub known_steps: Option<i64>,
    /// The sums' axis in lanes.
    pub lane_axis: usize,
    pub start: Start,
    /// Rows up to the last one that matters; tiles behind it are not multiplied.
    pub used: Option<V>,
    /// Whether the panel comes from memory, and the one behind it.
    pub cold: Option<(V, V)>,
}

/// What the sums start from.
#[derive(Clone, Copy)]
pub(super) enum Start {
    /// What the memory holds.
    Memory,
    /// Zero.
    Zero,
    /// Zero where this holds, else what the memory holds.
    ZeroIf(V),
}

/// The part of a panel that is read next: while the first rows are multiplied, its lines are asked for.
#[derive(Clone, Copy)]
struct NextPart {
    /// Whether to.
    ask: V,
    /// The line of this row and step along K.
    at: V,
    /// Lines in each step.
    lines: i64,
}

impl<'k> Lower<'k> {
    /// Whether a contraction with so many rows goes to AMX.
    pub(super) fn multiplies_on_tiles(&self, kind: Kind, rows: usize) -> bool {
        self.isa.amx && kind == Kind::PairBf16 && rows >= FEWEST_ROWS
    }

    /// Writes the whole contraction, in `before` chunks of `size` along K and a last one. The result is in `sums`.
    pub(super) fn contract_on_tiles(
        &mut self,
        c: &Contract<'k>,
        o: &TileOperands<'_, 'k>,
        sums: &Buffer,
        (before, size): (V, V),
    ) {
        let (first, length) = o.packing.range;
        let result = Buffer { shape: o.n.shape.clone(), ..sums.clone() };
        let from_zero = is_zero_tile(self.f, c.loop_op.operands[3]);
        if !from_zero {
            self.fill(&result, c.loop_op.operands[3]);
        }
        let used = self.rows_in_use(o);
        let (zero, one) = (self.e.i64(0), self.e.i64(1));
        let some = self.e.cmpi("ugt", before, zero);
        self.with_tiles(|s| {
            let after = s.e.op2("arith.addi", before, one);
            let (open, i, _) = s.e.begin_for(zero, after, one, &[]);
            let floor = std::mem::replace(&mut s.floor, s.e.level());
            let start = s.e.mul(i, size);
            let from = s.e.op2("arith.addi", first, start);
            let left = s.e.op2("arith.subi", length, start);
            let left = s.e.op2("arith.minsi", left, size);
            let panel = s.panel(&o.packing, from, left, Some(some));
            s.fill_panel(&o.packing, &panel, from, left);
            let rows = s.rows_of_tiles(o, from, left, used);
            let round = s.e.i64(DEPTH - 1);
            let steps = s.e.op2("arith.addi", left, round);
            let depth = s.e.i64(DEPTH);
            let steps = s.e.op2("arith.divui", steps, depth);
            let (lane, lane_axis) = (panel.source, o.n.lane);
            let start = if from_zero { Start::ZeroIf(s.e.cmpi("eq", i, zero)) } else { Start::Memory };
            let cold = panel.cold;
            let job = Job { lane, rows, steps, known_steps: None, lane_axis, start, used: Some(used), cold };
            s.multiply_tiles(&job, sums);
            s.floor = floor;
            s.e.end_for(open, &[]);
            s.settle();
        });
        self.buffers.insert(c.loop_op.results[0], result);
    }

    /// How many rows there are up to the last one that exists and, where rows alone are stored, is stored.
    fn rows_in_use(&mut self, o: &TileOperands<'_, 'k>) -> V {
        let rows = o.n.shape[1 - o.n.lane];
        let zero = self.e.i64(0);
        let chosen = matches!(o.row_side.load.kind, OpKind::LoadRows { .. });
        let stored = o.n.only_stores_rows();
        if !chosen && !stored {
            let axis = 1 - o.row_side.k_axis;
            let dim = self.view(o.row_side.load.operands[0]).dims[axis];
            let off = self.index(o.row_side.load.operands[1 + axis]);
            let (off, all) = (self.e.ix(off), self.e.i64(rows as i64));
            let left = self.e.op2("arith.subi", dim, off);
            let left = self.e.op2("arith.maxsi", left, zero);
            return self.e.op2("arith.minsi", left, all);
        }
        let last = self.over(&segments(rows, 1), 1, vec![zero], &mut |s, row, _, last| {
            let floor = std::mem::replace(&mut s.floor, s.e.level());
            let mut there = Vec::new();
            if chosen {
                there.push(s.row_pointer(&o.row_side, row, zero).1);
            }
            if stored {
                there.push(s.row_is_stored(o.n, row));
            }
            s.floor = floor;
            let there = s.all(&there).expect("one of them was asked");
            let behind = s.e.ix(row.plus(1));
            vec![s.e.select(there, behind, last[0])]
        });
        last[0]
    }

    /// Runs `f` with tiles of full size. Most kernels have them from beginning to end (`Lower::tiles_ready`).
    pub(super) fn with_tiles(&mut self, f: impl FnOnce(&mut Self)) {
        let ready = self.tiles_ready;
        if !ready {
            self.configure_tiles();
        }
        f(self);
        if !ready {
            self.release_tiles();
        }
    }

    /// Gives every tile its full size.
    pub(super) fn configure_tiles(&mut self) {
        let at = self.reserve(LINE);
        for (i, word) in CONFIG.into_iter().enumerate() {
            let p = self.e.address(at, K::I64, &[], i as i64);
            let word = self.e.i64(word);
            self.e.store(word, p);
        }
        self.e.line(format!("llvm.call_intrinsic \"llvm.x86.ldtilecfg\"({at}) : (!llvm.ptr) -> ()"));
    }

    /// Asks for the lines that packing reads some rows of K further on, where rows are contiguous. No register block does that
    /// meanwhile as for vectors (`NextPanel`).
    pub(super) fn ask_for_rows(&mut self, side: &Side<'k>, x: Ix, k: V, rows: usize) {
        let OpKind::Load { .. } = side.load.kind else { return };
        let view = self.view(side.load.operands[0]);
        let (along, across) = (view.strides[side.k_axis], view.strides[1 - side.k_axis]);
        if across != Stride::Known(1) {
            return;
        }
        let off = self.index(side.load.operands[2 - side.k_axis]);
        let x = self.e.add(x, off);
        for row in 0..rows as i64 {
            let at = [Coord::at(Ix::from(k).plus(ROWS_AHEAD + row)), Coord::at(x)];
            let p = self.address(view.ptr, Emit::mem(view.elem), &at, &[along, across]);
            self.e.prefetch(p);
        }
    }

    /// Address of the first row and bytes between rows: where they lie, or of a copy.
    fn rows_of_tiles(&mut self, o: &TileOperands<'_, 'k>, from: V, length: V, used: V) -> (V, V) {
        let rows = o.n.shape[1 - o.n.lane];
        let Stride::Known(pitch) = o.converted.x else { unreachable!("a copy has a known pitch") };
        let copy = (o.converted.ptr, self.e.i64(2 * pitch));
        if !o.in_place {
            self.pack_row_block(&o.row_side, Kind::PairBf16, &o.converted, rows, from, length);
            return copy;
        }
        let inside = self.other_axis_inside(&o.row_side, rows).filter(|_| rows.is_multiple_of(ROWS));
        let Some(inside) = inside else {
            self.copy_rows(o, rows, (from, length), used);
            return copy;
        };
        let (mask, zero) = (self.e.i64(DEPTH - 1), self.e.i64(0));
        let tail = self.e.op2("arith.andi", length, mask);
        let whole = self.e.cmpi("eq", tail, zero);
        let here = self.e.op2("arith.andi", inside, whole);
        let mut open = self.e.begin_if(here, &[]);
        let view = self.view(o.row_side.load.operands[0]);
        let axis = 1 - o.row_side.k_axis;
        let row = self.index(o.row_side.load.operands[1 + axis]);
        let at = [Coord::at(row), Coord::at(from)];
        let strides = [view.strides[axis], Stride::Known(1)];
        let p = self.address(view.ptr, Emit::mem(view.elem), &at, &strides);
        let bytes = self.e.i64(2);
        let pitch = match view.strides[axis] {
            Stride::Known(s) => self.e.i64(2 * s),
            Stride::Value(s) => self.e.mul(s, bytes),
        };
        self.e.if_results(&mut open, &[p, pitch]);
        self.e.begin_else(&mut open, &[p, pitch]);
        self.memo.truncate(self.e.level() as usize);
        let floor = std::mem::replace(&mut self.floor, self.e.level());
        self.copy_rows(o, rows, (from, length), used);
        self.floor = floor;
        let out = self.e.end_if(open, &[copy.0, copy.1]);
        self.settle();
        (out[0], out[1])
    }

    /// Copies rows of bf16, as many as are in use in whole tiles; zeros where a row does not exist and after the end of K.
    fn copy_rows(&mut self, o: &TileOperands<'_, 'k>, rows: usize, (from, length): (V, V), used: V) {
        let ty = Ty::vector(K::I16, DEPTH as usize);
        let (zero, depth, mask) = (self.e.i64(0), self.e.i64(DEPTH), self.e.i64(-DEPTH));
        let main = self.e.op2("arith.andi", length, mask);
        let left = self.e.op2("arith.subi", length, main);
        let some = self.e.cmpi("ne", left, zero);
        let left = self.e.conv("arith.trunci", left, K::I32);
        let lanes = self.e.iota(K::I32, DEPTH as usize);
        let tail = self.e.cmpi("slt", lanes, left);
        let none = self.e.int_like(ty, 0);
        let (round, whole) = (self.e.i64(ROWS as i64 - 1), self.e.i64(-(ROWS as i64)));
        let end = self.e.op2("arith.addi", used, round);
        let end = self.e.op2("arith.andi", end, whole);
        let all = self.e.i64(rows as i64);
        let (end, one) = (self.e.op2("arith.minsi", end, all), self.e.i64(1));
        let (open_rows, row, _) = self.e.begin_for(zero, end, one, &[]);
        {
            let s = &mut *self;
            let (p, exists) = s.row_pointer(&o.row_side, row.into(), from);
            let to = s.address(o.converted.ptr, K::I16, &[Coord::at(Ix::from(row))], &[o.converted.x]);
            let (open, k, _) = s.e.begin_for(zero, main, depth, &[]);
            let level = s.e.level();
            let (p_k, to_k) = (s.e.address(p, K::I16, &[k], 0), s.e.address(to, K::I16, &[k], 0));
            let x = s.e.load_unaligned(level, p_k, ty, 2);
            let x = s.e.select(exists, x, none);
            s.e.store(x, to_k);
            s.e.end_for(open, &[]);
            s.settle();
            let mut open = s.e.begin_if(some, &[]);
            let level = s.e.level();
            let (p_k, to_k) = (s.e.address(p, K::I16, &[main], 0), s.e.address(to, K::I16, &[main], 0));
            let x = s.e.masked_load(level, p_k, tail, none);
            let x = s.e.select(exists, x, none);
            s.e.store(x, to_k);
            s.e.begin_else(&mut open, &[]);
            s.e.end_if(open, &[]);
            s.settle();
        }
        self.e.end_for(open_rows, &[]);
        self.settle();
    }

    /// `sums += rows · panel`.
    pub(super) fn multiply_tiles(&mut self, job: &Job, sums: &Buffer) {
        let rows = sums.shape[1 - job.lane_axis] / ROWS;
        let zero = self.e.i64(0);
        // Where a panel's part is read for one pair of tiles only, sums need not leave the registers.
        if matches!(job.start, Start::Zero) || rows <= 2 || job.known_steps.is_some() {
            return self.multiply_steps(job, sums, (zero, job.steps), job.start);
        }
        // Without any K, sums still start.
        let (one, block) = (self.e.i64(1), self.e.i64(BLOCK));
        let most = self.e.op2("arith.maxsi", job.steps, one);
        let (open, k, _) = self.e.begin_for(zero, most, block, &[]);
        let floor = std::mem::replace(&mut self.floor, self.e.level());
        let end = self.e.op2("arith.addi", k, block);
        let end = self.e.op2("arith.minsi", end, job.steps);
        let start = match job.start {
            Start::ZeroIf(first) => {
                let begins = self.e.cmpi("eq", k, zero);
                Start::ZeroIf(self.e.op2("arith.andi", first, begins))
            }
            other => other,
        };
        self.multiply_steps(job, sums, (k, end), start);
        self.floor = floor;
        self.e.end_for(open, &[]);
        self.settle();
    }

    /// These steps along K.
    fn multiply_steps(&mut self, job: &Job, sums: &Buffer, range: (V, V), start: Start) {
        let (lanes, count) = (sums.shape[job.lane_axis].div_ceil(ROWS), sums.shape[1 - job.lane_axis] / ROWS);
        let unit = ROWS as i64;
        let (lanes, rows) = (segments(lanes, 2), segments(count, 2));
        if job.known_steps.is_some() {
            // Rows once from the second-level cache; the operand in lanes is small.
            self.over(&rows, unit, Vec::new(), &mut |s, row, rs, _| {
                s.over(&lanes, unit, Vec::new(), &mut |s, lane, ls, _| {
                    s.multiply_block(job, sums, (lane, ls), (row, rs), range, start);
                    Vec::new()
                })
            });
        } else {
            self.over(&lanes, unit, Vec::new(), &mut |s, lane, ls, _| {
                s.over(&rows, unit, Vec::new(), &mut |s, row, rs, _| {
                    s.multiply_block(job, sums, (lane, ls), (row, rs), range, start);
                    Vec::new()
                })
            });
        }
    }

    /// These steps along K of at most two by two tiles.
    fn multiply_block(
        &mut self,
        job: &Job,
        sums: &Buffer,
        (lane, ls): (Ix, usize),
        (row, rs): (Ix, usize),
        (from, to): (V, V),
        start: Start,
    ) {
        let across = sums.strides[1 - job.lane_axis];
        let unit = ROWS as i64;
        let here = job.used.map(|used| self.lies_before(row, used));
        let visited = match (here, start) {
            (Some(here), Start::ZeroIf(zero)) => Some(self.e.op2("arith.ori", here, zero)),
            (here, Start::Memory) => here,
            _ => None,
        };
        self.only_if(visited, |s| {
            let line = s.e.i64(4 * across);
            let mut places = Vec::new();
            for (r, c) in (0..rs).flat_map(|r| (0..ls).map(move |c| (r, c))) {
                let at = [row.plus(r as i64 * unit), lane.plus(c as i64 * unit)].map(Coord::at);
                let p = s.address(sums.ptr, K::F32, &at, &[Stride::Known(across), Stride::Known(1)]);
                places.push((2 * r + c, p));
            }
            s.start_tiles(&places, line, start);
            // Rows that are not there leave the sums as they are.
            let end = here.map_or(to, |here| s.e.select(here, to, from));
            let part = s.next_part(job, sums, (lane, row), (from, to));
            let blocks = |s: &mut Self, rs| {
                let ask = part.map(|p| p.ask);
                s.either(ask, &mut |s, asked| {
                    let part = part.filter(|_| asked);
                    s.multiply_along(job, (lane, ls), (row, rs), (from, end), part);
                });
            };
            let second = job.used.filter(|_| rs == 2).map(|used| s.lies_before(row.plus(unit), used));
            s.either(second, &mut |s, both| {
                let alone = second.is_some() && !both;
                if alone {
                    s.multiply_along(job, (lane, ls), (row, 1), (from, end), None);
                } else {
                    blocks(s, rs);
                }
            });
            for (tile, p) in &places {
                s.move_tile("tilestored64", *tile, *p, line);
            }
        });
    }

    /// Whether a row is among the first `used`.
    fn lies_before(&mut self, row: Ix, used: V) -> V {
        let row = self.e.ix(row);
        self.e.cmpi("slt", row, used)
    }

    /// Runs `f(true)` where `cond` holds, else `f(false)`, which it runs alone if nothing is asked.
    fn either(&mut self, cond: Option<V>, f: &mut dyn FnMut(&mut Self, bool)) {
        let Some(cond) = cond else { return f(self, false) };
        let mut open = self.e.begin_if(cond, &[]);
        f(self, true);
        self.e.begin_else(&mut open, &[]);
        self.memo.truncate(self.e.level() as usize);
        f(self, false);
        self.e.end_if(open, &[]);
        self.settle();
    }

    /// Sums in tile registers: zeros, or from memory.
    fn start_tiles(&mut self, places: &[(usize, V)], line: V, start: Start) {
        let zero = match start {
            Start::ZeroIf(zero) => Some(zero),
            Start::Memory | Start::Zero => None,
        };
        self.either(zero, &mut |s, zero| {
            for (tile, p) in places {
                if zero || matches!(start, Start::Zero) {
                    s.tile_call("tilezero", *tile, "", "");
                } else {
                    s.move_tile("tileloadd64", *tile, *p, line);
                }
            }
        });
    }

    /// The part of the panel that is read after this one, of one that comes from memory: the next strip's, that of the first strip
    /// further along K, or the beginning of the panel behind it.
    fn next_part(
        &mut self,
        job: &Job,
        sums: &Buffer,
        (lane, row): (Ix, Ix),
        (from, to): (V, V),
    ) -> Option<NextPart> {
        let (cold, behind) = job.cold?;
        let (columns, pairs) = (sums.shape[job.lane_axis] as i64, sums.shape[1 - job.lane_axis] / (2 * ROWS));
        let asking = pairs.clamp(1, ASKING);
        let lines = 2 * ROWS as i64 / asking as i64;
        let (width, columns, zero) = (self.e.i64(2 * ROWS as i64), self.e.i64(columns), self.e.i64(0));
        let lane = self.e.ix(lane);
        let next = self.e.op2("arith.addi", lane, width);
        let more = self.e.cmpi("slt", next, columns);
        let (next, k) = (self.e.select(more, next, zero), self.e.select(more, from, to));
        let inside = self.e.cmpi("slt", k, job.steps);
        let k = self.e.select(inside, k, zero);
        let k = self.e.scale(k.into(), ROWS as i64);
        let there = self.panel_address(&job.lane, next.into(), 0, k);
        let there = self.e.select(inside, there, behind);
        // Rows that ask follow each other; each step along K asks for so many lines.
        let per_row = self.e.scale(row, BLOCK * lines * LINE / (2 * ROWS as i64));
        let at = self.address(there, K::I8, &[Coord::at(per_row)], &[Stride::Known(1)]);
        let rows = self.e.i64((asking * 2 * ROWS) as i64);
        let early = self.lies_before(row, rows);
        let ask = self.e.op2("arith.andi", cold, early);
        Some(NextPart { ask, at, lines })
    }

    /// Multiplies at most two by two tiles along K, into the sums in tile registers.
    fn multiply_along(
        &mut self,
        job: &Job,
        (lane, ls): (Ix, usize),
        (row, rs): (Ix, usize),
        (from, to): (V, V),
        part: Option<NextPart>,
    ) {
        let unit = ROWS as i64;
        let Stride::Known(pitch) = job.lane.k else { unreachable!("a panel has a known pitch") };
        let lane_line = self.e.i64(4 * pitch);
        let row_ptrs: Vec<V> = (0..rs)
            .map(|r| {
                let at = Coord::at(row.plus(r as i64 * unit));
                self.address(job.rows.0, K::I8, &[at], &[Stride::Value(job.rows.1)])
            })
            .collect();
        let step = |s: &mut Self, k: Ix| {
            for (r, p) in row_ptrs.iter().enumerate() {
                let at = s.e.scale(k, LINE);
                let p = s.address(*p, K::I8, &[Coord::at(at)], &[Stride::Known(1)]);
                s.move_tile("tileloadd64", 4 + r, p, job.rows.1);
            }
            for c in 0..ls {
                let row = s.e.scale(k, unit);
                let p = s.panel_address(&job.lane, lane, c * ROWS, row);
                s.move_tile("tileloadd64", 6 + c, p, lane_line);
            }
            if let Some(part) = part {
                let k = s.e.ix(k);
                let done = s.e.op2("arith.subi", k, from);
                for i in 0..part.lines {
                    let at = [Coord::at(done), Coord::at(i)];
                    let steps = [part.lines * LINE, LINE].map(Stride::Known);
                    let p = s.address(part.at, K::I8, &at, &steps);
                    s.e.prefetch(p);
                }
            }
            for (r, c) in (0..rs).flat_map(|r| (0..ls).map(move |c| (r, c))) {
                let [a, b] = [4 + r, 6 + c].map(|t| s.e.int(K::I8, t as i64));
                s.tile_call("tdpbf16ps", 2 * r + c, &format!(", {a}, {b}"), ", i8, i8");
            }
        };
        match job.known_steps {
            Some(n) => (0..n).for_each(|k| step(self, Ix::from(k))),
            None => {
                let one = self.e.i64(1);
                let (open, k, _) = self.e.begin_for(from, to, one, &[]);
                step(self, Ix::from(k));
                self.e.end_for(open, &[]);
                self.settle();
            }
        }
    }

    /// Reads or writes a tile, its rows this many bytes apart.
    fn move_tile(&mut self, how: &str, tile: usize, p: V, pitch: V) {
        self.tile_call(how, tile, &format!(", {p}, {pitch}"), ", !llvm.ptr, i64");
    }

    /// An instruction on a tile; further operands and their types begin with a comma.
    fn tile_call(&mut self, how: &str, tile: usize, operands: &str, types: &str) {
        let tile = self.e.int(K::I8, tile as i64);
        self.e.line(format!("llvm.call_intrinsic \"llvm.x86.{how}\"({tile}{operands}) : (i8{types}) -> ()"));
    }

    /// Tiles are given back: saving them at a task switch costs, and so does keeping them.
    pub(super) fn release_tiles(&mut self) {
        self.e.line("llvm.call_intrinsic \"llvm.x86.tilerelease\"() : () -> ()".into());
    }
}
