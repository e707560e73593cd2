//! One element, or one vector of elements, of a tile.
//!
//! A value in scratch memory is read; anything else is computed from its operands at the same element, with
//! coordinates renamed by broadcasts, transposes and slices on the way.

use super::{Coord, Lower};
use kcc_compiler::emit::{K, Ty, V};
use kcc_dsl::ir::{Elem, Op, OpKind, ValueId};

impl Lower<'_> {
    /// The element(s) of `v` at `pt`, in register form; a scalar when the point has no lanes or the value does not
    /// depend on them.
    pub(super) fn eval(&mut self, v: ValueId, pt: &[Coord]) -> V {
        if self.f.rank(v) == 0 {
            return self.scalars[&v];
        }
        if let Some(x) = self.recall(v, pt) {
            return x;
        }
        let x = if let Some(b) = self.buffers.get(&v).cloned() {
            self.read_buffer(&b, pt)
        } else {
            let (op, index) = match self.f.def[v.0 as usize] {
                crate::plan::facts::Def::Op(op, index) => (op, index),
                _ => unreachable!("tile arguments of regions live in scratch memory"),
            };
            self.says(op);
            self.compute(op, index, pt)
        };
        self.remember(v, pt, x);
        x
    }

    fn compute(&mut self, op: &Op, index: usize, pt: &[Coord]) -> V {
        let elem = self.f.tile(op.results[index]).elem;
        match &op.kind {
            OpKind::Constant(c) => self.e.constant(elem, *c),
            OpKind::Arange => {
                let i = self.e.ix(pt[0].ix);
                let i = self.e.conv("arith.trunci", i, K::I32);
                if !pt[0].lane {
                    return i;
                }
                let w = self.w();
                let iota = self.e.iota(K::I32, w);
                self.e.op2("arith.addi", i, iota)
            }
            OpKind::Broadcast { axes } => {
                let (from, to) = (self.f.shape(op.operands[0]), self.f.shape(op.results[0]));
                let at: Vec<Coord> =
                    axes.iter()
                        .enumerate()
                        .map(|(i, a)| {
                            if from[i] == 1 && to[*a as usize] != 1 { Coord::at(0) } else { pt[*a as usize] }
                        })
                        .collect();
                self.eval(op.operands[0], &at)
            }
            OpKind::Transpose { perm } => {
                let mut at = pt.to_vec();
                for (i, p) in perm.iter().enumerate() {
                    at[*p as usize] = pt[i];
                }
                self.eval(op.operands[0], &at)
            }
            OpKind::Slice { offsets } => {
                let at: Vec<Coord> = pt
                    .iter()
                    .zip(offsets)
                    .map(|(c, o)| Coord { ix: c.ix.plus(*o as i64), lane: c.lane })
                    .collect();
                self.eval(op.operands[0], &at)
            }
            OpKind::Split => {
                let mut at = pt.to_vec();
                at.push(Coord::at(index as i64));
                self.eval(op.operands[0], &at)
            }
            OpKind::Reshape => {
                let at = self.reshape_units(op, pt);
                self.eval(op.operands[0], &at)
            }
            OpKind::Load { .. } | OpKind::LoadRows { .. } => self.load_point(op, pt),
            OpKind::Gather => self.gather_point(op, pt),
            _ => {
                let xs: Vec<V> = op.operands.iter().map(|o| self.eval(*o, pt)).collect();
                self.says(op);
                self.element(op, &xs)
            }
        }
    }

    /// Coordinates of the operand of a reshape that only adds or drops axes of extent 1.
    fn reshape_units(&self, op: &Op, pt: &[Coord]) -> Vec<Coord> {
        let (from, to) = (self.f.shape(op.operands[0]), self.f.shape(op.results[0]));
        let mut wide = pt.iter().zip(to).filter(|(_, d)| **d != 1).map(|(c, _)| *c);
        from.iter()
            .map(|d| if *d == 1 { Coord::at(0) } else { wide.next().unwrap_or(Coord::at(0)) })
            .collect()
    }

    /// An element-wise operation on register values.
    pub(super) fn element(&mut self, op: &Op, xs: &[V]) -> V {
        let from = self.f.tile(op.operands[0]).elem;
        let to = self.f.tile(op.results[0]).elem;
        match &op.kind {
            OpKind::Unary(u) => self.e.unary(*u, from, xs[0]),
            OpKind::Binary(b) => {
                let c = self.splat_constant(op.operands[1]);
                self.e.binary(*b, from, xs[0], xs[1], c)
            }
            OpKind::Compare(c) => self.e.compare(*c, from, xs[0], xs[1]),
            OpKind::Select => self.e.select(xs[0], xs[1], xs[2]),
            OpKind::Fma => self.e.fma_elem(from, xs[0], xs[1], xs[2]),
            OpKind::Cast => self.e.cast(from, to, xs[0]),
            OpKind::Bitcast => self.e.bitcast(from, to, xs[0]),
            k => unreachable!("{} is not element-wise", k.name()),
        }
    }

    /// The constant behind a splat, through broadcasts.
    pub(super) fn splat_constant(&self, v: ValueId) -> Option<kcc_dsl::ir::Const> {
        match self.f.op(v).map(|o| (&o.kind, o)) {
            Some((OpKind::Constant(c), _)) => Some(*c),
            Some((OpKind::Broadcast { .. }, o)) => self.splat_constant(o.operands[0]),
            _ => None,
        }
    }

    /// The register type of an element with the current lane count (`lanes`: vector or scalar).
    pub(super) fn reg(&self, elem: Elem, vector: bool) -> Ty {
        let k = kcc_compiler::emit::Emit::reg(elem);
        if vector { Ty::vector(k, self.w()) } else { Ty::scalar(k) }
    }
}
