//! Mistake: a store through a view that is only read.
use kcc_dsl::prelude::*;

#[kernel]
fn k(x: &View<f32, 1>) {
    x.store(0, Vector::<f32, 8>::zeros());
}

fn main() {}
