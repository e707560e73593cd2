//! Runs recorded IR: the reference for what a compiler pass or a backend makes of it.

use super::core::{Core, Slot};
use super::error::{EagerError, Fault};
use super::eval::Fold;
use super::launch::{Launch, Options, Report, give_back, prepare};
use super::memory::{EagerArg, EagerBuffer};
use super::value::Value;
use crate::ir::{Block, Elem, Kernel, LocId, Op, OpKind, Type, ValueId};

/// Runs every program of `grid` over a kernel's IR, one after another.
///
/// `args` has one entry per parameter; views name `buffers` by index. On an error the buffers hold what was written
/// until then. The kernel should be valid; one that is not ends in an error of severity `Bug`, or in the results of
/// the operations before.
pub fn interpret(
    kernel: &Kernel,
    grid: [u32; 3],
    buffers: &mut Vec<EagerBuffer>,
    args: &[EagerArg],
    options: &mut Options,
) -> Result<Report, EagerError> {
    let loc = kernel.locs.first();
    let Launch { core, params, order } = prepare(&kernel.params, loc, grid, buffers, args, options)?;
    let mut run = Run { kernel, core, env: Vec::new() };
    let mut result = Ok(());
    for &program in &order {
        run.core.start(program);
        run.env.clear();
        run.env.extend(params.iter().cloned().map(Some));
        run.env.resize(kernel.values.len(), None);
        result = run.block(&kernel.body, &[]).map(drop);
        if result.is_err() {
            break;
        }
    }
    let report = give_back(run.core, order.len() as u64, buffers, options);
    result.map(|()| report)
}

struct Run<'a> {
    kernel: &'a Kernel,
    core: Core,
    /// Current value of each value of the IR; a loop overwrites those of its body.
    env: Vec<Option<Slot>>,
}

impl Run<'_> {
    fn block(&mut self, block: &Block, args: &[Slot]) -> Result<Vec<Slot>, EagerError> {
        self.define(&block.args, args.to_vec()).map_err(|f| self.place(f, LocId(0)))?;
        for op in &block.ops {
            let operands = self.slots(&op.operands).map_err(|f| self.place(f, op.loc))?;
            let results = self.op(op, operands)?;
            self.define(&op.results, results).map_err(|f| self.place(f, op.loc))?;
        }
        self.slots(&block.yields).map_err(|f| self.place(f, LocId(0)))
    }

    fn op(&mut self, op: &Op, operands: Vec<Slot>) -> Result<Vec<Slot>, EagerError> {
        match &op.kind {
            OpKind::For { .. } => self.for_(op, operands),
            OpKind::While => self.while_(op, operands),
            OpKind::If => {
                let holds = self.at(op, |_| Ok(first(&operands)?.as_bool()?))?;
                let block = self.region(op, usize::from(!holds))?;
                self.block(block, &[])
            }
            OpKind::ReduceWith { .. } | OpKind::ScanWith { .. } => self.fold(op, operands),
            kind => {
                let kernel = self.kernel;
                let ty = |v: &ValueId| kernel.values.get(v.0 as usize).cloned();
                let types: Option<Vec<Type>> = op.results.iter().map(ty).collect();
                self.at(op, |core| core.exec(kind, &operands, &types.ok_or("a result without a type")?))
            }
        }
    }

    fn for_(&mut self, op: &Op, operands: Vec<Slot>) -> Result<Vec<Slot>, EagerError> {
        let block = self.region(op, 0)?;
        let (lo, hi, step) = self.at(op, |_| {
            let int = |i: usize| Ok::<i64, Fault>(first(operands.get(i..).unwrap_or(&[]))?.as_int()?);
            let (lo, hi, step) = (int(0)?, int(1)?, int(2)?);
            if step <= 0 {
                return Err(
                    Fault::new(format!("a loop with step {step}")).help("the step of a range is at least 1")
                );
            }
            Ok((lo, hi, step))
        })?;
        let mut carried = operands.get(3..).unwrap_or(&[]).to_vec();
        let mut iv = lo;
        while iv < hi {
            self.at(op, Core::burn)?;
            let index = self.at(op, |_| Ok(Value::ints(Elem::I32, &[], &[iv])?))?;
            let args: Vec<Slot> = [index.into()].into_iter().chain(carried).collect();
            carried = self.block(block, &args)?;
            iv += step;
        }
        Ok(carried)
    }

    fn while_(&mut self, op: &Op, mut carried: Vec<Slot>) -> Result<Vec<Slot>, EagerError> {
        let (before, after) = (self.region(op, 0)?, self.region(op, 1)?);
        loop {
            self.at(op, Core::burn)?;
            let mut yields = self.block(before, &carried)?;
            let holds = self.at(op, |_| Ok(first(&yields)?.as_bool()?))?;
            yields.remove(0);
            if !holds {
                return Ok(yields);
            }
            carried = self.block(after, &yields)?;
        }
    }

    fn fold(&mut self, op: &Op, operands: Vec<Slot>) -> Result<Vec<Slot>, EagerError> {
        let block = self.region(op, 0)?;
        let mut fold = self.at(op, |_| {
            let tiles: Result<Vec<_>, Fault> = operands.iter().map(|s| s.tile().cloned()).collect();
            Ok(Fold::new(&op.kind, tiles?)?)
        })?;
        while let Some(args) = fold.next() {
            let args: Vec<Slot> = args.into_iter().map(Slot::from).collect();
            let yields = self.block(block, &args)?;
            self.at(op, |_| {
                let values: Result<Vec<Value>, Fault> =
                    yields.iter().map(|s| Ok(Value::clone(s.tile()?))).collect();
                Ok(fold.put(values?)?)
            })?;
        }
        self.at(op, |_| Ok(fold.finish()?.into_iter().map(Slot::from).collect()))
    }

    fn region<'b>(&self, op: &'b Op, i: usize) -> Result<&'b Block, EagerError> {
        let missing = || Fault::from(format!("`{}` lacks region {i}", op.kind.name()));
        op.regions.get(i).ok_or_else(|| self.place(missing(), op.loc))
    }

    fn at<R>(&mut self, op: &Op, f: impl FnOnce(&mut Core) -> Result<R, Fault>) -> Result<R, EagerError> {
        f(&mut self.core).map_err(|fault| self.place(fault, op.loc))
    }

    fn place(&self, fault: Fault, loc: LocId) -> EagerError {
        fault.at(self.kernel.locs.get(loc.0 as usize).cloned(), Some(self.core.position()))
    }

    fn define(&mut self, ids: &[ValueId], slots: Vec<Slot>) -> Result<(), Fault> {
        if ids.len() != slots.len() {
            return Err(Fault::from(format!("{} values where {} are defined", slots.len(), ids.len())));
        }
        for (id, slot) in ids.iter().zip(slots) {
            *self.env.get_mut(id.0 as usize).ok_or("a value without a type")? = Some(slot);
        }
        Ok(())
    }

    fn slots(&self, ids: &[ValueId]) -> Result<Vec<Slot>, Fault> {
        let slot = |id: &ValueId| self.env.get(id.0 as usize).cloned().flatten();
        ids.iter()
            .map(|id| slot(id).ok_or_else(|| Fault::from("a value is used before it is defined")))
            .collect()
    }
}

fn first(slots: &[Slot]) -> Result<&Value, Fault> {
    Ok(slots.first().ok_or("an operand is missing")?.tile()?)
}
