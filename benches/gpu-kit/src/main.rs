//! The GPU kit: compiles every kernel instance on one machine, proves and times them on another that has an NVIDIA driver.
//!
//! ```text
//! kcc-gpu-kit build KIT   every check and bench once on devices that only compile ─▶ KIT/ptx, KIT/code, KIT/index.json
//! kcc-gpu-kit             the same on cuda:0, from the folder of the program ─▶ table, results.json
//! ```

mod assemble;
mod build;
mod run;
mod shelf;
mod suite;
mod timing;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Proves and times kcc's kernels on an NVIDIA GPU, from code compiled elsewhere.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Verb>,
    #[command(flatten)]
    run: Run,
}

#[derive(Subcommand)]
enum Verb {
    /// Compiles everything into a folder (needs the `kcc` program).
    Build(Build),
    /// Writes the PTX of the benchmarks' kernels as text files (needs the `kcc` program).
    Texts(Build),
    /// Proves and times (what is done without a verb).
    Run(Run),
}

#[derive(Args)]
struct Build {
    /// The folder.
    folder: PathBuf,
    /// What to compile for: `nvidia:sm_90a`, `sim:sm_90a`, …; may be given several times.
    #[arg(long = "target", default_values = build::TARGETS)]
    targets: Vec<String>,
    /// Only what has this in its name; may be given several times.
    #[arg(long)]
    only: Vec<String>,
}

#[derive(Args)]
struct Run {
    /// Folder of the kit; by default that of this program.
    #[arg(long)]
    kit: Option<PathBuf>,
    /// `cuda`, `cuda:1`, …; `sim:sm_90a` proves on the simulator what was built for it.
    #[arg(long, default_value = "cuda")]
    device: String,
    /// Only what has this in its name; may be given several times.
    #[arg(long)]
    only: Vec<String>,
    /// Timed batches of launches; the median counts.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    repeats: u32,
    /// Prove only, time nothing.
    #[arg(long)]
    no_times: bool,
    /// Leave the peers out.
    #[arg(long)]
    no_peers: bool,
    /// Where the results go; by default `results.json` in the kit.
    #[arg(long)]
    json: Option<PathBuf>,
}

impl Run {
    fn choices(self) -> run::Choices {
        let beside = || std::env::current_exe().ok().and_then(|p| Some(p.parent()?.to_path_buf()));
        let folder = self.kit.or_else(beside).unwrap_or_else(|| ".".into());
        run::Choices {
            json: self.json.unwrap_or_else(|| folder.join("results.json")),
            folder,
            // Times on the simulator say nothing.
            times: !self.no_times && self.device.starts_with("cuda"),
            device: self.device,
            only: self.only,
            repeats: self.repeats as usize,
            peers: !self.no_peers,
        }
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome: Result<bool> = match cli.command {
        Some(Verb::Build(b)) => build::run(&b.folder, &b.targets, &b.only).map(|()| true),
        Some(Verb::Texts(b)) => build::texts(&b.folder, &b.targets, &b.only).map(|()| true),
        Some(Verb::Run(r)) => run::run(&r.choices()),
        None => run::run(&cli.run.choices()),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        // Something is wrong, or did not run.
        Ok(false) => ExitCode::from(1),
        // Nothing could be tried.
        Err(e) => {
            eprintln!("error: {e:#}");
            ExitCode::from(2)
        }
    }
}
