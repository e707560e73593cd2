//! `run`: proofs first, then times beside the peers', as a table and as JSON.

use crate::shelf::Shelf;
use crate::suite::{Bench, Suite};
use crate::timing::Effort;
use anyhow::{Context as _, Result};
use kcc_runtime::{Builder, Device, Origin};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

/// Times of the peers in milliseconds: bench → peer → time.
type Peers = BTreeMap<String, BTreeMap<String, f64>>;

/// What to run.
pub struct Choices {
    /// The kit's folder.
    pub folder: PathBuf,
    /// As for [`Device::open`].
    pub device: String,
    /// Words of names; all for none.
    pub only: Vec<String>,
    /// Timed batches per config.
    pub repeats: usize,
    /// Whether to time anything.
    pub times: bool,
    /// Whether to time the peers, if there are any.
    pub peers: bool,
    /// Where the results go.
    pub json: PathBuf,
}

/// `results.json`.
#[derive(Serialize)]
struct Report {
    device: String,
    compiler: String,
    right: usize,
    wrong: Vec<String>,
    unfit: Vec<String>,
    from_machine_code: usize,
    from_ptx: usize,
    benches: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    name: String,
    flops: f64,
    bytes: f64,
    /// Milliseconds of each config, or why there are none.
    configs: BTreeMap<String, Measured>,
    best: Option<String>,
    best_ms: Option<f64>,
    peers_ms: BTreeMap<String, f64>,
    /// The best peer's time over our best one.
    speed: Option<f64>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Measured {
    Ms(f64),
    Failed(String),
}

/// Runs checks, then benches. Whether every check agreed and every config ran.
///
/// # Errors
/// No kit, no device, a file that cannot be written.
pub fn run(choices: &Choices) -> Result<bool> {
    // Opened twice: what the kit must have is known only then.
    let target =
        Device::open(&choices.device)?.target()?.context("the eager device needs no kit")?.to_owned();
    let cache = tempfile::tempdir()?;
    let shelf = Arc::new(Shelf::open(&choices.folder, &target, cache.path())?);
    let device = Builder::open(&choices.device)?.cache_dir(cache.path()).compiler(shelf.clone()).build();
    println!("{}", device.describe());
    let suite = Suite::new().only(&choices.only);
    let mut report = checks(&device, &shelf, &suite);
    if choices.times {
        let peers = if choices.peers { peers(&choices.folder, &choices.only) } else { Peers::new() };
        println!("{}", Row::header());
        for bench in &suite.benches {
            let row = row(&device, &shelf, bench, choices.repeats, &peers);
            println!("{}", row.line());
            report.benches.push(row);
        }
    }
    let loaded = device.stats().compilations;
    report.from_machine_code = loaded.iter().filter(|c| c.origin == Origin::Disk).count();
    report.from_ptx = loaded.len() - report.from_machine_code;
    println!("{} kernels came from machine code, {} from PTX", report.from_machine_code, report.from_ptx);
    std::fs::write(&choices.json, serde_json::to_string_pretty(&report)?)?;
    println!("results: {}", choices.json.display());
    let ran = report.benches.iter().all(|b| b.best.is_some());
    Ok(report.wrong.is_empty() && ran)
}

fn checks(device: &Device, shelf: &Shelf, suite: &Suite) -> Report {
    let (mut right, mut wrong, mut unfit) = (0, Vec::new(), Vec::new());
    for check in &suite.checks {
        match check.run(device) {
            Ok(()) => right += 1,
            Err(e) => match shelf.refused().first() {
                Some(reason) => unfit.push(format!("{}: {reason}", check.name)),
                None => {
                    println!("WRONG {}: {e}", check.name);
                    wrong.push(format!("{}: {e}", check.name));
                }
            },
        }
    }
    let all = suite.checks.len();
    println!(
        "{right} of {all} agree with their references, {} do not, {} do not fit this chip",
        wrong.len(),
        unfit.len()
    );
    Report {
        device: device.describe(),
        compiler: kcc_runtime::jit::Compiler::version(shelf, None).unwrap_or_default(),
        right,
        wrong,
        unfit,
        from_machine_code: 0,
        from_ptx: 0,
        benches: Vec::new(),
    }
}

fn row(device: &Device, shelf: &Shelf, bench: &Bench, repeats: usize, peers: &Peers) -> Row {
    let mut configs = BTreeMap::new();
    let mut best: Option<(String, f64)> = None;
    for config in &bench.configs {
        let measured = match config.run(device, Effort { repeats }) {
            Ok(Some(seconds)) => {
                let ms = seconds * 1e3;
                if best.as_ref().is_none_or(|(_, b)| ms < *b) {
                    best = Some((config.label.clone(), ms));
                }
                Measured::Ms(ms)
            }
            Ok(None) => Measured::Failed("nothing was timed".into()),
            Err(e) => Measured::Failed(shelf.refused().pop().unwrap_or_else(|| e.to_string())),
        };
        configs.insert(config.label.clone(), measured);
    }
    let peers_ms = peers.get(&bench.name).cloned().unwrap_or_default();
    let fastest = peers_ms.values().copied().min_by(f64::total_cmp);
    Row {
        name: bench.name.clone(),
        flops: bench.flops,
        bytes: bench.bytes,
        configs,
        speed: best.as_ref().zip(fastest).map(|((_, ms), peer)| peer / ms),
        best_ms: best.as_ref().map(|(_, ms)| *ms),
        best: best.map(|(label, _)| label),
        peers_ms,
    }
}

impl Row {
    fn header() -> String {
        let (ms, tflops, speed) = ("ms", "TFLOPS", "x peer");
        format!("{:<40} {ms:>9} {tflops:>7} {:>6} {speed:>6}  best config | peers, ms", "bench", "GB/s")
    }

    fn line(&self) -> String {
        let Some(ms) = self.best_ms else {
            let why = self.configs.values().find_map(|m| match m {
                Measured::Failed(e) => Some(e.as_str()),
                Measured::Ms(_) => None,
            });
            return format!("{:<40} {}", self.name, why.unwrap_or("no config"));
        };
        let (tflops, gbs) = (self.flops / ms / 1e9, self.bytes / ms / 1e6);
        let speed = self.speed.map_or("-".into(), |s| format!("{s:.2}"));
        let peers: Vec<String> = self.peers_ms.iter().map(|(peer, ms)| format!("{peer} {ms:.4}")).collect();
        let best = self.best.as_deref().unwrap_or_default();
        let name = &self.name;
        format!("{name:<40} {ms:>9.4} {tflops:>7.1} {gbs:>6.0} {speed:>6}  {best} | {}", peers.join(", "))
    }
}

/// What python3 with PyTorch (and Triton) measures on the same GPU; nothing without them.
fn peers(folder: &Path, only: &[String]) -> Peers {
    println!("timing the peers (python3 {})", folder.join("peers.py").display());
    let run =
        Command::new("python3").arg(folder.join("peers.py")).args(only).stderr(Stdio::inherit()).output();
    let text = run.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default();
    serde_json::from_str(text.lines().last().unwrap_or_default()).unwrap_or_default()
}
