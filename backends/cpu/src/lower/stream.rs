//! Memory-bound kernels: stores around the caches, and prefetches for the next program.
//!
//! A nest that writes a large view once, in whole aligned vectors, stores past the caches: that saves reading the
//! lines first. A row that several nests read is in the caches after the first; the last of them, while it waits
//! for arithmetic, asks for the row of the next program. (Measured: prefetches from the first pass, or for data read
//! only once, gain nothing or lose.)

use super::{Lower, Stride};
use crate::plan::steps::{BlockPlan, Step};
use crate::plan::{Nest, contract};
use kcc_compiler::emit::{Emit, K, V};
use kcc_dsl::ir::{BinaryOp, Cache, Op, OpKind, ValueId};
use std::collections::HashSet;

/// Views at least this large are stored past the caches: about half of a third-level cache.
const STREAM_BYTES: i64 = 16 << 20;
/// Tiles smaller than this are too short to stream.
const STREAM_TILE: usize = 1024;

impl<'k> Lower<'k> {
    /// Whether a nest's stores may go past the caches; `None` if it has none that could.
    pub(super) fn stream_flag(&mut self, n: &Nest<'k>) -> Option<V> {
        if n.dot.is_some() || n.contract.is_some() || n.stores.is_empty() {
            return None;
        }
        let whole = n.shape[n.lane].is_multiple_of(self.w());
        let bytes =
            n.shape.iter().product::<usize>() * self.f.tile(*n.stores[0].operands.last()?).elem.bytes();
        if !whole || bytes < STREAM_TILE {
            return None;
        }
        let mut flags = Vec::new();
        for s in &n.stores {
            let OpKind::Store { cache } = s.kind else { return None };
            let view = self.view(s.operands[0]);
            if view.strides.get(n.lane) != Some(&Stride::Known(1)) {
                return None;
            }
            let elem = view.elem.bytes() as i64;
            let root = self.root_view(s.operands[0]);
            let mut size = self.e.i64(elem);
            for d in root.dims {
                size = self.e.mul(size, d);
            }
            let limit = self.e.i64(if cache == Cache::Stream { 0 } else { STREAM_BYTES });
            flags.push(self.e.cmpi("sge", size, limit));
            // Every vector is aligned if the first is and rows are whole lines apart.
            let at: Vec<super::Coord> = (0..view.strides.len())
                .map(|a| {
                    let ix = self.index(s.operands[1 + a]);
                    super::Coord::at(ix)
                })
                .collect();
            let p = self.address(view.ptr, Emit::mem(view.elem), &at, &view.strides);
            let mut bits = self.e.pure(
                kcc_compiler::emit::Ty::i64(),
                format!("llvm.ptrtoint {p} : !llvm.ptr to i64"),
                &[p],
            );
            for (a, stride) in view.strides.iter().enumerate() {
                if a != n.lane
                    && let Stride::Value(v) = stride
                {
                    let size = self.e.i64(elem);
                    let step = self.e.mul(*v, size);
                    bits = self.e.op2("arith.ori", bits, step);
                }
            }
            let (mask, zero) = (self.e.i64(63), self.e.i64(0));
            let low = self.e.op2("arith.andi", bits, mask);
            flags.push(self.e.cmpi("eq", low, zero));
        }
        self.all(&flags)
    }

    /// The parameter's view behind sub-views.
    fn root_view(&self, v: ValueId) -> super::View {
        match self.f.op(v) {
            Some(op) if matches!(op.kind, OpKind::At) => self.root_view(op.operands[0]),
            _ => self.view(v),
        }
    }

    /// For each step, the loads whose next program's data it should ask for.
    pub(super) fn ahead(&self, plan: &BlockPlan<'k>) -> Vec<HashSet<ValueId>> {
        let mut out = vec![HashSet::new(); plan.steps.len()];
        let mut seen: Vec<(ValueId, usize, usize)> = Vec::new();
        for (i, s) in plan.steps.iter().enumerate() {
            let Step::Nest(n) = s else { continue };
            for l in n.loads.iter().filter(|l| matches!(l.kind, OpKind::Load { .. })) {
                let v = l.results[0];
                match seen.iter_mut().find(|e| e.0 == v) {
                    Some(e) => (e.1, e.2) = (i, e.2 + 1),
                    None => seen.push((v, i, 1)),
                }
            }
        }
        for (v, last, times) in seen {
            if times > 1 {
                out[last].insert(v);
            }
        }
        out
    }

    /// How far, in elements, the next program's block lies from this one's; `None` if it is the same or unknown.
    pub(super) fn next_block(&mut self, load: &Op) -> Option<V> {
        self.block_along(load, self.fastest)
    }

    /// How far, in elements, the block of the next program along grid axis `axis` lies from this one's; `None` if it
    /// is the same or unknown.
    pub(super) fn block_along(&mut self, load: &Op, axis: usize) -> Option<V> {
        let mut moves: Vec<(i64, Stride)> = Vec::new();
        let mut view = load.operands[0];
        let strides = self.view(view).strides;
        for (v, s) in load.operands[1..].iter().zip(&strides) {
            moves.push((self.slope(*v, axis, 0)?, *s));
        }
        while let Some(op) = self.f.op(view) {
            view = op.operands[0];
            let strides = self.view(view).strides;
            for (v, s) in op.operands[1..].iter().zip(&strides) {
                moves.push((self.slope(*v, axis, 0)?, *s));
            }
        }
        let mut sum = None;
        for (c, s) in moves.into_iter().filter(|m| m.0 != 0) {
            let c = self.e.i64(c);
            let t = match s {
                Stride::Known(k) => {
                    let k = self.e.i64(k);
                    self.e.mul(k, c)
                }
                Stride::Value(v) => self.e.mul(v, c),
            };
            sum = Some(match sum {
                Some(x) => self.e.op2("arith.addi", x, t),
                None => t,
            });
        }
        sum
    }

    /// How much a scalar grows from one program to the next along a grid axis.
    fn slope(&self, v: ValueId, axis: usize, depth: usize) -> Option<i64> {
        let Some(op) = self.f.op(v) else {
            // Loop counters and parameters do not depend on the program directly.
            return Some(0);
        };
        if depth > 16 {
            return None;
        }
        match op.kind {
            OpKind::ProgramId(a) => Some(i64::from(a as usize == axis)),
            OpKind::Constant(_) | OpKind::Dim(_) | OpKind::NumPrograms(_) => Some(0),
            OpKind::Binary(b) => {
                let of = |i: usize| self.slope(op.operands[i], axis, depth + 1);
                let (x, y) = (of(0)?, of(1)?);
                match b {
                    BinaryOp::Add => Some(x + y),
                    BinaryOp::Sub => Some(x - y),
                    BinaryOp::Mul => {
                        let c = |i: usize| contract::constant(self.f, op.operands[i]);
                        match (x, y) {
                            (0, 0) => Some(0),
                            (x, 0) => c(1).map(|c| x * c),
                            (0, y) => c(0).map(|c| y * c),
                            _ => None,
                        }
                    }
                    _ => (x == 0 && y == 0).then_some(0),
                }
            }
            _ => op.operands.iter().all(|o| self.slope(*o, axis, depth + 1) == Some(0)).then_some(0),
        }
    }

    /// Asks for the line `distance` elements behind `p`, once per line of consecutive vectors.
    pub(super) fn fetch_ahead(&mut self, p: V, k: K, distance: V, first: i64) {
        let per_line = 64 / k.bytes() as i64;
        if first % per_line == 0 {
            let q = self.e.address(p, k, &[distance], 0);
            self.e.prefetch(q);
        }
    }
}
