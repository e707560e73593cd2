//! Mistake: a reshape to another number of elements.
use kcc_dsl::prelude::*;

#[kernel]
fn k(x: &View<f32, 1>, y: &mut View<f32, 2>) {
    y.store((0, 0), x.load::<8>(0).reshape::<D2<2, 3>>());
}

fn main() {}
