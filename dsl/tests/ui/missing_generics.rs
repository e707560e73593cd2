//! Mistake: a kernel without its generic arguments.
use kcc_dsl::prelude::*;

#[kernel]
fn k<T: Float, const N: usize>(x: &View<T, 1>, y: &mut View<T, 1>) {
    y.store(0, x.load::<N>(0));
}

fn launch() {
    let _ = k::kernel::<f32>();
}

fn main() {}
