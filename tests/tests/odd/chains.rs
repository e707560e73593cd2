//! Products whose results are operands of others.

use super::{CHIPS, PLAIN, agree, agree_on, results, whole};
use kcc::prelude::*;
use kcc::{Launch, Tensor};

/// Sums of i8 become f16, those bf16, those tf32; each step's largest by rows as well.
#[kernel]
fn through_types(
    a: &View<i8, 2>,
    b: &View<i8, 2>,
    c: &View<f16, 2>,
    d: &View<bf16, 2>,
    y: &mut View<f32, 2>,
    top: &mut View<f32, 2>,
) {
    let first = dot(a.load::<48, 64>((0, 0)), b.load::<64, 32>((0, 0))).clamp(-64, 64);
    let second = dot(first.to::<f16>(), c.load::<32, 80>((0, 0))).clamp(-128.0, 128.0);
    let third = dot(second.to::<bf16>(), d.load::<80, 40>((0, 0))).clamp(-500.0, 500.0);
    let last = dot_with(third, third.t(), Tile::zeros(), Precision::Tf32);
    y.store((0, 0), last);
    top.store_col((0, 0), first.max_rows().to());
    top.store_col((0, 1), second.max_rows());
    top.store_col((0, 2), third.min_rows());
}

#[test]
fn sums_of_one_type_are_operands_of_another() {
    let (a, b) = (whole::<i8>(&[48, 64], 1, 3), whole::<i8>(&[64, 32], 2, 3));
    let (c, d) = (whole::<f16>(&[32, 80], 3, 1), whole::<bf16>(&[80, 40], 4, 1));
    agree(&CHIPS, &[&[], &[("warps", "4")], &[("warps", "8")]], |device, options| {
        let (mut y, mut top) = (Tensor::zeros(&[48, 48]).unwrap(), Tensor::zeros(&[48, 3]).unwrap());
        through_types::kernel().launch_with(device, 1, (&a, &b, &c, &d, &mut y, &mut top), options).unwrap();
        results(&[&y, &top])
    });
}

/// `(a · b)ᵀ · c` with what came of the first product as left, as right and as added.
#[kernel]
fn turned<const M: usize, const N: usize>(
    a: &View<bf16, 2>,
    b: &View<bf16, 2>,
    y: &mut View<f32, 2>,
    z: &mut View<bf16, 2>,
) {
    let a = a.load::<M, 32>((0, 0));
    let p = dot(a, b.load::<32, N>((0, 0)));
    let narrow = p.clamp(-16.0, 16.0).to::<bf16>();
    let left = dot(narrow.t(), a);
    let right = dot(a.t(), narrow);
    let gram = dot_acc(narrow, narrow.t(), Matrix::constant(3.0));
    y.store((0, 0), dot(left.clamp(-8.0, 8.0).to::<bf16>(), right.clamp(-8.0, 8.0).to::<bf16>()));
    z.store((0, 0), gram.clamp(-250.0, 250.0).to());
}

#[test]
fn a_product_is_left_and_right_and_turned() {
    fn check<const M: usize, const N: usize>() {
        let (a, b) = (whole::<bf16>(&[M, 32], 1, 2), whole::<bf16>(&[32, N], 2, 2));
        agree(&CHIPS, PLAIN, |device, options| {
            let (mut y, mut z) = (Tensor::zeros(&[N, N]).unwrap(), Tensor::<bf16>::zeros(&[M, M]).unwrap());
            turned::kernel::<M, N>().launch_with(device, 1, (&a, &b, &mut y, &mut z), options).unwrap();
            let mut all = results(&[&y]);
            all.extend(results(&[&z]));
            all
        });
    }
    check::<64, 64>();
    check::<40, 24>();
    check::<3, 100>();
}

/// A gated layer: two products in one loop, their combination in another.
#[kernel]
fn gated(
    x: &View<f16, 2>,
    gate: &View<f16, 2>,
    up: &View<f16, 2>,
    down: &View<f16, 2>,
    y: &mut View<f32, 2>,
) {
    let row = program_id(0) * 64;
    let mut out = Matrix::<f32, 64, 64>::zeros();
    for inner in (0..gate.dim(1)).step_by(32) {
        let mut g = Matrix::<f32, 64, 32>::zeros();
        let mut u = Matrix::<f32, 64, 32>::zeros();
        for k in (0..x.dim(1)).step_by(64) {
            let left = x.load::<64, 64>((row, k));
            g = dot_acc(left, gate.load::<64, 32>((k, inner)), g);
            u = dot_acc(left, up.load::<64, 32>((k, inner)), u);
        }
        let h = (g.max(0.0) * u).clamp(-32.0, 32.0).to::<f16>();
        out = dot_acc(h, down.load::<32, 64>((inner, 0)), out);
    }
    y.store((row, 0), out);
}

#[test]
fn a_loop_of_products_within_a_loop_of_products() {
    let x = whole::<f16>(&[70, 136], 1, 1);
    let (gate, up) = (whole::<f16>(&[136, 104], 2, 1), whole::<f16>(&[136, 104], 3, 1));
    let down = whole::<f16>(&[104, 56], 4, 2);
    let sets: &[&[(&str, &str)]] = &[&[], &[("warps", "8")], &[("stages", "1")], &[("persistent", "1")]];
    agree(&CHIPS, sets, |device, options| {
        let mut y = Tensor::zeros(&[70, 56]).unwrap();
        gated::kernel().launch_with(device, 2, (&x, &gate, &up, &down, &mut y), options).unwrap();
        results(&[&y])
    });
}

/// A product of cubes, a plane of it, and all planes side by side as one operand.
#[kernel]
fn planes(a: &View<bf16, 3>, b: &View<bf16, 3>, y: &mut View<f32, 3>, z: &mut View<f32, 2>) {
    let (a, b) = (a.load::<3, 24, 40>((0, 0, 0)), b.load::<3, 40, 16>((0, 0, 0)));
    let p = dot(a, b);
    y.store((0, 0, 0), p.t());
    let side = p.clamp(-16.0, 16.0).to::<bf16>().reshape::<D2<72, 16>>();
    let one = p.batch(1).clamp(-16.0, 16.0).to::<bf16>();
    z.store((0, 0), dot(side, one.t()));
}

#[test]
fn cubes_are_multiplied_plane_by_plane() {
    let (a, b) = (whole::<bf16>(&[3, 20, 40], 1, 2), whole::<bf16>(&[3, 40, 16], 2, 2));
    agree(&CHIPS, &[&[], &[("warps", "2")]], |device, options| {
        let (mut y, mut z) = (Tensor::zeros(&[3, 16, 24]).unwrap(), Tensor::zeros(&[72, 24]).unwrap());
        planes::kernel().launch_with(device, 1, (&a, &b, &mut y, &mut z), options).unwrap();
        results(&[&y, &z])
    });
}

/// Scaled 8-bit products, narrowed to 8 bits and multiplied again.
#[kernel]
fn scaled_twice(
    a: &View<F8E4M3, 2>,
    b: &View<F8E5M2, 2>,
    sa: &View<u8, 2>,
    sb: &View<u8, 2>,
    y: &mut View<f32, 2>,
) {
    let b = b.load::<64, 32>((0, 0));
    let p = dot_scaled(
        a.load::<32, 64>((0, 0)),
        sa.load::<32, 2>((0, 0)),
        b,
        sb.load::<2, 32>((0, 0)),
        Tile::zeros(),
    );
    let narrow = p.clamp(-2.0, 2.0).round().to::<F8E5M2>();
    y.store((0, 0), dot_acc(narrow, b.t(), Matrix::constant(1.0)));
}

#[test]
fn a_scaled_product_feeds_one_of_8_bits() {
    let (a, b) = (whole::<F8E4M3>(&[32, 64], 1, 2), whole::<F8E5M2>(&[64, 32], 2, 2));
    let scales = |dims: &[usize]| Tensor::from_fn(dims, |i| 126 + (i % 3) as u8).unwrap();
    let (sa, sb) = (scales(&[32, 2]), scales(&[2, 32]));
    agree_on(&CHIPS, PLAIN, |device, options| {
        let mut y = Tensor::zeros(&[32, 64]).unwrap();
        scaled_twice::kernel().launch_with(device, 1, (&a, &b, &sa, &sb, &mut y), options).unwrap();
        results(&[&y])
    });
}
