//! Products in every orientation, of results of products, of parts of tiles.

use super::{Args, all, check};
use kcc_dsl::KernelFn;
use kcc_dsl::ir::Elem;
use kcc_dsl::prelude::*;

/// Sums of up to 100 products of numbers of magnitude 1, and products of such, in any order, rounded to 16 bits in between.
const SUM: f64 = 2e-2;

/// `x · y`, `xᵀ · y`, `x · yᵀ` and `xᵀ · yᵀ`, side by side: each tile is used plain and transposed.
#[kernel]
fn orientations<T: DotElem, const N: usize>(x: &View<T, 2>, y: &View<T, 2>, z: &mut View<T::Acc, 2>) {
    let (x, y) = (x.load::<N, N>((0, 0)), y.load::<N, N>((0, 0)));
    z.store((0, 0), dot(x, y));
    z.store((0, N), dot(x.t(), y));
    z.store((0, 2 * N), dot(x, y.t()));
    z.store((0, 3 * N), dot(x.t(), y.t()));
}

/// A tile by itself, and by its transposition, on both sides; the second lies column by column in memory.
#[kernel]
fn itself<T: DotElem, const N: usize>(x: &View<T, 2>, z: &mut View<T::Acc, 2>) {
    let x = x.load::<N, N>((0, 0));
    z.store((0, 0), dot(x, x));
    z.store((0, N), dot_acc(x.t(), x, dot(x, x.t())));
}

/// `(a · b) · c + a · (b · c)`, then that by its own transposition.
#[kernel]
fn chains<T: Float, const M: usize, const K: usize, const N: usize>(
    a: &View<T, 2>,
    b: &View<T, 2>,
    c: &View<T, 2>,
    z: &mut View<f32, 2>,
) {
    let (a, b, c) = (a.load::<M, K>((0, 0)), b.load::<K, N>((0, 0)), c.load::<N, K>((0, 0)));
    let left = dot(dot(a, b).to::<T>(), c);
    let both = dot_acc(a, dot(b, c).to::<T>(), left) * 0.125;
    let narrow = both.to::<T>();
    z.store((0, 0), dot(narrow, narrow.t()) + dot(both, both.t()));
}

/// Attention's gradient of queries in one type throughout: `k` plain and transposed, `v` transposed.
#[kernel]
fn gradient<T: Float, const M: usize, const N: usize, const D: usize>(
    q: &View<T, 2>,
    k: &View<T, 2>,
    v: &View<T, 2>,
    o: &View<T, 2>,
    z: &mut View<f32, 2>,
) {
    let (q, o) = (q.load::<M, D>((0, 0)), o.load::<M, D>((0, 0)));
    let mut sum = Matrix::<f32, M, D>::zeros();
    for col in (0..k.dim(0)).step_by(N) {
        let (k, v) = (k.load::<N, D>((col, 0)), v.load::<N, D>((col, 0)));
        let p = (dot(q, k.t()) * 0.25).exp2();
        let d_s = p * (dot(o, v.t()) - p.sum_rows().col() * 0.01);
        sum = dot_acc(d_s.to::<T>(), k, sum);
    }
    z.store((0, 0), sum);
}

/// Batches, plain and transposed, of loads and of computed tiles.
#[kernel]
fn batches<T: Float, const A: usize, const M: usize, const K: usize>(
    x: &View<T, 3>,
    y: &View<T, 3>,
    z: &mut View<f32, 3>,
) {
    let (x, y) = (x.load::<A, M, K>((0, 0, 0)), y.load::<A, M, K>((0, 0, 0)));
    let s = dot(x, y.t());
    z.store((0, 0, 0), dot((s * 0.5).to::<T>(), y));
    z.store((0, 0, K), dot(s.to::<T>().t(), x));
}

/// Operands that were sliced, joined, concatenated, reshaped, reversed by a select, gathered.
#[kernel]
fn parts<T: Float>(x: &View<T, 2>, ids: &View<i32, 1>, z: &mut View<f32, 2>) {
    let t = x.load::<24, 40>((0, 0));
    let top = t.slice::<0, 0, 12, 20>();
    let low = t.slice::<12, 20, 12, 20>();
    z.store((0, 0), dot(top, low.t()));
    z.store((0, 12), dot(top.concat_rows::<12, 24>(low), top.t()));
    let (even, odd) = t.reshape::<D3<24, 20, 2>>().split();
    z.store((0, 24), dot(even, odd.t()));
    let rows = x.load_rows::<24, 40>(ids.load::<24>(0), 0);
    z.store((0, 48), dot(rows, t.t()));
    let wide = select((arange::<24>() % 2).col() < (arange::<40>() % 3).row(), t, rows);
    z.store((0, 72), dot(wide, rows.t()).t());
}

/// Blocks that begin before the first element, behind the last, or read as something else than zero.
#[kernel]
fn outside<T: Float, const N: usize>(x: &View<T, 2>, y: &View<T, 2>, z: &mut View<f32, 2>) {
    let at = program_id(0) * 5 - 7;
    let (a, b) = (x.load::<N, N>((at, at)), y.load::<N, N>((at, -at)));
    let c = y.load_or::<N, N>((at, 3), 1.0);
    let out = (program_id(0) * N, 0);
    z.store(out, dot(a, b) + dot(c, a) + dot(b, c.t()));
}

/// 8 bits: scores in `i32`, scaled, rounded to 8 bits again, and multiplied once more.
#[kernel]
fn quantised<const M: usize, const N: usize, const K: usize>(
    x: &View<i8, 2>,
    y: &View<i8, 2>,
    s: &View<f32, 1>,
    z: &mut View<f32, 2>,
    w: &mut View<i32, 2>,
) {
    let mut acc = Matrix::<i32, M, N>::full(3);
    for k in (0..x.dim(1)).step_by(K) {
        acc = dot_acc(x.load::<M, K>((0, k)), y.load::<N, K>((0, k)).t(), acc);
    }
    let scaled = acc.to::<f32>() * s.load::<M>(0).col();
    z.store((0, 0), scaled);
    let again = (acc % 100).to::<i8>();
    w.store((0, 0), dot(again, again.t()));
}

/// One row, one column, one element: shapes that a device may take for a vector's.
#[kernel]
fn slim<T: Float, const K: usize>(x: &View<T, 2>, y: &View<T, 2>, z: &mut View<f32, 2>) {
    let (row, column) = (x.load::<1, K>((0, 0)), y.load::<K, 1>((0, 0)));
    z.store((0, 0), dot(row, column));
    z.store((1, 0), dot(column, row));
    z.store((1 + K, 0), dot(row, y.load::<K, K>((0, 0))));
}

fn square<T: DotElem, const N: usize>(r: &mut Vec<Result<(), String>>, range: f32) {
    let (e, out) = (T::ELEM, <T::Acc as kcc_dsl::prelude::Elem>::ELEM);
    for n in [1i64, 7, N as i64] {
        let a = Args::default().floats(e, &[n, n], range).floats(e, &[n, n], range);
        let a = a.out(out, &[N as i64, 4 * N as i64]);
        r.push(check(orientations::kernel::<T, N>().erased(), [1, 1, 1], a, 0.0, SUM));
        let a = Args::default().floats(e, &[n, n], range).out(out, &[N as i64, 2 * N as i64]);
        r.push(check(itself::kernel::<T, N>().erased(), [1, 1, 1], a.clone(), 0.0, SUM));
        r.push(check(itself::kernel::<T, N>().erased(), [1, 1, 1], a.columns(0), 0.0, SUM));
    }
}

#[test]
fn operands_in_every_orientation() {
    let mut r = Vec::new();
    square::<f32, 24>(&mut r, 1.0);
    square::<f16, 32>(&mut r, 1.0);
    square::<bf16, 9>(&mut r, 1.0);
    square::<i8, 24>(&mut r, 9.0);
    all(r);
}

fn of_floats<T: Float + DotElem>(r: &mut Vec<Result<(), String>>) {
    let e = T::ELEM;
    let mut run = |def: &KernelFn, grid: u32, a: Args| r.push(check(def, [grid, 1, 1], a, 0.0, 8.0 * SUM));
    let a = Args::default().floats(e, &[7, 33], 1.0).floats(e, &[33, 20], 1.0).floats(e, &[20, 33], 1.0);
    run(chains::kernel::<T, 8, 40, 24>().erased(), 1, a.out(Elem::F32, &[8, 8]));
    for keys in [0i64, 1, 45] {
        let a = Args::default().floats(e, &[13, 20], 1.0).floats(e, &[keys, 20], 1.0);
        let a = a.floats(e, &[keys, 20], 1.0).floats(e, &[13, 20], 1.0).out(Elem::F32, &[13, 20]);
        run(gradient::kernel::<T, 16, 16, 32>().erased(), 1, a);
    }
    let a = Args::default().floats(e, &[3, 10, 20], 1.0).floats(e, &[2, 12, 20], 1.0);
    run(batches::kernel::<T, 3, 12, 24>().erased(), 1, a.out(Elem::F32, &[3, 12, 48]));
    let ids: Vec<i32> = (0..24).map(|i| (i * 7) % 25 - 1).collect();
    let a = Args::default().floats(e, &[24, 39], 1.0).ints(&ids, &[24]).out(Elem::F32, &[24, 96]);
    run(parts::kernel::<T>().erased(), 1, a);
    let a = Args::default().floats(e, &[19, 23], 1.0).floats(e, &[21, 17], 1.0).out(Elem::F32, &[96, 16]);
    run(outside::kernel::<T, 16>().erased(), 6, a);
    for k in [1i64, 5, 17] {
        let a = Args::default().floats(e, &[1, k], 1.0).floats(e, &[k, k], 1.0).out(Elem::F32, &[40, 17]);
        run(slim::kernel::<T, 17>().erased(), 1, a);
    }
}

#[test]
fn operands_of_every_origin() {
    let mut r = Vec::new();
    of_floats::<f32>(&mut r);
    of_floats::<f16>(&mut r);
    of_floats::<bf16>(&mut r);
    for (m, n, k) in [(1i64, 1i64, 1i64), (11, 19, 70), (5, 20, 0)] {
        let a = Args::default().floats(Elem::I8, &[m, k], 9.0).floats(Elem::I8, &[n, k], 9.0);
        let a = a.floats(Elem::F32, &[m], 1.0).out(Elem::F32, &[m, n]).out(Elem::I32, &[m, m]);
        r.push(check(quantised::kernel::<12, 20, 32>().erased(), [1, 1, 1], a, 1e-6, 0.0));
    }
    all(r);
}
