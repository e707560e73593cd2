//! Walking over the numbers that a statement takes.

use super::place::{Global, Local, Val};
use super::vector::{Fill, Span, Stride};

/// Something that holds numbers.
pub trait Vals {
    /// Calls `f` with each number.
    fn each(&mut self, f: &mut dyn FnMut(&mut Val));

    /// Calls `f` with each place in a buffer.
    fn each_local(&mut self, f: &mut dyn FnMut(&mut Local)) {
        let _ = f;
    }
}

impl Vals for Val {
    fn each(&mut self, f: &mut dyn FnMut(&mut Val)) {
        f(self);
    }
}

impl Vals for Local {
    fn each(&mut self, f: &mut dyn FnMut(&mut Val)) {
        f(&mut self.offset);
    }

    fn each_local(&mut self, f: &mut dyn FnMut(&mut Local)) {
        f(self);
    }
}

impl Vals for Global {
    fn each(&mut self, f: &mut dyn FnMut(&mut Val)) {
        f(&mut self.offset);
    }
}

impl<T: Vals> Vals for Option<T> {
    fn each(&mut self, f: &mut dyn FnMut(&mut Val)) {
        if let Some(v) = self {
            v.each(f);
        }
    }
}

impl Vals for Span {
    fn each(&mut self, f: &mut dyn FnMut(&mut Val)) {
        match self {
            Span::Count { n } => f(n),
            Span::Repeat { lanes, times } => {
                f(lanes);
                f(times);
            }
        }
    }
}

impl Vals for Fill {
    fn each(&mut self, f: &mut dyn FnMut(&mut Val)) {
        f(&mut self.left);
        f(&mut self.right);
        f(&mut self.value);
    }
}

impl Vals for Stride {
    fn each(&mut self, _: &mut dyn FnMut(&mut Val)) {}
}

/// Types without numbers.
macro_rules! none {
    ($($t:ty),+ $(,)?) => { $(impl Vals for $t { fn each(&mut self, _: &mut dyn FnMut(&mut Val)) {} })+ };
}

none!(
    bool,
    u8,
    u16,
    u32,
    kcc_dsl::ir::Elem,
    super::copies::Atomic,
    super::copies::Quant,
    super::vector::Unary,
    super::vector::Binary,
    super::vector::WithScalar,
    super::vector::Rounding,
    super::vector::Compare,
    super::vector::Reduction,
    super::sync::Pipe,
    super::sync::Pipes,
    super::sync::Mode,
);
