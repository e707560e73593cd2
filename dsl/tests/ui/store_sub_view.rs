//! Mistake: a store through a part of a view that is only read.
use kcc_dsl::prelude::*;

#[kernel]
fn k(x: &mut View<f32, 2>) {
    x.at(0).store(0, Vector::<f32, 8>::zeros());
}

fn main() {}
