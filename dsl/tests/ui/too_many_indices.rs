//! Mistake: more leading indices than axes.
use kcc_dsl::prelude::*;

#[kernel]
fn k(x: &View<f32, 2>, y: &mut View<f32, 1>) {
    y.set(0, x.at((0, 1)).get(0));
}

fn main() {}
