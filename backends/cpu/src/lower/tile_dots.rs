//! Products of tiles that are at hand, on AMX: the sums are in scratch memory before the nest reads them.
//!
//! ```text
//! lanes   packed in pairs along K, as for vectors
//! rows    read in place where K is contiguous; else packed in pairs and transposed, 16 by 16 pairs at a time
//!         [K/2][rows] pairs  →  [rows][K/2] pairs
//! ```

use super::dot::{Kind, Role, Source};
use super::nest::segments;
use super::tiles::{DEPTH, Job, ROWS};
use super::{Coord, Lower, Stride};
use crate::plan::Nest;
use crate::plan::contract::is_zero_tile;
use kcc_compiler::emit::{K, Ty, V};
use kcc_dsl::ir::{Elem, Op, TileType, ValueId};

impl<'k> Lower<'k> {
    /// Writes a product of whole tiles; whether it did.
    pub(super) fn dot_on_tiles(&mut self, n: &Nest<'k>, op: &'k Op, kind: Kind) -> bool {
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
        let broadcast = self.source(other, Role::Broadcast, 1 - n.lane, kind);
        if lane.x != Stride::Known(1) || lane.k != Stride::Known(cols as i64) {
            return false;
        }
        let Some(place) = self.tile_rows(other, broadcast, rows, depth) else { return false };
        let sums = self.allocate(&TileType::new(Elem::F32, &n.shape), n.lane);
        let from_zero = is_zero_tile(self.f, op.operands[2]);
        if !from_zero {
            self.fill(&sums, op.operands[2]);
        }
        let steps = self.e.i64(depth as i64 / DEPTH);
        self.configure_tiles();
        self.multiply_tiles(&Job { lane, rows: place, steps, lane_axis: n.lane, from_zero }, &sums);
        self.release_tiles();
        self.buffers.insert(op.results[0], sums);
        true
    }

    /// Address of the first row and bytes between rows, K contiguous.
    fn tile_rows(&mut self, v: ValueId, s: Source, rows: usize, depth: usize) -> Option<(V, V)> {
        match (s.unit, s.x, s.k) {
            (K::I16, x, Stride::Known(2)) => {
                let two = self.e.i64(2);
                let pitch = match x {
                    Stride::Known(x) => self.e.i64(2 * x),
                    Stride::Value(x) => self.e.mul(x, two),
                };
                Some((s.ptr, pitch))
            }
            (K::I32, Stride::Known(1), Stride::Known(pitch)) => {
                debug_assert_eq!(self.f.tile(v).elem.bytes(), 2);
                let to = self.reserve((rows * depth * 2) as i64);
                self.transpose_pairs((s.ptr, pitch), (to, depth as i64 / 2), (depth / 2, rows));
                Some((to, self.e.i64(2 * depth as i64)))
            }
            _ => None,
        }
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
