//! Mistake: branches of two shapes.
use kcc_dsl::prelude::*;

#[kernel]
fn k(x: &View<f32, 1>, y: &mut View<f32, 1>, n: Scalar<i32>) {
    let v = if n > 0 { x.load::<8>(0) } else { x.load::<4>(0) };
    y.store(0, v);
}

fn main() {}
