//! Test cases of every kernel as data, so that each device can run them: inputs, launch, comparison.
//!
//! ```text
//! for case in cases() { case.check(&device)?; }      eager, CPU, every target to come
//! ```
//! Shapes are awkward on purpose: one element, primes, nothing, more than a tile. Tolerances are derived where they
//! are stated; see [`compare::close`].

mod attention;
pub mod compare;
pub mod input;
mod lookup;
mod matmul;
mod moe;
mod norms;
mod rows;

use input::Value;
use kcc_dsl::prelude::*;
use kcc_runtime::{Device, Tensor};

/// What a case gives: nothing, or what differs.
pub type Outcome = Result<(), String>;

type Check = Box<dyn Fn(&Device) -> Outcome + Send + Sync>;

/// One kernel on one input.
pub struct Case {
    /// Kernel, element type and shape: `softmax f32 3x17`.
    pub name: String,
    check: Check,
}

impl Case {
    fn new(name: String, check: impl Fn(&Device) -> Outcome + Send + Sync + 'static) -> Case {
        Case { name, check: Box::new(check) }
    }

    /// Runs the kernel on `device` and compares with its reference.
    ///
    /// # Errors
    /// The case's name and what failed or differs.
    pub fn check(&self, device: &Device) -> Outcome {
        (self.check)(device).map_err(|e| format!("{}: {e}", self.name))
    }
}

/// Every case.
pub fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    for_each_type::<f32>(&mut all);
    for_each_type::<f16>(&mut all);
    for_each_type::<bf16>(&mut all);
    moe::permutations(&mut all);
    all
}

fn for_each_type<T: Value + DotElem>(all: &mut Vec<Case>) {
    rows::cases::<T>(all);
    norms::cases::<T>(all);
    matmul::cases::<T>(all);
    attention::cases::<T>(all);
    lookup::cases::<T>(all);
    moe::cases::<T>(all);
}

/// A tensor of these values.
fn tensor<T: Elem>(values: &[T], dims: &[usize]) -> Result<Tensor<T>, String> {
    Tensor::from_slice(values, dims).map_err(|e| e.to_string())
}

/// A result tensor, filled with what no kernel computes, so that an element that was not written shows.
fn untouched<T: Value>(dims: &[usize]) -> Result<Tensor<T>, String> {
    tensor(&vec![T::from_f32(-77.0); dims.iter().product()], dims)
}

fn text(e: crate::Error) -> String {
    e.to_string()
}
