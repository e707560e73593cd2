//! Products of few rows, with K in the lanes: what decoding one token needs.
//!
//! Both operands are contiguous along K and read where they lie; sixteen sums of sixteen lanes meet in a tree of
//! shuffles:
//!
//! ```text
//! sum[r][j] = Σ lanes of  Σ k: a[r, k..] * b[j, k..]        j: the keys that become the lanes of the result
//! ```

use super::dot::{Kind, Role, Source, Tiling};
use super::{Coord, Lower, Stride};
use crate::plan::Nest;
use crate::plan::lanes::few_rows;
use kcc_compiler::emit::{Ix, Ty, V};
use kcc_dsl::ir::{Op, OpKind};

/// Columns whose sums are kept at once.
const GROUP: usize = 4;

impl<'k> Lower<'k> {
    /// Prepares a product of few rows; `None` if its operands do not lie as that needs.
    pub(super) fn rowwise(&mut self, n: &Nest<'k>, op: &'k Op, kind: Kind) -> Option<Tiling<'k>> {
        if n.lane != 1 || !few_rows(self.f, op, self.w()) || kind == Kind::PairI16 {
            return None;
        }
        let k = self.f.shape(op.operands[0])[1];
        if !k.is_multiple_of(self.w() * kind.depth()) {
            return None;
        }
        let a = self.source(op.operands[0], Role::Broadcast, 0, kind);
        let b = self.source(op.operands[1], Role::Broadcast, 1, kind);
        let along = Stride::Known(kind.depth() as i64);
        if a.k != along || b.k != along {
            return None;
        }
        Some(Tiling {
            result: op.results[0],
            acc: op.operands[2],
            mr: n.shape[0].min(4),
            nv: 1,
            kind,
            lane: b,
            broadcast: a,
            steps: Ix::from((k / (self.w() * kind.depth())) as i64),
            contract: None,
            rowwise: true,
            unpaired: false,
            fetch: self.next_rows(op, &b),
            fetch_odd: None,
        })
    }

    /// Distance from a row of `b` to the row that the next iteration reads in its place.
    fn next_rows(&mut self, op: &'k Op, b: &Source) -> Option<V> {
        let n = self.f.shape(op.results[0])[1] as i64;
        match b.x {
            Stride::Known(s) => Some(self.e.i64(n * s)),
            Stride::Value(v) => {
                let n = self.e.i64(n);
                Some(self.e.mul(v, n))
            }
        }
    }

    /// Sums of a block of rows × one vector of columns.
    pub(super) fn multiply_rowwise(
        &mut self,
        t: &Tiling<'k>,
        row: (Ix, usize),
        lane: Ix,
        inits: Vec<V>,
    ) -> Vec<V> {
        let (w, rows) = (self.w(), row.1);
        let wide = Ty::vector(t.kind.lane(), w);
        let unit = t.kind.unit();
        let step = (w * t.kind.depth()) as i64;
        let mut partial: Vec<Vec<V>> = vec![Vec::new(); rows];
        for g in 0..w / GROUP {
            let floor = std::mem::replace(&mut self.floor, self.e.level());
            let at = |s: &mut Self, src: &Source, x: Ix| s.address(src.ptr, unit, &[Coord::at(x)], &[src.x]);
            let qs: Vec<V> = (0..rows).map(|r| at(self, &t.broadcast, row.0.plus(r as i64))).collect();
            let ks: Vec<V> =
                (0..GROUP).map(|j| at(self, &t.lane, lane.plus((g * GROUP + j) as i64))).collect();
            let zero = self.e.f32_like(Ty::vector(kcc_compiler::emit::K::F32, w), 0.0);
            let (lo, hi, one) = (self.e.i64(0), self.e.ix(t.steps), self.e.i64(1));
            let (open, iv, mut accs) = self.e.begin_for(lo, hi, one, &vec![zero; rows * GROUP]);
            let level = self.e.level();
            let here = self.e.scale(iv.into(), step);
            let b: Vec<V> = ks
                .iter()
                .map(|p| {
                    let p = self.address(*p, unit, &[Coord::at(here)], &[Stride::Known(1)]);
                    if let Some(d) = t.fetch {
                        let q = self.e.address(p, unit, &[d], 0);
                        self.e.prefetch(q);
                    }
                    self.e.load_unaligned(level, p, wide, unit.bytes())
                })
                .collect();
            for (r, p) in qs.iter().enumerate() {
                let p = self.address(*p, unit, &[Coord::at(here)], &[Stride::Known(1)]);
                let q = self.e.load_unaligned(level, p, wide, unit.bytes());
                for (j, b) in b.iter().enumerate() {
                    accs[r * GROUP + j] = self.fused(t.kind, accs[r * GROUP + j], q, *b);
                }
            }
            let accs = self.e.end_for(open, &accs);
            self.settle();
            self.floor = floor;
            for (r, sums) in partial.iter_mut().enumerate() {
                let four = &accs[r * GROUP..(r + 1) * GROUP];
                let (x, y) = (self.meet(four[0], four[1], w), self.meet(four[2], four[3], w));
                sums.push(self.meet(x, y, w / 2));
            }
        }
        partial
            .into_iter()
            .zip(inits)
            .map(|(mut sums, init)| {
                let mut segment = w / GROUP;
                while sums.len() > 1 {
                    sums = sums.chunks(2).map(|c| self.meet(c[0], c[1], segment)).collect();
                    segment /= 2;
                }
                self.e.fop2("arith.addf", init, sums[0])
            })
            .collect()
    }

    /// Halves each segment of `segment` lanes by adding its halves; `x`'s sums first, then `y`'s.
    fn meet(&mut self, x: V, y: V, segment: usize) -> V {
        let w = self.w();
        let pick = |high: usize| -> Vec<String> {
            (0..2 * w).filter(|i| (i % segment) / (segment / 2) == high).map(|i| i.to_string()).collect()
        };
        let shuffle = |s: &mut Self, list: Vec<String>| {
            let text = format!("vector.shuffle {x}, {y} [{}] : {}, {}", list.join(", "), x.ty, y.ty);
            s.e.pure(x.ty, text, &[x, y])
        };
        let (low, high) = (shuffle(self, pick(0)), shuffle(self, pick(1)));
        self.e.fop2("arith.addf", low, high)
    }

    /// Distance along K to what the next iteration of the loop around a product of few rows reads, for its operand
    /// in lanes; `None` where the operand is used often enough to stay in the caches.
    pub(super) fn next_lanes(&mut self, op: &'k Op, lane_axis: usize) -> Option<(kcc_dsl::ir::ValueId, V)> {
        let rows = self.f.shape(op.results[0])[1 - lane_axis];
        if rows > 8 {
            return None;
        }
        let v = op.operands[lane_axis];
        let (base, flip) = crate::plan::lanes::through_transposes(self.f, v);
        let load = self.f.op(base).filter(|o| matches!(o.kind, OpKind::Load { .. }))?;
        let ka = if flip { lane_axis } else { 1 - lane_axis };
        let n = self.f.shape(v)[1 - lane_axis] as i64;
        let n = self.e.i64(n);
        match self.view(load.operands[0]).strides[ka] {
            Stride::Known(_) => None,
            Stride::Value(s) => Some((base, self.e.mul(s, n))),
        }
    }

    /// What lies `by` elements behind the load `base`, the operand in lanes (transposed or not).
    pub(super) fn next_source(
        &mut self,
        base: kcc_dsl::ir::ValueId,
        by: V,
        flip: bool,
        lane_axis: usize,
    ) -> Option<Source> {
        let load = self.f.op(base)?;
        let view = self.view(load.operands[0]);
        let at: Vec<Coord> = (0..2).map(|a| Coord::at(self.index(load.operands[1 + a]))).collect();
        let unit = kcc_compiler::emit::Emit::mem(view.elem);
        let ptr = self.address(view.ptr, unit, &at, &view.strides);
        let ptr = self.e.address(ptr, unit, &[by], 0);
        let x = if flip { 1 - lane_axis } else { lane_axis };
        Some(Source { ptr, unit, x: view.strides[x], k: view.strides[1 - x] })
    }
}
