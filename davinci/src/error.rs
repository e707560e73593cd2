//! What can be wrong with a program, or happen when it runs.

use kcc_dsl::ir::Loc;
use std::fmt;

/// Why a program cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// A text that is not understood.
    #[error("line {line}: {what}")]
    Text {
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// A program that breaks a rule of the cores.
    #[error("{0}")]
    Invalid(Fault),
    /// A run that did.
    #[error("{0}")]
    Fault(Fault),
    /// Launch arguments that do not fit.
    #[error("{0}")]
    Arguments(String),
}

/// The kinds of mistakes that are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// A parameter of an instruction is out of its range or misaligned.
    Parameter,
    /// Buffers do not fit a memory, overlap, or are misaligned.
    Capacity,
    /// An access outside its buffer or view.
    Bounds,
    /// A value that was never written reached global memory, a scalar or a mask.
    Undefined,
    /// Two accesses that nothing orders.
    Race,
    /// An event that is raised twice, never raised, or left raised.
    Event,
    /// A flag between cores that overflows or is left raised.
    Flag,
    /// Cores that wait for each other for ever.
    Deadlock,
    /// A register that is read before it is assigned, a type that an instruction lacks, a buffer of another core.
    Form,
    /// More turns than the limit.
    Runaway,
}

/// A mistake, with the author's lines.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// What kind.
    pub kind: FaultKind,
    /// What happened, in words.
    pub what: String,
    /// Where the instruction comes from.
    pub loc: Option<Loc>,
    /// The other instruction, of a race.
    pub other: Option<Loc>,
}

impl Fault {
    pub(crate) fn new(kind: FaultKind, what: impl Into<String>) -> Fault {
        Fault { kind, what: what.into(), loc: None, other: None }
    }

    pub(crate) fn at(mut self, loc: Option<&Loc>) -> Fault {
        if self.loc.is_none() {
            self.loc = loc.cloned();
        }
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(l) = &self.loc {
            write!(f, "{l}: ")?;
        }
        f.write_str(&self.what)?;
        if let Some(l) = &self.other {
            write!(f, " (the other is at {l})")?;
        }
        Ok(())
    }
}
