//! Mistake: arithmetic on an element type without a bound.
use kcc_dsl::prelude::*;

#[kernel]
fn k<T: Elem>(x: &View<T, 1>, y: &mut View<T, 1>) {
    let v = x.load::<8>(0);
    y.store(0, v + v);
}

fn main() {}
