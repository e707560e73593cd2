//! Views with steps, turned round, started anywhere, of rank 3 and 4; places by index; several results; masks in memory.

use super::{Args, all, check};
use kcc_dsl::eager::EagerArg;
use kcc_dsl::ir::Elem as E;
use kcc_dsl::prelude::*;

/// Another way to look at the last view: from that element on, with those strides.
fn seen(mut a: Args, from: i64, shape: &[i64], steps: &[i64]) -> Args {
    if let Some(EagerArg::View { offset, dims, strides, .. }) = a.args.last_mut() {
        (*offset, *dims, *strides) = (from, shape.to_vec(), steps.to_vec());
    }
    a
}

/// Blocks of a view, plain and turned, added and stored both ways.
#[kernel]
fn both_ways<T: Float>(x: &View<T, 2>, w: &View<T, 1>, y: &mut View<T, 2>, z: &mut View<T, 2>) {
    let (m, n) = (program_id(0) * 11, program_id(1) * 18);
    let t = x.load_or::<11, 18>((m - 1, n - 2), 0.5);
    let r = t * w.load::<18>(n).row() - w.load_or::<11>(m, 2.0).col();
    y.store((m, n), r);
    z.store((n, m), r.t());
    z.store_col((n, m), t.max_cols());
}

/// Sums over planes and along edges of a cube of odd extents, spread again both ways.
#[kernel]
fn cube<T: Num>(x: &View<T, 4>, y: &mut View<T, 3>, z: &mut View<T, 2>) {
    let c = x.at(program_id(0)).load::<4, 7, 10>((0, 0, 0));
    let s = c.sum_axis::<0>();
    y.store((0, 0, 0), c - s.broadcast_to::<D3<4, 7, 10>>());
    y.store((4, 0, 0), c.t().swap_outer().t().slice::<3, 4, 7>([1, 0, 0]).t().swap_first());
    let edge = c.max_axis::<1>();
    z.store((0, 0), edge - c.batch(2).slice::<1, 0, 4, 10>());
    z.store((4, 0), c.swap_first().sum_axis::<2>().t());
}

/// Elements and rows by index, some of them nowhere; results by index.
#[kernel]
fn by_index<T: Num>(
    x: &View<T, 3>,
    ids: &View<i32, 2>,
    y: &mut View<T, 2>,
    z: &mut View<T, 3>,
    h: &mut View<i32, 1>,
) {
    let i = ids.load_or::<6, 9>((0, 0), -7);
    let j = arange::<9>().row().broadcast::<6>();
    let here = (i + j) % 3 != 0;
    let g = x.gather((i, i % 4, j), here, Matrix::<T, 6, 9>::full(T::from_f32(3.0)));
    y.store((0, 0), g);
    y.store((6, 0), x.at(1).gather((arange::<6>().col(), (arange::<9>() - 1).row()), true, g));
    z.at_mut(1).scatter((arange::<6>().col().broadcast::<9>(), 8 - j), g > Matrix::<T, 6, 9>::zeros(), g);
    let rows = ids.load_col::<6>((0, 1));
    z.at_mut(0).store_rows(select(rows > 2, arange::<6>(), Vector::full(-1)), 2, g);
    h.store(0, (i & 7).flatten::<54>().histogram::<5>());
}

/// Masks in memory, bytes in memory, and numbers of 64 bits as indices.
#[kernel]
fn bytes(m: &View<bool, 2>, x: &View<u8, 2>, k: &View<i64, 1>, y: &mut View<bool, 2>, z: &mut View<u8, 2>) {
    let mask = m.load::<5, 37>((0, 0));
    let t = x.load::<5, 37>((0, 0));
    let row = k.get(program_id(0)).to::<i32>();
    y.store((program_id(0) * 5, 0), mask ^ (t > 100));
    z.store((row, 0), select(mask, t + t, t >> 1));
    z.store((row + 5, 0), select(m.get((0, 1)), t, Matrix::full(7)));
}

/// A convolution by shifted blocks and the largest of windows, in place of what was there.
#[kernel]
fn windows(x: &View<f32, 2>, k: &View<f32, 2>, y: &mut View<f32, 2>) {
    let (m, n) = (program_id(0) * 8, program_id(1) * 16);
    let mut acc = y.load::<8, 16>((m, n));
    for i in 0..k.dim(0) {
        for j in 0..3 {
            acc = acc + x.load::<8, 16>((m + i - 1, n + (j - 1))) * k.get((i, j));
        }
    }
    y.store((m, n), acc.max(x.load_or::<8, 16>((m + 1, n), f32::NEG_INFINITY)));
}

fn of<T: Float>(r: &mut Vec<Result<(), String>>) {
    let e = T::ELEM;
    // Rows with a gap, every second column, from the last row and column back, all rows one, column by column.
    let looks: [(i64, [i64; 2]); 5] =
        [(3, [50, 1]), (1, [90, 2]), (1440, [-45, -1]), (5, [0, 1]), (2, [1, 40])];
    for (i, (from, steps)) in looks.into_iter().enumerate() {
        for [m, n] in [[13i64, 23i64], [1, 1]] {
            let a = Args::default().floats(e, &[3000], 1.0);
            let a = seen(a, from, &[m, n], &steps).floats(e, &[100], 1.0);
            let a = seen(a, 1, &[n], &[if i == 1 { 3 } else { 1 }]);
            let a = seen(a.out(e, &[1000]), 7, &[m, n], &[30, 1]);
            let a = seen(a.out(e, &[3000]), 2999, &[n, m], &if i < 3 { [-100, -2] } else { [-1, -70] });
            r.push(check(both_ways::kernel::<T>().erased(), [2, 2, 1], a, 0.0, 0.0));
        }
    }
}

fn cubes<T: Num>(r: &mut Vec<Result<(), String>>) {
    let e = T::ELEM;
    for dims in [[2i64, 4, 7, 10], [2, 3, 5, 9], [1, 4, 1, 1]] {
        let a = Args::default().floats(e, &dims, 9.0).out(e, &[11, 7, 10]).out(e, &[11, 10]);
        r.push(check(cube::kernel::<T>().erased(), [1, 1, 1], a, 2e-2, 1e-1));
    }
    let ids: Vec<i32> = (0..40).map(|i| (i * 11) % 9 - 2).collect();
    let a = Args::default().floats(e, &[5, 6, 9], 9.0).ints(&ids, &[5, 8]).out(e, &[12, 9]);
    r.push(check(
        by_index::kernel::<T>().erased(),
        [1, 1, 1],
        a.out(e, &[2, 6, 11]).out(E::I32, &[5]),
        0.0,
        0.0,
    ));
}

#[test]
fn views_of_every_kind() {
    let mut r = Vec::new();
    of::<f32>(&mut r);
    of::<f16>(&mut r);
    of::<bf16>(&mut r);
    cubes::<f32>(&mut r);
    cubes::<f16>(&mut r);
    cubes::<i32>(&mut r);
    cubes::<i8>(&mut r);
    cubes::<u8>(&mut r);
    cubes::<i16>(&mut r);
    let k = [0i64, 10].iter().flat_map(|v| v.to_le_bytes()).collect();
    let m = (0..5 * 36).map(|i| u8::from(i % 7 < 3)).collect();
    let a = Args::default().bytes(E::Bool, m, &[5, 36]).floats(E::U8, &[4, 37], 255.0);
    let a = a.bytes(E::I64, k, &[2]).out(E::Bool, &[10, 37]).out(E::U8, &[20, 37]);
    r.push(check(bytes::kernel().erased(), [2, 1, 1], a, 0.0, 0.0));
    for [m, n] in [[17i64, 33i64], [1, 1], [8, 16], [2, 0]] {
        let a =
            Args::default().floats(E::F32, &[m, n], 1.0).floats(E::F32, &[3, 3], 1.0).out(E::F32, &[m, n]);
        r.push(check(windows::kernel().erased(), [3, 3, 1], a, 1e-6, 1e-5));
    }
    all(r);
}
