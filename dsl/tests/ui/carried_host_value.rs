//! Mistake: a host value that a run-time loop changes.
use kcc_dsl::prelude::*;

#[kernel]
fn k(y: &mut View<i32, 1>, n: Scalar<i32>) {
    let mut count = 0usize;
    for i in 0..n {
        y.set(i, i);
        count += 1;
    }
    y.set(0, Scalar::full(count as i32));
}

fn main() {}
