//! Each axis of each reduction and scan, orders, integers of every width, bits, masks, moves.

use super::{Args, all, check};
use kcc_dsl::ir::Elem as E;
use kcc_dsl::prelude::*;

/// Sums, largest, and places of largest along each axis of a block of odd extents, which is masked first.
#[kernel]
fn axes<T: Num>(x: &View<T, 3>, s: &mut View<T, 2>, m: &mut View<T, 2>, p: &mut View<i32, 2>) {
    let t = x.load::<3, 5, 17>((0, 0, 0));
    s.store((0, 0), t.sum_axis::<0>());
    s.store((5, 0), t.sum_axis::<1>());
    s.store((8, 0), t.sum_axis::<2>());
    m.store((0, 0), t.max_axis::<0>());
    m.store((5, 0), t.min_axis::<1>());
    m.store((8, 0), t.max_axis::<2>());
    p.store((0, 0), t.argmax_axis::<0>());
    p.store((5, 0), t.argmin_axis::<1>());
    p.store((8, 0), t.argmax_axis::<2>());
}

/// Running sums along each axis, both ways, and the largest so far.
#[kernel]
fn running<T: Num>(x: &View<T, 3>, y: &mut View<T, 3>) {
    let t = x.load::<3, 5, 17>((0, 0, 0));
    y.store((0, 0, 0), t.cumsum_axis::<0>());
    y.store((3, 0, 0), t.cumsum_axis::<1>());
    y.store((6, 0, 0), t.cumsum());
    y.store((9, 0, 0), t.cumsum_reverse());
    y.store((12, 0, 0), t.cummax_axis::<1>());
    y.store((15, 0, 0), t.cummin());
}

/// Closures: a linear recurrence by pairs, the sum of squares' root, the last that is positive.
#[kernel]
fn closures(x: &View<f32, 2>, y: &mut View<f32, 2>) {
    let t = x.load::<6, 20>((0, 0));
    let (a, b) = (t * 0.5, t + 1.0);
    let (_, h) = a.scan_pairs_with(b, |(a, b), (c, d)| (a * c, b * c + d));
    y.store((0, 0), h);
    y.store((6, 0), t.reduce_rows_with(|a, b| (a * a + b * b).sqrt()).expand_row());
    y.store((7, 0), t.reduce_cols_with(|a, b| select(b > 0.0, b, a)).expand_row());
    y.store((8, 0), t.scan_axis_with::<0>(true, |a, b| a.max(b) + 0.5));
}

/// Sorted rows, the largest, counts.
#[kernel]
fn orders<T: Num>(x: &View<T, 2>, y: &mut View<T, 2>, i: &mut View<i32, 2>) {
    let t = x.load::<5, 32>((0, 0));
    let (v, p) = t.sort();
    y.store((0, 0), v);
    i.store((0, 0), p);
    let (v, p) = t.sort_descending();
    y.store((5, 0), v);
    i.store((5, 0), p);
    let (v, p) = t.top_k::<8>();
    y.store((10, 0), v);
    i.store((10, 0), p);
}

/// What integers do, wrapping included.
#[kernel]
fn integers<T: Int>(x: &View<T, 2>, y: &View<T, 2>, z: &mut View<T, 3>) {
    let (a, b) = (x.load::<4, 19>((0, 0)), y.load::<4, 19>((0, 0)));
    z.at_mut(0).store((0, 0), a + b * a - b);
    z.at_mut(1).store((0, 0), a / b);
    z.at_mut(2).store((0, 0), a % b);
    z.at_mut(3).store((0, 0), (a & b) | (a ^ b));
    z.at_mut(4).store((0, 0), (a << (b & 7)) + (a >> (b & 3)));
    z.at_mut(5).store((0, 0), select(a < b, a.min(b), !a));
}

/// The same for what vectors of 32 bits are asked for beside.
#[kernel]
fn wide<T: Int>(x: &View<T, 1>, z: &mut View<T, 1>) {
    let a = x.load::<50>(0);
    z.store(0, a.mul_hi(a * 77));
    z.store(50, (a * a).cumsum());
}

/// Masks as values: counted, carried, chosen by, stored.
#[kernel]
fn masks(x: &View<f32, 2>, y: &mut View<f32, 2>, n: &mut View<i32, 1>) {
    let t = x.load::<6, 40>((0, 0));
    let (high, low) = (t > 0.25, t < -0.25);
    let mut both = high || low;
    for i in 0..3 {
        both = both && t < i.to_f32() + 0.5;
    }
    n.store(0, select(both, Matrix::<i32, 6, 40>::full(1), Matrix::zeros()).sum_rows());
    n.set(6, select(high.any() && !low.all(), 7.to_scalar(), 9.to_scalar()));
    y.store((0, 0), select((arange::<6>() % 2 == 0).col(), t, -t));
    y.store((6, 0), fill_where(both ^ high, t, 0.0));
}

/// Bits of floats, halves of tiles, columns: what moves.
#[kernel]
fn moves(x: &View<f32, 2>, y: &mut View<f32, 2>) {
    let t = x.load::<8, 24>((0, 0));
    let swapped = (t.bitcast::<i32>() ^ (1 << 31)).bitcast::<f32>();
    y.store((0, 0), swapped);
    y.store((8, 0), t.t().reshape::<D2<8, 24>>());
    let cube = t.reshape::<D3<2, 4, 24>>();
    y.store((16, 0), cube.swap_first().reshape::<D2<8, 24>>());
    let (a, b) = t.reshape::<D3<8, 12, 2>>().split();
    y.store((24, 0), b.join(a).reshape::<D2<8, 24>>());
    y.store_col((0, 23), x.load_col::<8>((0, 3)));
}

/// Random numbers, and an edit distance by diagonals.
#[kernel]
fn odd(x: &View<i32, 1>, y: &View<i32, 1>, z: &mut View<f32, 1>, d: &mut View<i32, 2>) {
    z.store(0, philox::uniform(7u64, arange::<40>()));
    let a = x.load_or::<16>(0, -1);
    let mut row = arange::<16>() + 1;
    for j in 0..y.dim(0) {
        let up = row + 1;
        let i = arange::<16>();
        let diagonal = select(i == 0, Vector::<i32, 16>::splat(j), d.load::<1, 16>((j, -1)).flatten::<16>());
        let cost = select(a == y.get(j), diagonal, diagonal + 1).min(up);
        row = ((cost - i).cummin()).min(i - i + j + 2) + i;
        d.store((j + 1, 0), row.expand_row());
    }
}

fn numbers<T: Num>(relative: f64) -> Vec<Result<(), String>> {
    let e = T::ELEM;
    let mut r = Vec::new();
    for dims in [[3i64, 5, 17], [1, 1, 1], [2, 5, 0], [3, 4, 16]] {
        let x = Args::default().floats(e, &dims, 9.0);
        let a = x.clone().out(e, &[11, 17]).out(e, &[11, 17]).out(E::I32, &[11, 17]);
        r.push(check(axes::kernel::<T>().erased(), [1, 1, 1], a, relative, 1e-5));
        let a = x.out(e, &[18, 5, 17]);
        r.push(check(running::kernel::<T>().erased(), [1, 1, 1], a, relative, 1e-5));
    }
    r
}

fn ordered<T: Num>() -> Vec<Result<(), String>> {
    let mut r = Vec::new();
    for dims in [[5i64, 32], [1, 1], [4, 31]] {
        let a = Args::default().floats(T::ELEM, &dims, 9.0).out(T::ELEM, &[15, 32]).out(E::I32, &[15, 32]);
        r.push(check(orders::kernel::<T>().erased(), [1, 1, 1], a, 0.0, 0.0));
    }
    r
}

fn whole<T: Int>() -> Result<(), String> {
    let e = T::ELEM;
    let a = Args::default().floats(e, &[4, 19], 120.0).floats(e, &[4, 19], 9.0).out(e, &[6, 4, 19]);
    check(integers::kernel::<T>().erased(), [1, 1, 1], a, 0.0, 0.0)
}

#[test]
fn each_axis() {
    all(numbers::<f32>(1e-5));
    all(numbers::<f16>(4e-3));
    all(numbers::<bf16>(3e-2));
    all(numbers::<i32>(0.0));
}

#[test]
fn orders_agree() {
    all(ordered::<f32>());
    all(ordered::<f16>());
    all(ordered::<bf16>());
    all(ordered::<i32>());
}

#[test]
fn integers_and_bits() {
    let a = Args::default().floats(E::I32, &[50], 3e4).out(E::I32, &[100]);
    all(vec![whole::<i32>(), check(wide::kernel::<i32>().erased(), [1, 1, 1], a, 0.0, 0.0)]);
}

#[test]
fn masks_closures_and_moves() {
    let x = |m, n| Args::default().floats(E::F32, &[m, n], 1.0);
    let words = Args::default().ints(&[1, 2, 3, 4, 5, 6, 7], &[7]).ints(&[1, 3, 3, 4, 9, 7], &[6]);
    all(vec![
        check(closures::kernel().erased(), [1, 1, 1], x(6, 20).out(E::F32, &[14, 20]), 1e-5, 1e-5),
        check(masks::kernel().erased(), [1, 1, 1], x(6, 39).out(E::F32, &[12, 40]).out(E::I32, &[7]), 0.0, 0.0),
        check(moves::kernel().erased(), [1, 1, 1], x(8, 23).out(E::F32, &[32, 24]), 0.0, 0.0),
        check(odd::kernel().erased(), [1, 1, 1], words.out(E::F32, &[40]).out(E::I32, &[7, 16]), 0.0, 0.0),
    ]);
}
