use kcc_dsl::prelude::*;

#[derive(Clone, Copy, Carried)]
struct State {
    sum: Vector<f32, 8>,
    rows: usize,
}

fn main() {}
