//! Loops over the elements of a shape.
//!
//! A nest runs in blocks of rows × vectors. Reductions down the rows keep one accumulator per vector of the block
//! while the rows go by; reductions along the lanes keep one per row and vector and meet at the end of a row. With
//! a dot, a block is what the registers hold.

use super::dot::Tiling;
use super::pairs::Paired;
use super::{Buffer, Coord, Lower, Result};
use crate::plan::Nest;
use kcc_compiler::emit::{Ix, V};
use kcc_dsl::ir::{Op, OpKind, ReduceOp, ValueId};

/// A run of equal blocks along an axis.
#[derive(Clone, Copy)]
pub(super) struct Segment {
    start: i64,
    blocks: i64,
    size: usize,
}

/// Cuts `0..extent` into blocks.
pub(super) fn segments(extent: usize, block: usize) -> Vec<Segment> {
    let block = block.max(1);
    let full = extent / block;
    let mut out = Vec::new();
    if full > 0 {
        out.push(Segment { start: 0, blocks: full as i64, size: block });
    }
    if !extent.is_multiple_of(block) {
        out.push(Segment { start: (full * block) as i64, blocks: 1, size: extent % block });
    }
    out
}

/// Cuts `0..extent` into as few blocks of at most `block`, none of them much smaller than the others.
pub(super) fn even_segments(extent: usize, block: usize) -> Vec<Segment> {
    let count = extent.div_ceil(block.max(1)).max(1);
    let (size, larger) = (extent / count, extent % count);
    let first = Segment { start: 0, blocks: larger as i64, size: size + 1 };
    let start = (larger * (size + 1)) as i64;
    let rest = Segment { start, blocks: (count - larger) as i64, size };
    [first, rest].into_iter().filter(|s| s.blocks > 0 && s.size > 0).collect()
}

/// Cuts the vectors of a lane axis into blocks; the last block stands alone (its index is known) when its last
/// vector is partial.
pub(super) fn lane_segments(extent: usize, w: usize, block: usize) -> Vec<Segment> {
    partial_alone(segments(extent.div_ceil(w), block), extent, w)
}

/// The same in the strips of a panel, of at most `block` vectors.
pub(super) fn lane_strips(extent: usize, w: usize, block: usize) -> Vec<Segment> {
    partial_alone(even_segments(extent.div_ceil(w), block), extent, w)
}

fn partial_alone(mut out: Vec<Segment>, extent: usize, w: usize) -> Vec<Segment> {
    if !extent.is_multiple_of(w)
        && let Some(last) = out.last_mut()
        && last.blocks > 1
    {
        last.blocks -= 1;
        let tail = Segment { start: last.start + last.blocks * last.size as i64, blocks: 1, size: last.size };
        out.push(tail);
    }
    out
}

type Visit<'a, 'k> = &'a mut dyn FnMut(&mut Lower<'k>, &[Coord]);

/// What runs for a block: its first index, its size, and the values carried through the loops.
type BlockFn<'a, 'k> = &'a mut dyn FnMut(&mut Lower<'k>, Ix, usize, Vec<V>) -> Vec<V>;

/// What a nest writes while it runs.
struct Outputs<'k> {
    keep: Vec<(ValueId, Buffer)>,
    /// What is kept in pairs instead.
    pairs: Vec<Paired>,
    /// Reductions and, for those that give a tile, where their results go.
    reduces: Vec<(&'k Op, ReduceOp, Option<Buffer>)>,
}

impl<'k> Lower<'k> {
    /// Runs `f` for each block; `carried` goes through the loops.
    pub(super) fn over(
        &mut self,
        segments: &[Segment],
        unit: i64,
        carried: Vec<V>,
        f: BlockFn<'_, 'k>,
    ) -> Vec<V> {
        let mut carried = carried;
        for s in segments {
            if s.blocks == 1 {
                carried = f(self, Ix::from(s.start * unit), s.size, carried);
                continue;
            }
            let step = s.size as i64 * unit;
            let (lo, hi) = (self.e.i64(s.start * unit), self.e.i64(s.start * unit + step * s.blocks));
            let step = self.e.i64(step);
            let (open, iv, args) = self.e.begin_for(lo, hi, step, &carried);
            let out = f(self, iv.into(), s.size, args);
            carried = self.e.end_for(open, &out);
            self.settle();
        }
        carried
    }

    /// Visits every element (vectors of them along `lane`) of a shape.
    pub(super) fn each(&mut self, shape: &[usize], lane: usize, f: Visit<'_, 'k>) {
        let mut axes: Vec<usize> = (0..shape.len()).filter(|a| *a != lane).collect();
        if !shape.is_empty() {
            axes.push(lane);
        }
        let mut pt = vec![Coord::at(0); shape.len()];
        self.each_axis(shape, lane, &axes, &mut pt, f);
    }

    /// Visits every element one at a time.
    pub(super) fn each_scalar(&mut self, shape: &[usize], f: Visit<'_, 'k>) {
        let axes: Vec<usize> = (0..shape.len()).collect();
        let mut pt = vec![Coord::at(0); shape.len()];
        self.each_axis(shape, usize::MAX, &axes, &mut pt, f);
    }

    fn each_axis(
        &mut self,
        shape: &[usize],
        lane: usize,
        axes: &[usize],
        pt: &mut Vec<Coord>,
        f: Visit<'_, 'k>,
    ) {
        let Some((axis, rest)) = axes.split_first() else { return f(self, pt) };
        let w = self.w();
        if *axis == lane {
            let segs = lane_segments(shape[lane], w, self.vectors_at_once());
            self.over(&segs, w as i64, Vec::new(), &mut |s, ix, size, _| {
                for c in 0..size {
                    pt[lane] = Coord::lanes(ix.plus((c * w) as i64));
                    s.each_axis(shape, lane, rest, pt, f);
                }
                Vec::new()
            });
        } else {
            self.over(&segments(shape[*axis], 1), 1, Vec::new(), &mut |s, ix, _, _| {
                pt[*axis] = Coord::at(ix);
                s.each_axis(shape, lane, rest, pt, f);
                Vec::new()
            });
        }
    }

    /// As [`Lower::versions`], with a third version that stores past the caches where `stream` holds too.
    fn streaming_versions(
        &mut self,
        accesses: &[&'k Op],
        stream: Option<V>,
        f: &mut dyn FnMut(&mut Self) -> Vec<V>,
    ) -> Vec<V> {
        let Some(stream) = stream else { return self.versions(accesses, f) };
        let mut flags: Vec<V> = accesses.iter().filter_map(|o| self.full(o)).collect();
        flags.push(stream);
        let Some(both) = self.all(&flags) else { return self.versions(accesses, f) };
        let mut open = self.e.begin_if(both, &[]);
        let floor = std::mem::replace(&mut self.floor, self.e.level());
        self.streaming = true;
        let out = f(self);
        self.streaming = false;
        self.e.if_results(&mut open, &out);
        self.e.begin_else(&mut open, &out);
        self.memo.truncate(self.e.level() as usize);
        let out = self.versions(accesses, f);
        self.floor = floor;
        let out = self.e.end_if(open, &out);
        self.settle();
        out
    }

    /// Runs `f` without bounds checks where every access is inside, else with them.
    pub(super) fn versions(&mut self, accesses: &[&'k Op], f: &mut dyn FnMut(&mut Self) -> Vec<V>) -> Vec<V> {
        let flags: Vec<V> = accesses.iter().filter_map(|o| self.full(o)).collect();
        let Some(full) = self.all(&flags) else { return f(self) };
        // The types of the results are known once the first version is written.
        let mut open = self.e.begin_if(full, &[]);
        let floor = std::mem::replace(&mut self.floor, self.e.level());
        let out = f(self);
        self.e.if_results(&mut open, &out);
        self.e.begin_else(&mut open, &out);
        self.memo.truncate(self.e.level() as usize);
        let masked = std::mem::replace(&mut self.masked, true);
        let out = f(self);
        self.masked = masked;
        self.floor = floor;
        let out = self.e.end_if(open, &out);
        self.settle();
        out
    }

    /// Writes a nest.
    pub(super) fn nest(&mut self, n: &Nest<'k>) -> Result<()> {
        let pairs: Vec<Paired> = n.keep.iter().filter_map(|v| self.paired(n, *v)).collect();
        let keep: Vec<(ValueId, Buffer)> = n
            .keep
            .iter()
            .filter(|v| pairs.iter().all(|p| p.value != **v))
            .map(|v| {
                let b = self.shared.get(v).cloned();
                let b =
                    b.unwrap_or_else(|| self.allocate(self.f.tile(*v), self.lanes[v.0 as usize] as usize));
                (*v, b)
            })
            .collect();
        let mut reduces = Vec::new();
        for r in &n.reduces {
            let OpKind::Reduce { op, .. } = r.kind else { continue };
            let v = r.results[0];
            let b = (self.f.rank(v) > 0).then(|| self.allocate(self.f.tile(v), 0));
            reduces.push((*r, op, b));
        }
        let mut outputs = Outputs { keep, pairs, reduces };
        let product = n.dot.map(|op| op.results[0]);
        product.map(|v| self.buffers.remove(&v));
        let tiling = self.tiling(n, &outputs.keep)?;
        // A product may have left its result where it is to be kept.
        outputs
            .keep
            .retain(|(v, kept)| Some(*v) != product || self.buffers.get(v).is_none_or(|b| b.ptr != kept.ptr));
        if let Some(c) = n.contract.filter(|_| tiling.is_none()) {
            // The sums stay where matrix tiles left them.
            let sums = c.loop_op.results[0];
            outputs.keep.retain(|(v, _)| *v != sums || self.shared.contains_key(v));
        }
        if let Some(product) = n.dot {
            self.says(product);
        }
        let mut accesses: Vec<&'k Op> = n.loads.clone();
        accesses.extend(n.stores.iter().filter(|s| !matches!(s.kind, OpKind::Scatter)));
        if n.shape.contains(&0) {
            // Nothing to visit; reductions of nothing are their identity.
            accesses.clear();
        }
        let stream = self.stream_flag(n);
        let nothing_left = tiling.is_none()
            && outputs.keep.is_empty()
            && outputs.pairs.is_empty()
            && outputs.reduces.is_empty()
            && n.stores.is_empty();
        if nothing_left {
            return Ok(());
        }
        let scalars = self.streaming_versions(&accesses, stream, &mut |s| s.nest_body(n, &outputs, &tiling));
        let mut scalars = scalars.into_iter();
        for (op, _, b) in outputs.reduces {
            match b {
                Some(b) => {
                    self.buffers.insert(op.results[0], b);
                }
                None => {
                    let v = scalars.next().expect("one scalar per reduction to a scalar");
                    self.scalars.insert(op.results[0], v);
                }
            }
        }
        for (v, b) in outputs.keep {
            self.buffers.insert(v, b);
        }
        for p in outputs.pairs {
            self.give_pairs(p);
        }
        Ok(())
    }

    /// The loops of one version; gives the scalar results of reductions.
    fn nest_body(&mut self, n: &Nest<'k>, out: &Outputs<'k>, tiling: &Option<Tiling<'k>>) -> Vec<V> {
        let rows_axis = (0..n.shape.len()).rev().find(|a| *a != n.lane);
        let outer: Vec<usize> =
            (0..n.shape.len()).filter(|a| *a != n.lane && Some(*a) != rows_axis).collect();
        let mut pt = vec![Coord::at(0); n.shape.len()];
        let mut result = Vec::new();
        match outer.first() {
            None => result = self.sweep(n, out, tiling, rows_axis, &mut pt),
            Some(a) => {
                self.over(&segments(n.shape[*a], 1), 1, Vec::new(), &mut |s, ix, _, _| {
                    pt[*a] = Coord::at(ix);
                    s.sweep(n, out, tiling, rows_axis, &mut pt);
                    Vec::new()
                });
            }
        }
        result
    }

    fn sweep(
        &mut self,
        n: &Nest<'k>,
        out: &Outputs<'k>,
        tiling: &Option<Tiling<'k>>,
        rows_axis: Option<usize>,
        pt: &mut [Coord],
    ) -> Vec<V> {
        let w = self.w();
        let (extent, rows) = (n.shape[n.lane], rows_axis.map_or(1, |a| n.shape[a]));
        let vectors = extent.div_ceil(w);
        let along_lanes = n.reduce_axis() == Some(n.lane);
        let (mr, nv) = match tiling {
            Some(t) => (t.mr, t.nv),
            None if !out.pairs.is_empty() => (2, vectors.min(4)),
            // With bounds checks, which is rare: little code.
            None if self.masked && out.reduces.is_empty() => (1, 1),
            None if vectors == 1 && out.reduces.is_empty() => (4.min(rows), 1),
            None => (1, vectors.min(if vectors <= 8 { 8 } else { 4 })),
        };
        let (row_segs, lane_segs) = match tiling {
            Some(t) if t.contract.is_some() => (even_segments(rows, mr), lane_strips(extent, w, nv)),
            _ => (segments(rows, mr), lane_segments(extent, w, nv)),
        };
        let per = out.reduces.len();
        if along_lanes {
            let width = if tiling.is_some() { 1 } else { nv };
            let mut scalars = Vec::new();
            self.over(&row_segs, 1, Vec::new(), &mut |s, row, rs, _| {
                let accs = s.identities(out, rs * width);
                let accs = s.over(&lane_segs, w as i64, accs, &mut |s, lane, ls, mut accs| {
                    s.product(n, tiling, rows_axis, pt, (row, rs), (lane, ls));
                    for r in 0..rs {
                        for c in 0..ls {
                            let xs = s.visit(n, out, rows_axis, pt, (row, r), (lane, c));
                            for (i, x) in xs.into_iter().enumerate() {
                                let slot = (r * width + c % width) * per + i;
                                accs[slot] = s.accumulate(out, i, accs[slot], x);
                            }
                        }
                    }
                    accs
                });
                scalars = s.finish_rows(out, row, rs, width, &accs);
                Vec::new()
            });
            return scalars;
        }
        if per > 0 {
            self.over(&lane_segs, w as i64, Vec::new(), &mut |s, lane, ls, _| {
                let accs = s.identities(out, ls);
                let accs = s.over(&row_segs, 1, accs, &mut |s, row, rs, mut accs| {
                    s.product(n, tiling, rows_axis, pt, (row, rs), (lane, ls));
                    for r in 0..rs {
                        for c in 0..ls {
                            let xs = s.visit(n, out, rows_axis, pt, (row, r), (lane, c));
                            for (i, x) in xs.into_iter().enumerate() {
                                accs[c * per + i] = s.accumulate(out, i, accs[c * per + i], x);
                            }
                        }
                    }
                    accs
                });
                for c in 0..ls {
                    for (i, (op, _, b)) in out.reduces.iter().enumerate() {
                        let elem = s.f.tile(op.results[0]).elem;
                        let x = s.finish(out.reduces[i].1, elem, accs[c * per + i]);
                        let at = Coord::lanes(lane.plus((c * w) as i64));
                        let b = b.as_ref().expect("reducing rows of a matrix gives a tile");
                        s.write_buffer(b, &[at], x);
                    }
                }
                Vec::new()
            });
            return Vec::new();
        }
        let mut one = |s: &mut Self, row: (Ix, usize), lane: (Ix, usize)| {
            s.product(n, tiling, rows_axis, pt, row, lane);
            for r in 0..row.1 {
                for c in 0..lane.1 {
                    s.visit(n, out, rows_axis, pt, (row.0, r), (lane.0, c));
                }
            }
        };
        if tiling.is_some() {
            self.over(&lane_segs, w as i64, Vec::new(), &mut |s, lane, ls, _| {
                s.over(&row_segs, 1, Vec::new(), &mut |s, row, rs, _| {
                    s.where_stored(n, (row, rs), &mut |s| one(s, (row, rs), (lane, ls)));
                    Vec::new()
                })
            });
        } else {
            self.over(&row_segs, 1, Vec::new(), &mut |s, row, rs, _| {
                s.where_stored(n, (row, rs), &mut |s| {
                    s.over(&lane_segs, w as i64, Vec::new(), &mut |s, lane, ls, _| {
                        one(s, (row, rs), (lane, ls));
                        Vec::new()
                    });
                });
                Vec::new()
            });
        }
        Vec::new()
    }

    /// Runs `f` for a block of rows, unless none of them is stored.
    fn where_stored(&mut self, n: &Nest<'k>, (row, rows): (Ix, usize), f: &mut dyn FnMut(&mut Self)) {
        if !n.only_stores_rows() {
            return f(self);
        }
        let stored: Vec<V> = (0..rows).map(|r| self.row_is_stored(n, row.plus(r as i64))).collect();
        let some = self.any(&stored);
        self.only_if(some, |s| {
            let floor = std::mem::replace(&mut s.floor, s.e.level());
            f(s);
            s.floor = floor;
        });
    }

    /// Whether a store has a place for this row; of a nest that only stores rows.
    pub(super) fn row_is_stored(&mut self, n: &Nest<'k>, row: Ix) -> V {
        let places: Vec<V> = n
            .stores
            .iter()
            .map(|store| {
                let i = self.chosen_row(store, Coord::at(row));
                let dim = self.view(store.operands[0]).dims[0];
                self.e.cmpi("ult", i, dim)
            })
            .collect();
        self.any(&places).expect("the nest stores")
    }

    fn identities(&mut self, out: &Outputs<'k>, times: usize) -> Vec<V> {
        let w = self.w();
        let each: Vec<V> = out
            .reduces
            .iter()
            .map(|(op, r, _)| {
                let v = self.e.identity(*r, self.f.tile(op.operands[0]).elem);
                self.e.splat(v, w)
            })
            .collect();
        (0..times).flat_map(|_| each.iter().copied()).collect()
    }

    fn accumulate(&mut self, out: &Outputs<'k>, i: usize, acc: V, x: V) -> V {
        let (op, r, _) = &out.reduces[i];
        let elem = self.f.tile(op.operands[0]).elem;
        let w = self.w();
        let x = self.e.splat(x, w);
        self.e.combine(*r, elem, acc, x)
    }

    /// A reduction's result in its element type: sums and products were kept in f32, the others are operands.
    pub(super) fn finish(&mut self, op: ReduceOp, elem: kcc_dsl::ir::Elem, x: V) -> V {
        if matches!(op, ReduceOp::Sum | ReduceOp::Prod) { self.e.round(elem, x) } else { x }
    }

    /// Meets the lanes of each row's accumulators; writes rows of a matrix, returns scalars of a vector.
    fn finish_rows(&mut self, out: &Outputs<'k>, row: Ix, rows: usize, width: usize, accs: &[V]) -> Vec<V> {
        let per = out.reduces.len();
        let mut scalars = Vec::new();
        for r in 0..rows {
            for (i, (op, kind, b)) in out.reduces.iter().enumerate() {
                let elem = self.f.tile(op.operands[0]).elem;
                let mut acc = accs[r * width * per + i];
                for c in 1..width {
                    acc = self.e.combine(*kind, elem, acc, accs[(r * width + c) * per + i]);
                }
                let x = self.e.horizontal(*kind, elem, acc);
                let x = self.finish(*kind, elem, x);
                match b {
                    Some(b) => self.write_buffer(b, &[Coord::at(row.plus(r as i64))], x),
                    None => scalars.push(x),
                }
            }
        }
        scalars
    }

    fn point(
        &self,
        rows_axis: Option<usize>,
        lane_axis: usize,
        pt: &mut [Coord],
        row: (Ix, usize),
        lane: (Ix, usize),
    ) {
        if let Some(a) = rows_axis {
            pt[a] = Coord::at(row.0.plus(row.1 as i64));
        }
        pt[lane_axis] = Coord::lanes(lane.0.plus((lane.1 * self.w()) as i64));
    }

    /// Computes the dot's accumulators of a block.
    fn product(
        &mut self,
        n: &Nest<'k>,
        tiling: &Option<Tiling<'k>>,
        rows_axis: Option<usize>,
        pt: &mut [Coord],
        row: (Ix, usize),
        lane: (Ix, usize),
    ) {
        let Some(t) = tiling else { return };
        let mut points = Vec::new();
        for r in 0..row.1 {
            for c in 0..lane.1 {
                self.point(rows_axis, n.lane, pt, (row.0, r), (lane.0, c));
                points.push(pt.to_vec());
            }
        }
        let accs = self.multiply(t, row, lane, &points);
        for (p, a) in points.iter().zip(accs) {
            self.remember(t.result, p, a);
        }
    }

    /// Computes and writes everything that the nest gives at one point; returns the operands of its reductions.
    fn visit(
        &mut self,
        n: &Nest<'k>,
        out: &Outputs<'k>,
        rows_axis: Option<usize>,
        pt: &mut [Coord],
        row: (Ix, usize),
        lane: (Ix, usize),
    ) -> Vec<V> {
        self.point(rows_axis, n.lane, pt, row, lane);
        let tail = match pt[n.lane].ix.v {
            None => self.tail_mask(n.shape[n.lane] as i64 - pt[n.lane].ix.c),
            Some(_) => None,
        };
        let along_lanes = n.reduce_axis() == Some(n.lane);
        let mut operands = Vec::new();
        for (op, kind, _) in &out.reduces {
            let mut x = self.eval(op.operands[0], pt);
            if let Some(m) = tail.filter(|_| along_lanes) {
                let id = self.e.identity(*kind, self.f.tile(op.operands[0]).elem);
                x = self.e.select(m, x, id);
            }
            operands.push(x);
        }
        let kept: Vec<V> = out.keep.iter().map(|(v, _)| self.eval(*v, pt)).collect();
        let stored: Vec<V> =
            n.stores.iter().map(|s| self.eval(s.operands[s.operands.len() - 1], pt)).collect();
        for ((_, b), x) in out.keep.iter().zip(kept) {
            self.write_buffer(b, pt, x);
        }
        if row.1 % 2 == 1 {
            out.pairs.iter().for_each(|p| self.write_pair(p, n.lane, pt));
        }
        for (s, x) in n.stores.iter().zip(stored) {
            match s.kind {
                OpKind::Scatter => self.scatter_point(s, pt, x),
                _ => self.store_point(s, pt, x),
            }
        }
        operands
    }

    /// The loads that evaluating `v` element by element performs.
    pub(super) fn loads_of(&self, v: ValueId) -> Vec<&'k Op> {
        let (mut out, mut seen, mut todo): (Vec<&'k Op>, Vec<ValueId>, _) = (Vec::new(), Vec::new(), vec![v]);
        while let Some(v) = todo.pop() {
            if self.f.rank(v) == 0 || self.buffers.contains_key(&v) || seen.contains(&v) {
                continue;
            }
            seen.push(v);
            let Some(op) = self.f.op(v) else { continue };
            if matches!(op.kind, OpKind::Load { .. } | OpKind::LoadRows { .. }) {
                out.push(op);
            }
            todo.extend(&op.operands);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cuts(list: Vec<Segment>) -> Vec<(i64, i64, usize)> {
        list.into_iter().map(|s| (s.start, s.blocks, s.size)).collect()
    }

    #[test]
    fn even_blocks_cover_everything_in_as_few_as_can_be() {
        assert_eq!(cuts(even_segments(64, 6)), [(0, 9, 6), (54, 2, 5)]);
        assert_eq!(cuts(even_segments(8, 3)), [(0, 2, 3), (6, 1, 2)]);
        assert_eq!(cuts(even_segments(4, 3)), [(0, 2, 2)]);
        assert_eq!(cuts(even_segments(5, 9)), [(0, 1, 5)]);
        assert!(even_segments(0, 4).is_empty());
        for (extent, block) in (1..40).flat_map(|e| (1..9).map(move |b| (e, b))) {
            let list = even_segments(extent, block);
            let blocks: i64 = list.iter().map(|s| s.blocks).sum();
            assert_eq!(blocks as usize, extent.div_ceil(block));
            assert_eq!(list.iter().map(|s| s.blocks as usize * s.size).sum::<usize>(), extent);
        }
    }

    #[test]
    fn a_partial_vector_is_in_a_block_whose_index_is_known() {
        assert_eq!(cuts(lane_strips(60, 16, 2)), [(0, 1, 2), (2, 1, 2)]);
        assert_eq!(cuts(lane_strips(64, 16, 2)), [(0, 2, 2)]);
    }
}
