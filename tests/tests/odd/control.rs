//! Products in loops and branches that are not those of a matrix product.

use super::{CHIPS, PLAIN, agree, results, whole};
use kcc::prelude::*;
use kcc::{Launch, Tensor};

/// `x = clamp(a · x)` until its sum is large enough, or 20 times; how often that was.
#[kernel]
fn until(
    a: &View<f16, 2>,
    x: &View<f16, 2>,
    y: &mut View<f32, 2>,
    turns: &mut View<i32, 1>,
    enough: Scalar<f32>,
) {
    let a = a.load::<32, 32>((0, 0));
    let mut x = x.load::<32, 16>((0, 0)).to::<f32>();
    let mut n = 0.to_scalar();
    while x.abs().sum() < enough && n < 20 {
        x = dot(a, x.to::<f16>()).clamp(-9.0, 9.0);
        n += 1;
    }
    y.store((0, 0), x);
    turns.set(0, n);
}

#[test]
fn a_product_until_it_is_large_enough() {
    let (a, x) = (whole::<f16>(&[32, 32], 1, 1), whole::<f16>(&[32, 16], 2, 1));
    for enough in [0.0, 1500.0, 1e9] {
        agree(&CHIPS, &[&[], &[("warps", "1")]], |device, options| {
            let (mut y, mut turns) = (Tensor::zeros(&[32, 16]).unwrap(), Tensor::<i32>::zeros(&[1]).unwrap());
            until::kernel().launch_with(device, 1, (&a, &x, &mut y, &mut turns, enough), options).unwrap();
            let mut all = results(&[&y]);
            all.extend(results(&[&turns]));
            all
        });
    }
}

/// Sums over the segment of each program, whose bounds are in memory; some are empty.
#[kernel]
fn segments(starts: &View<i32, 1>, a: &View<bf16, 2>, b: &View<bf16, 2>, y: &mut View<f32, 3>) {
    let p = program_id(0);
    let (from, to) = (starts.get(p), starts.get(p + 1));
    let mut acc = Matrix::<f32, 64, 64>::zeros();
    for k in (from..to).step_by(32) {
        let inside = k + arange::<32>() < to;
        let left = select(inside.row(), a.load::<64, 32>((0, k)), Tile::zeros());
        acc = dot_acc(left, b.load::<32, 64>((k, 0)), acc);
    }
    if from == to {
        acc -= 7.0;
    }
    y.at_mut(p).store((0, 0), acc);
}

#[test]
fn loops_whose_bounds_are_in_memory() {
    let starts = Tensor::from_slice(&[0, 40, 40, 41, 200], &[5]).unwrap();
    let (a, b) = (whole::<bf16>(&[60, 200], 1, 2), whole::<bf16>(&[200, 64], 2, 2));
    let sets: &[&[(&str, &str)]] =
        &[&[], &[("persistent", "1")], &[("cluster", "2")], &[("specialise", "0")]];
    agree(&["sim:sm_90a"], sets, |device, options| {
        let mut y = Tensor::zeros(&[4, 60, 64]).unwrap();
        segments::kernel().launch_with(device, 4, (&starts, &a, &b, &mut y), options).unwrap();
        results(&[&y])
    });
    agree(&["sim:sm_80"], PLAIN, |device, options| {
        let mut y = Tensor::zeros(&[4, 60, 64]).unwrap();
        segments::kernel().launch_with(device, 4, (&starts, &a, &b, &mut y), options).unwrap();
        results(&[&y])
    });
}

/// Two loops one after another over the same operands, the second backwards and from the first one's result; a branch
/// decides which operand comes last.
#[kernel]
fn forth_and_back(a: &View<bf16, 2>, b: &View<bf16, 2>, y: &mut View<f32, 2>, flip: Scalar<i32>) {
    let (m, n) = (program_id(0) * 64, program_id(1) * 32);
    let end = a.dim(1);
    let mut acc = Matrix::<f32, 64, 32>::zeros();
    for k in (0..end).step_by(64) {
        acc = dot_acc(a.load::<64, 64>((m, k)), b.load::<64, 32>((k, n)), acc);
    }
    let top = acc.max_cols();
    for i in (0..end).step_by(64) {
        let k = end - 64 - i;
        acc = dot_acc(-a.load::<64, 64>((m, k)), b.load::<64, 32>((k, n)), acc);
    }
    if flip > 0 {
        acc += top.row();
    } else {
        acc = dot_acc(a.load::<64, 64>((m, 0)), b.load::<64, 32>((0, n)), acc);
    }
    y.store((m, n), acc);
}

#[test]
fn two_loops_over_the_same_operands() {
    let (a, b) = (whole::<bf16>(&[100, 192], 1, 2), whole::<bf16>(&[192, 40], 2, 2));
    for flip in [0, 1] {
        let sets: &[&[(&str, &str)]] = &[&[], &[("cluster", "2")], &[("stages", "4"), ("warps", "8")]];
        agree(&["sim:sm_90a"], sets, |device, options| {
            let mut y = Tensor::zeros(&[100, 40]).unwrap();
            forth_and_back::kernel().launch_with(device, (2, 2), (&a, &b, &mut y, flip), options).unwrap();
            results(&[&y])
        });
    }
}

/// A loop of three turns that is unrolled, one within that is not, and an operand that both carry.
#[kernel]
fn carried_operand(a: &View<f16, 2>, w: &View<f16, 3>, y: &mut View<f32, 2>) {
    let mut x = a.load::<64, 64>((0, 0));
    let mut sums = Vector::<f32, 64>::zeros();
    for layer in 0..3 {
        for _ in 0..w.dim(0) {
            let next = dot(x, w.at(layer).load::<64, 64>((0, 0))).clamp(-3.0, 3.0);
            sums += next.sum_rows();
            x = next.to::<f16>();
        }
    }
    y.store((0, 0), x.to::<f32>() + sums.col());
}

#[test]
fn a_loop_carries_the_operand_of_its_product() {
    let (a, w) = (whole::<f16>(&[64, 64], 1, 1), whole::<f16>(&[3, 64, 64], 2, 1));
    agree(&CHIPS, &[&[], &[("warps", "8")]], |device, options| {
        let mut y = Tensor::zeros(&[64, 64]).unwrap();
        carried_operand::kernel().launch_with(device, 1, (&a, &w, &mut y), options).unwrap();
        results(&[&y])
    });
}
