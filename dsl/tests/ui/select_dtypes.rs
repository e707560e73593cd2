use kcc_dsl::prelude::*;

#[kernel]
fn relu(x: &View<f32, 1>, b: &View<bf16, 1>, z: &mut View<f32, 1>) {
    let v = x.load::<8>(0);
    z.store(0, select(v > 0.0, v, b.load::<8>(0)));
}

fn main() {}
