//! Mistake: a kernel that returns a tile.
use kcc_dsl::prelude::*;

#[kernel]
fn k(x: &View<f32, 1>) -> Vector<f32, 8> {
    x.load::<8>(0)
}

fn main() {}
