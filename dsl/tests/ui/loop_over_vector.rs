//! Mistake: a loop over a tile.
use kcc_dsl::prelude::*;

#[kernel]
fn k(y: &mut View<i32, 1>) {
    for i in arange::<8>() {
        y.set(0, i);
    }
}

fn main() {}
