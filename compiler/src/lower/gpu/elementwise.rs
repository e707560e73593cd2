//! Operations that work on one register at a time, or on two `f32` where the chip has instructions for that.

use super::value::per_word;
use super::{Lower, Val};
use crate::emit::V;
use crate::error::{Error, bug};
use crate::ktg::Op;
use kcc_dsl::ir::{BinaryOp, Elem, OpKind, ValueId};

impl Lower<'_> {
    pub(super) fn elementwise(&mut self, kind: &OpKind, op: &Op) -> Result<(), Error> {
        let result = op.results[0];
        let elem = self.elem(result)?;
        let count = self.func.ty(result).registers();
        let regs = match kind {
            k if two_at_once(k) && self.pairs(elem) && count > 0 && count.is_multiple_of(2) => {
                self.by_pairs(k, op, count)?
            }
            OpKind::Constant(c) => {
                self.consts.insert(result, *c);
                vec![self.e.constant(elem, *c); count]
            }
            OpKind::Arange => self.coordinate_registers(result, 0)?,
            OpKind::Select => {
                let (m, a, b) =
                    (self.regs(op.operands[0])?, self.regs(op.operands[1])?, self.regs(op.operands[2])?);
                (0..count).map(|i| self.e.select(m[i], a[i], b[i])).collect()
            }
            OpKind::Fma => {
                let (a, b, c) =
                    (self.regs(op.operands[0])?, self.regs(op.operands[1])?, self.regs(op.operands[2])?);
                (0..count).map(|i| self.e.fma_elem(elem, a[i], b[i], c[i])).collect()
            }
            OpKind::Unary(u) => {
                let x = self.regs(op.operands[0])?;
                x.iter().map(|x| self.e.unary(*u, elem, *x)).collect()
            }
            OpKind::Binary(b) => {
                let known = self.constant(op.operands[1]);
                let (x, y) = (self.regs(op.operands[0])?, self.regs(op.operands[1])?);
                (0..count).map(|i| self.e.binary(*b, elem, x[i], y[i], known)).collect()
            }
            OpKind::Compare(c) => {
                let from = self.elem(op.operands[0])?;
                let (x, y) = (self.regs(op.operands[0])?, self.regs(op.operands[1])?);
                (0..count).map(|i| self.e.compare(*c, from, x[i], y[i])).collect()
            }
            OpKind::Cast => return self.cast(op.operands[0], result, elem),
            OpKind::Bitcast => {
                let from = self.elem(op.operands[0])?;
                let x = self.regs(op.operands[0])?;
                x.iter().map(|x| self.e.bitcast(from, elem, *x)).collect()
            }
            k => return Err(bug(format!("`{}` is not element-wise", k.name()))),
        };
        self.set(result, Val::Regs(regs));
        Ok(())
    }

    /// Whether the chip computes on two such elements at once.
    pub(super) fn pairs(&self, elem: Elem) -> bool {
        elem == Elem::F32 && self.target.facts().pairs_f32
    }

    fn by_pairs(&mut self, kind: &OpKind, op: &Op, count: usize) -> Result<Vec<V>, Error> {
        let mut operands = Vec::with_capacity(3);
        for v in &op.operands {
            operands.push(self.regs(*v)?);
        }
        let mut out = Vec::with_capacity(count);
        for at in (0..count).step_by(2) {
            let of: Vec<V> = operands.iter().map(|regs| self.e.vector(&regs[at..at + 2])).collect();
            let both = match (kind, of.as_slice()) {
                (OpKind::Fma, &[a, b, c]) => self.e.fma_exact(a, b, c),
                (OpKind::Binary(b), &[x, y]) => self.e.binary(*b, Elem::F32, x, y, None),
                _ => return Err(bug(format!("`{}` of {} operands", kind.name(), of.len()))),
            };
            out.extend([self.e.extract(both, 0), self.e.extract(both, 1)]);
        }
        Ok(out)
    }

    /// A cast to a narrow float stays packed: most often a store or a product comes next.
    fn cast(&mut self, x: ValueId, result: ValueId, to: Elem) -> Result<(), Error> {
        let from = self.elem(x)?;
        let regs = self.regs(x)?;
        let n = per_word(to);
        if matches!(to, Elem::F16 | Elem::BF16) && from == Elem::F32 && regs.len().is_multiple_of(n) {
            let words: Option<Vec<V>> =
                regs.chunks(n).map(|g| self.e.hooks.pack(&mut self.e, to, g)).collect();
            if let Some(words) = words {
                self.set(result, Val::Words(words));
                return Ok(());
            }
        }
        let regs = regs.iter().map(|x| self.e.cast(from, to, *x)).collect();
        self.set(result, Val::Regs(regs));
        Ok(())
    }
}

/// What some chips compute for two `f32` by one instruction.
fn two_at_once(kind: &OpKind) -> bool {
    matches!(kind, OpKind::Fma | OpKind::Binary(BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul))
}
