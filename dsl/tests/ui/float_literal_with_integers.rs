//! Mistake: a float literal beside an integer tile.
use kcc_dsl::prelude::*;

#[kernel]
fn k(y: &mut View<i32, 1>) {
    y.store(0, arange::<8>() * 0.5);
}

fn main() {}
