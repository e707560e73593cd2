//! The GPU kit: compiles every kernel instance on one machine, proves and times them on another that has an NVIDIA driver.
//!
//! ```text
//! kcc-gpu-kit build DIR     every case and bench once on devices that only compile ─▶ DIR/cache, DIR/version, DIR/ptx
//! kcc-gpu-kit run [DIR]     the same on cuda:0, from DIR/cache: references, times, peers ─▶ table, DIR/results.json
//! ```

mod bench;
mod shelf;

use anyhow::{Context, Result, bail};
use kcc_runtime::jit::{ChildCompiler, Compiler, find_kcc};
use kcc_runtime::{Builder, Device};
use shelf::{Recorder, Shelf};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::{Arc, Mutex};

/// What the kit has code for.
const TARGETS: [&str; 3] = ["nvidia:sm_80", "nvidia:sm_89", "nvidia:sm_90a"];

/// Timed launches; the median counts.
const REPEAT: usize = 50;

fn build(dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    let inner: Arc<dyn Compiler> = ChildCompiler::shared(&find_kcc().map_err(anyhow::Error::msg)?);
    let version = inner.version(None).map_err(anyhow::Error::msg)?;
    let recorder = Arc::new(Recorder { inner, failed: Mutex::default(), texts: dir.join("ptx") });
    let mut kernels = 0;
    for target in TARGETS {
        let device = Builder::dry(target).cache_dir(dir.join("cache")).compiler(recorder.clone()).build();
        for case in kcc_kernels::cases::cases() {
            // Nothing is computed, so results differ; the recorder notes what does not compile.
            let _ = case.check(&device);
        }
        for bench in bench::benches() {
            let _ = bench.run(&device, 0);
        }
        kernels += device.stats().compilations.len();
    }
    std::fs::write(dir.join("version"), version)?;
    let failed = recorder.failed.lock().map_or_else(|e| e.into_inner().clone(), |f| f.clone());
    std::fs::write(dir.join("not-compiled.txt"), failed.join("\n"))?;
    println!("{kernels} kernels compiled, {} not (see not-compiled.txt)", failed.len());
    Ok(())
}

fn open(dir: &Path) -> Result<Device> {
    let shelf = Arc::new(Shelf::open(dir)?);
    Ok(Builder::open("cuda")?.cache_dir(dir.join("cache")).compiler(shelf).build())
}

/// Times of the peers by name, in milliseconds; empty without python3, PyTorch or a GPU that it can use.
fn peers(dir: &Path) -> BTreeMap<String, BTreeMap<String, f64>> {
    let run = Command::new("python3").arg(dir.join("peers.py")).output();
    let text = run.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default();
    serde_json::from_str(text.lines().last().unwrap_or_default()).unwrap_or_default()
}

fn run(dir: &Path) -> Result<bool> {
    let device = open(dir)?;
    println!("{}", device.describe());
    let cases = kcc_kernels::cases::cases();
    let wrong: Vec<String> = cases.iter().filter_map(|c| c.check(&device).err()).collect();
    println!("{} of {} cases agree with their references", cases.len() - wrong.len(), cases.len());
    wrong.iter().for_each(|w| println!("  {w}"));
    let others = peers(dir);
    let mut results = Vec::new();
    println!("{:<36} {:>10} {:>10} {:>10}  peers, ms", "bench", "ms", "TFLOPS", "GB/s");
    for bench in bench::benches() {
        match bench.run(&device, REPEAT) {
            Err(e) => println!("{:<36} {e}", bench.name),
            Ok(mut times) => {
                times.sort_unstable();
                let seconds = times.get(times.len() / 2).map_or(f64::NAN, |t| t.as_secs_f64());
                let (tflops, gbs) = (bench.flops / seconds / 1e12, bench.bytes / seconds / 1e9);
                let beside = others.get(&bench.name).cloned().unwrap_or_default();
                println!("{:<36} {:>10.4} {tflops:>10.1} {gbs:>10.0}  {beside:?}", bench.name, seconds * 1e3);
                results.push(serde_json::json!({
                    "name": bench.name, "ms": seconds * 1e3, "tflops": tflops, "gbs": gbs, "peers_ms": beside,
                }));
            }
        }
    }
    let report = serde_json::json!({ "device": device.describe(), "wrong": wrong, "benches": results });
    std::fs::write(dir.join("results.json"), serde_json::to_string_pretty(&report)?)?;
    Ok(wrong.is_empty())
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let beside = || std::env::current_exe().ok().and_then(|p| Some(p.parent()?.to_path_buf()));
    let dir = args.get(1).map(PathBuf::from).or_else(beside).unwrap_or_else(|| ".".into());
    let outcome = match args.first().map(String::as_str) {
        Some("build") if args.len() == 2 => build(&dir).map(|()| true),
        Some("run") | None => run(&dir),
        _ => (|| bail!("usage: kcc-gpu-kit build DIR | run [DIR]"))(),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(e) => {
            eprintln!("error: {e:#}");
            ExitCode::from(2)
        }
    }
}
