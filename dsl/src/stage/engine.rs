//! The contract between the DSL and an executor of operations, such as eager mode.
//!
//! Control flow stays in Rust: a staged `if` reads its condition and runs one branch, a staged loop runs natively.

use super::{Mode, with_mode};
use crate::ir::{OpKind, Type, ValueId};
use std::cell::RefCell;
use std::panic::Location;
use std::rc::Rc;

/// Executes operations one at a time.
///
/// It is never borrowed while the author's code runs. An error leaves by `std::panic::resume_unwind` with a payload
/// that only the engine's owner knows.
pub trait Engine {
    /// Executes one operation without regions; one value per result type.
    fn op(
        &mut self,
        kind: OpKind,
        operands: &[ValueId],
        results: &[Type],
        loc: &'static Location<'static>,
    ) -> Vec<ValueId>;

    /// The value of a scalar `bool`.
    fn read_bool(&mut self, v: ValueId) -> bool;

    /// The value of a scalar integer.
    fn read_int(&mut self, v: ValueId) -> i64;

    /// Remembers which values exist.
    fn mark(&mut self) -> usize;

    /// Drops every value made since `mark` except `keep`; the new names of `keep`, in order (an id from before the
    /// mark keeps its name).
    fn release(&mut self, mark: usize, keep: &[ValueId]) -> Vec<ValueId>;

    /// Starts a [`OpKind::ReduceWith`] or [`OpKind::ScanWith`] over `operands`.
    fn fold_begin(
        &mut self,
        kind: OpKind,
        operands: &[ValueId],
        results: &[Type],
        loc: &'static Location<'static>,
    );

    /// The scalars `(acc1, …, acck, x1, …, xk)` that the closure combines next, or `None` when all is combined.
    fn fold_next(&mut self) -> Option<Vec<ValueId>>;

    /// The closure's results for what [`Engine::fold_next`] gave.
    fn fold_put(&mut self, combined: &[ValueId]);

    /// Ends the innermost fold; one value per result type.
    fn fold_end(&mut self) -> Vec<ValueId>;
}

/// Runs `f` with `engine` executing the operations of this thread.
pub fn with_engine<R>(engine: Rc<RefCell<dyn Engine>>, f: impl FnOnce() -> R) -> R {
    with_mode(Mode::Run(engine), f)
}
