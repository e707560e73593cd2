//! bf16 operands in lanes that few rows read: paired along K in registers, as they come from memory.
//!
//! ```text
//! rows k, k + 1 in memory     a0 a1 a2 …   b0 b1 b2 …
//! one shuffle                 a0 b0 a1 b1 a2 b2 …          for the products of all rows
//! ```
//! A copy in pairs pays where many rows, or programs that follow, read it.

use super::dot::{Kind, Role, Source};
use super::{Coord, Lower, Stride};
use crate::plan::lanes::through_transposes;
use kcc_compiler::emit::{Emit, Ix, K, Ty, V};
use kcc_dsl::ir::{Elem, OpKind, ValueId};

/// Most rows that read an operand as it is.
const MOST_ROWS: usize = 8;

impl<'k> Lower<'k> {
    /// The operand where it lies, its rows (along K) single: distances count elements. `None` where it is to be copied in pairs.
    pub(super) fn unpaired(&mut self, v: ValueId, x_axis: usize, rows: usize, kind: Kind) -> Option<Source> {
        let shape = self.f.shape(v);
        let whole = shape[1 - x_axis].is_multiple_of(2) && shape[x_axis].is_multiple_of(self.w());
        let narrow = kind == Kind::PairBf16 && self.f.tile(v).elem == Elem::BF16;
        if !narrow || !whole || rows > MOST_ROWS || self.prepared.contains_key(&(v, Role::Lane, x_axis)) {
            return None;
        }
        let (base, flip) = through_transposes(self.f, v);
        let (x, k) = if flip { (1 - x_axis, x_axis) } else { (x_axis, 1 - x_axis) };
        let load = self.f.op(base).filter(|op| matches!(op.kind, OpKind::Load { .. }))?;
        if self.buffers.contains_key(&base) || self.shared_by_programs(load) {
            return None;
        }
        let view = self.view(load.operands[0]);
        let (Stride::Known(1), Stride::Value(row)) = (view.strides[x], view.strides[k]) else { return None };
        let at: Vec<Coord> = (0..2).map(|a| Coord::at(self.index(load.operands[1 + a]))).collect();
        let ptr = self.address(view.ptr, Emit::mem(view.elem), &at, &view.strides);
        let place = |ptr, row| Source { ptr, unit: K::I16, x: Stride::Known(1), k: Stride::Value(row) };
        let Some(full) = self.full(load) else { return Some(place(ptr, row)) };
        let mut open = self.e.begin_if(full, &[]);
        self.e.if_results(&mut open, &[ptr, row]);
        self.e.begin_else(&mut open, &[ptr, row]);
        self.memo.truncate(self.e.level() as usize);
        let (masked, floor) = (self.masked, self.floor);
        (self.masked, self.floor) = (true, self.e.level());
        let copy = self.allocate(self.f.tile(base), x);
        let extents = copy.shape.clone();
        self.each(&extents, x, &mut |s, pt: &[Coord]| {
            let element = s.eval(base, pt);
            s.write_buffer(&copy, pt, element);
        });
        (self.masked, self.floor) = (masked, floor);
        let distance = self.e.i64(copy.strides[k]);
        let out = self.e.end_if(open, &[copy.ptr, distance]);
        self.settle();
        Some(place(out[0], out[1]))
    }

    /// The pairs of rows `2k` and `2k + 1` from lane `x` on; with `ahead`, asks for what lies so far behind them.
    pub(super) fn pair_of_rows(&mut self, s: &Source, x: Ix, k: Ix, ahead: Option<V>) -> V {
        let (w, level) = (self.w(), self.e.level());
        let half = Ty::vector(K::I16, w);
        let [a, b] = [0, 1].map(|i| {
            let row = self.e.scale(k, 2).plus(i);
            let p = self.address(s.ptr, s.unit, &[Coord::at(x), Coord::at(row)], &[s.x, s.k]);
            if let Some(distance) = ahead {
                let q = self.e.address(p, s.unit, &[distance], 0);
                self.e.prefetch(q);
            }
            self.e.load_unaligned(level, p, half, 2)
        });
        let turns: Vec<String> = (0..2 * w).map(|i| (i / 2 + i % 2 * w).to_string()).collect();
        let text = format!("vector.shuffle {a}, {b} [{}] : {half}, {half}", turns.join(", "));
        let pairs = self.e.pure(Ty::vector(K::I16, 2 * w), text, &[a, b]);
        self.e.relane(pairs, K::I32, w)
    }
}
