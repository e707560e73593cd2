//! What the kit proves and times: every case of `kcc-kernels`, and kernels at the sizes and tile shapes for GPUs.
//!
//! ```text
//! Check    one kernel instance on a small input against its reference
//! Bench    one problem (`matmul bf16 8192x8192x8192`, the name that the peers use, too)
//!           └ Config…   one kernel instance that solves it; the best one counts
//! ```

mod attention;
mod gemm;
mod moe;
mod rows;

use crate::timing::Effort;
use kcc_dsl::prelude::*;
use kcc_kernels::cases::input::Value;
use kcc_runtime::{Device, LaunchOptions, Result, Tensor};
use std::rc::Rc;

/// Nothing, or what differs.
pub type Outcome = std::result::Result<(), String>;

/// A proof on a small input.
pub struct Check {
    /// Kernel, element type, tile shape.
    pub name: String,
    run: Box<dyn Fn(&Device) -> Outcome>,
}

impl Check {
    fn new(name: impl Into<String>, run: impl Fn(&Device) -> Outcome + 'static) -> Check {
        Check { name: name.into(), run: Box::new(run) }
    }

    /// Runs the kernel and compares.
    ///
    /// # Errors
    /// What failed or differs.
    pub fn run(&self, device: &Device) -> Outcome {
        (self.run)(device)
    }
}

/// One way to solve a problem.
pub struct Config {
    /// Tile shape and options: `128x256x64`.
    pub label: String,
    run: Time,
}

/// Seconds of a launch.
type Time = Box<dyn Fn(&Device, Effort) -> Result<Option<f64>>>;

impl Config {
    /// Seconds of one launch; `None` if it was only compiled.
    ///
    /// # Errors
    /// Those of the device and of the compiler.
    pub fn run(&self, device: &Device, effort: Effort) -> Result<Option<f64>> {
        (self.run)(device, effort)
    }
}

/// One problem.
pub struct Bench {
    /// The peers use the same names.
    pub name: String,
    /// Floating-point operations of one launch, 0 where bandwidth counts.
    pub flops: f64,
    /// Bytes that must move.
    pub bytes: f64,
    /// At least one.
    pub configs: Vec<Config>,
}

/// Everything, small problems first.
#[derive(Default)]
pub struct Suite {
    /// Proofs.
    pub checks: Vec<Check>,
    /// Measurements.
    pub benches: Vec<Bench>,
}

impl Suite {
    /// All of it.
    pub fn new() -> Suite {
        let mut suite = Suite::default();
        for case in kcc_kernels::cases::cases() {
            // The case's message starts with its name.
            let name = case.name.clone();
            suite.checks.push(Check::new(name, move |device| {
                case.check(device)
                    .map_err(|e| e.strip_prefix(&format!("{}: ", case.name)).unwrap_or(&e).into())
            }));
        }
        gemm::add(&mut suite);
        attention::add(&mut suite);
        rows::add(&mut suite);
        moe::add(&mut suite);
        suite
    }

    /// Only what a name of which contains one of the words; all for no words.
    #[must_use]
    pub fn only(mut self, words: &[String]) -> Suite {
        let keep = |name: &str| words.is_empty() || words.iter().any(|w| name.contains(w.as_str()));
        self.checks.retain(|c| keep(&c.name));
        self.benches.retain(|b| keep(&b.name));
        self
    }
}

/// Options for the compiler: `warps=8,persistent=1`.
fn options(text: &str) -> LaunchOptions {
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    LaunchOptions {
        compile: pairs.map(|(name, value)| (name.into(), value.into())).collect(),
        ..LaunchOptions::default()
    }
}

/// `128x256x64`, with the options if there are any.
fn label(tile: &[usize], options: &str) -> String {
    let tile: Vec<String> = tile.iter().map(usize::to_string).collect();
    format!("{}{}{options}", tile.join("x"), if options.is_empty() { "" } else { " " })
}

fn text(e: kcc_runtime::Error) -> String {
    e.to_string()
}

/// A tensor of values.
fn tensor<T: Elem>(values: &[T], dims: &[usize]) -> std::result::Result<Tensor<T>, String> {
    Tensor::from_slice(values, dims).map_err(text)
}

/// A result tensor, filled with what no kernel computes, so that an element that was not written shows.
fn untouched<T: Value>(dims: &[usize]) -> std::result::Result<Tensor<T>, String> {
    tensor(&vec![T::from_f32(-77.0); dims.iter().product()], dims)
}

/// What several configs share.
type Shared<S> = Rc<dyn Fn(&Device, S, Effort) -> Result<Option<f64>>>;
