//! Mistake: a dot of two element types.
use kcc_dsl::prelude::*;

#[kernel]
fn k(a: &View<f32, 2>, b: &View<bf16, 2>, c: &mut View<f32, 2>) {
    c.store((0, 0), dot(a.load::<16, 16>((0, 0)), b.load::<16, 16>((0, 0))));
}

fn main() {}
