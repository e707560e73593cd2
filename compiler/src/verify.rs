//! Our verifier of kt modules, on top of what MLIR and IRDL check: the module must be a tile kernel, and well typed.
//!
//! It reads the module back and runs the validator of the tile IR, so that there is one statement of every rule,
//! whoever wrote the text.

use crate::error::{Error, at};
use crate::read;
use kcc_dsl::ir::{Kernel, OpKind, ParamKind, ValueId, validate};
use melior::ir::Module;
use std::collections::HashMap;

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
    validate(kernel).map_err(Error::from)?;
    match Error::all(writes(kernel)) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// Writes through views that the kernel takes read-only: passes move loads from those freely.
fn writes(kernel: &Kernel) -> Vec<Error> {
    let mut base: HashMap<ValueId, usize> =
        (0..kernel.params.len()).map(|i| (ValueId(i as u32), i)).collect();
    let mut errors = Vec::new();
    kernel.walk(&mut |op| {
        let param = op.operands.first().and_then(|v| base.get(v)).copied();
        match (&op.kind, param) {
            (OpKind::At, Some(param)) => base.extend(op.results.iter().map(|v| (*v, param))),
            (
                OpKind::Store { .. }
                | OpKind::StoreRows { .. }
                | OpKind::Scatter
                | OpKind::Atomic { .. }
                | OpKind::AtomicCas { .. },
                Some(param),
            ) if !matches!(kernel.params[param].kind, ParamKind::View { mutable: true, .. }) => {
                let name = &kernel.params[param].name;
                let what = format!("`{}` into `{name}`, which the kernel takes read-only", op.kind.name());
                errors.push(
                    at(kernel.loc(op.loc)).invalid(what).help("take it as `&mut View<..>` (`kt.mutable`)"),
                );
            }
            _ => {}
        }
    });
    errors
}
