//! Times one case and appends a record to a file; `run.py` calls it once per case and turn.

use anyhow::{Context, Result};
use clap::Parser;
use cpu_time::ProcessTime;
use kcc_bench::{NAMES, bench};
use kcc_runtime::Device;
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Times kcc's kernels.
#[derive(Parser)]
struct Options {
    /// Exact name of the case; without it, every case.
    #[arg(long)]
    only: Option<String>,
    /// f32 or bf16.
    #[arg(long, default_value = "f32")]
    dtype: String,
    /// Threads.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// File that records are appended to; without it they are only printed.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Time spent on a case.
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Count the processor time of the process instead of wall time, divided by the threads: steadier on a busy machine.
    #[arg(long)]
    cpu_clock: bool,
    /// Print what was compiled, and in what time.
    #[arg(long)]
    stats: bool,
}

#[derive(Serialize)]
struct Record<'a> {
    name: &'a str,
    dtype: &'a str,
    threads: usize,
    #[serde(rename = "impl")]
    who: &'a str,
    median_s: f64,
    work: u64,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let device = Device::open(&format!("cpu:{}", options.threads))?;
    let names = options.only.as_deref().map_or_else(|| NAMES.to_vec(), |name| vec![name]);
    for name in names {
        let Some(mut case) = bench(name, &options.dtype, &device)? else { continue };
        let median_s = median(&mut case.run, &options)?;
        let record = Record {
            name,
            dtype: &options.dtype,
            threads: options.threads,
            who: "kcc",
            median_s,
            work: case.work,
        };
        let line = serde_json::to_string(&record)?;
        println!(
            "{name:<24} {:>5} {:>10.3} ms {:>9.2} G/s",
            options.dtype,
            median_s * 1e3,
            case.work as f64 / median_s / 1e9
        );
        if let Some(path) = &options.json {
            let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
            let mut file = file.with_context(|| format!("cannot write {}", path.display()))?;
            writeln!(file, "{line}")?;
        }
    }
    if options.stats {
        println!("{}", device.stats());
    }
    Ok(())
}

/// Median time of a run, after compilation and warm-up; at least five runs.
fn median(run: &mut dyn FnMut() -> Result<()>, options: &Options) -> Result<f64> {
    let seconds = options.seconds;
    run()?;
    let warm = Instant::now();
    while warm.elapsed() < Duration::from_secs_f64(0.2 * seconds) {
        run()?;
    }
    let mut times = Vec::new();
    let begin = Instant::now();
    while times.len() < 5 || begin.elapsed() < Duration::from_secs_f64(seconds) {
        let (start, spent) = (Instant::now(), ProcessTime::now());
        run()?;
        let wall = start.elapsed().as_secs_f64();
        let spent = spent.elapsed().as_secs_f64() / options.threads.max(1) as f64;
        times.push(if options.cpu_clock { spent } else { wall });
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}
