//! Mistake: a vector with a matrix, without saying along which axis.
use kcc_dsl::prelude::*;

#[kernel]
fn k(x: &View<f32, 2>, z: &mut View<f32, 2>) {
    let m = x.load::<8, 8>((0, 0));
    z.store((0, 0), m - m.max_rows());
}

fn main() {}
