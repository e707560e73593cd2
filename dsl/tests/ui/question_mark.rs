//! Mistake: `?` in a run-time loop.
use kcc_dsl::prelude::*;

#[function]
fn f(n: Scalar<i32>, scale: Option<f32>) -> Option<Scalar<f32>> {
    let mut acc = Scalar::zeros();
    for _ in 0..n {
        acc += Scalar::full(scale?);
    }
    Some(acc)
}

fn main() {}
