//! The problems of the page on the cost model, and what the model says of them.

use kcc_davinci::ir::Program;
use kcc_davinci::{Arg, Chip, Launch, Options, Report, run};
use kcc_dsl::exchange::ArgSpec;
use kcc_dsl::ir::{Kernel, ParamKind};
use kcc_dsl::prelude::*;
use kcc_kernels as k;

/// A problem with what is published for it.
pub struct Row {
    pub name: &'static str,
    pub kernel: Kernel,
    pub grid: [u32; 3],
    /// Dims of views in order; scalars by their bits.
    pub args: Vec<Value>,
    /// Operations of the whole problem.
    pub operations: f64,
    /// Published TFLOPS.
    pub published: Option<f64>,
}

pub enum Value {
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

/// All problems.
pub fn all() -> Vec<Row> {
    vec![
        gemm(6144),
        attention::<64, 256>("attention 8k D128", 8192, 4, None),
        attention::<64, 256>("attention 32k D128", 32768, 1, Some(168.0)),
        attention::<128, 256>("blocks of 128 x 256", 8192, 4, None),
        attention::<128, 512>("blocks of 128 x 512", 8192, 4, None),
        half::<64, 256, false>("half 64 x 256", 8192, 4),
        half::<128, 256, false>("half 128 x 256", 8192, 4),
        half::<128, 256, true>("half 128 x 256 sums", 8192, 4),
        half::<128, 256, true>("sums 32 heads", 8192, 32),
        half::<128, 512, false>("half 128 x 512", 8192, 4),
        half::<128, 512, true>("half 128 x 512 sums", 8192, 4),
    ]
}

/// The program, and what it costs on so many groups; of the `first` programs on one group, with a timeline.
pub fn simulate(
    row: &Row,
    chip: &'static Chip,
    blocks: u32,
    first: bool,
) -> Result<(Program, Report), String> {
    let specs: Vec<ArgSpec> = row.kernel.params.iter().map(|p| ArgSpec::dense(p.kind)).collect();
    let program = kcc_ascend::compile(&row.kernel, &specs, chip).map_err(|e| e.to_string())?;
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
    let options = Options { timing: true, trace: first, ..Options::default() };
    let (grid, blocks) = if first { ([3, 1, 1], 1) } else { (row.grid, blocks) };
    let report = run(&program, Launch { grid, blocks, args, options }).map_err(|e| e.to_string())?;
    Ok((program, report))
}
