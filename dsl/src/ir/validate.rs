//! Checks a kernel of any origin: every value defined before its use, every operation well typed.
//!
//! It is total: no kernel, however mangled, makes it panic. What passes may be given to every back end.

use super::{Block, Kernel, Type, ValueId};
use crate::exchange::{Diagnostic, Severity};
use std::collections::HashSet;

mod structure;
mod types;

/// Checks the kernel.
///
/// # Errors
/// Every mistake found, each with its place in the author's source.
pub fn validate(kernel: &Kernel) -> Result<(), Vec<Diagnostic>> {
    let mut checker = Checker {
        kernel,
        defined: vec![false; kernel.values.len()],
        scope: Vec::new(),
        visible: HashSet::new(),
        errors: Vec::new(),
    };
    checker.kernel();
    if checker.errors.is_empty() { Ok(()) } else { Err(checker.errors) }
}

/// At most this many mistakes are reported.
const MANY: usize = 20;
/// Regions nested deeper than this are refused: whoever walks the IR recurses.
const DEEP: usize = 64;
/// A tile has at most this many elements.
const LARGE: usize = 1 << 24;

struct Checker<'a> {
    kernel: &'a Kernel,
    /// Values that were defined somewhere.
    defined: Vec<bool>,
    /// Values defined by each open region.
    scope: Vec<Vec<ValueId>>,
    /// Values that the current operation may use.
    visible: HashSet<ValueId>,
    errors: Vec<Diagnostic>,
}

impl Checker<'_> {
    fn error(&mut self, loc: Option<super::LocId>, message: String, help: Option<&str>) {
        if self.errors.len() >= MANY {
            return;
        }
        let loc = loc.and_then(|l| self.kernel.locs.get(l.0 as usize)).or(self.kernel.locs.first()).cloned();
        let help = help.map(str::to_owned);
        self.errors.push(Diagnostic { severity: Severity::Error, loc, message, help });
    }

    fn ty(&self, v: ValueId) -> Option<&Type> {
        self.kernel.values.get(v.0 as usize)
    }

    fn types(&self, values: &[ValueId]) -> Option<Vec<Type>> {
        values.iter().map(|&v| self.ty(v).cloned()).collect()
    }

    fn region_types(&self, b: &Block) -> Option<(Vec<Type>, Vec<Type>)> {
        Some((self.types(&b.args)?, self.types(&b.yields)?))
    }
}
