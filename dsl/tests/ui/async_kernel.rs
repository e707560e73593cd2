//! Mistake: an `async` kernel.
use kcc_dsl::prelude::*;

#[kernel]
async fn k(y: &mut View<f32, 1>) {
    y.set(0, Scalar::full(1.0));
}

fn main() {}
