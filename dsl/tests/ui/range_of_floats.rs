//! Mistake: a range that ends in a float.
use kcc_dsl::prelude::*;

#[kernel]
fn k(y: &mut View<i32, 1>, n: Scalar<f32>) {
    for i in 0..n {
        y.set(i, i);
    }
}

fn main() {}
