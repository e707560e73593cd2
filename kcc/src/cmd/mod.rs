//! The commands, one per file, and what they share: options, failures and exit codes.
//!
//! ```text
//! exit code   0 ok   1 something in the input   2 usage (by clap)   3 a bug of kcc
//! ```

mod build;
mod check;
mod driver;
mod dump;
mod input;
mod layout;
mod npy;
mod opt;
mod pack;
mod registers;
mod report;
mod run;
mod serve;
mod targets;
mod timeline;
mod values;

use clap::{Parser, Subcommand};
use report::Failure;
use std::process::ExitCode;

const AFTER_HELP: &str = "\
Examples:
  kcc check kernels                          every kernel of the crate in ./kernels
  kcc build kernels --emit so -o out         shared objects and manifests into ./out
  kcc run kernels --kernel 'softmax_tile<f32, 4096>' --grid 4 \\
      --arg x=random:4x100 --arg y=empty:4x100 --check
  kcc dump kernels --kernel 'softmax_tile<f32, 4096>' --out stages

Exit codes: 0 done, 1 something in the input, 2 usage, 3 a bug of kcc.
Environment: KCC_CACHE_DIR (compiled kernels; empty: none), KCC_LLD (linker), NO_COLOR.";

/// Compiles, runs and inspects tile kernels.
#[derive(Parser)]
#[command(name = "kcc", version = kcc_compiler::serve::compiler_version(), max_term_width = 100, after_help = AFTER_HELP)]
pub struct Cli {
    /// Write results and messages as JSON on standard output
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Compile the kernels of a crate, or of a .mlir file, for named targets
    Build(build::Args),
    /// Run a kernel on random or .npy inputs
    Run(run::Args),
    /// Run named passes on an IR file
    Opt(opt::Args),
    /// Show every stage of one kernel
    Dump(dump::Args),
    /// Draw layouts of tiles, and say what moving between them costs
    Layout(layout::Args),
    /// List the targets, and which of them this machine runs
    Targets,
    /// Trace, type-check and verify every kernel of a crate
    Check(check::Args),
    /// Build, inspect, time, verify and compare packs of precompiled kernels
    Pack(pack::Args),
    /// Find the fastest instance of a kernel on this device
    Tune(pack::tune::Args),
    /// Compile for a program that started this one; requests on standard input
    #[command(hide = true)]
    Serve,
}

/// Runs a command.
pub fn main(cli: Cli) -> ExitCode {
    let json = cli.json;
    let result = match cli.command {
        Command::Build(args) => build::run(&args, json),
        Command::Run(args) => run::run(&args, json),
        Command::Opt(args) => opt::run(&args, json),
        Command::Dump(args) => dump::run(&args, json),
        Command::Layout(args) => layout::run(&args, json),
        Command::Targets => targets::run(json),
        Command::Check(args) => check::run(&args, json),
        Command::Pack(args) => pack::run(&args, json),
        Command::Tune(args) => pack::tune::run(&args, json),
        Command::Serve => serve::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(json),
    }
}

/// A line on standard output; a reader that has gone away is no failure.
fn say(text: impl std::fmt::Display) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{text}");
}
