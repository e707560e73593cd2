//! Text of the GPU level, read back.

use super::Func;
use crate::error::{Error, nowhere};

/// Reads a function.
///
/// # Errors
/// Always: dumps of this level are for reading only.
pub fn from_text(_text: &str, file: &str) -> Result<Func, Error> {
    Err(nowhere()
        .unsupported(format!("replacing a stage of the GPU level (by {file})"))
        .help("replace a kt stage, or `lower`"))
}
