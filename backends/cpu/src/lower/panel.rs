//! Panels: the operand in lanes of a contraction, packed for the blocks of rows that read it.
//!
//! ```text
//! strip 0 [rows][lanes]   strip 1   …      a register block (a pair of matrix tiles) reads one strip from end to end:
//!                                          one run of memory, which the processor fetches ahead
//! ```
//! A panel is in scratch memory under a tag that says which block it holds, or kept for all launches (`kept.rs`).

use super::dot::{Kind, Source};
use super::kept::{Follow, Slots};
use super::nest::{lane_segments, lane_strips};
use super::{Coord, Lower, Stride};
use crate::plan::contract::Side;
use kcc_compiler::emit::{Emit, Ix, K, Ty, V};
use kcc_dsl::exchange::{PanelForm, SCRATCH_HEADER};
use kcc_dsl::ir::OpKind;

/// Steps along K per iteration of a register block's loop.
pub(super) const UNROLL: i64 = 4;
/// Bytes of a line.
const LINE: i64 = 64;
/// Header slots that say which block a panel holds, and how much of the next one has been asked for.
const TAG_SLOTS: u64 = 4;

/// How the operand in lanes is packed.
pub(super) struct Packing<'k> {
    pub side: Side<'k>,
    pub kind: Kind,
    pub form: PanelForm,
    /// First K, and number of K.
    pub range: (V, V),
    /// Room for one panel.
    scratch: V,
    /// Where panels are kept, if the operand's memory never changes.
    kept: Option<Slots>,
    /// What is asked for while one of them is read.
    pub follow: Follow<'k>,
}

/// One panel of a block and a part of K.
pub(super) struct Panel {
    /// How it is read.
    pub source: Source,
    /// What to ask for meanwhile.
    pub next: Option<NextPanel>,
    /// Of a panel that is kept: whether the last program read another one, so that this one comes from memory; and the one behind it.
    pub cold: Option<(V, V)>,
    /// The panel behind it, if it is kept.
    pub behind: Option<V>,
    /// Whether it is packed already.
    packed: Option<V>,
    /// The word to be set once it is packed, and whether to.
    announce: Option<(V, V)>,
}

/// The block that will be read next. While blocks of this one are multiplied, its lines come into the caches, until all have been
/// asked for: in memory, each register block asks for one column of lines, in as many of its rows as it has steps; of a panel that is
/// kept, for the lines that follow those of the register block before.
#[derive(Clone, Copy)]
pub(super) struct NextPanel {
    /// Its first element in memory.
    ptr: V,
    /// Bytes between its rows.
    row: V,
    /// Where the count of register blocks since the last packing is kept.
    count: V,
    /// Lines in a row.
    lines: i64,
    /// Where panels are kept: whether this one is, the one behind it, its bytes.
    kept: Option<(V, V, V)>,
    /// Lines that an iteration asks for: as few as let eight blocks of rows bring all of a panel. Twice as many at once keep the
    /// panel that is being read waiting (experts of 64 rows in a loop of its own, best of nine: 132 and 166 GFLOP/s).
    at_once: i64,
}

/// What the iterations of a register block's loop ask for: lines from `ptr + k · per_k` on, `per_line` bytes apart.
#[derive(Clone, Copy)]
pub(super) struct Ask {
    ptr: V,
    per_k: V,
    per_line: V,
    at_once: i64,
}

impl<'k> Lower<'k> {
    /// Plans the packing of `columns` columns in strips of at most so many vectors, at most `chunk` along K at a time, rows in multiples of
    /// `whole`.
    pub(super) fn packing(
        &mut self,
        side: Side<'k>,
        kind: Kind,
        (columns, chunk): (usize, usize),
        (vectors, whole): (usize, usize),
        range: (V, V),
    ) -> Packing<'k> {
        let strip = vectors * self.w();
        // Tiles are read in whole pairs; vectors' strips are cut evenly.
        let unit = if whole > 1 { strip } else { self.w() };
        let form = PanelForm {
            k_axis: side.k_axis as u8,
            depth: kind.depth() as u8,
            whole: whole as u8,
            strip: strip as u32,
            width: columns.next_multiple_of(unit) as u32,
            columns: columns as u32,
            chunk: chunk as u32,
        };
        let lanes = form.rows(chunk as u64) as usize * form.width as usize + self.w();
        let scratch = self.reserve((lanes * kind.lane().bytes()) as i64);
        let kept = self.kept_slots(&side, form);
        Packing { side, kind, form, range, scratch, kept, follow: Follow::Behind }
    }

    /// Where `length` of K from `from` on is packed. With `earlier`, the panel is left for programs that follow; it says whether
    /// other parts of K were packed to the same place before.
    pub(super) fn panel(&mut self, p: &Packing<'k>, from: V, length: V, earlier: Option<V>) -> Panel {
        let rows = self.panel_rows(&p.form, length);
        let kept = p.kept.as_ref().and_then(|slots| self.kept_panel(p, slots, from));
        let used = kept.as_ref().map(|k| k.used);
        let (same, first, count) = match earlier {
            Some(earlier) => self.panel_tag(p, (from, length), earlier, used),
            None => (None, None, None),
        };
        let (mut ptr, mut packed) = (p.scratch, same);
        if let Some(k) = &kept {
            ptr = self.e.select(k.used, k.ptr, ptr);
            packed = Some(match same {
                Some(same) => self.e.select(k.used, k.there, same),
                None => k.there,
            });
        }
        let next = match (first, count) {
            (Some(first), Some(count)) => {
                let kept = kept.as_ref().zip(p.kept).map(|(k, slots)| {
                    let ahead = match p.follow {
                        Follow::Behind => None,
                        Follow::Other(side, slots) => {
                            let form = PanelForm { k_axis: side.k_axis as u8, ..p.form };
                            self.kept_elsewhere(&side, form, &slots, from)
                        }
                        Follow::At(panel) => Some(panel),
                    };
                    (k.used, ahead.unwrap_or(k.after), slots.stride)
                });
                self.next_panel(p, (first, count), kept)
            }
            _ => None,
        };
        if let (Some(same), Some(count), Some(_)) = (same, count, &next) {
            let here = self.e.level();
            let (was, zero) = (self.e.load(here, count, Ty::i64()), self.e.i64(0));
            let now = self.e.select(same, was, zero);
            self.e.store(now, count);
        }
        let cold = kept.as_ref().zip(same).map(|(k, same)| {
            let no = self.e.int(K::I1, 0);
            let other = self.e.select(same, no, k.used);
            (other, k.after)
        });
        let strip = Stride::Known(i64::from(p.form.strip));
        let source = Source { ptr, unit: p.kind.lane(), x: Stride::Value(rows), k: strip };
        let behind = kept.as_ref().map(|k| k.after);
        Panel { source, next, cold, behind, packed, announce: kept.map(|k| (k.word, k.mine)) }
    }

    /// Packs a panel unless it is there.
    pub(super) fn fill_panel(&mut self, p: &Packing<'k>, panel: &Panel, from: V, length: V) {
        self.unless(panel.packed, |s| {
            s.pack_panel(p, &panel.source, from, length);
            if p.form.whole > 1 {
                s.end_in_zeros(p, &panel.source, length);
            }
            if let Some((word, mine)) = panel.announce {
                s.announce(word, mine);
            }
        });
    }

    /// [`PanelForm::rows`] of a length known at run time.
    fn panel_rows(&mut self, form: &PanelForm, length: V) -> V {
        let mut rows = length;
        if form.depth > 1 || form.whole > 1 {
            rows = self.whole_rows(form, length);
        }
        let one = self.e.i64(1);
        self.e.op2("arith.ori", rows, one)
    }

    /// Rows that hold something, in whole tiles.
    fn whole_rows(&mut self, form: &PanelForm, length: V) -> V {
        let (depth, whole) = (i64::from(form.depth), i64::from(form.whole));
        let unit = self.e.i64(depth * whole);
        let round = self.e.i64(depth * whole - 1);
        let units = self.e.op2("arith.addi", length, round);
        let units = self.e.op2("arith.divui", units, unit);
        let whole = self.e.i64(whole);
        self.e.mul(units, whole)
    }

    /// Whether the tag says that the panel holds this block (it is renewed if not), the block's first element in memory, and
    /// where register blocks are counted. Where panels are kept (`used`), the tag says whether the last program had the same.
    fn panel_tag(
        &mut self,
        p: &Packing<'k>,
        (from, length): (V, V),
        earlier: V,
        used: Option<V>,
    ) -> (Option<V>, Option<V>, Option<V>) {
        let slot = 2 + TAG_SLOTS * self.panels;
        let OpKind::Load { .. } = p.side.load.kind else { return (None, None, None) };
        if (slot + TAG_SLOTS) * 8 > SCRATCH_HEADER {
            return (None, None, None);
        }
        self.panels += 1;
        let (side, view) = (&p.side, self.view(p.side.load.operands[0]));
        let off = self.index(side.load.operands[2 - side.k_axis]);
        let at = [Coord::at(off)];
        let first = self.address(view.ptr, Emit::mem(view.elem), &at, &[view.strides[1 - side.k_axis]]);
        let address = self.e.pure(Ty::i64(), format!("llvm.ptrtoint {first} : !llvm.ptr to i64"), &[first]);
        let no = self.e.int(K::I1, 0);
        let mut same = vec![self.e.cmpi("eq", earlier, no)];
        let here = self.e.level();
        let mut slots = Vec::new();
        // One more than the length, so that a fresh header never matches; negative for a panel that is kept.
        let (zero, one) = (self.e.i64(0), self.e.i64(1));
        let mut mark = self.e.op2("arith.addi", length, one);
        if let Some(used) = used {
            let other = self.e.op2("arith.subi", zero, mark);
            mark = self.e.select(used, other, mark);
        }
        for (i, now) in [address, from, mark].into_iter().enumerate() {
            let at = self.e.address(self.scratch, K::I64, &[], (slot + i as u64) as i64);
            let was = self.e.load(here, at, Ty::i64());
            same.push(self.e.cmpi("eq", was, now));
            slots.push((at, now));
        }
        let same = self.all(&same);
        for (at, now) in slots {
            self.e.store(now, at);
        }
        let count = self.e.address(self.scratch, K::I64, &[], (slot + TAG_SLOTS - 1) as i64);
        (same, Some(first), Some(count))
    }

    /// The block that programs will read next, if it is known and its rows are contiguous: in memory, or, where panels are kept, the
    /// one behind this.
    fn next_panel(
        &mut self,
        p: &Packing<'k>,
        (first, count): (V, V),
        kept: Option<(V, V, V)>,
    ) -> Option<NextPanel> {
        let view = self.view(p.side.load.operands[0]);
        let Stride::Value(row) = view.strides[p.side.k_axis] else { return None };
        if view.strides[1 - p.side.k_axis] != Stride::Known(1) {
            return None;
        }
        let distance = self.block_along(p.side.load, self.panel_axis?)?;
        let unit = Emit::mem(view.elem);
        let ptr = self.e.address(first, unit, &[distance], 0);
        let bytes = self.e.i64(unit.bytes() as i64);
        let row = self.e.mul(row, bytes);
        let lines = (p.form.columns as usize * unit.bytes()).div_ceil(64) as i64;
        let at_once = if p.form.strip as usize > 2 * self.w() { 2 } else { 1 };
        Some(NextPanel { ptr, row, count, lines, kept, at_once })
    }

    /// What a register block of so many steps along K asks for.
    pub(super) fn next_lines(&mut self, n: NextPanel, kind: Kind, steps: V) -> Ask {
        let level = self.e.level();
        let was = self.e.load(level, n.count, Ty::i64());
        let one = self.e.i64(1);
        let now = self.e.op2("arith.addi", was, one);
        self.e.store(now, n.count);
        let depth = kind.depth() as i64;
        let groups = UNROLL * depth / n.at_once;
        let (lines, all, line) = (self.e.i64(n.lines), self.e.i64(n.lines * groups), self.e.i64(LINE));
        let mut more = self.e.cmpi("ult", was, all);
        let (group, column) = (self.e.op2("arith.divui", was, lines), self.e.op2("arith.remui", was, lines));
        let per_group = self.e.i64(n.at_once);
        let (group, column) = (self.e.mul(group, per_group), self.e.mul(column, line));
        let group = self.e.mul(group, n.row);
        let mut ptr = self.e.address(n.ptr, K::I8, &[group, column], 0);
        let (mut per_k, mut per_line) = (n.row, n.row);
        if let Some((used, after, bytes)) = n.kept {
            let per_step = self.e.i64(LINE * n.at_once / UNROLL);
            let start = self.e.mul(was, steps);
            let start = self.e.mul(start, per_step);
            let left = self.e.cmpi("ult", start, bytes);
            let close = self.e.i64(LINE * n.at_once / (UNROLL * depth));
            let behind = self.e.address(after, K::I8, &[start], 0);
            more = self.e.select(used, left, more);
            ptr = self.e.select(used, behind, ptr);
            per_k = self.e.select(used, close, per_k);
            per_line = self.e.select(used, line, per_line);
        }
        // When all have been asked for: a line that is in the first-level cache.
        let zero = self.e.i64(0);
        ptr = self.e.select(more, ptr, n.count);
        per_k = self.e.select(more, per_k, zero);
        per_line = self.e.select(more, per_line, zero);
        Ask { ptr, per_k, per_line, at_once: n.at_once }
    }

    /// Asks for the lines of the iteration that begins at this element of K.
    pub(super) fn ask(&mut self, a: Ask, k: Ix) {
        for u in 0..a.at_once {
            let at = [Coord::at(k), Coord::at(u)];
            let q = self.address(a.ptr, K::I8, &at, &[Stride::Value(a.per_k), Stride::Value(a.per_line)]);
            self.e.prefetch(q);
        }
    }

    /// Packs `length` of K from `from` on, lanes along the other axis.
    fn pack_panel(&mut self, p: &Packing<'k>, to: &Source, from: V, length: V) {
        let (side, kind, cols) = (&p.side, p.kind, p.form.columns as usize);
        let full = self.other_axis_inside(side, cols);
        self.checked(full, &mut |s| {
            let (w, strip) = (s.w(), p.form.strip as usize);
            let (zero, one) = (s.e.i64(0), s.e.i64(1));
            let signed = s.f.tile(side.value).elem.is_signed();
            let ahead = kind == Kind::PairBf16 && s.isa.amx;
            let row = |s: &mut Self, k: V, pair: bool| {
                let depth = s.e.i64(kind.depth() as i64);
                let first = s.e.mul(k, depth);
                let first = s.e.op2("arith.addi", first, from);
                // Whole strips, so that it is known where in its strip a vector lies.
                let segs = if p.form.whole > 1 {
                    lane_segments(cols, w, s.vectors_at_once().next_multiple_of(strip / w))
                } else {
                    lane_strips(cols, w, strip / w)
                };
                s.over(&segs, w as i64, Vec::new(), &mut |s, ix, size, _| {
                    if ahead && pair {
                        s.ask_for_rows(side, ix, first, kind.depth());
                    }
                    let lanes = if p.form.whole > 1 { strip } else { size * w };
                    for c in 0..size {
                        let at = c * w;
                        let x = Coord::lanes(ix.plus(at as i64));
                        let a = s.side_at(side, x, Coord::at(first));
                        let packed = if kind == Kind::F32 {
                            a
                        } else {
                            let b = pair.then(|| s.side_at(side, x, Coord::at(Ix::from(first).plus(1))));
                            s.e.pair(kind == Kind::PairBf16, signed, a, b)
                        };
                        let block = ix.plus((at / lanes * lanes) as i64);
                        let p = s.panel_address(&to.strip(lanes), block, at % lanes, k.into());
                        s.e.store(packed, p);
                    }
                    Vec::new()
                });
            };
            let steps = if kind == Kind::F32 { length } else { s.e.op2("arith.shrui", length, one) };
            let (open, k, _) = s.e.begin_for(zero, steps, one, &[]);
            row(s, k, true);
            s.e.end_for(open, &[]);
            s.settle();
            if kind != Kind::F32 {
                let bit = s.e.op2("arith.andi", length, one);
                let odd = s.e.cmpi("eq", bit, one);
                let mut open = s.e.begin_if(odd, &[]);
                row(s, steps, false);
                s.e.begin_else(&mut open, &[]);
                s.e.end_if(open, &[]);
                s.settle();
            }
        });
    }

    /// Zeros from the end of K up to a whole tile.
    fn end_in_zeros(&mut self, p: &Packing<'k>, to: &Source, length: V) {
        let depth = i64::from(p.form.depth);
        let (one, unit, round) = (self.e.i64(1), self.e.i64(depth), self.e.i64(depth - 1));
        let steps = self.e.op2("arith.addi", length, round);
        let steps = self.e.op2("arith.divui", steps, unit);
        let whole = self.whole_rows(&p.form, length);
        let (w, strip) = (self.w(), p.form.strip as usize);
        let (open, k, _) = self.e.begin_for(steps, whole, one, &[]);
        let zero = self.e.int_like(Ty::vector(K::I32, w), 0);
        for col in (0..(p.form.columns as usize).next_multiple_of(w)).step_by(w) {
            let at = self.panel_address(to, Ix::from((col / strip * strip) as i64), col % strip, k.into());
            self.e.store(zero, at);
        }
        self.e.end_for(open, &[]);
        self.settle();
    }

    /// Address of a lane of a packed operand: the strip that begins at column `block`, and the lane in it.
    pub(super) fn panel_address(&mut self, s: &Source, block: Ix, lane: usize, k: Ix) -> V {
        let at = [Coord::at(block), Coord::at(lane as i64), Coord::at(k)];
        self.address(s.ptr, s.unit, &at, &[s.x, Stride::Known(1), s.k])
    }
}
