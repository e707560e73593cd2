//! Mistake: an `if` on a number.
use kcc_dsl::prelude::*;

#[kernel]
fn k(n: Scalar<i32>, y: &mut View<i32, 1>) {
    if n {
        y.set(0, n);
    }
}

fn main() {}
