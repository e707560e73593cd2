//! Mistake: a store of another element type.
use kcc_dsl::prelude::*;

#[kernel]
fn k(x: &View<f32, 1>, y: &mut View<bf16, 1>) {
    y.store(0, x.load::<8>(0));
}

fn main() {}
