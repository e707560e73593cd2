//! Mistake: a load without its extents.
use kcc_dsl::prelude::*;

#[kernel]
fn k(x: &View<f32, 1>, y: &mut View<f32, 1>) {
    let v = x.load(0);
    y.store(0, v * 2.0);
}

fn main() {}
