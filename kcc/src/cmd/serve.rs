//! `kcc serve`: the runtime's compiler, on standard input and output.

use super::Failure;
use kcc_amd::Amd;
use kcc_ascend::Ascend;
use kcc_compiler::Target;
use kcc_compiler::serve::serve;
use kcc_cpu::Cpu;
use kcc_nvidia::Nvidia;
use std::io::{BufReader, BufWriter, stdin, stdout};

/// A target by its full name.
pub(super) fn target(name: &str) -> Option<Box<dyn Target>> {
    if let Some(cpu) = Cpu::open(name) {
        return Some(Box::new(cpu));
    }
    if let Some(gpu) = Nvidia::open(name) {
        return Some(Box::new(gpu));
    }
    if let Some(gpu) = Amd::open(name) {
        return Some(Box::new(gpu));
    }
    Some(Box::new(Ascend::open(name)?))
}

pub(super) fn run() -> Result<(), Failure> {
    serve(BufReader::new(stdin().lock()), BufWriter::new(stdout().lock()), &target)
        .map_err(|e| Failure::input(format!("the other side of the pipe: {e}")))
}
