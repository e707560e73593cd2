//! `for`: over host values it unrolls while tracing, over a run-time range it becomes a run-time loop.

use super::carried::{flatten, rebuild};
use super::control::{CompileTime, RunTime, scalar_type};
use super::range::RunTimeRange;
use super::{Carried, Mode, constant, mode};
use crate::ir::{Const, OpKind};
use crate::shape::D0;
use crate::tile::Scalar;
use std::panic::Location;

/// What may stand after `for .. in`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be looped over",
    label = "neither a range nor an iterator",
    note = "write `for i in 0..n {{ .. }}`"
)]
pub trait Looped {
    /// What the loop's variable is.
    type Item;
    /// What a loop that stays in Rust iterates over.
    type Host: Iterator<Item = Self::Item>;
    /// When the number of rounds is known.
    type When;
    #[doc(hidden)]
    fn host(self) -> Self::Host;
}

impl<I: IntoIterator> Looped for I {
    type Item = I::Item;
    type Host = I::IntoIter;
    type When = CompileTime;
    fn host(self) -> I::IntoIter {
        self.into_iter()
    }
}

impl Looped for RunTimeRange {
    type Item = Scalar<i32>;
    type Host = std::iter::Empty<Scalar<i32>>;
    type When = RunTime;
    fn host(self) -> Self::Host {
        std::iter::empty()
    }
}

/// A loop whose body assigns `C`.
pub trait ForLoop<C>: Looped {
    /// Runs or records the loop.
    #[track_caller]
    fn each(self, init: C, f: impl FnMut(Self::Item, C) -> C) -> C;
}

impl<C, I: IntoIterator> ForLoop<C> for I {
    fn each(self, init: C, mut f: impl FnMut(I::Item, C) -> C) -> C {
        self.into_iter().fold(init, |c, i| f(i, c))
    }
}

impl<C: Carried> ForLoop<C> for RunTimeRange {
    #[track_caller]
    fn each(self, init: C, mut f: impl FnMut(Scalar<i32>, C) -> C) -> C {
        let loc = Location::caller();
        match mode() {
            Mode::None => init,
            Mode::Trace(t) => {
                let (ids, mut types) = flatten(&init);
                let mut operands = vec![self.lo.id(), self.hi.id(), self.step.id()];
                operands.extend(ids);
                let results = types.clone();
                types.insert(0, scalar_type::<i32>());
                let args = t.borrow_mut().enter(&types, true);
                let end = f(Scalar::from_id(args[0]), rebuild(&init, &args[1..]));
                let body = t.borrow_mut().leave(flatten(&end).0);
                let kind = OpKind::For { stages: self.stages };
                let ids = t.borrow_mut().push(kind, &operands, &results, vec![body], loc);
                rebuild(&init, &ids)
            }
            Mode::Run(e) => {
                let read = |v: Scalar<i32>| e.borrow_mut().read_int(v.id());
                let (mut i, hi, step) = (read(self.lo), read(self.hi), read(self.step).max(1));
                let mut c = init;
                while i < hi {
                    let mark = e.borrow_mut().mark();
                    let iv = constant::<i32, D0>(Const::Int(i));
                    let next = f(Scalar::from_id(iv), c);
                    let kept = e.borrow_mut().release(mark, &flatten(&next).0);
                    c = rebuild(&next, &kept);
                    i += step;
                }
                c
            }
        }
    }
}

/// The form of a rewritten `for`.
#[track_caller]
pub fn for_<L, C, F>(range: L, init: C, f: F) -> C
where
    L: ForLoop<C>,
    F: FnMut(L::Item, C) -> C,
{
    range.each(init, f)
}

/// What a loop that contains `break`, `continue`, `return` or `?` iterates over.
pub fn host_items<L: Looped>(range: L) -> L::Host {
    range.host()
}

/// Options of a loop over host values, for which they mean nothing: the loop unrolls.
pub trait LoopOptions: Sized {
    /// Number of software-pipelining stages.
    fn stages(self, _n: usize) -> Self {
        self
    }
}
impl<I: Iterator> LoopOptions for I {}
