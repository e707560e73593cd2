//! The steps of a block, in order.

use super::{Lower, Result};
use crate::plan::steps::{self, BlockPlan, Step};
use kcc_dsl::ir::{Block, Op, OpKind, ValueId};

impl<'k> Lower<'k> {
    /// Writes a block. `target` names, for a tile that the block yields, the scratch memory it should end in.
    pub(super) fn block(&mut self, b: &'k Block, aliases: &[(ValueId, ValueId)]) -> Result<()> {
        let plan = steps::plan(self.f, self.lanes, b);
        for (value, arg) in aliases {
            if self.may_share(&plan, *value, *arg)
                && let Some(buffer) = self.buffers.get(arg).cloned()
            {
                self.shared.insert(*value, buffer);
            }
        }
        let contract = |s: &Step<'k>| match s {
            Step::Nest(n) => n.contract,
            Step::Op(_) => None,
        };
        let products = plan.steps.iter().filter_map(contract).collect();
        let outer = (std::mem::replace(&mut self.products, products), self.behind_first.take());
        let top = std::ptr::eq(b, &self.f.kernel.body);
        let mut ahead = if top { self.ahead(&plan) } else { Vec::new() };
        for (i, step) in plan.steps.iter().enumerate() {
            for op in &plan.scalars[i] {
                self.scalar_op(op);
            }
            let floor = std::mem::replace(&mut self.floor, self.e.level());
            self.ahead = ahead.get_mut(i).map(std::mem::take).unwrap_or_default();
            match step {
                Step::Nest(n) => self.nest(n)?,
                Step::Op(op) => self.step(op)?,
            }
            self.floor = floor;
        }
        for op in &plan.scalars[plan.steps.len()] {
            self.scalar_op(op);
        }
        (self.products, self.behind_first) = outer;
        Ok(())
    }

    /// Whether `value` may be written where the carried `arg` lies: nothing reads `arg` after the nest that computes
    /// `value`, and that nest reads it only element by element.
    fn may_share(&self, plan: &BlockPlan<'k>, value: ValueId, arg: ValueId) -> bool {
        let Some((home, nest)) = plan.nest_of(value) else { return false };
        let unique = self.f.uses[value.0 as usize].iter().filter(|u| u.yielded).count() == 1;
        // A reduction finishes a row before or after its elements are written; only plain nests are in place.
        let simple = nest.reduce_axis().is_none() || nest.dot.is_some();
        unique
            && simple
            && nest.keep.contains(&value)
            && self.f.is_local(arg)
            && self.f.shape(value) == self.f.shape(arg)
            && self.f.tile(value).elem == self.f.tile(arg).elem
            && plan
                .reads
                .iter()
                .enumerate()
                .all(|(i, r)| r.iter().all(|(v, point)| *v != arg || i < home || (i == home && *point)))
            && !self.f.uses[arg.0 as usize].iter().any(|u| u.yielded)
    }

    fn step(&mut self, op: &'k Op) -> Result<()> {
        self.says(op);
        match &op.kind {
            OpKind::For { .. } => self.for_(op),
            OpKind::While => self.while_(op),
            OpKind::If => self.if_(op),
            _ => {
                // Elements of views are read one by one here, each checked.
                let masked = std::mem::replace(&mut self.masked, true);
                let done = self.serial(op);
                self.masked = masked;
                done
            }
        }
    }
}
