//! Mistake: a sum of two element types.
use kcc_dsl::prelude::*;

#[kernel]
fn k(x: &View<f32, 1>, y: &View<bf16, 1>, z: &mut View<f32, 1>) {
    z.store(0, x.load::<8>(0) + y.load::<8>(0));
}

fn main() {}
