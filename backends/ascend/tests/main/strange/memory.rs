//! What a kernel writes and reads again, and places that a computed number says.

use super::{Args, all, check};
use kcc_dsl::ir::Elem;
use kcc_dsl::prelude::*;

/// A product of what this program stored before, in each turn.
#[kernel]
fn scratch<T: Float, const N: usize>(x: &View<T, 2>, room: &mut View<T, 2>, z: &mut View<f32, 2>) {
    let mut sum = Matrix::<f32, N, N>::zeros();
    for k in (0..x.dim(1)).step_by(N) {
        let t = x.load::<N, N>((0, k));
        room.store((0, 0), (t.to::<f32>() * 0.5).to::<T>());
        sum = dot_acc(t, room.load::<N, N>((0, 0)), sum);
    }
    z.store((0, 0), sum);
}

/// Single numbers that it stored, as bounds and as factors around a product.
#[kernel]
fn numbers<T: Float, const N: usize>(x: &View<T, 2>, n: &mut View<i32, 1>, z: &mut View<f32, 2>) {
    let a = x.load::<N, N>((0, 0));
    n.set(0, (a.to::<f32>().abs().sum() * 0.01).to::<i32>() + 2);
    let mut r = a.to::<f32>();
    for _ in 0..n.get(0) {
        r = dot(r.to::<T>(), a) * 0.5;
    }
    z.store((0, 0), r);
}

/// A block whose place the largest of some numbers says: only vector cores know it.
#[kernel]
fn chosen<T: Float, const N: usize>(
    score: &View<f32, 1>,
    x: &View<T, 3>,
    q: &View<T, 2>,
    z: &mut View<f32, 2>,
) {
    let best = score.load_or::<8>(0, -1e30).argmax();
    let q = q.load::<N, N>((0, 0));
    let x = x.at(best);
    z.store((0, 0), dot(q, x.load::<N, N>((0, 0))));
    z.store((0, N), dot(x.load::<N, N>((best - best, 0)).t(), q));
}

/// A product of a part that lies in a page; pages are numbered in memory.
#[kernel]
fn paged<T: Float, const N: usize>(
    q: &View<T, 2>,
    pages: &View<T, 3>,
    table: &View<i32, 1>,
    z: &mut View<f32, 2>,
) {
    let q = q.load::<N, N>((0, 0));
    let mut sum = Matrix::<f32, N, N>::zeros();
    for i in 0..table.dim(0) {
        let page = pages.at(table.get(i)).load::<N, N>((0, 0));
        sum = dot_acc(dot(q, page.t()).to::<T>(), page, sum);
    }
    z.store((0, 0), sum);
}

/// Forward substitution in place: row by row, each read from what was written.
#[kernel]
fn solve<const N: usize>(l: &View<f32, 2>, b: &mut View<f32, 2>) {
    for i in 0..l.dim(0) {
        let row = l.load::<1, N>((i, 0)).flatten::<N>();
        let known = fill_where(arange::<N>() < i, row, 0.0);
        let solved = b.load::<N, 8>((0, 0));
        let mine = b.load::<1, 8>((i, 0)).flatten::<8>();
        let sum = (known.col() * solved).sum_cols();
        b.store((i, 0), ((mine - sum) / l.get((i, i))).expand_row());
    }
}

/// Rows of a table added to others, in a column of its own, by several programs.
#[kernel]
fn scattered(x: &View<f32, 2>, ids: &View<i32, 1>, y: &mut View<f32, 2>, n: &mut View<i32, 1>) {
    let first = program_id(0) * 8;
    let ids = ids.load_or::<8>(first, -1);
    let (rows, cols) = (ids.col().broadcast::<16>(), arange::<16>().row().broadcast::<8>());
    let t = x.load::<8, 16>((first, 0));
    let there = rows >= 0 && cols < x.dim(1);
    y.atomic_add((rows, cols), there, t, Relaxed, DeviceScope);
    n.atomic_add(ids, ids >= 0, Vector::<i32, 8>::full(1), Relaxed, DeviceScope);
}

/// 8-bit floats that are moved one by one, and never looked at.
#[kernel]
fn passed_on<T: Num>(x: &View<T, 1>, ids: &View<i32, 1>, y: &mut View<T, 1>) {
    let i = ids.load_or::<8>(0, -1);
    let t = x.load::<8>(0);
    y.scatter(i, i >= 0, x.gather(i + 3, i > 0, t));
}

/// Masks, a row for each number, and back to rows of other numbers.
#[kernel]
fn masks(x: &View<bool, 2>, ids: &View<i32, 1>, y: &mut View<bool, 2>, n: &mut View<i32, 1>) {
    let i = ids.load_or::<8>(0, -1);
    let m = x.load_rows::<8, 40>(i, 1);
    n.store(0, m.to::<i32>().sum_rows());
    y.store_rows(select(i >= 0, i + 1, -1), 2, !m);
}

fn run<T: Float + DotElem>() -> Vec<Result<(), String>> {
    let e = T::ELEM;
    let mut r = Vec::new();
    for k in [0i64, 9, 40] {
        let a = Args::default().floats(e, &[16, k], 0.5).out(e, &[16, 16]).out(Elem::F32, &[16, 16]);
        r.push(check(scratch::kernel::<T, 16>().erased(), [1, 1, 1], a, 1e-2, 1e-2));
    }
    let a =
        Args::default().floats(Elem::F32, &[5], 1.0).floats(e, &[5, 12, 10], 0.5).floats(e, &[9, 12], 0.5);
    r.push(check(chosen::kernel::<T, 12>().erased(), [1, 1, 1], a.out(Elem::F32, &[12, 24]), 1e-2, 1e-2));
    // A number that it wrote: only vector cores read it back, the cube core is told.
    let a = Args::default().floats(e, &[12, 12], 0.7).out(Elem::I32, &[1]).out(Elem::F32, &[12, 12]);
    r.push(check(numbers::kernel::<T, 12>().erased(), [1, 1, 1], a, 1e-2, 3e-2));
    let a = Args::default().floats(e, &[9, 12], 0.5).floats(e, &[5, 12, 10], 0.5);
    let a = a.ints(&[3, 0, 4], &[3]).out(Elem::F32, &[12, 12]);
    r.push(check(paged::kernel::<T, 12>().erased(), [1, 1, 1], a, 1e-2, 1e-2));
    r
}

#[test]
fn memory_that_a_product_reads_back() {
    all(run::<f32>());
    all(run::<f16>());
    all(run::<bf16>());
}

#[test]
fn memory_of_narrow_floats_is_moved() {
    let args = |e| Args::default().floats(e, &[11], 1.0).ints(&[3, 0, 7, -1, 5], &[5]).out(e, &[9]);
    all(vec![
        check(passed_on::kernel::<F8E4M3>().erased(), [1, 1, 1], args(Elem::F8E4M3), 0.0, 0.0),
        check(passed_on::kernel::<F8E5M2>().erased(), [1, 1, 1], args(Elem::F8E5M2), 0.0, 0.0),
    ]);
}

#[test]
fn memory_that_rows_read_back() {
    let l = Args::default().floats(Elem::F32, &[11, 11], 1.0).out(Elem::F32, &[11, 8]);
    let x = Args::default()
        .floats(Elem::F32, &[21, 13], 1.0)
        .ints(&(0..21).map(|i| (i * 5) % 7 - 1).collect::<Vec<_>>(), &[21]);
    let m = Args::default()
        .bytes(Elem::Bool, (0..405).map(|i| u8::from(i % 3 == 1)).collect(), &[9, 45])
        .ints(&[3, -1, 7, 8, 0, 4], &[6])
        .out(Elem::Bool, &[9, 45])
        .out(Elem::I32, &[8]);
    all(vec![
        check(masks::kernel().erased(), [1, 1, 1], m, 0.0, 0.0),
        check(solve::kernel::<16>().erased(), [1, 1, 1], l, 1e-4, 1e-4),
        check(
            scattered::kernel().erased(),
            [3, 1, 1],
            x.out(Elem::F32, &[6, 13]).out(Elem::I32, &[6]),
            0.0,
            1e-5,
        ),
    ]);
}
