//! What can go wrong in a compilation: always a place, a fact and a remedy, never a panic.
//!
//! ```text
//! at(loc).unsupported("an fp8 dot on this target").help("cast the operands to f16")
//! bug("the lowering lost value 7")            // ours: says how to report it
//! ```

use kcc_dsl::exchange::{Diagnostic, Severity};
use kcc_dsl::ir::Loc;

/// A failed compilation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Something in the author's source, in an IR file, or in what was asked for.
    #[error("{}{message}", place(loc.as_ref()))]
    Source {
        /// Where.
        loc: Option<Loc>,
        /// The fact.
        message: String,
        /// The remedy.
        help: Option<String>,
    },
    /// A broken invariant of the compiler.
    #[error("{}internal compiler error: {message}", place(loc.as_ref()))]
    Bug {
        /// The author's source that led to it, where known.
        loc: Option<Loc>,
        /// What was found.
        message: String,
    },
    /// Several of these.
    #[error("{}", list(.0))]
    Many(Vec<Error>),
}

fn place(loc: Option<&Loc>) -> String {
    loc.map(|l| format!("{l}: ")).unwrap_or_default()
}

fn list(errors: &[Error]) -> String {
    errors.iter().map(Error::to_string).collect::<Vec<_>>().join("\n")
}

/// How to report a bug; the remedy of every [`Error::Bug`].
pub const REPORT: &str =
    "this is a bug in kcc: report it with the kernel's source and the folder that `--dump` writes";

/// A place in the author's source, about to be told what is wrong with it.
#[derive(Clone, Debug)]
pub struct Place(Option<Loc>);

/// Starts an error at a place.
pub fn at(loc: &Loc) -> Place {
    Place(Some(loc.clone()))
}

/// Starts an error that has no place in a source.
pub fn nowhere() -> Place {
    Place(None)
}

impl Place {
    /// `what` cannot be compiled: "… is not supported".
    pub fn unsupported(self, what: impl std::fmt::Display) -> Error {
        self.invalid(format!("{what} is not supported"))
    }

    /// A fact that makes the source invalid.
    pub fn invalid(self, message: impl Into<String>) -> Error {
        Error::Source { loc: self.0, message: message.into(), help: None }
    }

    /// A broken invariant, met while compiling this place.
    pub fn bug(self, message: impl Into<String>) -> Error {
        Error::Bug { loc: self.0, message: message.into() }
    }
}

/// A broken invariant of the compiler.
pub fn bug(message: impl Into<String>) -> Error {
    nowhere().bug(message)
}

impl Error {
    /// Adds the remedy.
    #[must_use]
    pub fn help(mut self, remedy: impl Into<String>) -> Self {
        if let Error::Source { help, .. } = &mut self {
            *help = Some(remedy.into());
        }
        self
    }

    /// Gives a place to an error that has none.
    #[must_use]
    pub fn or_at(mut self, place: &Loc) -> Self {
        if let Error::Source { loc: loc @ None, .. } | Error::Bug { loc: loc @ None, .. } = &mut self {
            *loc = Some(place.clone());
        }
        self
    }

    /// The same error with the file name `from` in its place replaced.
    #[must_use]
    pub fn in_file(mut self, from: &str, to: &str) -> Self {
        match &mut self {
            Error::Source { loc: Some(l), .. } | Error::Bug { loc: Some(l), .. } if l.file == from => {
                l.file = to.to_owned();
                self
            }
            Error::Many(all) => {
                Error::Many(std::mem::take(all).into_iter().map(|e| e.in_file(from, to)).collect())
            }
            _ => self,
        }
    }

    /// The same fact as a broken invariant: what reads as an author's mistake in text that we wrote ourselves.
    #[must_use]
    pub fn into_bug(self, stage: &str) -> Self {
        match self {
            Error::Source { loc, message, .. } => {
                Error::Bug { loc: None, message: format!("{stage}: {}{message}", place(loc.as_ref())) }
            }
            Error::Many(all) => Error::Many(all.into_iter().map(|e| e.into_bug(stage)).collect()),
            bug @ Error::Bug { .. } => bug,
        }
    }

    /// One error for a list; `None` if it is empty.
    pub fn all(mut errors: Vec<Error>) -> Option<Self> {
        match errors.len() {
            0 => None,
            1 => errors.pop(),
            _ => Some(Error::Many(errors)),
        }
    }

    /// As messages for the other side of [`kcc_dsl::exchange`].
    pub fn diagnostics(&self) -> Vec<Diagnostic> {
        match self {
            Error::Source { loc, message, help } => vec![Diagnostic {
                severity: Severity::Error,
                loc: loc.clone(),
                message: message.clone(),
                help: help.clone(),
            }],
            Error::Bug { loc, message } => vec![Diagnostic {
                severity: Severity::Bug,
                loc: loc.clone(),
                message: format!("internal compiler error: {message}"),
                help: Some(REPORT.into()),
            }],
            Error::Many(all) => all.iter().flat_map(Error::diagnostics).collect(),
        }
    }
}

impl From<Vec<Diagnostic>> for Error {
    fn from(all: Vec<Diagnostic>) -> Self {
        let one = |d: Diagnostic| match d.severity {
            Severity::Bug => Error::Bug { loc: d.loc, message: d.message },
            Severity::Warning | Severity::Error => {
                Error::Source { loc: d.loc, message: d.message, help: d.help }
            }
        };
        let errors = all.into_iter().map(one).collect();
        Error::all(errors).unwrap_or_else(|| bug("an error without a message"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loc() -> Loc {
        Loc { file: "k.rs".into(), line: 3, column: 9 }
    }

    #[test]
    fn an_error_has_place_fact_and_remedy() {
        let e = at(&loc()).unsupported("an fp8 dot").help("cast to f16");
        assert_eq!(e.to_string(), "k.rs:3:9: an fp8 dot is not supported");
        let d = &e.diagnostics()[0];
        assert_eq!(
            (d.severity, d.loc.as_ref(), d.help.as_deref()),
            (Severity::Error, Some(&loc()), Some("cast to f16"))
        );
    }

    #[test]
    fn a_bug_says_how_to_report_it() {
        let e = at(&loc()).invalid("odd").into_bug("lower");
        assert_eq!(e.diagnostics()[0].severity, Severity::Bug);
        assert_eq!(e.diagnostics()[0].help.as_deref(), Some(REPORT));
        assert_eq!(e.diagnostics()[0].message, "internal compiler error: lower: k.rs:3:9: odd");
    }
}
