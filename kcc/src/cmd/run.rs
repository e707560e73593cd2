//! `kcc run`: one kernel on given inputs; optionally against eager mode.

use super::dump::pair;
use super::input::Input;
use super::values::{self, Value, to_f64};
use super::{Failure, npy, say, timeline};
use comfy_table::{Table, presets::NOTHING};
use kcc_dsl::ir::{Elem, Kernel};
use kcc_runtime::jit::ChildCompiler;
use kcc_runtime::{Arg, Builder, CompiledKernel, Device, Timeline};
use std::path::PathBuf;
use std::time::{Duration, Instant};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    input: Input,
    /// Programs along each axis: `4`, `4,2` or `4,2,1`
    #[arg(long, short, value_parser = grid, allow_hyphen_values = true)]
    grid: Grid,
    /// An argument: `x=random:64x64[:SEED]`, `x=zeros:8`, `x=ones:8`, `x=iota:8`, `ids=below:11:3x4`, `n=list:3,1,2`, `y=empty:8`, `x=in.npy`, `scale=0.5`
    #[arg(long = "arg", short, value_parser = pair)]
    args: Vec<(String, String)>,
    /// Where to run: `cpu`, `cpu:THREADS`, `eager`, `cuda:INDEX`, `hip:INDEX`, `sim:sm_90a`, `sim:ascend910b` (simulators), `emu:gfx942` (AMD's machine code, emulated)
    #[arg(long, short, default_value = "cpu")]
    device: String,
    /// What to compile for on a CPU; see `kcc targets`
    #[arg(long, short, default_value = "cpu:native")]
    target: String,
    /// Compare what the kernel writes with eager mode
    #[arg(long)]
    check: bool,
    /// Largest error of `--check`, as a part of the largest expected magnitude; by default a rounding of the element
    /// type, with room for sums: 1e-5 for f32, 2^-7 for f16 and bf16, 1/4 for 8-bit floats, 0 for integers
    #[arg(long)]
    tolerance: Option<f64>,
    /// Folder for a .npy file per written argument
    #[arg(long, short)]
    out: Option<PathBuf>,
    /// File for a timeline of what each pipe did, in Chrome's trace format; on a simulated NPU
    #[arg(long)]
    trace: Option<PathBuf>,
    /// Launches to time
    #[arg(long, default_value_t = 1)]
    repeat: usize,
    /// An option for the compiler: `name=value`
    #[arg(long = "option", value_parser = pair)]
    options: Vec<(String, String)>,
}

type Grid = [i64; 3];

fn grid(text: &str) -> Result<Grid, String> {
    let list: Result<Vec<i64>, _> = text.split([',', 'x']).map(|n| n.trim().parse()).collect();
    let list = list.map_err(|e| format!("{e}; write 4, or 4,2,1"))?;
    match list[..] {
        [x] => Ok([x, 1, 1]),
        [x, y] => Ok([x, y, 1]),
        [x, y, z] => Ok([x, y, z]),
        _ => Err("a grid has one to three axes".into()),
    }
}

/// The device; its compiler is this program.
fn device(args: &Args) -> Result<Device, Failure> {
    let mut builder = Builder::open(&args.device)?.target(&args.target);
    if args.trace.is_some() {
        builder = builder.trace();
    }
    Ok(match std::env::current_exe() {
        Ok(exe) => builder.compiler(ChildCompiler::shared(&exe)).build(),
        Err(_) => builder.build(),
    })
}

fn compile(
    device: &Device,
    kernel: &Kernel,
    values: &mut [Value],
    args: &Args,
) -> Result<CompiledKernel, Failure> {
    let specs = device.specs(&values.iter_mut().map(Value::arg).collect::<Vec<_>>());
    Ok(device.compile(kernel, &specs, &args.options.iter().cloned().collect())?)
}

fn launch(kernel: &CompiledKernel, grid: Grid, values: &mut [Value]) -> Result<Duration, Failure> {
    let list: Vec<Arg<'_>> = values.iter_mut().map(Value::arg).collect();
    let start = Instant::now();
    kernel.launch(grid, &list, None)?;
    Ok(start.elapsed())
}

pub(super) fn run(args: &Args, json: bool) -> Result<(), Failure> {
    let (kernel, roots) = args.input.read_one(json)?;
    execute(args, &kernel, json).map_err(|f| f.rooted(&roots))
}

fn execute(args: &Args, kernel: &Kernel, json: bool) -> Result<(), Failure> {
    let device = device(args)?;
    let given = values::parse(&kernel.params, &args.args)?;
    let mut values = given.clone();
    let compiled = compile(&device, kernel, &mut values, args)?;
    let mut times = Vec::new();
    for _ in 0..args.repeat.max(1) {
        values.clone_from(&given);
        times.push(launch(&compiled, args.grid, &mut values)?);
    }
    times.sort_unstable();
    let median = times[times.len() / 2];
    let timeline = args.trace.as_deref().map(|file| timeline::write(&device, file)).transpose()?;
    let mut errors = vec![None; values.len()];
    if args.check {
        let eager = Device::eager();
        let mut expected = given.clone();
        let reference = compile(&eager, kernel, &mut expected, args)?;
        launch(&reference, args.grid, &mut expected)?;
        for (i, (a, e)) in values.iter().zip(&expected).enumerate() {
            if let (Value::Tensor { tensor: a, mutable: true }, Value::Tensor { tensor: e, .. }) = (a, e) {
                errors[i] = Some(error(&to_f64(a.elem(), a.bytes()), &to_f64(e.elem(), e.bytes())));
            }
        }
    }
    if let Some(dir) = &args.out {
        std::fs::create_dir_all(dir).map_err(|e| Failure::file(dir, &e))?;
        for (p, v) in kernel.params.iter().zip(&values) {
            if let Value::Tensor { tensor, mutable: true } = v {
                npy::write(&dir.join(&p.name).with_extension("npy"), tensor)?;
            }
        }
    }
    let compile_ms = device.stats().compile_time().as_secs_f64() * 1e3;
    summary(kernel, &values, &errors, compile_ms, median, timeline.as_ref(), json);
    for ((p, v), e) in kernel.params.iter().zip(&values).zip(&errors) {
        let (Value::Tensor { tensor, .. }, Some(e)) = (v, e) else { continue };
        let limit = args.tolerance.unwrap_or_else(|| tolerance(tensor.elem()));
        // Written so that a NaN fails.
        if !matches!(e.partial_cmp(&limit), Some(std::cmp::Ordering::Less | std::cmp::Ordering::Equal)) {
            return Err(Failure::with_help(
                format!("argument `{}` differs from eager mode by {e:.3e}, more than {limit:.3e}", p.name),
                "this is a bug of kcc, or a sum so long that --tolerance should be larger",
            ));
        }
    }
    Ok(())
}

/// Half a unit in the last place is 2^-24, 2^-11, 2^-8, 2^-4 or 2^-3 of a value; sums of some hundred terms in f32 lose
/// up to 1e-5 of the largest magnitude, and a rounding of a narrow type may go the other way, by a whole unit.
fn tolerance(elem: Elem) -> f64 {
    match elem {
        Elem::F32 => 1e-5,
        Elem::F16 | Elem::BF16 => 1.0 / 128.0,
        Elem::F8E4M3 | Elem::F8E5M2 => 0.25,
        _ => 0.0,
    }
}

/// Largest difference over the largest expected magnitude; infinite where infinities or NaN differ.
fn error(actual: &[f64], expected: &[f64]) -> f64 {
    let finite = |v: &f64| v.is_finite();
    let scale = expected.iter().copied().filter(finite).fold(0.0f64, |m, v| m.max(v.abs()));
    let mut worst = 0.0f64;
    for (a, e) in actual.iter().zip(expected) {
        let same = a == e || (a.is_nan() && e.is_nan());
        if !same {
            let difference = (a - e).abs();
            worst = worst.max(if difference.is_finite() { difference } else { f64::INFINITY });
        }
    }
    if worst == 0.0 { 0.0 } else { worst / scale.max(f64::MIN_POSITIVE) }
}

fn summary(
    kernel: &Kernel,
    values: &[Value],
    errors: &[Option<f64>],
    compile_ms: f64,
    median: Duration,
    timeline: Option<&Timeline>,
    json: bool,
) {
    let mut rows = Vec::new();
    for ((p, v), e) in kernel.params.iter().zip(values).zip(errors) {
        let Value::Tensor { tensor, mutable: true } = v else { continue };
        let list = to_f64(tensor.elem(), tensor.bytes());
        let finite = list.iter().copied().filter(|v| v.is_finite());
        let (low, high) =
            finite.clone().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        let mean = finite.clone().sum::<f64>() / finite.clone().count().max(1) as f64;
        let strange = list.len() - finite.count();
        rows.push((p.name.clone(), tensor, low, high, mean, strange, *e));
    }
    if json {
        let outputs: Vec<_> = rows
            .iter()
            .map(|(name, t, low, high, mean, strange, error)| {
                serde_json::json!({
                    "name": name, "type": t.elem().name(), "dims": t.dims(), "min": low, "max": high,
                    "mean": mean, "not_finite": strange, "error": error,
                })
            })
            .collect();
        say(serde_json::json!({
            "ok": true, "kernel": kernel.symbol(), "compile_ms": compile_ms,
            "seconds": median.as_secs_f64(), "outputs": outputs, "simulated": timeline.map(timeline::json),
        }));
        return;
    }
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(["argument", "type", "min", "max", "mean", "not finite", "error"]);
    for (name, t, low, high, mean, strange, error) in rows {
        let dims: Vec<String> = t.dims().iter().map(usize::to_string).collect();
        table.add_row([
            name,
            format!("{}[{}]", t.elem(), dims.join(", ")),
            format!("{low:.6}"),
            format!("{high:.6}"),
            format!("{mean:.6}"),
            strange.to_string(),
            error.map_or("not checked".into(), |e| format!("{e:.2e}")),
        ]);
    }
    say(table);
    say(format!("compiled in {compile_ms:.1} ms, ran in {:.3} ms", median.as_secs_f64() * 1e3));
    if let Some(timeline) = timeline {
        timeline::show(timeline);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_relative_to_the_largest_value_and_infinite_where_nan_differs() {
        assert_eq!(error(&[1.0, 2.0], &[1.0, 4.0]), 0.5);
        assert_eq!(error(&[f64::NAN, f64::INFINITY], &[f64::NAN, f64::INFINITY]), 0.0);
        assert_eq!(error(&[f64::NAN], &[1.0]), f64::INFINITY);
        assert_eq!(error(&[f64::INFINITY], &[1.0]), f64::INFINITY);
    }

    #[test]
    fn grids_are_read_with_one_to_three_axes() {
        assert_eq!(grid("4"), Ok([4, 1, 1]));
        assert_eq!(grid("4,2"), Ok([4, 2, 1]));
        assert_eq!(grid("4x2x3"), Ok([4, 2, 3]));
        assert!(grid("").is_err() && grid("1,2,3,4").is_err() && grid("a").is_err());
    }
}
