//! `kcc pack`: precompiled kernels for many targets in one file.

mod bench;
mod build;
mod code;
mod diff;
mod inspect;
mod list;
mod records;
mod timing;
pub(super) mod tune;

use super::{Failure, say};
use kcc_runtime::pack::Pack;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Compile what a kcc.toml lists, for all its targets, into one pack
    Build(build::Args),
    /// Show a pack's kernels, variants and sizes
    Inspect(inspect::Args),
    /// Time the variants of a kernel that the present device runs
    Bench(bench::Args),
    /// Check a pack: its manifest, its formulas, the checksum of every file
    Verify {
        /// A pack: a file or a folder
        pack: PathBuf,
    },
    /// Show what differs between two packs; exit code 1 if anything does
    Diff {
        /// A pack
        old: PathBuf,
        /// Another
        new: PathBuf,
    },
}

pub(super) fn run(args: &Args, json: bool) -> Result<(), Failure> {
    match &args.command {
        Command::Build(args) => build::run(args, json),
        Command::Inspect(args) => inspect::run(args, json),
        Command::Bench(args) => bench::run(args, json),
        Command::Verify { pack } => verify(pack, json),
        Command::Diff { old, new } => diff::run(old, new, json),
    }
}

fn verify(path: &Path, json: bool) -> Result<(), Failure> {
    let pack = Pack::open(path)?;
    pack.verify()?;
    let variants: Vec<_> = pack.manifest().kernels.iter().flat_map(|k| &k.variants).collect();
    let (kernels, bytes) =
        (pack.manifest().kernels.len(), pack.manifest().files().map(|code| code.bytes).sum::<u64>());
    if json {
        say(
            serde_json::json!({ "ok": true, "kernels": kernels, "variants": variants.len(), "code_bytes": bytes }),
        );
    } else {
        say(format!(
            "{}: {kernels} kernels, {} variants, {} of code, every checksum holds",
            path.display(),
            variants.len(),
            size(bytes)
        ));
    }
    Ok(())
}

/// A number of bytes for people.
fn size(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}
