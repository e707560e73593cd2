//! Run-time loops and branches. Scalars are carried as SSA values, tiles in scratch memory.

use super::{Coord, Lower, Result};
use kcc_compiler::emit::{K, V};
use kcc_dsl::ir::{Block, Op, OpKind, ValueId};

impl<'k> Lower<'k> {
    fn is_tile(&self, v: ValueId) -> bool {
        self.f.rank(v) > 0
    }

    fn scalars_of(&self, vs: &[ValueId]) -> Vec<V> {
        vs.iter().filter(|v| !self.is_tile(**v)).map(|v| self.scalars[v]).collect()
    }

    fn bind_scalars(&mut self, names: &[ValueId], values: &[V]) {
        let names: Vec<ValueId> = names.iter().copied().filter(|v| !self.is_tile(*v)).collect();
        for (n, v) in names.into_iter().zip(values) {
            self.scalars.insert(n, *v);
        }
    }

    /// Gives each tile among `args` its own scratch memory, filled from `inits`; `results` will name it too.
    fn carry_in(&mut self, inits: &[ValueId], args: &[ValueId], results: &[ValueId]) -> Result<()> {
        for ((i, a), r) in inits.iter().zip(args).zip(results) {
            if !self.is_tile(*a) {
                continue;
            }
            let b = match self.buffers.get(r) {
                Some(b) => b.clone(),
                None => self.allocate(self.f.tile(*r), self.lanes[r.0 as usize] as usize),
            };
            let floor = std::mem::replace(&mut self.floor, self.e.level());
            self.fill(&b, *i);
            self.floor = floor;
            self.buffers.insert(*a, b.clone());
            self.buffers.insert(*r, b);
        }
        Ok(())
    }

    /// Writes the yielded tiles where the next iteration expects them.
    fn carry_out(&mut self, block: &Block, yields: &[ValueId], targets: &[ValueId]) {
        // What the block wrote is read after it, not before the loop or branch.
        let floor = std::mem::replace(&mut self.floor, self.e.level());
        let mut moves = Vec::new();
        for (y, t) in yields.iter().zip(targets) {
            if !self.is_tile(*t) {
                continue;
            }
            let to = self.buffers[t].clone();
            let from = self.buffers.get(y).map(|b| b.ptr);
            if from == Some(to.ptr) {
                continue;
            }
            // A value with memory of its own can be copied at any time; others may depend on what is overwritten.
            let own = from.is_some() && !block.args.contains(y);
            moves.push((*y, to, own));
        }
        let single = moves.len() == 1;
        let mut staged = Vec::new();
        for (y, to, own) in &moves {
            if *own || single && self.is_pointwise(*y) {
                staged.push(None);
                continue;
            }
            let lane = self.lanes[y.0 as usize] as usize;
            let temp = self.allocate(self.f.tile(*y), lane);
            self.fill(&temp, *y);
            staged.push(Some((temp, to.clone())));
        }
        for ((y, to, _), s) in moves.iter().zip(&staged) {
            match s {
                Some((temp, to)) => self.copy(temp, to),
                None => self.fill(to, *y),
            }
        }
        self.floor = floor;
    }

    /// Whether an element of `v` depends on no other element of what lies in scratch memory.
    fn is_pointwise(&self, v: ValueId) -> bool {
        if self.f.rank(v) == 0 || self.buffers.contains_key(&v) {
            return true;
        }
        self.f.op(v).is_some_and(|op| {
            matches!(op.kind, OpKind::Constant(_) | OpKind::Arange)
                || op.kind.is_elementwise() && op.operands.iter().all(|o| self.is_pointwise(*o))
        })
    }

    pub(super) fn for_(&mut self, op: &'k Op) -> Result<()> {
        let body = &op.regions[0];
        let (inits, args, results) = (&op.operands[3..], &body.args[1..], &op.results[..]);
        self.carry_in(inits, args, results)?;
        self.prepare_outside(body);
        // Later loops of this block find what was prepared before this one; what its body prepares exists only there.
        let prepared = self.prepared.clone();
        let bound = |s: &mut Self, v: ValueId| {
            let i = s.index(v);
            s.e.ix(i)
        };
        let (lo, hi, step) =
            (bound(self, op.operands[0]), bound(self, op.operands[1]), bound(self, op.operands[2]));
        let init = self.scalars_of(inits);
        let (open, iv, carried) = self.e.begin_for(lo, hi, step, &init);
        self.bind_scalars(args, &carried);
        let i32iv = self.e.conv("arith.trunci", iv, K::I32);
        self.scalars.insert(body.args[0], i32iv);
        let aliases: Vec<(ValueId, ValueId)> =
            body.yields.iter().copied().zip(args.iter().copied()).filter(|(y, _)| self.is_tile(*y)).collect();
        self.block(body, &aliases)?;
        self.carry_out(body, &body.yields, args);
        self.prepared = prepared;
        let out = self.scalars_of(&body.yields);
        let out = self.e.end_for(open, &out);
        self.settle();
        self.bind_scalars(results, &out);
        Ok(())
    }

    pub(super) fn if_(&mut self, op: &'k Op) -> Result<()> {
        for r in &op.results {
            if self.is_tile(*r) {
                self.buffer(*r);
            }
        }
        let cond = self.scalars[&op.operands[0]];
        let tys: Vec<_> = op
            .results
            .iter()
            .filter(|r| !self.is_tile(**r))
            .map(|r| self.reg(self.f.tile(*r).elem, false))
            .collect();
        let mut open = self.e.begin_if(cond, &tys);
        for (i, region) in op.regions.iter().enumerate() {
            let prepared = self.prepared.clone();
            self.block(region, &[])?;
            self.carry_out(region, &region.yields, &op.results);
            self.prepared = prepared;
            let out = self.scalars_of(&region.yields);
            if i == 0 {
                self.e.begin_else(&mut open, &out);
                self.memo.truncate(self.e.level() as usize);
            } else {
                let out = self.e.end_if(open, &out);
                self.settle();
                self.bind_scalars(&op.results, &out);
                break;
            }
        }
        Ok(())
    }

    pub(super) fn while_(&mut self, op: &'k Op) -> Result<()> {
        let (cond, body) = (&op.regions[0], &op.regions[1]);
        self.carry_in(&op.operands, &cond.args, &op.results)?;
        for (a, r) in body.args.iter().zip(&op.results) {
            if self.is_tile(*a) {
                let b = self.buffers[r].clone();
                self.buffers.insert(*a, b);
            }
        }
        let init = self.scalars_of(&op.operands);
        let (mut open, args) = self.e.begin_while(&init);
        self.bind_scalars(&cond.args, &args);
        let prepared = self.prepared.clone();
        self.block(cond, &[])?;
        self.carry_out(cond, &cond.yields[1..], &op.results);
        let flag = self.scalars[&cond.yields[0]];
        let pass = self.scalars_of(&cond.yields[1..]);
        let args = self.e.while_body(&mut open, flag, &pass);
        self.memo.truncate(self.e.level() as usize);
        self.bind_scalars(&body.args, &args);
        self.prepared.clone_from(&prepared);
        self.block(body, &[])?;
        self.carry_out(body, &body.yields, &op.results);
        self.prepared = prepared;
        let out = self.scalars_of(&body.yields);
        let out = self.e.end_while(open, &out);
        self.settle();
        self.bind_scalars(&op.results, &out);
        Ok(())
    }

    /// Copies a tile between buffers of one shape.
    fn copy(&mut self, from: &super::Buffer, to: &super::Buffer) {
        let from = from.clone();
        let lane = to.strides.iter().position(|s| *s == 1).unwrap_or(0);
        self.each(&from.shape.clone(), lane, &mut |s, pt| {
            let x = s.read_buffer(&from, pt);
            s.write_buffer(to, pt, x);
        });
    }

    /// Writes a value's elements into a buffer.
    pub(super) fn fill(&mut self, to: &super::Buffer, v: ValueId) {
        let lane = self.lanes[v.0 as usize] as usize;
        let shape = to.shape.clone();
        let loads = self.loads_of(v);
        self.versions(&loads, &mut |s| {
            s.each(&shape, lane, &mut |s, pt: &[Coord]| {
                let x = s.eval(v, pt);
                s.write_buffer(to, pt, x);
            });
            Vec::new()
        });
    }
}
