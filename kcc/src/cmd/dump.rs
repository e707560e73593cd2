//! `kcc dump`: every stage of one kernel, from kt to assembly.

use super::input::{Input, contiguous};
use super::{Failure, say, serve};
use kcc_compiler::session::{Options, Session};
use kcc_dsl::exchange::CompileRequest;
use std::path::PathBuf;
use std::sync::Mutex;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    input: Input,
    /// What to compile for; see `kcc targets`
    #[arg(long, short, default_value = "cpu:native")]
    target: String,
    /// Folder for one numbered file per stage; standard output if not given
    #[arg(long, short)]
    out: Option<PathBuf>,
    /// Stop after this stage: `00-import`, `cse`, `lower`
    #[arg(long)]
    stop_after: Option<String>,
    /// Take this file as a stage's result: `02-cse=edited.mlir`
    #[arg(long, value_parser = stage_file)]
    replace: Vec<(String, PathBuf)>,
    /// An option for the compiler: `name=value`
    #[arg(long = "option", value_parser = pair)]
    options: Vec<(String, String)>,
}

/// `name=value`
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.trim().into(), value.trim().into()))
}

fn stage_file(text: &str) -> Result<(String, PathBuf), String> {
    pair(text).map(|(stage, file)| (stage, file.into()))
}

pub(super) fn run(args: &Args, json: bool) -> Result<(), Failure> {
    let target = serve::target(&args.target)?;
    let (kernel, roots) = args.input.read_one(json)?;
    let request = CompileRequest {
        args: contiguous(&kernel, &*target),
        kernel,
        target: target.name().to_owned(),
        options: args.options.iter().cloned().collect(),
    };
    let stages = Mutex::new(Vec::new());
    let observer = |name: &str, text: &str| {
        stages.lock().unwrap_or_else(|p| p.into_inner()).push((name.to_owned(), text.to_owned()));
    };
    let options = Options {
        dump: args.out.clone(),
        stop_after: args.stop_after.clone(),
        observer: Some(&observer),
        replace: args.replace.clone(),
        ..Options::default()
    };
    let result = Session::new().compile(&request, &*target, &options);
    let stages = stages.into_inner().unwrap_or_else(|p| p.into_inner());
    if args.out.is_none() && !json {
        for (name, text) in &stages {
            say(format!("// ---- {name} ----\n{}\n", text.trim_end()));
        }
    }
    let artifact = result.map_err(|d| Failure::from(d).rooted(&roots))?;
    if json {
        let stages: Vec<_> =
            stages.iter().map(|(n, t)| serde_json::json!({ "stage": n, "text": t })).collect();
        say(serde_json::json!({ "ok": true, "stages": stages, "microseconds": artifact.timings }));
    } else if let Some(dir) = &args.out {
        stages.iter().for_each(|(name, _)| say(format!("{}/{name}", dir.display())));
    }
    Ok(())
}
