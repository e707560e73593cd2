//! Mistake: a kernel parameter that is a host value.
use kcc_dsl::prelude::*;

#[kernel]
fn k(y: &mut View<i32, 1>, n: usize) {
    y.set(0, Scalar::full(n as i32));
}

fn main() {}
