//! Mistake: a float function of integers.
use kcc_dsl::prelude::*;

#[kernel]
fn k(y: &mut View<i32, 1>) {
    y.store(0, arange::<8>().exp());
}

fn main() {}
