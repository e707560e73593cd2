//! What the cost model of the simulator predicts beside published figures: `cargo run --release -p kcc-ascend --example predict`.
//!
//! Predicted, not measured: the clock, widths and the memory's rate are published, latencies, the cache's rate and those of the vector
//! unit are estimates. Arguments pick rows by the start of their names (`gemm`, `"attention 8k"`); `--all` shows how busy each pipe
//! is, `KCC_SHOW=1` the programs, `KCC_TRACE=FILE` writes a timeline of one group's first programs.

mod rows;

use kcc_davinci::Chip;
use kcc_davinci::ir::{CoreKind, Pipe};
use rows::Row;

fn predict(row: &Row, chip: &'static Chip, blocks: u32, all: bool) -> Result<(), String> {
    let path = std::env::var_os("KCC_TRACE");
    let (program, r) = rows::simulate(row, chip, blocks, path.is_some())?;
    if std::env::var_os("KCC_SHOW").is_some() {
        eprintln!("{}", program.to_text());
    }
    if let Some(path) = path {
        let text = r.chrome_trace(&program.locs).map_err(|e| e.to_string())?;
        std::fs::write(&path, text).map_err(|e| e.to_string())?;
    }
    let tflops = row.operations / r.seconds / 1e12;
    // What is published is for the larger chip.
    let published = row.published.filter(|_| chip.groups == 24);
    let beside = published.map_or(String::new(), |p| {
        format!("  published {p:>5.0}  model off by {:+.0} %", 100.0 * (tflops / p - 1.0))
    });
    println!(
        "{:<22} {} groups of {:<12} {:>9.1} us  {:>6.1} TFLOPS  cube busy {:>4.1} %{beside}",
        row.name,
        blocks,
        chip.name,
        r.seconds * 1e6,
        tflops,
        100.0 * r.utilisation(CoreKind::Cube, Pipe::M)
    );
    if all {
        for kind in [CoreKind::Cube, CoreKind::Vector] {
            let busy: Vec<String> = Pipe::ALL
                .iter()
                .map(|p| (p, r.utilisation(kind, *p)))
                .filter(|(_, u)| *u > 0.0)
                .map(|(p, u)| format!("{} {:.0} %", p.name(), 100.0 * u))
                .collect();
            println!(
                "    {kind:?}: {}; shared memory {:.0} %",
                busy.join(", "),
                100.0 * r.shared as f64 / r.cycles as f64
            );
        }
    }
    Ok(())
}

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let all = wanted.iter().any(|w| w == "--all");
    println!("predicted by the simulator's cost model, not measured on a device");
    for row in &rows::all() {
        if wanted.iter().any(|w| w != "--all") && !wanted.iter().any(|w| row.name.starts_with(w.as_str())) {
            continue;
        }
        let mut seen = Vec::new();
        for chip in &kcc_davinci::CHIPS {
            let Some(chip) = Chip::find(chip.name) else { continue };
            // Chips that differ in their names alone have the same row.
            if seen.contains(&chip.groups) {
                continue;
            }
            seen.push(chip.groups);
            if let Err(e) = predict(row, chip, chip.groups, all) {
                println!("{:<22} {}: {e}", row.name, chip.name);
            }
        }
    }
}
