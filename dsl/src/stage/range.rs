//! `a..b` after `for .. in`: host ends give Rust's own range, a staged end gives a run-time range.

use super::fail::fail;
use super::{constant, emit1};
use crate::ir::{BinaryOp, Const, OpKind};
use crate::shape::D0;
use crate::stage::tile_type;
use crate::tile::Scalar;
use crate::view::Index;
use std::ops::{Range, RangeInclusive};

/// A range whose ends are known when the kernel runs: `0..x.dim(0)`.
#[derive(Clone, Copy)]
pub struct RunTimeRange {
    pub(crate) lo: Scalar<i32>,
    pub(crate) hi: Scalar<i32>,
    pub(crate) step: Scalar<i32>,
    pub(crate) stages: u8,
}

impl RunTimeRange {
    #[track_caller]
    fn new(lo: impl Index, hi: impl Index) -> Self {
        let step = Scalar::from_id(constant::<i32, D0>(Const::Int(1)));
        RunTimeRange { lo: lo.staged(), hi: hi.staged(), step, stages: 0 }
    }

    /// Every `n`th number, from the first. `n` must be positive.
    #[track_caller]
    pub fn step_by(self, n: impl Index) -> Self {
        if n.known().is_some_and(|n| n <= 0) {
            fail(
                "a loop's step must be positive",
                "count upwards and compute the index from the loop's variable",
            );
        }
        RunTimeRange { step: n.staged(), ..self }
    }

    /// Asks for software pipelining in `n` stages (0: the target's choice).
    #[track_caller]
    pub fn stages(self, n: usize) -> Self {
        let Ok(stages) = u8::try_from(n) else {
            fail("a loop has at most 255 stages", "ask for fewer stages")
        };
        RunTimeRange { stages, ..self }
    }
}

/// Types between which `..` makes a range; seen from the end.
#[diagnostic::on_unimplemented(
    message = "`{A}` and `{Self}` cannot be the ends of a range",
    label = "the ends are host integers or `Scalar<i32>`",
    note = "convert with `.to::<i32>()` or `as usize`"
)]
pub trait RangeEnd<A>: Sized {
    /// The range.
    type Range;
    /// `a..self`
    #[track_caller]
    fn range_from(self, a: A) -> Self::Range;
}

/// Types between which `..` makes a range; seen from the start.
#[diagnostic::on_unimplemented(
    message = "`{Self}` and `{B}` cannot be the ends of a range",
    label = "the ends are host integers or `Scalar<i32>`",
    note = "convert with `.to::<i32>()` or `as usize`"
)]
pub trait RangeStart<B>: Sized {
    /// The range.
    type Range;
    /// `self..b`
    #[track_caller]
    fn range_to(self, b: B) -> Self::Range;
}

#[diagnostic::do_not_recommend]
impl<A: Index> RangeEnd<A> for Scalar<i32> {
    type Range = RunTimeRange;
    #[track_caller]
    fn range_from(self, a: A) -> RunTimeRange {
        RunTimeRange::new(a, self)
    }
}
#[diagnostic::do_not_recommend]
impl<B: Index> RangeStart<B> for Scalar<i32> {
    type Range = RunTimeRange;
    #[track_caller]
    fn range_to(self, b: B) -> RunTimeRange {
        RunTimeRange::new(self, b)
    }
}

macro_rules! host {
    ($($t:ty),*) => {$(
        #[diagnostic::do_not_recommend]
        impl RangeEnd<$t> for $t {
            type Range = Range<$t>;
            fn range_from(self, a: $t) -> Range<$t> {
                a..self
            }
        }
        #[diagnostic::do_not_recommend]
        impl RangeStart<$t> for $t {
            type Range = Range<$t>;
            fn range_to(self, b: $t) -> Range<$t> {
                self..b
            }
        }
    )*};
}
host!(usize, isize, u8, u16, u32, u64, i8, i16, i32, i64);

macro_rules! mixed {
    ($($t:ty),*) => {$(
        #[diagnostic::do_not_recommend]
        impl RangeEnd<Scalar<i32>> for $t {
            type Range = RunTimeRange;
            #[track_caller]
            fn range_from(self, a: Scalar<i32>) -> RunTimeRange {
                RunTimeRange::new(a, self)
            }
        }
        #[diagnostic::do_not_recommend]
        impl RangeStart<Scalar<i32>> for $t {
            type Range = RunTimeRange;
            #[track_caller]
            fn range_to(self, b: Scalar<i32>) -> RunTimeRange {
                RunTimeRange::new(self, b)
            }
        }
    )*};
}
mixed!(usize, i32);

/// `a..b`
#[track_caller]
pub fn range<A, B: RangeEnd<A>>(a: A, b: B) -> B::Range {
    b.range_from(a)
}

/// `a..b` where `b` is a literal.
#[track_caller]
pub fn range_by_start<A: RangeStart<B>, B>(a: A, b: B) -> A::Range {
    a.range_to(b)
}

/// Ranges that can take in their end.
pub trait Inclusive {
    /// The range with its end.
    type Range;
    /// The range with its end.
    #[track_caller]
    fn inclusive(self) -> Self::Range;
}
impl<T> Inclusive for Range<T> {
    type Range = RangeInclusive<T>;
    fn inclusive(self) -> RangeInclusive<T> {
        self.start..=self.end
    }
}
impl Inclusive for RunTimeRange {
    type Range = RunTimeRange;
    #[track_caller]
    fn inclusive(self) -> RunTimeRange {
        let one = constant::<i32, D0>(Const::Int(1));
        let hi = emit1(OpKind::Binary(BinaryOp::Add), &[self.hi.id(), one], tile_type::<i32, D0>());
        RunTimeRange { hi: Scalar::from_id(hi), ..self }
    }
}

/// `a..=b`, from `a..b`.
#[track_caller]
pub fn inclusive<R: Inclusive>(r: R) -> R::Range {
    r.inclusive()
}
