//! `if` and `while`: the type of the condition decides whether they happen while tracing or at run time.
//!
//! `#[kernel]` turns `if c { a } else { b }` into `if_(c, carried, |then, carried| ..)`: one closure for both branches,
//! so that the borrow checker sees them as the author wrote them.

use super::carried::{flatten, rebuild};
use super::loops::Looped;
use super::{Carried, Mode, mode};
use crate::elem::Elem;
use crate::ir::{OpKind, Type, ValueId};
use crate::shape::D0;
use crate::tile::Tile;
use std::panic::Location;

/// What may stand after `if`: `C` is what the branches assign, `V` their value.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the condition of an `if`",
    label = "neither `bool` nor `Scalar<bool>`",
    note = "a mask chooses element by element with `select(mask, a, b)`"
)]
pub trait Condition<C, V> {
    /// Runs or records the branches.
    #[track_caller]
    fn branch(self, init: C, f: impl FnMut(bool, C) -> (V, C)) -> (V, C);
}

impl<C, V> Condition<C, V> for bool {
    fn branch(self, init: C, mut f: impl FnMut(bool, C) -> (V, C)) -> (V, C) {
        f(self, init)
    }
}

impl<C: Carried, V: Carried> Condition<C, V> for Tile<bool, D0> {
    #[track_caller]
    fn branch(self, init: C, mut f: impl FnMut(bool, C) -> (V, C)) -> (V, C) {
        let loc = Location::caller();
        let t = match mode() {
            Mode::Run(e) => {
                let holds = e.borrow_mut().read_bool(self.id());
                return f(holds, init);
            }
            Mode::Trace(t) => t,
            Mode::None => return f(true, init),
        };
        let _ = t.borrow_mut().enter(&[], true);
        let result = f(true, init.clone());
        let (yields, types) = flatten(&result);
        let then = t.borrow_mut().leave(yields);
        let _ = t.borrow_mut().enter(&[], true);
        let (yields, _) = flatten(&f(false, init));
        let other = t.borrow_mut().leave(yields);
        let ids = t.borrow_mut().push(OpKind::If, &[self.id()], &types, vec![then, other], loc);
        rebuild(&result, &ids)
    }
}

/// The form of a rewritten `if`.
#[track_caller]
pub fn if_<B, C, V, F>(cond: B, init: C, f: F) -> (V, C)
where
    B: Condition<C, V>,
    F: FnMut(bool, C) -> (V, C),
{
    cond.branch(init, f)
}

/// What the closure of a rewritten `while` gives back.
pub enum WhileStep<B, C> {
    /// The condition, and the variables as they are after it.
    Condition(B, C),
    /// The variables after the body.
    Body(C),
}

/// What may stand after `while`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the condition of a `while`",
    label = "neither `bool` nor `Scalar<bool>`",
    note = "reduce a mask to one truth value, for example with `.any()` or `.all()`"
)]
pub trait WhileCondition<C>: Sized {
    /// Runs or records the loop. The closure's first argument asks for the condition (true) or the body (false).
    #[track_caller]
    fn repeat(init: C, f: impl FnMut(bool, C) -> WhileStep<Self, C>) -> C;
}

impl<C> WhileCondition<C> for bool {
    fn repeat(init: C, mut f: impl FnMut(bool, C) -> WhileStep<Self, C>) -> C {
        let mut c = init;
        let mut ask = true;
        loop {
            match f(ask, c) {
                WhileStep::Condition(false, end) => return end,
                WhileStep::Condition(true, next) => (c, ask) = (next, false),
                WhileStep::Body(next) => (c, ask) = (next, true),
            }
        }
    }
}

fn region<C: Carried>(step: WhileStep<Tile<bool, D0>, C>) -> Vec<ValueId> {
    let (mut ids, c) = match step {
        WhileStep::Condition(b, c) => (vec![b.id()], c),
        WhileStep::Body(c) => (Vec::new(), c),
    };
    c.ids(&mut ids);
    ids
}

impl<C: Carried> WhileCondition<C> for Tile<bool, D0> {
    #[track_caller]
    fn repeat(init: C, mut f: impl FnMut(bool, C) -> WhileStep<Self, C>) -> C {
        let loc = Location::caller();
        let t = match mode() {
            Mode::Trace(t) => t,
            Mode::None => return init,
            Mode::Run(e) => {
                let mut c = init;
                loop {
                    let mark = e.borrow_mut().mark();
                    let WhileStep::Condition(holds, tested) = f(true, c.clone()) else { return c };
                    let holds = e.borrow_mut().read_bool(holds.id());
                    let next = match holds.then(|| f(false, tested.clone())) {
                        Some(WhileStep::Body(next)) => next,
                        _ => tested,
                    };
                    let kept = e.borrow_mut().release(mark, &flatten(&next).0);
                    c = rebuild(&next, &kept);
                    if !holds {
                        return c;
                    }
                }
            }
        };
        let (ids, types) = flatten(&init);
        let args = t.borrow_mut().enter(&types, true);
        let yields = region(f(true, rebuild(&init, &args)));
        let test = t.borrow_mut().leave(yields);
        let args = t.borrow_mut().enter(&types, true);
        let yields = region(f(false, rebuild(&init, &args)));
        let body = t.borrow_mut().leave(yields);
        let ids = t.borrow_mut().push(OpKind::While, &ids, &types, vec![test, body], loc);
        rebuild(&init, &ids)
    }
}

/// The form of a rewritten `while`.
#[track_caller]
pub fn while_<B, C, F>(init: C, f: F) -> C
where
    B: WhileCondition<C>,
    F: FnMut(bool, C) -> WhileStep<B, C>,
{
    B::repeat(init, f)
}

/// Records or runs an operation whose region combines scalars: `f` gets `(acc.., x..)`.
#[track_caller]
pub(crate) fn fold(
    kind: OpKind,
    operands: &[ValueId],
    results: &[Type],
    scalars: &[Type],
    mut f: impl FnMut(&[ValueId]) -> Vec<ValueId>,
) -> Vec<ValueId> {
    let loc = Location::caller();
    match mode() {
        Mode::None => Vec::new(),
        Mode::Trace(t) => {
            let args: Vec<Type> = scalars.iter().chain(scalars).cloned().collect();
            let args = t.borrow_mut().enter(&args, false);
            let yields = f(&args);
            let block = t.borrow_mut().leave(yields);
            t.borrow_mut().push(kind, operands, results, vec![block], loc)
        }
        Mode::Run(e) => {
            e.borrow_mut().fold_begin(kind, operands, results, loc);
            loop {
                let next = e.borrow_mut().fold_next();
                let Some(args) = next else { break };
                let combined = f(&args);
                e.borrow_mut().fold_put(&combined);
            }
            e.borrow_mut().fold_end()
        }
    }
}

/// A scalar type.
pub(crate) fn scalar_type<T: Elem>() -> Type {
    super::tile_type::<T, D0>()
}

/// Known while the kernel is traced.
pub struct CompileTime;
/// Known only when the kernel runs.
pub struct RunTime;

/// Remembers when a condition or a loop's range is known, for the checks at `break`, `continue`, `return` and `?`.
pub struct Witness<When>(std::marker::PhantomData<When>);

/// When a condition is known.
pub fn condition_witness<B: HostCondition>(_condition: &B) -> Witness<B::When> {
    Witness(std::marker::PhantomData)
}

/// When a loop's range is known.
pub fn loop_witness<L: Looped>(_range: &L) -> Witness<L::When> {
    Witness(std::marker::PhantomData)
}

/// A condition that is known while tracing. A run-time condition has it too, so that the error is reported once, at
/// the token that leaves the branch.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a condition",
    label = "neither `bool` nor `Scalar<bool>`",
    note = "a mask chooses element by element with `select(mask, a, b)`"
)]
pub trait HostCondition {
    /// When it is known.
    type When;
    #[doc(hidden)]
    fn host(self) -> bool;
}
impl HostCondition for bool {
    type When = CompileTime;
    fn host(self) -> bool {
        self
    }
}
impl HostCondition for Tile<bool, D0> {
    type When = RunTime;
    fn host(self) -> bool {
        false
    }
}

/// The value of a condition that is known while tracing.
pub fn host_condition<B: HostCondition>(b: B) -> bool {
    b.host()
}

/// A loop that `break` may leave.
#[diagnostic::on_unimplemented(
    message = "`break` cannot leave a run-time loop or branch",
    label = "the loop runs a number of times that only the launch knows",
    note = "write `while condition {{ .. }}`, or mask the rest with `select`; a loop over host values such as `0..4` may `break`"
)]
pub trait Break {}
#[diagnostic::do_not_recommend]
impl Break for CompileTime {}
/// The check at `break`.
pub fn may_break<When: Break>(_: &Witness<When>) {}

/// A loop whose rest `continue` may skip.
#[diagnostic::on_unimplemented(
    message = "`continue` cannot skip the rest of a run-time loop or branch",
    label = "known only when the kernel runs",
    note = "put the rest of the loop's body under `if condition {{ .. }}`"
)]
pub trait Continue {}
#[diagnostic::do_not_recommend]
impl Continue for CompileTime {}
/// The check at `continue`.
pub fn may_continue<When: Continue>(_: &Witness<When>) {}

/// A loop or branch that `return` may leave.
#[diagnostic::on_unimplemented(
    message = "`return` cannot leave a run-time loop or branch",
    label = "known only when the kernel runs",
    note = "put the rest of the function under `if condition {{ .. }}`, or give the value of an `if .. else ..`"
)]
pub trait Return {}
#[diagnostic::do_not_recommend]
impl Return for CompileTime {}
/// The check at `return`.
pub fn may_return<When: Return>(_: &Witness<When>) {}

/// A loop or branch that `?` may leave.
#[diagnostic::on_unimplemented(
    message = "`?` cannot leave a run-time loop or branch",
    label = "known only when the kernel runs",
    note = "unwrap the value before the loop or branch"
)]
pub trait Question {}
#[diagnostic::do_not_recommend]
impl Question for CompileTime {}
/// The check at `?`.
pub fn may_question<When: Question>(_: &Witness<When>) {}
