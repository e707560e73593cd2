//! Mistake: `break` in a run-time loop.
use kcc_dsl::prelude::*;

#[kernel]
fn k(x: &View<f32, 1>, y: &mut View<f32, 1>) {
    for i in 0..x.dim(0) {
        y.set(i, x.get(i));
        break;
    }
}

fn main() {}
