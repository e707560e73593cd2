//! Accesses with an index for each element: one copy each.

use super::elements::Source;
use super::values::ViewValue;
use super::{BLOCK, Lower};
use kcc_compiler::Error;
use kcc_davinci::ir::*;
use kcc_dsl::ir::{AtomicOp, Elem, Op, OpKind};

/// Operands of an access: a view, an index for each of its axes, a mask, and what follows.
struct Indexed {
    view: ViewValue,
    indices: Vec<Source>,
    mask: Source,
    value: Source,
}

impl Lower<'_> {
    pub(super) fn indexed(&mut self, op: &Op) -> Result<(), Error> {
        match op.kind {
            OpKind::Gather => self.gather(op),
            OpKind::Scatter => self.scatter(op, Atomic::None),
            OpKind::Atomic { op: what, .. } => {
                let t = self.tile(op.results[0])?.clone();
                let help = "write each program's own part to memory and add the parts up in a second kernel";
                if self.uses.taken(op.results[0]) {
                    return Err(self.unsupported("the value before an atomic update", help));
                }
                let how = match what {
                    AtomicOp::Add => Atomic::Add,
                    AtomicOp::Min => Atomic::Min,
                    AtomicOp::Max => Atomic::Max,
                    _ => {
                        return Err(self.unsupported("an atomic update that is no sum, `min` or `max`", help));
                    }
                };
                use Elem::{BF16, F16, F32, I8, I16, I32};
                // A float minimum in memory lets not-a-number win, the tile IR's does not.
                let ordered = how != Atomic::Add && t.elem.is_float();
                if ordered || !matches!(t.elem, F32 | F16 | BF16 | I32 | I16 | I8) {
                    return Err(self.unsupported(format!("an atomic `{what:?}` of {}", t.elem), help));
                }
                self.scatter(op, how)
            }
            _ => {
                let help = "write each program's own part to memory and combine the parts in a second kernel";
                Err(self.unsupported(format!("`{}`", op.kind.name()), help))
            }
        }
    }

    fn operands(&mut self, op: &Op) -> Result<Indexed, Error> {
        let view = self.view(op.operands[0])?;
        let n = op.operands.len();
        let indices = op.operands[1..n - 2].iter().map(|v| self.source(*v)).collect::<Result<_, _>>()?;
        let (mask, value) = (self.source(op.operands[n - 2])?, self.source(op.operands[n - 1])?);
        Ok(Indexed { view, indices, mask, value })
    }

    /// Whether an element is accessed, and at which element of the parameter's memory.
    fn address(&mut self, x: &Indexed, index: &[Val]) -> (Val, Val) {
        let mut inside = self.element(&x.mask, index, matches!(x.mask, Source::Buffer(..)));
        let mut at = x.view.offset;
        for (a, s) in x.indices.iter().enumerate() {
            let i = self.element(s, index, false);
            let (low, high) = (self.int(IntOp::Le, 0.into(), i), self.int(IntOp::Lt, i, x.view.dims[a]));
            let ok = self.int(IntOp::And, low, high);
            inside = self.int(IntOp::And, inside, ok);
            let by = self.int(IntOp::Mul, i, x.view.strides[a]);
            at = self.int(IntOp::Add, at, by);
        }
        (inside, at)
    }

    fn gather(&mut self, op: &Op) -> Result<(), Error> {
        let r = op.results[0];
        let t = self.tile(r)?.clone();
        let x = self.operands(op)?;
        let dst = (t.rank() > 0).then(|| self.blank(&t));
        let (value, bool_) = (self.reg(), t.elem == Elem::Bool);
        let elem = if bool_ { Elem::U8 } else { t.elem };
        self.over(&t.shape, &mut |l, index| {
            let other = l.element(&x.value, index, bool_ && matches!(x.value, Source::Buffer(..)));
            l.assign(value, Scalar::Move { value: other });
            let (inside, at) = l.address(&x, index);
            l.when(inside, |l| {
                let from = l.int(IntOp::Mul, at, (elem.bytes() as i64).into());
                l.assign(value, Scalar::LoadGlobal { elem, src: Global::of(x.view.param, from) });
                Ok(())
            })?;
            if let Some(d) = &dst {
                l.put(d, index, value.into(), bool_);
            }
            Ok(())
        })?;
        let held = self.given(dst, &t, value);
        self.set(r, held);
        Ok(())
    }

    fn scatter(&mut self, op: &Op, how: Atomic) -> Result<(), Error> {
        let value = op.operands[op.operands.len() - 1];
        let t = self.tile(value)?.clone();
        let x = self.operands(op)?;
        let bool_ = t.elem == Elem::Bool;
        let elem = if bool_ { Elem::U8 } else { t.elem };
        let stage = self.space(elem, BLOCK);
        self.over(&t.shape, &mut |l, index| {
            let (inside, at) = l.address(&x, index);
            l.when(inside, |l| {
                let value = l.element(&x.value, index, bool_ && matches!(x.value, Source::Buffer(..)));
                l.issue(StoreScalar { elem, dst: Local::new(stage, 0), value });
                let w = elem.bytes() as i64;
                let to = l.int(IntOp::Mul, at, w.into());
                l.issue(CopyOut {
                    dst: Global::of(x.view.param, to),
                    src: Local::new(stage, 0),
                    elem,
                    blocks: 1.into(),
                    bytes: w.into(),
                    src_gap: 0.into(),
                    dst_gap: 0.into(),
                    atomic: how,
                });
                Ok(())
            })
        })
    }
}
