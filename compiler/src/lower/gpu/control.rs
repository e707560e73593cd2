//! Loops and branches. Conditions and bounds are uniform: all threads go the same way.

use super::{Lower, Val};
use crate::emit::{Ty, V};
use crate::error::{Error, bug};
use crate::ktg::{GpuOp, Kind, Op};
use kcc_dsl::ir::{OpKind, ValueId};

/// How a value was packed when it was flattened, so that it comes back in the same form.
#[derive(Clone, Copy)]
struct Part {
    count: usize,
    form: Form,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Registers,
    /// [`Val::Words`].
    Words,
    /// Registers two by two, for chips that compute so.
    Pairs,
}

impl Lower<'_> {
    /// Values as one list, with how to take it apart. Packed tiles stay packed where `packed` says so.
    fn flatten(&mut self, values: &[ValueId], forms: Option<&[Part]>) -> Result<(Vec<V>, Vec<Part>), Error> {
        let mut all = Vec::new();
        let mut parts = Vec::new();
        for (i, v) in values.iter().enumerate() {
            let form = match (forms, self.val(*v)?) {
                (Some(forms), _) => forms[i].form,
                (None, Val::Words(_)) => Form::Words,
                (None, Val::Regs(r)) if r.len().is_multiple_of(2) && self.pairs(self.elem(*v)?) => {
                    Form::Pairs
                }
                _ => Form::Registers,
            };
            let list = match form {
                Form::Words => self.words(*v)?.ok_or_else(|| bug("a carried tile lost its packed form"))?,
                Form::Registers => self.regs(*v)?,
                Form::Pairs => self.regs(*v)?.chunks(2).map(|pair| self.e.vector(pair)).collect(),
            };
            parts.push(Part { count: list.len(), form });
            all.extend(list);
        }
        Ok((all, parts))
    }

    fn unflatten(&mut self, values: &[ValueId], parts: &[Part], flat: &[V]) {
        let mut rest = flat;
        for (v, p) in values.iter().zip(parts) {
            let (own, after) = rest.split_at(p.count);
            let val = match p.form {
                Form::Words => Val::Words(own.to_vec()),
                Form::Registers => Val::Regs(own.to_vec()),
                Form::Pairs => {
                    Val::Regs(own.iter().flat_map(|v| [0, 1].map(|lane| self.e.extract(*v, lane))).collect())
                }
            };
            self.set(*v, val);
            rest = after;
        }
    }

    pub(super) fn control(&mut self, kind: &OpKind, op: &Op) -> Result<(), Error> {
        match kind {
            OpKind::For { .. } => self.for_loop(op),
            OpKind::While => self.while_loop(op),
            _ => self.branch(op),
        }
    }

    fn for_loop(&mut self, op: &Op) -> Result<(), Error> {
        let (lo, hi) = (self.scalar(op.operands[0])?, self.scalar(op.operands[1])?);
        let step = self.scalar(op.operands[2])?;
        let body = &op.regions[0];
        let (inits, parts) = self.flatten(&op.operands[3..], None)?;
        self.enter_loop(op);
        let (mut open, iv, args) = self.e.begin_for(lo, hi, step, &inits);
        self.e.keep_rolled(&mut open);
        // Parts of one product are one.
        let product = |op: &&Op| match &op.kind {
            Kind::Gpu(GpuOp::Mma { depth, .. }) => depth.is_none_or(|[from, _]| from == 0),
            _ => false,
        };
        let iv = if body.ops.iter().filter(product).count() > 1 {
            self.target.counter(&mut self.e, iv)
        } else {
            iv
        };
        self.set(body.args[0], Val::Regs(vec![iv]));
        self.unflatten(&body.args[1..], &parts, &args);
        self.enter_block();
        self.block(body)?;
        self.e.set_place(Some(&self.func.loc(op.loc).clone()));
        let (yields, _) = self.flatten(&body.yields, Some(&parts))?;
        let results = self.e.end_for(open, &yields);
        self.unflatten(&op.results, &parts, &results);
        self.enter_block();
        Ok(())
    }

    fn while_loop(&mut self, op: &Op) -> Result<(), Error> {
        let (test, body) = (&op.regions[0], &op.regions[1]);
        let (inits, parts) = self.flatten(&op.operands, None)?;
        self.enter_loop(op);
        let (mut open, args) = self.e.begin_while(&inits);
        self.unflatten(&test.args, &parts, &args);
        self.enter_block();
        self.block(test)?;
        self.e.set_place(Some(&self.func.loc(op.loc).clone()));
        let go = self.scalar(test.yields[0])?;
        let (pass, _) = self.flatten(&test.yields[1..], Some(&parts))?;
        let args = self.e.while_body(&mut open, go, &pass);
        self.unflatten(&body.args, &parts, &args);
        self.enter_block();
        self.block(body)?;
        self.e.set_place(Some(&self.func.loc(op.loc).clone()));
        let (yields, _) = self.flatten(&body.yields, Some(&parts))?;
        let results = self.e.end_while(open, &yields);
        self.unflatten(&op.results, &parts, &results);
        self.enter_block();
        Ok(())
    }

    fn branch(&mut self, op: &Op) -> Result<(), Error> {
        let condition = self.scalar(op.operands[0])?;
        let mut parts = Vec::new();
        let mut tys: Vec<Ty> = Vec::new();
        for r in &op.results {
            let count = self.func.ty(*r).registers();
            let k = crate::emit::Emit::reg(self.elem(*r)?);
            parts.push(Part { count, form: Form::Registers });
            tys.extend(std::iter::repeat_n(Ty::scalar(k), count));
        }
        let mut open = self.e.begin_if(condition, &tys);
        self.enter_block();
        self.block(&op.regions[0])?;
        self.e.set_place(Some(&self.func.loc(op.loc).clone()));
        let (yields, _) = self.flatten(&op.regions[0].yields, Some(&parts))?;
        let otherwise = &op.regions[1];
        if !otherwise.ops.is_empty() || !op.results.is_empty() {
            self.e.begin_else(&mut open, &yields);
            self.enter_block();
            self.block(otherwise)?;
            self.e.set_place(Some(&self.func.loc(op.loc).clone()));
            let (yields, _) = self.flatten(&otherwise.yields, Some(&parts))?;
            let results = self.e.end_if(open, &yields);
            self.unflatten(&op.results, &parts, &results);
        } else {
            self.e.end_if(open, &yields);
        }
        self.enter_block();
        Ok(())
    }
}
