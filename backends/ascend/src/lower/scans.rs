//! Scans, reductions of what the vector unit does not reduce, and those by an author's closure: in the scalar unit.

use super::Lower;
use super::elements::Source;
use super::values::{Held, float};
use kcc_compiler::Error;
use kcc_davinci::ir::*;
use kcc_dsl::ir::{BinaryOp, Elem, Op, OpKind, ReduceOp, TileType, ValueId};

/// What a reduction does with two values.
fn binary_of(op: ReduceOp) -> BinaryOp {
    match op {
        ReduceOp::Sum => BinaryOp::Add,
        ReduceOp::Prod => BinaryOp::Mul,
        ReduceOp::Min => BinaryOp::Min,
        ReduceOp::Max => BinaryOp::Max,
        ReduceOp::And => BinaryOp::And,
        ReduceOp::Or => BinaryOp::Or,
        ReduceOp::Xor => BinaryOp::Xor,
    }
}

/// The value that changes nothing.
fn identity(op: ReduceOp, elem: Elem) -> Val {
    if elem.is_float() {
        return float(match op {
            ReduceOp::Prod => 1.0,
            ReduceOp::Min => f32::INFINITY,
            ReduceOp::Max => f32::NEG_INFINITY,
            _ => 0.0,
        })
        .into();
    }
    let bits = 8 * elem.bytes() as u32;
    let (least, most) = match elem {
        Elem::Bool => (0, 1),
        e if e.is_signed() => (i64::MIN >> (64 - bits), i64::MAX >> (64 - bits)),
        _ => (0, (1i64 << bits.min(62)) - 1),
    };
    Val::Const(match op {
        ReduceOp::Prod => 1,
        ReduceOp::Min => most,
        ReduceOp::Max => least,
        ReduceOp::And if elem.is_signed() => -1,
        ReduceOp::And => most,
        _ => 0,
    })
}

/// A shape without an axis, and indices with one put in.
fn without(shape: &[usize], axis: usize) -> Vec<usize> {
    let mut s = shape.to_vec();
    s.remove(axis);
    s
}

fn with(index: &[Val], axis: usize, i: Val) -> Vec<Val> {
    let mut at = index.to_vec();
    at.insert(axis, i);
    at
}

impl Lower<'_> {
    /// One step of a reduction; float sums are kept in `f32`.
    fn step(&mut self, op: ReduceOp, a: Val, x: Val, elem: Elem) -> Result<Val, Error> {
        let op = binary_of(op);
        match elem {
            Elem::Bool => {
                let op = match op {
                    BinaryOp::And | BinaryOp::Min | BinaryOp::Mul => IntOp::And,
                    BinaryOp::Xor => IntOp::Xor,
                    _ => IntOp::Or,
                };
                Ok(self.int(op, a, x))
            }
            e if e.is_float() => self.float_scalar(op, a, x, Elem::F32),
            e => self.int_scalar(op, a, x, e),
        }
    }

    fn settled(&mut self, v: Val, elem: Elem) -> Val {
        if elem.is_float() { self.round(v, elem) } else { v }
    }

    /// A reduction, element by element.
    pub(super) fn reduce_scalars(&mut self, op: &Op, axis: usize, what: ReduceOp) -> Result<Held, Error> {
        let (x, r) = (op.operands[0], op.results[0]);
        let (t, out) = (self.tile(x)?.clone(), self.tile(r)?.clone());
        let bool_ = t.elem == Elem::Bool;
        let src = self.source(x)?;
        let dst = (out.rank() > 0).then(|| self.blank(&out));
        let acc = self.reg();
        self.over(&without(&t.shape, axis), &mut |l, index| {
            l.assign(acc, Scalar::Move { value: identity(what, t.elem) });
            l.counted(0.into(), (t.shape[axis] as i64).into(), |l, i| {
                let v = l.element(&src, &with(index, axis, i), bool_);
                let value = l.step(what, acc.into(), v, t.elem)?;
                l.assign(acc, Scalar::Move { value });
                Ok(())
            })?;
            if let Some(d) = &dst {
                let v = l.settled(acc.into(), t.elem);
                l.put(d, index, v, bool_);
            }
            Ok(())
        })?;
        Ok(match dst {
            Some(d) => self.sealed(d, &out),
            None => Held::Scalar(self.settled(acc.into(), t.elem)),
        })
    }

    /// An inclusive scan.
    pub(super) fn scan(&mut self, op: &Op, axis: usize, what: ReduceOp, reverse: bool) -> Result<(), Error> {
        let (x, r) = (op.operands[0], op.results[0]);
        let t = self.tile(x)?.clone();
        let src = self.source(x)?;
        let dst = self.blank(&t);
        let (acc, n) = (self.reg(), t.shape[axis] as i64);
        self.over(&without(&t.shape, axis), &mut |l, index| {
            l.assign(acc, Scalar::Move { value: identity(what, t.elem) });
            l.counted(0.into(), n.into(), |l, i| {
                let i = if reverse { l.int(IntOp::Sub, (n - 1).into(), i) } else { i };
                let at = with(index, axis, i);
                let v = l.element(&src, &at, t.elem == Elem::Bool);
                let value = l.step(what, acc.into(), v, t.elem)?;
                l.assign(acc, Scalar::Move { value });
                let v = l.settled(acc.into(), t.elem);
                l.put(&dst, &at, v, t.elem == Elem::Bool);
                Ok(())
            })
        })?;
        let held = self.sealed(dst, &t);
        self.set(r, held);
        Ok(())
    }

    /// The index of the largest or smallest element; not-a-number loses, the lowest index wins a tie.
    pub(super) fn arg_reduce(&mut self, op: &Op, axis: usize, max: bool) -> Result<(), Error> {
        let (x, r) = (op.operands[0], op.results[0]);
        let (t, out) = (self.tile(x)?.clone(), self.tile(r)?.clone());
        let src = self.source(x)?;
        let dst = (out.rank() > 0).then(|| self.blank(&out));
        let (best, place) = (self.reg(), self.reg());
        self.over(&without(&t.shape, axis), &mut |l, index| {
            let first = l.element(&src, &with(index, axis, 0.into()), t.elem == Elem::Bool);
            l.assign(best, Scalar::Move { value: first });
            l.assign(place, Scalar::Move { value: 0.into() });
            l.counted(1.into(), (t.shape[axis] as i64).into(), |l, i| {
                let v = l.element(&src, &with(index, axis, i), t.elem == Elem::Bool);
                let better = l.better(v, best.into(), t.elem, max);
                l.when(better, |l| {
                    l.assign(best, Scalar::Move { value: v });
                    l.assign(place, Scalar::Move { value: i });
                    Ok(())
                })
            })?;
            if let Some(d) = &dst {
                l.put(d, index, place.into(), false);
            }
            Ok(())
        })?;
        let held = self.given(dst, &out, place);
        self.set(r, held);
        Ok(())
    }

    /// Whether `v` comes before `best`: larger or smaller, any number before not-a-number.
    pub(super) fn better(&mut self, v: Val, best: Val, elem: Elem, larger: bool) -> Val {
        let (a, b) = if larger { (best, v) } else { (v, best) };
        if !elem.is_float() {
            return self.int(IntOp::Lt, a, b);
        }
        let less = self.let_(Scalar::Float { op: FloatOp::Lt, a, b });
        let number = self.let_(Scalar::Float { op: FloatOp::Eq, a: v, b: v });
        let none = self.let_(Scalar::Float { op: FloatOp::Ne, a: best, b: best });
        let first = self.int(IntOp::And, number, none);
        self.int(IntOp::Or, less, first)
    }

    /// A reduction or a scan by an author's closure.
    pub(super) fn fold_with(&mut self, op: &Op, axis: usize, scan: Option<bool>) -> Result<(), Error> {
        let types: Vec<TileType> =
            op.operands.iter().map(|v| self.tile(*v).cloned()).collect::<Result<_, _>>()?;
        let outs: Vec<TileType> =
            op.results.iter().map(|v| self.tile(*v).cloned()).collect::<Result<_, _>>()?;
        let sources: Vec<Source> = op.operands.iter().map(|v| self.source(*v)).collect::<Result<_, _>>()?;
        let n = types[0].shape[axis] as i64;
        let accs: Vec<Reg> = types.iter().map(|_| self.reg()).collect();
        let dsts: Vec<Option<(u32, TileType)>> =
            outs.iter().map(|t| (t.rank() > 0).then(|| self.blank(t))).collect();
        let region = &op.regions[0];
        let flag = |t: &TileType| t.elem == Elem::Bool;
        self.over(&without(&types[0].shape, axis), &mut |l, index| {
            let put = |l: &mut Lower<'_>, at: &[Val]| {
                for ((d, acc), t) in dsts.iter().zip(&accs).zip(&outs) {
                    if let Some(d) = d {
                        l.put(d, at, (*acc).into(), flag(t));
                    }
                }
            };
            let ordered = |l: &mut Lower<'_>, i: Val| match scan {
                Some(true) => l.int(IntOp::Sub, (n - 1).into(), i),
                _ => i,
            };
            let start = ordered(l, 0.into());
            let at = with(index, axis, start);
            for ((s, acc), t) in sources.iter().zip(&accs).zip(&types) {
                let value = l.element(s, &at, flag(t));
                l.assign(*acc, Scalar::Move { value });
            }
            if scan.is_some() {
                put(l, &at);
            }
            l.counted(1.into(), n.into(), |l, i| {
                let i = ordered(l, i);
                let at = with(index, axis, i);
                for (k, acc) in accs.iter().enumerate() {
                    let v = l.element(&sources[k], &at, flag(&types[k]));
                    l.set(region.args[k], Held::Scalar((*acc).into()));
                    l.set(region.args[accs.len() + k], Held::Scalar(v));
                }
                l.block(region)?;
                let next: Vec<Val> = (region.yields.iter())
                    .map(|v: &ValueId| {
                        let value = l.scalar(*v)?;
                        Ok(l.let_(Scalar::Move { value }))
                    })
                    .collect::<Result<_, Error>>()?;
                for (acc, value) in accs.iter().zip(next) {
                    l.assign(*acc, Scalar::Move { value });
                }
                if scan.is_some() {
                    put(l, &at);
                }
                Ok(())
            })?;
            if scan.is_none() {
                put(l, index);
            }
            Ok(())
        })?;
        for (((r, d), t), acc) in op.results.iter().zip(dsts).zip(&outs).zip(&accs) {
            let held = self.given(d, t, *acc);
            self.set(*r, held);
        }
        Ok(())
    }

    /// Sorted order, the `k` first of it, and counts.
    pub(super) fn order(&mut self, op: &Op) -> Result<(), Error> {
        match op.kind {
            OpKind::Sort { descending } => self.pick(op, descending, None),
            OpKind::TopK { k } => self.pick(op, true, Some(k)),
            _ => self.histogram(op),
        }
    }

    /// The first `k` elements of each row in sorted order, each found among those not yet taken.
    fn pick(&mut self, op: &Op, descending: bool, k: Option<usize>) -> Result<(), Error> {
        let x = op.operands[0];
        let t = self.tile(x)?.clone();
        let (values, places) = (self.tile(op.results[0])?.clone(), self.tile(op.results[1])?.clone());
        let n = t.shape.last().copied().unwrap_or(1);
        let k = k.unwrap_or(n);
        let src = self.source(x)?;
        let (vs, ps) = (self.blank(&values), self.blank(&places));
        let row = TileType::new(Elem::I32, &[n]);
        let taken = self.blank(&row);
        let (best, place) = (self.reg(), self.reg());
        let leading = &t.shape[..t.rank() - 1];
        let flag = t.elem == Elem::Bool;
        self.over(leading, &mut |l, index| {
            l.counted(0.into(), (n as i64).into(), |l, i| {
                l.put(&taken, &[i], 0.into(), false);
                Ok(())
            })?;
            l.counted(0.into(), (k as i64).into(), |l, j| {
                l.assign(best, Scalar::Move { value: 0.into() });
                l.assign(place, Scalar::Move { value: (-1).into() });
                l.counted(0.into(), (n as i64).into(), |l, i| {
                    let at = l.byte_of(&row, &[i]);
                    let gone = l.let_(Scalar::LoadLocal {
                        elem: Elem::I32,
                        src: Local { buffer: taken.0, offset: at },
                    });
                    let v = l.element(&src, &with(index, index.len(), i), flag);
                    let better = l.better(v, best.into(), t.elem, descending);
                    let first = l.int(IntOp::Lt, place.into(), 0.into());
                    let wins = l.int(IntOp::Or, better, first);
                    let free = l.int(IntOp::Eq, gone, 0.into());
                    let wins = l.int(IntOp::And, wins, free);
                    l.when(wins, |l| {
                        l.assign(best, Scalar::Move { value: v });
                        l.assign(place, Scalar::Move { value: i });
                        Ok(())
                    })
                })?;
                l.put(&taken, &[place.into()], 1.into(), false);
                let at = with(index, index.len(), j);
                l.put(&vs, &at, best.into(), flag);
                l.put(&ps, &at, place.into(), false);
                Ok(())
            })
        })?;
        let held = self.sealed(vs, &values);
        self.set(op.results[0], held);
        self.set(op.results[1], Held::Tile(ps.0));
        Ok(())
    }

    fn histogram(&mut self, op: &Op) -> Result<(), Error> {
        let out = self.tile(op.results[0])?.clone();
        let t = self.tile(op.operands[0])?.clone();
        let src = self.source(op.operands[0])?;
        let dst = self.blank(&out);
        let bins = out.shape[0] as i64;
        self.counted(0.into(), bins.into(), |l, i| {
            l.put(&dst, &[i], 0.into(), false);
            Ok(())
        })?;
        self.over(&t.shape, &mut |l, index| {
            let v = l.element(&src, index, false);
            let (low, high) = (l.int(IntOp::Le, 0.into(), v), l.int(IntOp::Lt, v, bins.into()));
            let counts = l.int(IntOp::And, low, high);
            l.when(counts, |l| {
                let offset = l.byte_of(&out, &[v]);
                let place = Local { buffer: dst.0, offset };
                let n = l.let_(Scalar::LoadLocal { elem: Elem::I32, src: place });
                let n = l.int(IntOp::Add, n, 1.into());
                l.put(&dst, &[v], n, false);
                Ok(())
            })
        })?;
        self.set(op.results[0], Held::Tile(dst.0));
        Ok(())
    }
}
