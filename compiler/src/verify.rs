//! Our verifier of kt modules, on top of what MLIR and IRDL check: the module must be a tile kernel, and well typed.
//!
//! It reads the module back and runs the validator of the tile IR, so that there is one statement of every rule,
//! whoever wrote the text.

use crate::error::Error;
use crate::read;
use kcc_dsl::ir::{Kernel, validate};
use melior::ir::Module;

/// Checks a kt module; its kernel, if it is sound. `file` stands for the text in places.
///
/// # Errors
/// Every rule that is broken, with its place.
pub fn verify(module: &Module, file: &str) -> Result<Kernel, Error> {
    let kernel = read::to_kernel(module, file)?;
    check(&kernel)?;
    Ok(kernel)
}

/// Checks a kernel of the tile IR.
///
/// # Errors
/// Every rule that is broken, with its place.
pub fn check(kernel: &Kernel) -> Result<(), Error> {
    validate(kernel).map_err(Error::from)
}
