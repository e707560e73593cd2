//! Times variants of a pack's kernel in turns on a device, for `kcc pack bench` and `kcc tune`.
//!
//! ```text
//! calibrate: launches per sample ── round: a sample of each variant ── round ── … ── median of each
//! ```
//! In turns, because a machine's speed changes with time: all variants meet the same weather. What seems faster than the default meets it once more,
//! alone: a sample of one beside a sample of the other, many times, so that a gain of a hundredth is told from weather.

use super::super::Failure;
use super::super::dump::pair;
use super::super::values::Value;
use indicatif::{ProgressBar, ProgressStyle};
use kcc_dsl::ir::Elem;
use kcc_runtime::pack::{Choice, PackKernel};
use kcc_runtime::{Arg, Builder, Device, DeviceTensor, How, Tensor};
use std::path::Path;
use std::time::{Duration, Instant};

/// Shortest sample: well above what a clock or a pair of events resolves.
const SAMPLE: Duration = Duration::from_millis(2);
/// Rounds, whatever the time.
const ROUNDS: std::ops::RangeInclusive<usize> = 3..=101;

/// Pairs of samples in which two choices meet.
const PAIRS: std::ops::RangeInclusive<usize> = 20..=60;
/// How seldom chance alone may make one of two equal choices win so many pairs.
const CHANCE: f64 = 0.001;
/// Gains below this are left to weather of another kind: where memory happens to lie.
pub(in super::super) const LEAST: f64 = 0.01;

/// What both commands are asked.
#[derive(clap::Args)]
pub(in super::super) struct Problem {
    /// The kernel, by its name in the pack or the list
    #[arg(long, short)]
    pub(super) kernel: String,
    /// An argument, as for `kcc run`: `x=random:64x64`, `y=empty:64x64`, `scale=0.5`
    #[arg(long = "arg", short, value_parser = pair)]
    pub(super) args: Vec<(String, String)>,
    /// Where to run: `cpu`, `cpu:THREADS`, `cuda:INDEX`, `hip:INDEX`
    #[arg(long, short, default_value = "cpu")]
    device: String,
    /// Only instances with this among their element types
    #[arg(long)]
    dtype: Option<String>,
}

impl Problem {
    /// The device. Its code comes from packs: nothing is kept.
    pub(super) fn device(&self) -> Result<Device, Failure> {
        Ok(Builder::open(&self.device)?.no_disk_cache().build())
    }

    /// Whether instances with these element types are asked for.
    pub(super) fn wants(&self, mut elems: impl Iterator<Item = Elem>) -> bool {
        self.dtype.as_deref().is_none_or(|name| elems.any(|e| e.name() == name))
    }

    /// The kernel is not among these.
    pub(super) fn no_kernel(&self, place: &Path, known: &[&str]) -> Failure {
        let what = format!("{} has no kernel `{}`", place.display(), self.kernel);
        Failure::with_help(what, format!("there are {}", known.join(", ")))
    }

    /// No instance is wanted.
    pub(super) fn no_instance(&self, help: &str) -> Failure {
        let dtype = self.dtype.as_deref().unwrap_or("a type");
        Failure::with_help(format!("no variant of `{}` has {dtype}", self.kernel), help)
    }
}

/// Arguments in memory of the device.
pub(in super::super) struct Operands {
    values: Vec<Value>,
    /// Copies of the tensors, on devices with memory of their own.
    there: Option<Vec<Option<DeviceTensor<u8>>>>,
    device: Device,
}

impl Operands {
    /// Brings the values to the device.
    pub(in super::super) fn new(device: &Device, values: Vec<Value>) -> Result<Operands, Failure> {
        let name = device.describe();
        let own = name.starts_with("cuda") || name.starts_with("hip");
        let copy = |v: &Value| match v {
            Value::Tensor { tensor, .. } => {
                let bytes = Tensor::from_slice(tensor.bytes(), &[tensor.bytes().len()])?;
                device.upload(&bytes).map(Some)
            }
            Value::Scalar { .. } => Ok(None),
        };
        let there = if own { Some(values.iter().map(copy).collect::<Result<_, _>>()?) } else { None };
        Ok(Operands { values, there, device: device.clone() })
    }

    /// The launch arguments.
    pub(in super::super) fn args(&mut self) -> Result<Vec<Arg<'_>>, Failure> {
        let Some(there) = &self.there else { return Ok(self.values.iter_mut().map(Value::arg).collect()) };
        let device = &self.device;
        self.values
            .iter_mut()
            .zip(there)
            .map(|(value, copy)| argument(device, value, copy.as_ref()))
            .collect()
    }

    /// Dims of the tensors; none of a number.
    pub(in super::super) fn dims(&self) -> Vec<Vec<usize>> {
        let dims = |v: &Value| match v {
            Value::Tensor { tensor, .. } => tensor.dims(),
            Value::Scalar { .. } => Vec::new(),
        };
        self.values.iter().map(dims).collect()
    }

    /// What launches wrote.
    pub(in super::super) fn results(&self) -> Result<Vec<(Elem, Vec<u8>)>, Failure> {
        let mut out = Vec::new();
        for (i, v) in self.values.iter().enumerate() {
            let Value::Tensor { tensor, mutable: true } = v else { continue };
            let there = self.there.as_ref().and_then(|t| t[i].as_ref());
            let bytes = match there {
                Some(copy) => copy.download()?.to_vec(),
                None => tensor.bytes().to_vec(),
            };
            out.push((tensor.elem(), bytes));
        }
        Ok(out)
    }
}

/// A launch argument over a copy in the device's memory, if there is one.
fn argument<'a>(
    device: &Device,
    value: &'a mut Value,
    copy: Option<&'a DeviceTensor<u8>>,
) -> Result<Arg<'a>, Failure> {
    let (Value::Tensor { tensor, mutable }, Some(copy)) = (&*value, copy) else { return Ok(value.arg()) };
    let dims: Vec<i64> = tensor.dims().iter().map(|d| *d as i64).collect();
    // SAFETY: the copy is as long as the tensor, row-major like it, and outlives the argument; no two arguments share one.
    Ok(unsafe { device.argument(copy.address(), tensor.elem(), &dims, None, *mutable) }?)
}

/// A kernel with its arguments on a device.
struct Meter<'a> {
    device: &'a Device,
    kernel: &'a PackKernel,
    args: &'a [Arg<'a>],
}

impl Meter<'_> {
    /// Time of a launch, as the mean of so many.
    fn sample(&self, choice: &Choice, times: u32) -> Result<Duration, Failure> {
        let launch = || self.kernel.launch_as(choice, self.args, How::default());
        Ok(self.device.time(None, || (0..times).try_for_each(|_| launch()))? / times)
    }

    /// Launches of a sample, after one that touches memory and brings code into caches.
    fn launches(&self, choice: &Choice) -> Result<u32, Failure> {
        self.sample(choice, 1)?;
        let one = self.sample(choice, 1)?;
        Ok((SAMPLE.as_secs_f64() / one.as_secs_f64().max(1e-9)).ceil().clamp(1.0, 1e6) as u32)
    }
}

/// How many times as fast as `usual` a choice is, the median of pairs of samples, if it is faster beyond doubt: by [`LEAST`] at least, and in so many
/// pairs that of two equal ones chance makes one win so many once in a thousand times (a sign test). About `seconds` long.
pub(in super::super) fn gain(
    device: &Device,
    kernel: &PackKernel,
    (choice, usual): (&Choice, &Choice),
    args: &[Arg<'_>],
    seconds: f64,
) -> Result<Option<f64>, Failure> {
    let meter = Meter { device, kernel, args };
    let launches = [meter.launches(choice)?, meter.launches(usual)?];
    let (start, mut ratios) = (Instant::now(), Vec::new());
    while ratios.len() < *PAIRS.end()
        && (ratios.len() < *PAIRS.start() || start.elapsed().as_secs_f64() < seconds)
    {
        let (own, other);
        // Who comes first changes, so that neither always finds what the other left.
        if ratios.len() % 2 == 0 {
            own = meter.sample(choice, launches[0])?;
            other = meter.sample(usual, launches[1])?;
        } else {
            other = meter.sample(usual, launches[1])?;
            own = meter.sample(choice, launches[0])?;
        }
        ratios.push(other.as_secs_f64() / own.as_secs_f64().max(1e-12));
    }
    let won = ratios.iter().filter(|r| **r > 1.0).count();
    ratios.sort_by(f64::total_cmp);
    let gain = ratios.get(ratios.len() / 2).copied().unwrap_or(0.0);
    Ok((gain >= 1.0 + LEAST && won >= enough(ratios.len())).then_some(gain))
}

/// The least number of `pairs` that one of two equal choices wins by chance no more often than [`CHANCE`].
fn enough(pairs: usize) -> usize {
    // Of all ways in which pairs end, those in which exactly `k` are won: the binomial coefficients over 2^pairs.
    let (mut term, mut tail) = (0.5f64.powi(pairs as i32), 0.0);
    for k in (0..=pairs).rev() {
        tail += term;
        if tail > CHANCE {
            return k + 1;
        }
        term *= k as f64 / (pairs - k + 1) as f64;
    }
    0
}

/// Median time of a launch of each choice, in their order; about `seconds` for all of them together.
pub(in super::super) fn medians(
    device: &Device,
    kernel: &PackKernel,
    choices: &[Choice],
    args: &[Arg<'_>],
    seconds: f64,
    bar: &ProgressBar,
) -> Result<Vec<Duration>, Failure> {
    let mut counts = Vec::new();
    let meter = Meter { device, kernel, args };
    for choice in choices {
        counts.push(meter.launches(choice)?);
    }
    let mut times = vec![Vec::new(); choices.len()];
    let (start, mut round) = (Instant::now(), 0);
    while round < *ROUNDS.end() && (round < *ROUNDS.start() || start.elapsed().as_secs_f64() < seconds) {
        for ((choice, count), times) in choices.iter().zip(&counts).zip(&mut times) {
            times.push(meter.sample(choice, *count)?);
        }
        round += 1;
        let share = start.elapsed().as_secs_f64() / seconds.max(1e-9);
        bar.set_position((bar.length().unwrap_or(0) as f64 * share.min(1.0)) as u64);
    }
    bar.finish_and_clear();
    Ok(times.into_iter().map(median).collect())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// A bar for [`medians`].
pub(in super::super) fn bar(json: bool, what: &str) -> ProgressBar {
    let bar = if json { ProgressBar::hidden() } else { ProgressBar::new(1000) };
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {msg}") {
        bar.set_style(style);
    }
    bar.set_message(what.to_owned());
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_win_by_chance_is_rare() {
        // The sums of binomial coefficients: of 20 pairs, 17 or more are won in 1351 of 2^20 ways, 18 or more in 211.
        assert_eq!(enough(20), 18);
        // Of 10 all must be won: 1 of 1024 ways. Of 9 not even that is enough.
        assert_eq!((enough(10), enough(9)), (10, 10));
    }

    #[test]
    fn the_median_is_the_middle_of_the_sorted_times() {
        let ms = |list: &[u64]| list.iter().map(|n| Duration::from_millis(*n)).collect::<Vec<_>>();
        assert_eq!(median(ms(&[9, 1, 5])), Duration::from_millis(5));
        assert_eq!(median(Vec::new()), Duration::ZERO);
    }
}
