//! Operands that are no plain blocks of a view, and shapes at the edge of what instructions do.

use super::{CHIPS, PLAIN, agree, agree_on, results, whole};
use kcc::prelude::*;
use kcc::{Device, Launch, LaunchOptions, Tensor};

/// One product by blocks; the result turned as well.
#[kernel]
fn product<T: Num<Acc = f32> + DotElem, const M: usize, const N: usize, const K: usize>(
    a: &View<T, 2>,
    b: &View<T, 2>,
    c: &mut View<f32, 2>,
    turned: &mut View<f32, 2>,
) {
    let (m, n) = (program_id(0) * M, program_id(1) * N);
    let mut acc = Matrix::<f32, M, N>::zeros();
    for k in (0..a.dim(1)).step_by(K) {
        acc = dot_acc(a.load::<M, K>((m, k)), b.load::<K, N>((k, n)), acc);
    }
    c.store((m, n), acc);
    turned.store((n, m), acc.t());
}

fn sizes<T: Num<Acc = f32> + DotElem, const M: usize, const N: usize, const K: usize>(
    m: usize,
    n: usize,
    k: usize,
) {
    let (a, b) = (whole::<T>(&[m, k], 1, 2), whole::<T>(&[k, n], 2, 2));
    let run = |device: &Device, options: &LaunchOptions| {
        let (mut c, mut turned) = (Tensor::zeros(&[m, n]).unwrap(), Tensor::zeros(&[n, m]).unwrap());
        let grid = (m.div_ceil(M), n.div_ceil(N));
        let args = (&a, &b, &mut c, &mut turned);
        product::kernel::<T, M, N, K>().launch_with(device, grid, args, options).unwrap();
        results(&[&c, &turned])
    };
    // An NPU has no 8-bit floats.
    if size_of::<T>() == 1 { agree_on(&CHIPS, PLAIN, run) } else { agree(&CHIPS, PLAIN, run) }
}

#[test]
fn extents_that_are_no_powers_of_two_and_inner_extents_of_one() {
    sizes::<f16, 100, 36, 20>(103, 70, 50);
    sizes::<bf16, 7, 5, 3>(15, 11, 7);
    sizes::<f16, 64, 64, 1>(64, 64, 1);
    sizes::<f32, 33, 17, 1>(40, 20, 3);
    sizes::<F8E4M3, 48, 24, 96>(50, 30, 100);
    sizes::<bf16, 64, 1, 64>(70, 3, 64);
    sizes::<f16, 1, 64, 128>(2, 64, 100);
}

#[test]
fn views_that_are_turned_flipped_and_started_anywhere() {
    let (m, n, k) = (70, 40, 72);
    let (a, b) = (whole::<bf16>(&[k, m + 3], 1, 2), whole::<bf16>(&[n, 2 * k + 1], 2, 2));
    agree(&CHIPS, PLAIN, |device, options| {
        let mut c = Tensor::<f32>::zeros(&[n, m]).unwrap();
        let mut turned = Tensor::<f32>::zeros(&[n + 1, m + 5]).unwrap();
        // Columns 3.. of `a`, turned; rows of `b` from the last to the first, from column 1 on, turned.
        let left = a.view().slice(1, 3..).unwrap().t();
        let right = b.view().flip(0).unwrap().slice(1, 1..k + 1).unwrap().t();
        let (mut to, mut beside) =
            (c.view_mut().t(), turned.view_mut().slice(0, 1..).unwrap().slice(1, 5..).unwrap());
        let args = (&left, &right, &mut to, &mut beside);
        product::kernel::<bf16, 64, 32, 32>().launch_with(device, (2, 2), args, options).unwrap();
        results(&[&c, &turned])
    });
}

/// Operands from reductions, scans, sorting, comparison and constants.
#[kernel]
fn computed(a: &View<f32, 2>, y: &mut View<f32, 2>, z: &mut View<f32, 2>) {
    let a = a.load::<32, 64>((0, 0));
    // All sums from the left, as a product with a triangle of ones.
    let (i, j) = (arange::<64>(), arange::<64>());
    let upper = select(i.col() <= j.row(), Matrix::<bf16, 64, 64>::constant(1.0), Tile::zeros());
    let sums = dot(a.to::<bf16>(), upper);
    let (sorted, order) = sums.sort_descending();
    let scanned = a.cumsum().clamp(-8.0, 8.0);
    y.store((0, 0), dot(sorted.clamp(-16.0, 16.0).to::<f16>(), scanned.to::<f16>().t()));
    let centred = (a - a.max_rows().col()).to::<f16>();
    let outer = dot(a.max_cols().expand_col().to::<f16>(), a.min_rows().expand_row().to::<f16>());
    z.store((0, 0), dot(centred, outer.clamp(-9.0, 9.0).to::<f16>()));
    z.store((32, 0), order.slice::<0, 0, 32, 32>().to());
}

#[test]
fn operands_that_reductions_scans_and_sorting_give() {
    let a = whole::<f32>(&[32, 64], 1, 2);
    agree(&CHIPS, &[&[], &[("warps", "4")]], |device, options| {
        let (mut y, mut z) = (Tensor::zeros(&[32, 32]).unwrap(), Tensor::zeros(&[64, 32]).unwrap());
        computed::kernel().launch_with(device, 1, (&a, &mut y, &mut z), options).unwrap();
        results(&[&y, &z])
    });
}

/// Slices of one tile as both operands; what they give is put together again.
#[kernel]
fn pieces(a: &View<f16, 2>, y: &mut View<f32, 2>, z: &mut View<f32, 2>) {
    let a = a.load::<64, 64>((0, 0));
    let (top, rest) = (a.slice::<0, 0, 24, 64>(), a.slice::<24, 0, 40, 64>());
    let p = dot(top.concat_rows::<40, 64>(rest), a.t());
    let (even, odd) = p.reshape::<D3<64, 32, 2>>().split();
    let q = dot(even.clamp(-9.0, 9.0).to::<f16>(), odd.clamp(-9.0, 9.0).to::<f16>().t());
    y.store((0, 0), q.slice::<3, 5, 60, 59>());
    z.store((0, 0), even.join(odd).reshape::<D2<64, 64>>());
}

#[test]
fn tiles_that_are_cut_and_put_together() {
    let a = whole::<f16>(&[64, 64], 1, 2);
    // On an NPU each pair of `[64, 32, 2]` takes 32 bytes: too much for a core.
    let devices = ["cpu", CHIPS[0], CHIPS[1], CHIPS[2]];
    agree_on(&devices, PLAIN, |device, options| {
        let (mut y, mut z) = (Tensor::zeros(&[60, 59]).unwrap(), Tensor::zeros(&[64, 64]).unwrap());
        pieces::kernel().launch_with(device, 1, (&a, &mut y, &mut z), options).unwrap();
        results(&[&y, &z])
    });
}
