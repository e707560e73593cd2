//! Mistake: a product of two lengths.
use kcc_dsl::prelude::*;

#[kernel]
fn k(x: &View<f32, 1>, z: &mut View<f32, 1>) {
    z.store(0, x.load::<8>(0) * x.load::<16>(8));
}

fn main() {}
