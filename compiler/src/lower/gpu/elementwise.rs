//! Operations that work on one register at a time.

use super::value::per_word;
use super::{Lower, Val};
use crate::emit::V;
use crate::error::{Error, bug};
use crate::ktg::Op;
use kcc_dsl::ir::{Elem, OpKind, ValueId};

impl Lower<'_> {
    pub(super) fn elementwise(&mut self, kind: &OpKind, op: &Op) -> Result<(), Error> {
        let result = op.results[0];
        let elem = self.elem(result)?;
        let count = self.func.ty(result).registers();
        let regs = match kind {
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
