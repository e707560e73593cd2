//! Mistake: `return` under a run-time condition.
use kcc_dsl::prelude::*;

#[kernel]
fn k(x: &View<f32, 1>, y: &mut View<f32, 1>) {
    if x.dim(0) == 0 {
        return;
    }
    y.set(0, x.get(0));
}

fn main() {}
