//! Tiles of bf16 that only products read, in vector lanes: written in pairs along K where they are computed, so that
//! no product copies them.
//!
//! ```text
//! rows k, k + 1 of a tile     a0 a1 a2 …  b0 b1 b2 …
//! as products read them       a0 b0 a1 b1 a2 b2 …        vcvtne2ps2bf16 and one shuffle
//! ```
//! The conversion takes denormal numbers for zero, and so do the products (Intel SDM volume 2, VCVTNE2PS2BF16, VDPBF16PS,
//! TDPBF16PS).

use super::dot::{Kind, Role, Source};
use super::{Coord, Lower, Stride};
use crate::plan::Nest;
use kcc_compiler::emit::{K, Ty, V};
use kcc_dsl::ir::{Elem, OpKind, ValueId};

/// A tile that a nest writes in pairs.
pub(super) struct Paired {
    /// The tile.
    pub value: ValueId,
    /// `[rows / 2][columns]` pairs.
    at: V,
    columns: i64,
    /// The operands that it is, perhaps transposed, and their axis along M or N.
    operands: Vec<(ValueId, usize)>,
}

impl<'k> Lower<'k> {
    /// Room for a kept value in pairs, if every use reads them.
    pub(super) fn paired(&mut self, n: &Nest<'k>, v: ValueId) -> Option<Paired> {
        let ty = self.f.tile(v);
        let plain = n.dot.is_none() && n.contract.is_none() && !self.shared.contains_key(&v);
        if !plain || ty.elem != Elem::BF16 || ty.rank() != 2 || self.kind(ty.elem) != Kind::PairBf16 {
            return None;
        }
        let (rows, columns) = (ty.shape[1 - n.lane], ty.shape[n.lane]);
        if rows == 0 || !rows.is_multiple_of(2) || columns == 0 || !columns.is_multiple_of(self.w()) {
            return None;
        }
        let mut operands = Vec::new();
        if !self.read_in_lanes(v, n.lane, &mut operands) {
            return None;
        }
        let at = self.reserve(((rows / 2 * columns + self.w()) * Kind::PairBf16.lane().bytes()) as i64);
        Some(Paired { value: v, at, columns: columns as i64, operands })
    }

    /// Whether products alone read `v`, this axis of it in lanes; collects the operands.
    fn read_in_lanes(&self, v: ValueId, axis: usize, operands: &mut Vec<(ValueId, usize)>) -> bool {
        let uses = &self.f.uses[v.0 as usize];
        !uses.is_empty()
            && uses.iter().all(|u| match &u.op.kind {
                _ if u.yielded => false,
                OpKind::Dot { .. } if self.f.rank(u.op.results[0]) == 2 => {
                    let lane = self.lanes[u.op.results[0].0 as usize] as usize;
                    let others = [u.op.operands[1 - lane], u.op.operands[2]];
                    operands.push((v, lane));
                    u.op.operands[lane] == v && lane == axis && !others.contains(&v)
                }
                OpKind::Transpose { perm } if perm[..] == [1, 0] => {
                    self.read_in_lanes(u.op.results[0], 1 - axis, operands)
                }
                _ => false,
            })
    }

    /// Writes the pairs whose second row is at `pt`, the first being the row before.
    pub(super) fn write_pair(&mut self, p: &Paired, lane: usize, pt: &[Coord]) {
        let mut first = pt.to_vec();
        first[1 - lane] = Coord::at(pt[1 - lane].ix.plus(-1));
        let wide = self
            .f
            .op(p.value)
            .filter(|op| matches!(op.kind, OpKind::Cast) && self.f.tile(op.operands[0]).elem == Elem::F32);
        let source = wide.map_or(p.value, |op| op.operands[0]);
        let [a, b] = [&first[..], pt].map(|pt| {
            let (x, w) = (self.eval(source, pt), self.w());
            self.e.splat(x, w)
        });
        let pair = if wide.is_some() { self.round_pair(a, b) } else { self.e.pair(true, false, a, Some(b)) };
        // Row 2i of the tile is row i of the pairs: half as far from the beginning, in pairs, as in elements.
        let at = [first[1 - lane], Coord::at(pt[lane].ix)];
        let to = self.address(p.at, K::I32, &at, &[Stride::Known(p.columns / 2), Stride::Known(1)]);
        self.e.store(pair, to);
    }

    /// Two vectors of f32, rounded to bf16, in turns.
    fn round_pair(&mut self, a: V, b: V) -> V {
        let w = self.w();
        let both = Ty::vector(K::BF16, 2 * w);
        // The second operand gives the lower half.
        let text = format!(
            "llvm.call_intrinsic \"llvm.x86.avx512bf16.cvtne2ps2bf16.512\"({b}, {a}) : ({}, {}) -> {both}",
            b.ty, a.ty
        );
        let halves = self.e.pure(both, text, &[a, b]);
        let turns: Vec<String> = (0..2 * w).map(|i| (i / 2 + i % 2 * w).to_string()).collect();
        let text = format!("vector.shuffle {halves}, {halves} [{}] : {both}, {both}", turns.join(", "));
        let pairs = self.e.pure(both, text, &[halves]);
        self.e.relane(pairs, K::I32, w)
    }

    /// From now on, products find the pairs.
    pub(super) fn give_pairs(&mut self, p: Paired) {
        let source = Source { ptr: p.at, unit: K::I32, x: Stride::Known(1), k: Stride::Known(p.columns) };
        for (v, axis) in p.operands {
            self.prepared.insert((v, Role::Lane, axis), source);
        }
    }
}
