//! `kcc serve`: the runtime's compiler, on standard input and output.

use super::Failure;
use kcc_compiler::Target;
use kcc_compiler::serve::{serve, unknown_target};
use std::io::{BufReader, BufWriter, stdin, stdout};

/// A target by its full name, or what to say of the name.
pub(super) fn target(name: &str) -> Result<Box<dyn Target>, Failure> {
    kcc_backends::open(name).ok_or_else(|| Failure::from(vec![unknown_target(name)]))
}

pub(super) fn run() -> Result<(), Failure> {
    serve(BufReader::new(stdin().lock()), BufWriter::new(stdout().lock()), &kcc_backends::open)
        .map_err(|e| Failure::input(format!("the other side of the pipe: {e}")))
}
