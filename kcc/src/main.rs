//! The `kcc` program: compiles, runs and inspects kernels, and serves the runtime as its compiler.

mod cmd;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    cmd::main(cmd::Cli::parse())
}
