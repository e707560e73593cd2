//! The executor behind a kernel's native function: values by number, errors by unwinding.
//!
//! Values form a stack. A loop marks it, and after each iteration keeps what it carries and drops the rest, so a long
//! loop needs no more memory than one iteration:
//!
//! ```text
//! params | before the loop | mark | carried | made by the iteration
//!                                 └ release(mark, keep) ─► carried'
//! ```

use super::core::{Core, Slot};
use super::error::{EagerError, Fault};
use super::eval::Fold;
use crate::ir::{Loc, OpKind, Type, ValueId};
use crate::stage::Engine;
use std::panic::Location;

/// The payload that stops a program; the error itself stays in the machine.
pub(super) struct Stop;

/// A fold under way.
struct Folding {
    fold: Fold,
    mark: usize,
    loc: &'static Location<'static>,
}

/// Executes the operations of one thread's kernel function.
pub(super) struct Machine {
    pub core: Core,
    pub error: Option<EagerError>,
    slots: Vec<Slot>,
    folds: Vec<Folding>,
}

impl Machine {
    pub fn new(core: Core) -> Machine {
        Machine { core, error: None, slots: Vec::new(), folds: Vec::new() }
    }

    /// Begins a program: value `i` is parameter `i`.
    pub fn start(&mut self, program: u32, params: &[Slot]) {
        self.core.start(program);
        self.folds.clear();
        self.slots.clear();
        self.slots.extend_from_slice(params);
    }

    fn get(&self, v: ValueId) -> Result<&Slot, Fault> {
        self.slots.get(v.0 as usize).ok_or_else(|| {
            Fault::new("a tile is used outside of the loop iteration or closure that made it")
                .help("carry it: assign it to a variable declared before the loop")
        })
    }

    fn get_all(&self, ids: &[ValueId]) -> Result<Vec<Slot>, Fault> {
        ids.iter().map(|&v| self.get(v).cloned()).collect()
    }

    fn push(&mut self, slots: impl IntoIterator<Item = Slot>) -> Vec<ValueId> {
        let first = self.slots.len();
        self.slots.extend(slots);
        (first..self.slots.len()).map(|i| ValueId(i as u32)).collect()
    }

    /// The result, or the end of the program.
    fn or_stop<R>(&mut self, result: Result<R, Fault>, loc: &Location<'_>) -> R {
        match result {
            Ok(r) => r,
            Err(fault) => {
                let loc = Loc { file: loc.file().to_string(), line: loc.line(), column: loc.column() };
                self.error = Some(fault.at(Some(loc), Some(self.core.position())));
                std::panic::resume_unwind(Box::new(Stop))
            }
        }
    }
}

impl Engine for Machine {
    fn op(
        &mut self,
        kind: OpKind,
        operands: &[ValueId],
        results: &[Type],
        loc: &'static Location<'static>,
    ) -> Vec<ValueId> {
        let slots = self.get_all(operands).and_then(|slots| self.core.exec(&kind, &slots, results));
        let slots = self.or_stop(slots, loc);
        self.push(slots)
    }

    #[track_caller]
    fn read_bool(&mut self, v: ValueId) -> bool {
        let result = self.get(v).and_then(|s| Ok(s.tile()?.as_bool()?));
        self.or_stop(result, Location::caller())
    }

    #[track_caller]
    fn read_int(&mut self, v: ValueId) -> i64 {
        let result = self.get(v).and_then(|s| Ok(s.tile()?.as_int()?));
        self.or_stop(result, Location::caller())
    }

    fn mark(&mut self) -> usize {
        self.slots.len()
    }

    fn release(&mut self, mark: usize, keep: &[ValueId]) -> Vec<ValueId> {
        let kept: Vec<Option<Slot>> = keep.iter().map(|&v| self.get(v).ok().cloned()).collect();
        self.slots.truncate(mark);
        let mut ids = Vec::with_capacity(keep.len());
        for (&id, slot) in keep.iter().zip(kept) {
            match slot {
                Some(slot) if id.0 as usize >= mark => ids.extend(self.push([slot])),
                _ => ids.push(id),
            }
        }
        ids
    }

    fn fold_begin(
        &mut self,
        kind: OpKind,
        operands: &[ValueId],
        _results: &[Type],
        loc: &'static Location<'static>,
    ) {
        let fold = self.get_all(operands).and_then(|slots| {
            let tiles: Result<Vec<_>, Fault> = slots.iter().map(|s| s.tile().cloned()).collect();
            Ok(Fold::new(&kind, tiles?)?)
        });
        let fold = self.or_stop(fold, loc);
        let mark = self.slots.len();
        self.folds.push(Folding { fold, mark, loc });
    }

    fn fold_next(&mut self) -> Option<Vec<ValueId>> {
        let folding = self.folds.last_mut()?;
        self.slots.truncate(folding.mark);
        let scalars = folding.fold.next()?;
        Some(self.push(scalars.into_iter().map(Slot::from)))
    }

    fn fold_put(&mut self, combined: &[ValueId]) {
        let slots = self.get_all(combined);
        let Some(folding) = self.folds.last_mut() else { return };
        let loc = folding.loc;
        let result = slots.and_then(|slots| {
            let values: Result<Vec<_>, Fault> =
                slots.iter().map(|s| Ok(super::value::Value::clone(s.tile()?))).collect();
            Ok(folding.fold.put(values?)?)
        });
        self.or_stop(result, loc)
    }

    fn fold_end(&mut self) -> Vec<ValueId> {
        let Some(folding) = self.folds.pop() else { return Vec::new() };
        self.slots.truncate(folding.mark);
        let result = folding.fold.finish().map_err(Fault::from);
        let values = self.or_stop(result, folding.loc);
        self.push(values.into_iter().map(Slot::from))
    }
}
