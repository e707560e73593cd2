//! Mistake: a dot of a type that it does not multiply.
use kcc_dsl::prelude::*;

#[kernel]
fn k(a: &View<i32, 2>, c: &mut View<i32, 2>) {
    let m = a.load::<16, 16>((0, 0));
    c.store((0, 0), dot(m, m));
}

fn main() {}
