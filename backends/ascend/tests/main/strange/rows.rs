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

/// Every type that a type converts to.
#[kernel]
fn conversions<T: Num>(
    x: &View<T, 1>,
    f: &mut View<f32, 1>,
    h: &mut View<f16, 1>,
    b: &mut View<bf16, 1>,
    i8_: &mut View<i8, 1>,
    u8_: &mut View<u8, 1>,
    i16_: &mut View<i16, 1>,
    i32_: &mut View<i32, 1>,
    u32_: &mut View<u32, 1>,
) {
    let t = x.load::<24>(0);
    f.store(0, t.to::<f32>());
    h.store(0, t.to::<f16>());
    b.store(0, t.to::<bf16>());
    i8_.store(0, t.to::<i8>());
    u8_.store(0, t.to::<u8>());
    i16_.store(0, t.to::<i16>());
    i32_.store(0, t.to::<i32>());
    u32_.store(0, select(t.to::<bool>(), t.to::<u32>(), Vector::<u32, 24>::full(77)));
}

/// What 64 bits are good for beside arithmetic: they are loaded, stored, made of and made to others.
#[kernel]
fn long(x: &View<i64, 1>, y: &mut View<i64, 1>, z: &mut View<i32, 1>, f: &mut View<f32, 1>) {
    let t = x.load::<24>(0);
    z.store(0, t.to::<i32>() + 1);
    f.store(0, t.to::<f32>());
    y.store(0, (t.to::<i32>() * 3).to::<i64>());
    y.store(24, t);
    y.store(48, t.to::<f32>().to::<i64>());
}

/// Functions with a period, of tiles and of one number.
#[kernel]
fn periods<T: Float>(x: &View<T, 1>, y: &View<T, 1>, z: &mut View<T, 1>) {
    let (a, b) = (x.load::<40>(0), y.load::<40>(0));
    z.store(0, a.sin());
    z.store(40, a.cos());
    z.store(80, a % b);
    let one = x.get(3);
    z.set(120, one.sin() + one % y.get(4));
    z.set(121, (one.to::<f32>().bitcast::<i32>() & 0x00ff_ffff).bitcast::<f32>().to::<T>());
}

/// What is left of a division.
#[kernel]
fn remainders(x: &View<f32, 1>, y: &View<f32, 1>, z: &mut View<f32, 1>) {
    z.store(0, x.load::<40>(0) % y.load::<40>(0));
}

/// The bits of 16 and of 32, of tiles and of one number; orders of unsigned numbers.
#[kernel]
fn bits(x: &View<f16, 1>, y: &View<u32, 1>, z: &mut View<i16, 1>, w: &mut View<i32, 1>) {
    let t = x.load::<40>(0);
    z.store(0, t.bitcast::<i16>() ^ 0x7f);
    z.set(40, x.get(2).bitcast::<i16>());
    let (a, b) = (y.load::<20>(0), y.load::<20>(20));
    let (low, odd) = (a < b, (a & 1) > (b & 1));
    let one = Vector::<i32, 20>::full(1);
    let zero = Vector::<i32, 20>::zeros();
    w.store(0, select(low != odd, one, zero) + select(low == odd, one + one, zero));
    w.store(20, select(a <= b, one, zero) + select(a >= b, one + one, zero));
    w.store(40, select(low && !odd, a.max(b), a.min(b)).bitcast::<i32>());
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
    all(numbers::<u32>(0.0));
    all(numbers::<i16>(0.0));
    all(numbers::<i8>(0.0));
    all(numbers::<u8>(0.0));
}

#[test]
fn orders_agree() {
    all(ordered::<f32>());
    all(ordered::<f16>());
    all(ordered::<bf16>());
    all(ordered::<i32>());
    all(ordered::<i8>());
    all(ordered::<u32>());
}

/// Numbers without a sign are their own magnitudes, in tiles and alone.
#[kernel]
fn magnitudes<T: Num>(x: &View<T, 1>, y: &mut View<T, 1>) {
    y.store(0, x.load::<40>(0).abs());
    y.set(40, x.get(3).abs());
}

#[test]
fn magnitudes_of_integers() {
    let bytes = |n: u32| (0..n).map(|i| (i * 151 + 97) as u8).collect::<Vec<_>>();
    all(vec![
        check(
            magnitudes::kernel::<u32>().erased(),
            [1, 1, 1],
            Args::default().bytes(E::U32, bytes(160), &[40]).out(E::U32, &[41]),
            0.0,
            0.0,
        ),
        check(
            magnitudes::kernel::<u8>().erased(),
            [1, 1, 1],
            Args::default().bytes(E::U8, bytes(40), &[40]).out(E::U8, &[41]),
            0.0,
            0.0,
        ),
        check(
            magnitudes::kernel::<i32>().erased(),
            [1, 1, 1],
            Args::default().bytes(E::I32, bytes(160), &[40]).out(E::I32, &[41]),
            0.0,
            0.0,
        ),
    ]);
}

#[test]
fn integers_and_bits() {
    let a = Args::default().floats(E::I32, &[50], 3e4).out(E::I32, &[100]);
    let bits_of = Args::default().floats(E::F16, &[39], 3.0).floats(E::U32, &[40], 4e9);
    all(vec![
        whole::<i32>(),
        whole::<u32>(),
        whole::<i16>(),
        whole::<i8>(),
        whole::<u8>(),
        check(wide::kernel::<i32>().erased(), [1, 1, 1], a.clone(), 0.0, 0.0),
        check(bits::kernel().erased(), [1, 1, 1], bits_of.out(E::I16, &[41]).out(E::I32, &[60]), 0.0, 0.0),
    ]);
}

fn converted<T: Num>(list: &[f32]) -> Result<(), String> {
    let mut a = Args::default().list(T::ELEM, list);
    for e in [E::F32, E::F16, E::BF16, E::I8, E::U8, E::I16, E::I32, E::U32] {
        a = a.out(e, &[24]);
    }
    check(conversions::kernel::<T>().erased(), [1, 1, 1], a, 0.0, 0.0)
}

#[test]
fn each_type_to_each() {
    let whole =
        [0.0, 1.0, -1.0, 100.0, 127.0, 128.0, -128.0, -129.0, 255.0, 256.0, 3e4, -4e4, 7e4, 2e9, -2e9, 4e9];
    let mut floats = whole.to_vec();
    floats.extend([0.5, -0.5, -1.5, 254.9, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 1e20]);
    let long_of = |v: &[i64]| {
        let bytes = v.iter().flat_map(|x| x.to_le_bytes()).collect();
        let a = Args::default().bytes(E::I64, bytes, &[v.len() as i64]);
        a.out(E::I64, &[72]).out(E::I32, &[24]).out(E::F32, &[24])
    };
    let words = [0, 1, -1, 5_000_000_000, -3_000_000_000, 1 << 40, i64::from(i32::MAX), i64::from(i32::MIN)];
    all(vec![
        converted::<f32>(&floats),
        converted::<f16>(&floats),
        converted::<bf16>(&floats),
        converted::<i8>(&whole),
        converted::<u8>(&whole),
        converted::<i16>(&whole),
        converted::<i32>(&whole),
        converted::<u32>(&whole),
        check(long::kernel().erased(), [1, 1, 1], long_of(&words), 0.0, 0.0),
    ]);
}

/// Angles up to 10^4.
fn periodic<T: Float>(tolerance: f64) -> Result<(), String> {
    let e = T::ELEM;
    let mut x: Vec<f32> = (0..32).map(|i| (i as f32 - 12.0) * 0.77).collect();
    x.extend([1e4, -9_999.5, 100.0, -1.0, 0.0, 3e38, -1e30, 7.0]);
    let mut y: Vec<f32> = (0..32).map(|i| (i as f32 - 15.0) * 0.31).collect();
    y.extend([0.1, 3.0, f32::INFINITY, f32::NAN, 1.0, 1e-40, 1e-30, 1e-3]);
    // Sines of what is beyond the range are of no use: their places hold an angle within it.
    let angles = x.iter().map(|v| if v.abs() > 1e5 { 1.0 } else { *v }).collect::<Vec<_>>();
    let a = Args::default().list(e, &angles).list(e, &y).out(e, &[122]);
    check(periods::kernel::<T>().erased(), [1, 1, 1], a, tolerance, tolerance)
}

#[test]
fn sines_and_remainders() {
    all(vec![periodic::<f32>(2.4e-7), periodic::<f16>(1e-3), periodic::<bf16>(8e-3)]);
}

#[test]
fn remainders_are_exact() {
    let mut x: Vec<f32> = (0..32).map(|i| (i as f32 - 12.0) * 1.77e5).collect();
    x.extend([3e38, -3e38, 1e30, -1.0, 0.0, 3e38, f32::INFINITY, f32::NAN]);
    let mut y: Vec<f32> = (0..32).map(|i| (i as f32 - 15.0) * 0.031).collect();
    y.extend([1e-40, 3e-39, f32::INFINITY, f32::NAN, 1.0, 0.0, 1.0, 1.0]);
    let a = Args::default().list(E::F32, &x).list(E::F32, &y).out(E::F32, &[40]);
    all(vec![check(remainders::kernel().erased(), [1, 1, 1], a, 0.0, 0.0)]);
}

#[test]
fn masks_closures_and_moves() {
    let x = |m, n| Args::default().floats(E::F32, &[m, n], 1.0);
    let words = Args::default().ints(&[1, 2, 3, 4, 5, 6, 7], &[7]).ints(&[1, 3, 3, 4, 9, 7], &[6]);
    all(vec![
        check(closures::kernel().erased(), [1, 1, 1], x(6, 20).out(E::F32, &[14, 20]), 1e-5, 1e-5),
        check(
            masks::kernel().erased(),
            [1, 1, 1],
            x(6, 39).out(E::F32, &[12, 40]).out(E::I32, &[7]),
            0.0,
            0.0,
        ),
        check(moves::kernel().erased(), [1, 1, 1], x(8, 23).out(E::F32, &[32, 24]), 0.0, 0.0),
        check(odd::kernel().erased(), [1, 1, 1], words.out(E::F32, &[40]).out(E::I32, &[7, 16]), 0.0, 0.0),
    ]);
}
