//! Mistake: an option that `#[kernel]` does not have.
use kcc_dsl::prelude::*;

#[kernel(grid = 3)]
fn k(y: &mut View<f32, 1>) {
    y.set(0, Scalar::full(1.0));
}

fn main() {}
