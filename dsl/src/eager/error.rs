//! How a launch in eager mode fails: the author's line, the fact, the remedy, and the program it happened in.

use crate::exchange::{Diagnostic, Severity};
use crate::ir::Loc;
use std::fmt;

/// A launch that was stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EagerError {
    /// The place in the author's source, the fact and the remedy.
    pub diagnostic: Diagnostic,
    /// Grid position of the program it happened in; `None` for a launch that never started.
    pub program: Option<[u32; 3]>,
}

impl fmt::Display for EagerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(loc) = &self.diagnostic.loc {
            write!(f, "{loc}: ")?;
        }
        write!(f, "{}", self.diagnostic.message)?;
        if let Some([x, y, z]) = self.program {
            write!(f, " (in program ({x}, {y}, {z}))")?;
        }
        match &self.diagnostic.help {
            Some(help) => write!(f, "\n  help: {help}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for EagerError {}

impl EagerError {
    /// A launch refused before any program ran.
    pub(super) fn launch(loc: Option<Loc>, message: impl Into<String>, help: Option<String>) -> EagerError {
        Fault { message: message.into(), help, bug: false }.at(loc, None)
    }
}

/// A failure before its place is known.
#[derive(Debug)]
pub(super) struct Fault {
    message: String,
    help: Option<String>,
    bug: bool,
}

impl Fault {
    /// A mistake of the author's, or in the arguments.
    pub(super) fn new(message: impl Into<String>) -> Fault {
        Fault { message: message.into(), help: None, bug: false }
    }

    /// Adds the remedy.
    pub(super) fn help(mut self, help: impl Into<String>) -> Fault {
        self.help = Some(help.into());
        self
    }

    /// Adds place and program.
    pub(super) fn at(self, loc: Option<Loc>, program: Option<[u32; 3]>) -> EagerError {
        let severity = if self.bug { Severity::Bug } else { Severity::Error };
        EagerError {
            diagnostic: Diagnostic { severity, loc, message: self.message, help: self.help },
            program,
        }
    }
}

/// A message of the evaluator: the operation is ill-typed, which the DSL's types rule out.
impl From<String> for Fault {
    fn from(message: String) -> Fault {
        Fault { message: format!("ill-typed operation: {message}"), help: None, bug: true }
    }
}

impl From<&str> for Fault {
    fn from(message: &str) -> Fault {
        Fault::from(message.to_string())
    }
}
