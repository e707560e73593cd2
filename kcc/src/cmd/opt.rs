//! `kcc opt`: named passes on a file of IR.

use super::{Failure, say};
use kcc_compiler::link::write_atomically;
use kcc_compiler::{passes, pipeline};
use std::path::PathBuf;

#[derive(clap::Args)]
pub(super) struct Args {
    /// A file of kt IR
    #[arg(required_unless_present = "list")]
    file: Option<PathBuf>,
    /// Passes to run, in order
    #[arg(long = "pass", short, value_delimiter = ',')]
    passes: Vec<String>,
    /// File for the result; standard output if not given
    #[arg(long, short)]
    output: Option<PathBuf>,
    /// List the passes
    #[arg(long)]
    list: bool,
}

pub(super) fn run(args: &Args, json: bool) -> Result<(), Failure> {
    if args.list {
        let names: Vec<&str> = passes::all().iter().map(|p| p.name).collect();
        say(if json { serde_json::json!(names).to_string() } else { names.join("\n") });
        return Ok(());
    }
    let Some(file) = &args.file else { return Err(Failure::input("no file was named")) };
    let text = std::fs::read_to_string(file).map_err(|e| Failure::file(file, &e))?;
    let passes: Vec<&str> = args.passes.iter().map(String::as_str).collect();
    let result = pipeline::run_named(&text, &file.display().to_string(), &passes)?;
    match &args.output {
        Some(path) => write_atomically(path, result.as_bytes())?,
        None if json => say(serde_json::json!({ "ok": true, "text": result })),
        None => say(result.trim_end()),
    }
    Ok(())
}
