//! Mistake: a load with one extent too few.
use kcc_dsl::prelude::*;

#[kernel]
fn k(x: &View<f32, 2>, y: &mut View<f32, 2>) {
    y.store((0, 0), x.load::<8>((0, 0)));
}

fn main() {}
