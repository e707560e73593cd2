//! Mistake: `continue` under a run-time condition.
use kcc_dsl::prelude::*;

#[kernel]
fn k(x: &View<f32, 1>, y: &mut View<f32, 1>) {
    for i in 0..4 {
        if x.get(i) < 0.0 {
            continue;
        }
        y.set(i, x.get(i));
    }
}

fn main() {}
