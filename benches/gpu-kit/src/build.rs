//! `build`: everything is launched once on devices that only compile, and what comes out is kept.

use crate::assemble;
use crate::shelf::{self, Recorded, Recorder};
use crate::suite::Suite;
use crate::timing::Effort;
use anyhow::{Context, Result};
use kcc_runtime::jit::{ChildCompiler, Compiler as _, find_kcc};
use kcc_runtime::{Builder, Device};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// What the kit has code for by default.
pub const TARGETS: [&str; 3] = ["nvidia:sm_80", "nvidia:sm_89", "nvidia:sm_90a"];

/// A device that compiles for a target.
fn device(target: &str, recorder: Arc<Recorder>) -> Device {
    Builder::dry(target).no_disk_cache().compiler(recorder).build()
}

/// Makes the kit in a folder; the words of `only` choose by name.
///
/// # Errors
/// No compiler, a file that cannot be written, an assembler that refuses a kernel.
pub fn run(folder: &Path, targets: &[String], only: &[String]) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let compiler = ChildCompiler::shared(&find_kcc().map_err(anyhow::Error::msg)?);
    let recorder = Arc::new(Recorder::new(compiler)?);
    let suite = Suite::new().only(only);
    for target in targets {
        let device = device(target, recorder.clone());
        for check in &suite.checks {
            // Nothing is computed, so results differ; the recorder notes what does not compile.
            let _ = check.run(&device);
        }
        for config in suite.benches.iter().flat_map(|b| &b.configs) {
            let _ = config.run(&device, Effort::COMPILE);
        }
    }
    let version = recorder.version(None).map_err(anyhow::Error::msg)?;
    let (mut done, failed) = recorder.finish();
    println!("{} kernels compiled, {} do not fit their chip (unfit.json)", done.len(), failed.len());
    match assemble::find() {
        Some(ptxas) => println!("{} of them as machine code, too", assemble::all(&ptxas, &mut done)?),
        None => println!("no ptxas was found (KCC_PTXAS, PATH): the driver will compile the PTX"),
    }
    for target in targets {
        let of_target: Vec<&Recorded> = done.iter().filter(|k| k.artifact.target == *target).collect();
        shelf::write(folder, target, &of_target)?;
    }
    std::fs::write(folder.join("version"), version)?;
    std::fs::write(folder.join("unfit.json"), serde_json::to_string_pretty(&failed)?)?;
    index(folder, &done)
}

/// `index.json`: what there is, with the launch facts that people and scripts ask for.
fn index(folder: &Path, kernels: &[Recorded]) -> Result<()> {
    let rows: Vec<serde_json::Value> = kernels
        .iter()
        .map(|k| {
            let gpu = k.artifact.gpu.clone().unwrap_or_default();
            let counters: BTreeMap<_, _> = gpu.counters.into_iter().collect();
            serde_json::json!({
                "kernel": k.name, "target": k.artifact.target, "symbol": k.artifact.symbol,
                "threads": gpu.threads, "shared": gpu.shared_bytes, "counters": counters,
            })
        })
        .collect();
    Ok(std::fs::write(folder.join("index.json"), serde_json::to_string_pretty(&rows)?)?)
}

/// Writes the code of the benchmarks' kernels as files, `N.ptx` or (AMD's code objects) `N.hsaco`, with an `index.json` that
/// says which is which.
///
/// # Errors
/// As [`run`].
pub fn texts(folder: &Path, targets: &[String], only: &[String]) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let compiler = ChildCompiler::shared(&find_kcc().map_err(anyhow::Error::msg)?);
    let suite = Suite::new().only(only);
    let mut rows = Vec::new();
    for target in targets {
        for bench in &suite.benches {
            for config in &bench.configs {
                let recorder = Arc::new(Recorder::new(compiler.clone())?);
                let device = device(target, recorder.clone());
                let _ = config.run(&device, Effort::COMPILE);
                let (done, failed) = recorder.finish();
                for kernel in done {
                    let kind = if target.starts_with("amd:") { "hsaco" } else { "ptx" };
                    let file = format!("{}.{kind}", rows.len());
                    std::fs::write(folder.join(&file), &kernel.artifact.bytes)?;
                    let gpu = kernel.artifact.gpu.unwrap_or_default();
                    rows.push(serde_json::json!({
                        "bench": bench.name, "config": config.label, "target": target, "file": file,
                        "kernel": kernel.name, "threads": gpu.threads, "shared": gpu.shared_bytes,
                    }));
                }
                for reason in failed.values() {
                    rows.push(serde_json::json!({
                        "bench": bench.name, "config": config.label, "target": target, "unfit": reason,
                    }));
                }
            }
        }
    }
    Ok(std::fs::write(folder.join("index.json"), serde_json::to_string_pretty(&rows)?)?)
}
