//! What `#[kernel]` and `#[function]` turn `if`, `for`, `while`, ranges, comparisons, `&&` and `||` into.
//!
//! Kernels are not written against these names; rustc's messages mention them.

pub use crate::stage::Carried;
pub use crate::stage::compare::{Compare, eq, ge, gt, le, lt, ne};
pub use crate::stage::control::{
    Break, CompileTime, Condition, Continue, HostCondition, Question, Return, RunTime, WhileCondition,
    WhileStep, Witness, if_, may_break, may_continue, may_question, may_return, while_,
};
pub use crate::stage::logic::{Logic, and, or};
pub use crate::stage::loops::{ForLoop, Looped, for_};
pub use crate::stage::params::KernelParam;
pub use crate::stage::range::{RangeEnd, RangeStart, RunTimeRange, range, range_by_start};
pub use crate::tile::{DotWith, literal};
