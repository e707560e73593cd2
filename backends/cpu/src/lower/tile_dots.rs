//! Products of tiles that are at hand, on AMX: the sums are in scratch memory before the nest reads them.
//!
//! ```text
//! lanes   packed in pairs along K, as for vectors
//! rows    read in place where K is contiguous; else packed in pairs and transposed, 16 by 16 pairs at a time
//!         [K/2][rows] pairs  →  [rows][K/2] pairs
//! ```

use super::dot::{Kind, Role};
use super::nest::segments;
use super::tiles::{DEPTH, Job, ROWS, Start};
use super::{Buffer, Coord, Lower, Stride};
use crate::plan::Nest;
use crate::plan::contract::is_zero_tile;
use crate::plan::lanes::through_transposes;
use kcc_compiler::emit::{K, Ty, V};
use kcc_dsl::ir::{Elem, Op, OpKind, TileType, ValueId};

/// Tiles along K up to which no loop is needed.
const MOST_UNROLLED: i64 = 4;

impl<'k> Lower<'k> {
    /// Writes a product of whole tiles; whether it did.
    pub(super) fn dot_on_tiles(
        &mut self,
        n: &Nest<'k>,
        op: &'k Op,
        kind: Kind,
        keep: &[(ValueId, Buffer)],
    ) -> bool {
        let (rows, cols) = (n.shape[1 - n.lane], n.shape[n.lane]);
        let depth = self.f.shape(op.operands[0])[1];
        let whole = rows.is_multiple_of(ROWS) && cols.is_multiple_of(ROWS);
        if !self.multiplies_on_tiles(kind, rows)
            || !whole
            || !depth.is_multiple_of(DEPTH as usize)
            || depth == 0
        {
            return false;
        }
        let (a, b) = (op.operands[0], op.operands[1]);
        let (lane_value, other) = if n.lane == 1 { (b, a) } else { (a, b) };
        let lane = self.source(lane_value, Role::Lane, n.lane, kind);
        if lane.x != Stride::Known(1) || lane.k != Stride::Known(cols as i64) {
            return false;
        }
        let Some(place) = self.tile_rows(other, 1 - n.lane, rows, depth) else { return false };
        let sums = self
            .sums_where_kept(n, op.results[0], keep)
            .unwrap_or_else(|| self.allocate(&TileType::new(Elem::F32, &n.shape), n.lane));
        let from_zero = is_zero_tile(self.f, op.operands[2]);
        let there = self.buffers.get(&op.operands[2]).is_some_and(|b| b.ptr == sums.ptr);
        if !from_zero && !there {
            self.fill(&sums, op.operands[2]);
        }
        let count = depth as i64 / DEPTH;
        let (steps, known_steps) = (self.e.i64(count), (count <= MOST_UNROLLED).then_some(count));
        self.with_tiles(|s| {
            let start = if from_zero { Start::Zero } else { Start::Memory };
            let (lane_axis, used, cold) = (n.lane, None, None);
            let job = Job { lane, rows: place, steps, known_steps, lane_axis, start, used, cold };
            s.multiply_tiles(&job, &sums);
        });
        self.buffers.insert(op.results[0], sums);
        true
    }

    /// Where the result is kept, if the sums can be there. Memory shared with a carried tile is overwritten before the rest of
    /// the nest runs: there must be none.
    fn sums_where_kept(&self, n: &Nest<'k>, v: ValueId, keep: &[(ValueId, Buffer)]) -> Option<Buffer> {
        let (_, kept) = keep.iter().find(|(k, _)| *k == v)?;
        let alone = n.keep == [v] && n.named == [v] && n.reduces.is_empty() && n.stores.is_empty();
        let dense = kept.strides[n.lane] == 1 && kept.strides[1 - n.lane] == n.shape[n.lane] as i64;
        let fits = kept.elem == Elem::F32 && kept.shape == n.shape && dense;
        (fits && (alone || !self.shared.contains_key(&v))).then(|| kept.clone())
    }

    /// Address of the first row and bytes between rows, K contiguous.
    fn tile_rows(&mut self, v: ValueId, x_axis: usize, rows: usize, depth: usize) -> Option<(V, V)> {
        let pitch = 2 * depth as i64;
        if !self.prepared.contains_key(&(v, Role::Broadcast, x_axis)) && self.strided_along_k(v, x_axis) {
            let size = rows as i64 * pitch;
            let found = self.find_or_make(v, (x_axis, "rows of tiles"), size, &mut |s, to| {
                let pairs = s.pack(v, x_axis, Kind::PairBf16, false);
                s.transpose_pairs((pairs.ptr, rows as i64), (to, depth as i64 / 2), (depth / 2, rows));
            });
            if let Some(to) = found {
                return Some((to, self.e.i64(pitch)));
            }
        }
        let s = self.source(v, Role::Broadcast, x_axis, Kind::PairBf16);
        match (s.unit, s.x, s.k) {
            (K::I16, x, Stride::Known(2)) => {
                let two = self.e.i64(2);
                let pitch = match x {
                    Stride::Known(x) => self.e.i64(2 * x),
                    Stride::Value(x) => self.e.mul(x, two),
                };
                Some((s.ptr, pitch))
            }
            (K::I32, Stride::Known(1), Stride::Known(from)) => {
                // Whatever the operand's type was, packing made pairs of bf16.
                let to = self.reserve(rows as i64 * pitch);
                self.transpose_pairs((s.ptr, from), (to, depth as i64 / 2), (depth / 2, rows));
                Some((to, self.e.i64(pitch)))
            }
            _ => None,
        }
    }

    /// Whether an operand is loaded from where neighbours along K do not lie together.
    fn strided_along_k(&self, v: ValueId, x_axis: usize) -> bool {
        let (base, flip) = through_transposes(self.f, v);
        let k_axis = if flip { x_axis } else { 1 - x_axis };
        self.f.op(base).is_some_and(|op| {
            matches!(op.kind, OpKind::Load { .. })
                && self.f.unit_axis(op.operands[0]) != Some(k_axis)
                && self.f.tile(base).elem.bytes() == 2
        })
    }

    /// Transposes 32-bit elements, `rows` by `cols` of them, from and to memory with these distances between rows.
    fn transpose_pairs(&mut self, from: (V, i64), to: (V, i64), (rows, cols): (usize, usize)) {
        let unit = ROWS as i64;
        self.over(&segments(rows / ROWS, 1), unit, Vec::new(), &mut |s, row, _, _| {
            s.over(&segments(cols / ROWS, 1), unit, Vec::new(), &mut |s, col, _, _| {
                let line = Ty::vector(K::I32, ROWS);
                let level = s.e.level();
                let place = |s: &mut Self, (p, pitch): (V, i64), at: [_; 2]| {
                    s.address(p, K::I32, &at.map(Coord::at), &[Stride::Known(pitch), Stride::Known(1)])
                };
                let mut lines = Vec::new();
                for i in 0..unit {
                    let p = place(s, from, [row.plus(i), col]);
                    lines.push(s.e.load_unaligned(level, p, line, 4));
                }
                for bit in [1, 2, 4, 8] {
                    lines = s.swap_bit(&lines, bit);
                }
                for (i, v) in lines.into_iter().enumerate() {
                    let p = place(s, to, [col.plus(i as i64), row]);
                    s.e.store(v, p);
                }
                Vec::new()
            })
        });
    }

    /// Exchanges a bit of each element's row with the same bit of its lane: for every bit in turn, a transposition.
    fn swap_bit(&mut self, lines: &[V], bit: usize) -> Vec<V> {
        let place = |row: usize, lane: usize| {
            let (from_row, from_lane) = (row & !bit | lane & bit, lane & !bit | row & bit);
            from_lane + if from_row & bit == 0 { 0 } else { ROWS }
        };
        (0..ROWS)
            .map(|row| {
                let (a, b) = (lines[row & !bit], lines[row | bit]);
                let list: Vec<String> = (0..ROWS).map(|lane| place(row, lane).to_string()).collect();
                let text = format!("vector.shuffle {a}, {b} [{}] : {}, {}", list.join(", "), a.ty, b.ty);
                self.e.pure(a.ty, text, &[a, b])
            })
            .collect()
    }
}
