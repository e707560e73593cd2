//! Mistake: a variable that changes its element type in a loop.
use kcc_dsl::prelude::*;

#[kernel]
fn k(x: &View<bf16, 2>, y: &mut View<f32, 1>) {
    let mut acc = Vector::<f32, 8>::zeros();
    for i in 0..x.dim(0) {
        acc = x.at(i).load::<8>(0);
    }
    y.store(0, acc);
}

fn main() {}
