//! Mistake: a comparison of two element types.
use kcc_dsl::prelude::*;

#[kernel]
fn k(x: &View<f32, 1>, z: &mut View<f32, 1>) {
    let v = x.load::<8>(0);
    z.store(0, select(v < arange::<8>(), v, -v));
}

fn main() {}
