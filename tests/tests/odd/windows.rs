//! Blocks that overlap, lie partly outside, are read again after they were written, or serve as both operands.

use super::{CHIPS, agree, agree_on, results, whole};
use kcc::prelude::*;
use kcc::{Device, Launch, LaunchOptions, Tensor};

/// A convolution along rows: three products of windows that start a row earlier, in place, and later; outside counts as one.
#[kernel]
fn convolution(x: &View<bf16, 2>, w: &View<bf16, 3>, y: &mut View<f32, 2>, narrow: &mut View<bf16, 2>) {
    let (m, n) = (program_id(0) * 64, program_id(1) * 32);
    let mut acc = Matrix::<f32, 64, 32>::zeros();
    for k in (0..x.dim(1)).step_by(32) {
        for tap in 0..3 {
            let window = x.load_or::<64, 32>((m + (tap - 1), k), 1.0);
            acc = dot_acc(window, w.at(tap).load::<32, 32>((k, n)), acc);
        }
    }
    y.store((m, n), acc);
    narrow.store((m, n), acc.clamp(-200.0, 200.0).to());
}

#[test]
fn windows_that_overlap_and_start_before_the_view() {
    let (x, w) = (whole::<bf16>(&[70, 72], 1, 2), whole::<bf16>(&[3, 72, 40], 2, 2));
    agree(&CHIPS, &[&[], &[("warps", "8")], &[("persistent", "1")]], |device, options| {
        let (mut y, mut narrow) =
            (Tensor::zeros(&[70, 40]).unwrap(), Tensor::<bf16>::zeros(&[70, 40]).unwrap());
        convolution::kernel().launch_with(device, (2, 2), (&x, &w, &mut y, &mut narrow), options).unwrap();
        let mut all = results(&[&y]);
        all.extend(results(&[&narrow]));
        all
    });
}

/// Each block of columns is the product of the one before, which was just written, by the same matrix.
#[kernel]
fn recurrence(y: &mut View<bf16, 2>, w: &View<bf16, 2>) {
    let m = program_id(0) * 64;
    for n in (64..y.dim(1)).step_by(64) {
        let before = y.load::<64, 64>((m, n - 64));
        let next = dot(before, w.load::<64, 64>((0, 0))).clamp(-3.0, 3.0);
        y.store((m, n), next.to());
    }
}

#[test]
fn an_operand_that_was_just_written() {
    let (start, w) = (whole::<bf16>(&[100, 320], 1, 2), whole::<bf16>(&[64, 64], 2, 1));
    let sets: &[&[(&str, &str)]] = &[&[], &[("warps", "8")], &[("specialise", "0")], &[("persistent", "1")]];
    agree(&CHIPS, sets, |device, options| {
        let mut y = Tensor::from_slice(start.as_slice(), &[100, 320]).unwrap();
        recurrence::kernel().launch_with(device, 2, (&mut y, &w), options).unwrap();
        results(&[&y])
    });
}

/// `a · aᵀ`, and of 8-bit floats with scales the same.
#[kernel]
fn gram<T: Num<Acc = f32> + DotElem>(a: &View<T, 2>, y: &mut View<f32, 2>) {
    let (m, n) = (program_id(0) * 64, program_id(1) * 64);
    let mut acc = Matrix::<f32, 64, 64>::zeros();
    for k in (0..a.dim(1)).step_by(64) {
        acc = dot_acc(a.load::<64, 64>((m, k)), a.load::<64, 64>((n, k)).t(), acc);
    }
    y.store((m, n), acc);
}

fn symmetric<T: Num<Acc = f32> + DotElem>() {
    let a = whole::<T>(&[90, 144], 1, 2);
    let sets: &[&[(&str, &str)]] = &[&[], &[("warps", "8")]];
    let run = |device: &Device, options: &LaunchOptions| {
        let mut y = Tensor::zeros(&[90, 90]).unwrap();
        gram::kernel::<T>().launch_with(device, (2, 2), (&a, &mut y), options).unwrap();
        results(&[&y])
    };
    // An NPU has no 8-bit floats.
    if size_of::<T>() == 1 { agree_on(&CHIPS, sets, run) } else { agree(&CHIPS, sets, run) }
}

#[test]
fn a_view_that_is_both_operands() {
    symmetric::<f16>();
    symmetric::<f32>();
    symmetric::<F8E4M3>();
}

/// Blocks are added until a sum is large enough: the loop's end depends on what its products give.
#[kernel]
fn enough(a: &View<f16, 2>, b: &View<f16, 2>, y: &mut View<f32, 2>, limit: Scalar<f32>) {
    let m = program_id(0) * 64;
    let mut acc = Matrix::<f32, 64, 32>::zeros();
    let mut k = 0.to_scalar();
    while k < a.dim(1) && acc.reduce_max() < limit {
        acc = dot_acc(a.load::<64, 32>((m, k)), b.load::<32, 32>((k, 0)), acc);
        k += 32;
    }
    y.store((m, 0), acc + k.to::<f32>() - 1.0);
}

#[test]
fn a_loop_that_ends_by_what_its_products_give() {
    let (a, b) = (whole::<f16>(&[100, 160], 1, 2), whole::<f16>(&[160, 32], 2, 2));
    for limit in [-1.0, 40.0, 1e9] {
        agree(&CHIPS, &[&[], &[("warps", "8")]], |device, options| {
            let mut y = Tensor::zeros(&[100, 32]).unwrap();
            enough::kernel().launch_with(device, 2, (&a, &b, &mut y, limit), options).unwrap();
            results(&[&y])
        });
    }
}

/// Scaled 8-bit operands in a loop, the accumulator from memory.
#[kernel]
fn scaled(
    a: &View<F8E4M3, 2>,
    sa: &View<u8, 2>,
    b: &View<F8E4M3, 2>,
    sb: &View<u8, 2>,
    y: &mut View<f32, 2>,
) {
    let (m, n) = (program_id(0) * 64, program_id(1) * 32);
    let mut acc = y.load::<64, 32>((m, n));
    for k in (0..a.dim(1)).step_by(64) {
        let s = k / 32;
        let (a, b) = (a.load::<64, 64>((m, k)), b.load::<64, 32>((k, n)));
        acc = dot_scaled(a, sa.load::<64, 2>((m, s)), b, sb.load::<2, 32>((s, n)), acc);
    }
    y.store((m, n), acc);
}

#[test]
fn scaled_products_are_added_to_what_is_there() {
    let (a, b) = (whole::<F8E4M3>(&[80, 160], 1, 2), whole::<F8E4M3>(&[160, 48], 2, 2));
    let scales = |dims: &[usize]| Tensor::from_fn(dims, |i| 126 + (i % 3) as u8).unwrap();
    let (sa, sb) = (scales(&[80, 5]), scales(&[5, 48]));
    let start = whole::<f32>(&[80, 48], 3, 50);
    agree_on(&CHIPS, &[&[], &[("warps", "4")]], |device, options| {
        let mut y = Tensor::from_slice(start.as_slice(), &[80, 48]).unwrap();
        scaled::kernel().launch_with(device, (2, 2), (&a, &sa, &b, &sb, &mut y), options).unwrap();
        results(&[&y])
    });
}
