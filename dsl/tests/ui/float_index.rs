//! Mistake: a float as an index.
use kcc_dsl::prelude::*;

#[kernel]
fn k(x: &View<f32, 1>, y: &mut View<f32, 1>) {
    y.set(0, x.get(x.get(0)));
}

fn main() {}
