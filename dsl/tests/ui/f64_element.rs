//! Mistake: an element type that does not exist.
use kcc_dsl::prelude::*;

#[kernel]
fn k(x: &View<f64, 1>, y: &mut View<f32, 1>) {
    y.set(0, x.get(0).to());
}

fn main() {}
