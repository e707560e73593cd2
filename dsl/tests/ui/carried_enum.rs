use kcc_dsl::prelude::*;

#[derive(Clone, Copy, Carried)]
enum Last {
    Row(Vector<f32, 8>),
    Nothing,
}

fn main() {}
