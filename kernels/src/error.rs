//! What a launcher refuses, before anything runs.

use std::fmt;

/// Result of this crate's launchers.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

/// Why a kernel of this crate was not run, or stopped.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// An argument whose dims do not go with those of the others.
    Shape {
        /// The function that was called.
        kernel: &'static str,
        /// The argument's name.
        argument: &'static str,
        /// The dims that the other arguments ask for.
        expected: Vec<usize>,
        /// The argument's dims.
        given: Vec<usize>,
    },
    /// A size for which the crate has no instance of the kernel.
    Unsupported {
        /// The function that was called.
        kernel: &'static str,
        /// What it cannot do, and what it can.
        reason: String,
    },
    /// Compiling or launching failed.
    Runtime(kcc_runtime::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Shape { kernel, argument, expected, given } => {
                write!(
                    f,
                    "{kernel}: argument `{argument}` has dims {given:?}, the other arguments ask for {expected:?}"
                )
            }
            Error::Unsupported { kernel, reason } => write!(f, "{kernel}: {reason}"),
            Error::Runtime(e) => e.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Runtime(e) => Some(e),
            _ => None,
        }
    }
}

impl From<kcc_runtime::Error> for Error {
    fn from(e: kcc_runtime::Error) -> Self {
        Error::Runtime(e)
    }
}

impl From<kcc_runtime::ViewError> for Error {
    fn from(e: kcc_runtime::ViewError) -> Self {
        Error::Runtime(e.into())
    }
}
