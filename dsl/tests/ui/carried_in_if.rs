//! Mistake: a host value that a run-time branch changes.
use kcc_dsl::prelude::*;

#[kernel]
fn k(y: &mut View<i32, 1>, n: Scalar<i32>) {
    let mut scale = 1.0f32;
    if n > 3 {
        scale = 2.0;
    }
    y.set(0, (n.to::<f32>() * scale).to());
}

fn main() {}
