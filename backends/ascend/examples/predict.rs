//! What the cost model of the simulator predicts beside published figures: `cargo run --release -p kcc-ascend --example predict`.
//!
//! Predicted, not measured: the clock, widths and the memory's rate are published, latencies, the cache's rate and those of the vector
//! unit are estimates. Arguments pick rows by the start of their names (`gemm`, `"attention 8k"`); `--all` shows how busy each pipe
//! is, `KCC_SHOW=1` the programs.

use kcc_davinci::ir::{CoreKind, Pipe};
use kcc_davinci::{Arg, Chip, Launch, Options, run};
use kcc_dsl::exchange::ArgSpec;
use kcc_dsl::ir::{Kernel, ParamKind};
use kcc_dsl::prelude::*;
use kcc_kernels as k;

/// A problem with what is published for it.
struct Row {
    name: &'static str,
    kernel: Kernel,
    grid: [u32; 3],
    /// Dims of views in order; scalars by their bits.
    args: Vec<Value>,
    /// Operations of the whole problem.
    operations: f64,
    /// Published TFLOPS.
    published: Option<f64>,
}

enum Value {
    View(Vec<i64>),
    Ints(Vec<i32>, Vec<i64>),
    Scalar(i64),
}

fn gemm(n: i64) -> Row {
    let d = || Value::View(vec![n, n]);
    Row {
        name: "gemm",
        kernel: k::matmul::matmul_tile::kernel::<f16, 128, 256, 64, 0, false, false>()
            .trace()
            .expect("traces"),
        grid: [(n / 128) as u32, (n / 256) as u32, 1],
        args: vec![d(), d(), Value::View(vec![n]), d(), d()],
        operations: 2.0 * (n as f64).powi(3),
        published: (n == 6144).then_some(308.0),
    }
}

fn attention<const BM: usize, const BN: usize>(
    name: &'static str,
    n: i64,
    heads: i64,
    published: Option<f64>,
) -> Row {
    let kernel = k::attention::attention_tile::kernel::<f16, BM, BN, 128, false>().trace().expect("traces");
    attention_row(name, kernel, BM, (n, heads), published)
}

/// With scores of half precision, and weighted values of a block if `SUMS`.
fn half<const BM: usize, const BN: usize, const SUMS: bool>(name: &'static str, n: i64, heads: i64) -> Row {
    let def = k::attention_half::attention_half_tile::kernel::<f16, BM, BN, 128, false, SUMS>();
    attention_row(name, def.trace().expect("traces"), BM, (n, heads), None)
}

fn attention_row(
    name: &'static str,
    kernel: Kernel,
    rows: usize,
    (n, heads): (i64, i64),
    published: Option<f64>,
) -> Row {
    let d = || Value::View(vec![1, heads, n, 128]);
    Row {
        name,
        kernel,
        grid: [(n as usize / rows) as u32, heads as u32, 1],
        args: vec![
            d(),
            d(),
            d(),
            Value::Ints(vec![n as i32], vec![1]),
            d(),
            Value::Scalar(i64::from(0.1275f32.to_bits())),
        ],
        operations: 4.0 * heads as f64 * (n as f64).powi(2) * 128.0,
        published,
    }
}

fn dense(dims: &[i64]) -> Vec<i64> {
    let mut out = vec![1; dims.len()];
    for i in (0..dims.len().saturating_sub(1)).rev() {
        out[i] = out[i + 1] * dims[i + 1];
    }
    out
}

fn predict(row: &Row, chip: &'static Chip, blocks: u32, all: bool) -> Result<(), String> {
    let specs: Vec<ArgSpec> = (row.kernel.params.iter())
        .map(|p| ArgSpec {
            unit_axis: match p.kind {
                ParamKind::View { rank, .. } => Some(rank as u8 - 1),
                ParamKind::Scalar(_) => None,
            },
            ..ArgSpec::default()
        })
        .collect();
    let program = kcc_ascend::compile(&row.kernel, &specs, chip).map_err(|e| e.to_string())?;
    if std::env::var_os("KCC_SHOW").is_some() {
        eprintln!("{}", program.to_text());
    }
    let ints: Vec<Vec<u8>> = (row.args.iter())
        .map(|a| match a {
            Value::Ints(v, _) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
            _ => Vec::new(),
        })
        .collect();
    let mut nothing: Vec<[u8; 0]> = vec![[]; row.args.len()];
    let mut args = Vec::new();
    for (((a, p), bytes), none) in row.args.iter().zip(&row.kernel.params).zip(&ints).zip(&mut nothing) {
        args.push(match a {
            Value::Scalar(v) => Arg::Scalar(*v),
            Value::View(d) | Value::Ints(_, d) => {
                let (dims, strides) = (d.clone(), dense(d));
                if matches!(p.kind, ParamKind::View { mutable: true, .. }) {
                    Arg::ViewMut { bytes: none, origin: 0, dims, strides }
                } else {
                    Arg::View { bytes, origin: 0, dims, strides }
                }
            }
        });
    }
    let options = Options { timing: true, ..Options::default() };
    let r = run(&program, Launch { grid: row.grid, blocks, args, options }).map_err(|e| e.to_string())?;
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
    let rows = [
        gemm(6144),
        attention::<64, 256>("attention 8k D128", 8192, 4, None),
        attention::<64, 256>("attention 32k D128", 32768, 1, Some(168.0)),
        attention::<128, 256>("blocks of 128 x 256", 8192, 4, None),
        attention::<128, 512>("blocks of 128 x 512", 8192, 4, None),
        half::<64, 256, false>("half 64 x 256", 8192, 4),
        half::<128, 256, false>("half 128 x 256", 8192, 4),
        half::<128, 512, false>("half 128 x 512", 8192, 4),
        half::<128, 512, true>("half 128 x 512 sums", 8192, 4),
    ];
    for row in &rows {
        if wanted.iter().any(|w| w != "--all") && !wanted.iter().any(|w| row.name.starts_with(w.as_str())) {
            continue;
        }
        for chip in &kcc_davinci::CHIPS {
            let Some(chip) = Chip::find(chip.name) else { continue };
            if let Err(e) = predict(row, chip, chip.groups, all) {
                println!("{:<22} {}: {e}", row.name, chip.name);
            }
        }
    }
}
