//! Reductions: registers of a thread, then lanes by shuffles, then warps through shared memory.
//!
//! ```text
//! 8 registers ─► (2 ─►) 1 ─► 5 shuffles ─► one value per warp ─ shared memory ─► every warp folds the values of all
//! ```
//! Every thread that wants the result has it afterwards: shuffles are all-to-all, and each warp reads what all wrote.

use super::convert::carrier;
use super::{Lower, Val};
use crate::emit::{Emit, K, Ty, V};
use crate::error::{Error, bug};
use crate::gpu::Shuffle;
use crate::ktg::Op;
use crate::layout::{Dim, Linear, Presence};
use kcc_dsl::ir::{CmpOp, Elem, ReduceOp};

impl Lower<'_> {
    pub(super) fn reduce(&mut self, axis: usize, combine: ReduceOp, op: &Op) -> Result<(), Error> {
        let (from, to) = (op.operands[0], op.results[0]);
        let elem = self.elem(from)?;
        let layout = self.layout(from)?;
        let shape = self.shape_of(from);
        let regs = self.regs(from)?;
        let values = self.fold(&regs, elem, &layout, &shape, axis, combine)?;
        self.set(to, Val::Regs(values));
        Ok(())
    }

    /// Index of the first of the largest or smallest elements: the extreme value, then the least index that has it.
    pub(super) fn arg_reduce(&mut self, axis: usize, max: bool, op: &Op) -> Result<(), Error> {
        let (from, to) = (op.operands[0], op.results[0]);
        let elem = self.elem(from)?;
        let layout = self.layout(from)?;
        let shape = self.shape_of(from);
        let regs = self.regs(from)?;
        let combine = if max { ReduceOp::Max } else { ReduceOp::Min };
        let best = self.fold(&regs, elem, &layout, &shape, axis, combine)?;
        let (groups, _) = groups(&layout, axis)?;
        let along = self.along(&layout, axis, None)?;
        let none = self.i32(i64::from(i32::MAX));
        let mut indices = Vec::new();
        for (r, group) in groups.iter().enumerate() {
            let index = self.coordinate(&along, r as u32);
            let equal = self.e.compare(CmpOp::Eq, elem, regs[r], best[*group]);
            indices.push(self.e.select(equal, index, none));
        }
        let found = self.fold(&indices, Elem::I32, &layout, &shape, axis, ReduceOp::Min)?;
        let zero = self.i32(0);
        let out = found
            .into_iter()
            .map(|i| {
                // Nothing equals the extreme where all are NaN.
                let missing = self.e.cmpi("eq", i, none);
                self.e.select(missing, zero, i)
            })
            .collect();
        self.set(to, Val::Regs(out));
        Ok(())
    }

    /// Folds registers of a tile along an axis; one value per register of the sliced layout, in every thread that has a
    /// place there. Sums and products are rounded to the element type.
    pub(super) fn fold(
        &mut self,
        regs: &[V],
        elem: Elem,
        layout: &Linear,
        shape: &[usize],
        axis: usize,
        combine: ReduceOp,
    ) -> Result<Vec<V>, Error> {
        let identity = self.e.identity(combine, elem);
        let (groups, results) = groups(layout, axis)?;
        let coverage = layout.coverage(&shape.iter().map(|e| *e as u32).collect::<Vec<_>>());
        let mut members: Vec<Vec<V>> = vec![Vec::new(); results];
        for (r, group) in groups.iter().enumerate() {
            let r = r as u32;
            // A register that repeats another one counts once.
            if layout.free(Dim::Register) & r != 0 {
                continue;
            }
            let inside = coverage.by_axis[r as usize][axis];
            if inside == Presence::Never {
                continue;
            }
            let mut x = regs[r as usize];
            if inside == Presence::Depends {
                let along = self.along(layout, axis, None)?;
                let c = self.coordinate(&along, r);
                let extent = self.i32(shape[axis] as i64);
                let ok = self.e.cmpi("ult", c, extent);
                x = self.e.select(ok, x, identity);
            }
            members[*group].push(x);
        }
        let mut values = Vec::with_capacity(results);
        for own in &members {
            values.push(self.fold_registers(own, elem, combine, identity));
        }
        for (bit, v) in layout.basis(Dim::Lane).iter().enumerate() {
            if v[axis] == 0 {
                continue;
            }
            for x in &mut values {
                // Every operator here is commutative.
                let own = *x;
                let both = if own.ty.k.bytes() == 4 {
                    self.target.exchange_both(&mut self.e, own, 1 << bit)
                } else {
                    None
                };
                let [a, b] = both.unwrap_or_else(|| [own, self.shuffle(Shuffle::Xor, own, 1 << bit)]);
                *x = self.e.combine(combine, elem, a, b);
            }
        }
        if layout.basis(Dim::Warp).iter().any(|v| v[axis] != 0) {
            values = self.across_warps(layout, axis, elem, combine, values)?;
        }
        if elem.is_float() && matches!(combine, ReduceOp::Sum | ReduceOp::Prod) {
            for x in &mut values {
                *x = self.e.round(elem, *x);
            }
        }
        Ok(values)
    }

    /// Registers of one thread, two sums side by side where that takes half of the instructions.
    fn fold_registers(&mut self, all: &[V], elem: Elem, combine: ReduceOp, identity: V) -> V {
        let sums = matches!(combine, ReduceOp::Sum | ReduceOp::Prod);
        if sums && self.pairs(elem) && all.len() >= 4 {
            let (pairs, rest) = all.split_at(all.len() & !1);
            let mut both: Option<V> = None;
            for pair in pairs.chunks(2) {
                let x = self.e.vector(pair);
                both = Some(both.map_or(x, |sum| self.e.combine(combine, elem, sum, x)));
            }
            let both = both.unwrap_or(identity);
            let halves = [self.e.extract(both, 0), self.e.extract(both, 1)];
            return halves[1..]
                .iter()
                .chain(rest)
                .fold(halves[0], |p, x| self.e.combine(combine, elem, p, *x));
        }
        // The identity takes NaN out of minima and maxima.
        let extremum = elem.is_float() && matches!(combine, ReduceOp::Min | ReduceOp::Max);
        let (first, rest) = match all {
            [first, rest @ ..] if !extremum => (*first, rest),
            all => (identity, all),
        };
        rest.iter().fold(first, |p, x| self.e.combine(combine, elem, p, *x))
    }

    /// A value of another lane, whatever its kind.
    pub fn shuffle(&mut self, how: Shuffle, v: V, by: u32) -> V {
        let target = self.target;
        self.by_words(v, &|e, word| target.shuffle_constant(e, how, word, by))
    }

    /// As [`Lower::shuffle`], by a value.
    pub fn shuffle_by(&mut self, how: Shuffle, v: V, by: V) -> V {
        let target = self.target;
        self.by_words(v, &|e, word| target.shuffle(e, how, word, by))
    }

    /// Moves a value of any kind by moving words.
    fn by_words(&mut self, v: V, shuffle: &dyn Fn(&mut Emit, V) -> V) -> V {
        match v.ty.k {
            K::I32 | K::F32 => shuffle(&mut self.e, v),
            K::I1 | K::I8 | K::I16 => {
                let wide = self.e.conv("arith.extui", v, K::I32);
                let moved = shuffle(&mut self.e, wide);
                self.e.conv("arith.trunci", moved, v.ty.k)
            }
            k => {
                let bits = self.e.bits(v, K::I64);
                let low = self.e.conv("arith.trunci", bits, K::I32);
                let shift = self.e.int(K::I64, 32);
                let high = self.e.op2("arith.shrui", bits, shift);
                let high = self.e.conv("arith.trunci", high, K::I32);
                let low = shuffle(&mut self.e, low);
                let high = shuffle(&mut self.e, high);
                let low = self.e.conv("arith.extui", low, K::I64);
                let high = self.e.conv("arith.extui", high, K::I64);
                let high = self.e.op2("arith.shli", high, shift);
                let all = self.e.op2("arith.ori", low, high);
                self.e.bits(all, k)
            }
        }
    }

    /// Folds values of warps that differ along the axis: each warp writes its own, all read all.
    fn across_warps(
        &mut self,
        layout: &Linear,
        axis: usize,
        elem: Elem,
        combine: ReduceOp,
        values: Vec<V>,
    ) -> Result<Vec<V>, Error> {
        let moving = |dim: Dim, along: bool| -> Vec<u32> {
            let basis = layout.basis(dim).iter().enumerate();
            basis.filter(|(_, v)| (v[axis] != 0) == along && **v != [0; 3]).map(|(b, _)| b as u32).collect()
        };
        let reduced = moving(Dim::Warp, true);
        let (lanes, warps) = (moving(Dim::Lane, false), moving(Dim::Warp, false));
        let k = carrier(Emit::reg(elem));
        let bytes = k.bytes() as i64;
        let folded = 1i64 << reduced.len();
        // [warps that stay][lanes that stay][registers][warps that are folded]
        let row = values.len() as i64 * folded * bytes;
        let lane_part = self.gather_bits(self.lane, &lanes);
        let lane_part = self.times(lane_part, row);
        let warp_part = self.gather_bits(self.warp, &warps);
        let warp_part = self.times(warp_part, row << lanes.len());
        let start = self.e.op2("arith.addi", lane_part, warp_part);
        let own = self.gather_bits(self.warp, &reduced);
        let own = self.times(own, bytes);
        let base = self.take_scratch();
        let at = self.e.op2("arith.addi", start, own);
        // One lane and one warp of those that hold the same.
        let all_lanes = self.target.facts().lanes - 1;
        let kept = |bits: &[u32]| bits.iter().fold(0u32, |m, b| m | 1 << b);
        let all_warps = self.warps().next_power_of_two() - 1;
        let mut writer = None;
        for (of, mask) in [
            (self.lane, all_lanes & !kept(&lanes)),
            (self.warp, all_warps & !(kept(&warps) | kept(&reduced))),
        ] {
            if mask != 0 {
                let m = self.i32(i64::from(mask));
                let bits = self.e.op2("arith.andi", of, m);
                let zero = self.i32(0);
                let first = self.e.cmpi("eq", bits, zero);
                writer = Some(self.both(writer, first));
            }
        }
        let raws: Vec<V> = values.iter().map(|v| self.widen(*v, k)).collect();
        let places: Vec<V> = (0..values.len() as i64)
            .map(|i| self.shared_address(base, Some(at), i * folded * bytes))
            .collect();
        self.when(writer, |l| {
            for (raw, p) in raws.iter().zip(&places) {
                l.target.store_shared(&mut l.e, *raw, *p);
            }
        });
        self.sync_scratch();
        let mut out = Vec::new();
        for (i, v) in values.iter().enumerate() {
            let mut all: Option<V> = None;
            let width = (16 / bytes).min(folded);
            for w in (0..folded).step_by(width as usize) {
                let p = self.shared_address(base, Some(start), (i as i64 * folded + w) * bytes);
                let ty = if width == 1 { Ty::scalar(k) } else { Ty::vector(k, width as usize) };
                let raw = self.target.load_shared(&mut self.e, p, ty);
                for j in 0..width as usize {
                    let x = if width == 1 { raw } else { self.e.extract(raw, j) };
                    let x = self.narrow(x, v.ty.k);
                    all = Some(match all {
                        None => x,
                        Some(a) => self.e.combine(combine, elem, a, x),
                    });
                }
            }
            out.push(all.ok_or_else(|| bug("a reduction over no warps"))?);
        }
        Ok(out)
    }

    /// A value as wide as its carrier.
    pub(super) fn widen(&mut self, v: V, k: K) -> V {
        if v.ty.k == k { v } else { self.e.conv("arith.extui", v, k) }
    }

    /// The inverse of [`Lower::widen`].
    pub(super) fn narrow(&mut self, v: V, k: K) -> V {
        if v.ty.k == k { v } else { self.e.conv("arith.trunci", v, k) }
    }

    /// Bits of a number, next to each other.
    pub(super) fn gather_bits(&mut self, of: V, bits: &[u32]) -> V {
        let mut sum: Option<V> = None;
        for (i, bit) in bits.iter().enumerate() {
            let one = self.i32(1 << bit);
            let b = self.e.op2("arith.andi", of, one);
            let distance = *bit as i64 - i as i64;
            let b = match distance {
                0 => b,
                d if d > 0 => {
                    let d = self.i32(d);
                    self.e.op2("arith.shrui", b, d)
                }
                d => {
                    let d = self.i32(-d);
                    self.e.op2("arith.shli", b, d)
                }
            };
            sum = Some(match sum {
                None => b,
                Some(s) => self.e.op2("arith.ori", s, b),
            });
        }
        sum.unwrap_or_else(|| self.i32(0))
    }
}

/// For each register the register of the result that it belongs to, and how many of those there are.
pub(super) fn groups(layout: &Linear, axis: usize) -> Result<(Vec<usize>, usize), Error> {
    let sliced = layout.slice(axis).map_err(|e| bug(e.to_string()))?;
    let dense = sliced.dense();
    let count = dense.old_of_new.len();
    Ok((dense.new_of_old.iter().map(|r| *r as usize).collect(), count))
}
