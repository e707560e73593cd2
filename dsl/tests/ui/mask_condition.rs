//! Mistake: an `if` on a mask.
use kcc_dsl::prelude::*;

#[kernel]
fn k(x: &View<f32, 1>, y: &mut View<f32, 1>) {
    let v = x.load::<8>(0);
    if v > 0.0 {
        y.store(0, v);
    }
}

fn main() {}
