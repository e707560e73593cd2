//! The commands, one per file, and what they share: options, failures and exit codes.
//!
//! ```text
//! exit code   0 ok   1 something in the input   2 usage (by clap)   3 a bug of kcc
//! ```

mod report;
mod serve;

use clap::{Parser, Subcommand};
use report::Failure;
use std::process::ExitCode;

/// Kernel compiler: tile kernels in Rust, compiled through MLIR.
#[derive(Parser)]
#[command(name = "kcc", version, max_term_width = 100)]
pub struct Cli {
    /// Write results and messages as JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Compile for a program that started this one; requests on standard input
    #[command(hide = true)]
    Serve,
}

/// Runs a command.
pub fn main(cli: Cli) -> ExitCode {
    let result = match cli.command {
        Command::Serve => serve::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(cli.json),
    }
}
