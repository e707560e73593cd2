//! Tiles that no core has room for as a whole: rows are computed in parts, one after another.

use super::{Args, all, check};
use kcc_dsl::ir::Elem as E;
use kcc_dsl::prelude::*;
use kcc_kernels as k;

/// Everything that is done row by row, of 64 KB, which a loop carries.
#[kernel]
fn rows(x: &View<f32, 2>, y: &mut View<f32, 2>, s: &mut View<f32, 1>, i: &mut View<i32, 1>) {
    let at = program_id(0) * 64;
    let t = x.load::<64, 256>((at, 0));
    i.store(at, t.argmax_rows());
    let p = t.softmax_rows();
    let column = at + arange::<64>();
    let mut sum = p.sum_rows();
    let mut state = p;
    for turn in 0..x.dim(1) / 100 {
        state = state * 0.5 + arange::<256>().to::<f32>().row() * 0.001;
        state = select(turn == 1, -state, state);
        sum = sum + state.max_rows() * column.to::<f32>();
    }
    let last = state.scan_axis_with::<1>(false, |a, b| a.max(b));
    y.store((at, 0), fill_where((column % 3 == 0).col(), last, 7.0));
    s.store(at, sum + state.reduce_rows_with(|a, b| a * 0.5 + b));
}

/// What is written twice, and what is read back, keeps its order; rows by index.
#[kernel]
fn in_order(
    x: &View<f32, 2>,
    ids: &View<i32, 1>,
    y: &mut View<f32, 2>,
    z: &mut View<f32, 2>,
    n: &mut View<i32, 1>,
) {
    let t = x.load::<128, 200>((0, 0));
    y.store((0, 0), t);
    y.store((1, 0), t * 2.0);
    let back = y.load::<128, 200>((3, 0));
    let rows = ids.load_or::<128>(0, -1);
    z.store_rows(rows, 0, back + x.load_rows::<128, 200>(rows, 1));
    n.atomic_add(rows & 7, rows >= 0, arange::<128>(), Relaxed, DeviceScope);
}

/// One row of 65536 elements.
#[kernel]
fn long<T: Num>(x: &View<T, 1>, w: &View<T, 1>, y: &mut View<T, 1>) {
    let at = program_id(0) * 65536;
    let t = x.load::<65536>(at);
    y.store(at, select(t > Vector::<T, 65536>::zeros(), t * w.load::<65536>(at), t));
}

/// A product whose result is large, what is made of it by rows, and another product of that.
#[kernel]
fn wide<const M: usize, const N: usize>(
    x: &View<f16, 2>,
    y: &View<f16, 2>,
    z: &mut View<f32, 2>,
    m: &mut View<f32, 1>,
) {
    let b = y.load::<64, N>((0, 0));
    let s = dot(x.load::<M, 64>((0, 0)), b);
    let top = s.max_rows();
    let p = (s - top.col()).exp2();
    z.store((0, 0), dot(p.to::<f16>(), b.t()) + p.sum_rows().col());
    m.store(0, top);
}

/// Halves of bytes whose rows alternate, as an operand; pairs that stay pairs beside it.
#[kernel]
fn halves(x: &View<f16, 2>, w: &View<i32, 2>, y: &mut View<f32, 2>, z: &mut View<i32, 3>) {
    let bytes = w.load::<32, 64>((0, 0));
    let pairs = (bytes & 15).join((bytes >> 4) & 15);
    let weights = (pairs.t().reshape::<D2<64, 64>>() - 8).to::<f16>();
    y.store((0, 0), dot(x.load::<32, 64>((0, 0)), weights));
    let few = bytes.slice::<0, 0, 4, 8>();
    let both = few.join(few * 2);
    z.store((0, 0, 0), both.t());
    z.store((4, 0, 0), both.reshape::<D3<4, 2, 8>>());
    let (first, second) =
        (bytes.slice::<0, 0, 1, 8>().flatten::<8>(), bytes.slice::<1, 0, 1, 8>().flatten::<8>());
    z.store((8, 0, 0), first.join(second).t().expand());
}

#[test]
fn pairs_are_put_together_where_they_go() {
    let bytes: Vec<i32> = (0..2048).map(|i| (i * 37) % 251).collect();
    let a = Args::default().floats(E::F16, &[32, 64], 1.0).ints(&bytes, &[32, 64]);
    let a = a.out(E::F32, &[32, 64]).out(E::I32, &[9, 2, 8]);
    all(vec![check(halves::kernel().erased(), [1, 1, 1], a, 1e-3, 1e-3)]);
}

#[test]
fn rows_in_parts() {
    let mut r = Vec::new();
    for (m, n) in [(300i64, 256i64), (5, 201)] {
        let a = Args::default().floats(E::F32, &[m, n], 4.0).out(E::F32, &[m, n]).out(E::F32, &[m]);
        r.push(check(rows::kernel().erased(), [5, 1, 1], a.out(E::I32, &[m]), 1e-4, 1e-4));
    }
    let ids: Vec<i32> = (0..120).map(|i| (i * 7) % 120).collect();
    let a = Args::default().floats(E::F32, &[125, 199], 1.0).ints(&ids, &[120]).out(E::F32, &[130, 199]);
    let a = a.out(E::F32, &[120, 200]).out(E::I32, &[8]);
    r.push(check(in_order::kernel().erased(), [1, 1, 1], a, 0.0, 0.0));
    let n = [70_001i64];
    let a = Args::default().floats(E::F32, &n, 4.0).floats(E::F32, &n, 4.0).out(E::F32, &n);
    r.push(check(long::kernel::<f32>().erased(), [2, 1, 1], a, 0.0, 0.0));
    let a = Args::default().floats(E::I8, &n, 40.0).floats(E::I8, &n, 9.0).out(E::I8, &n);
    r.push(check(long::kernel::<i8>().erased(), [2, 1, 1], a, 0.0, 0.0));
    all(r);
}

#[test]
fn products_in_parts() {
    let mut r = Vec::new();
    let a = Args::default().floats(E::F16, &[100, 60], 1.0).floats(E::F16, &[60, 490], 1.0);
    let a = a.out(E::F32, &[128, 64]).out(E::F32, &[128]);
    r.push(check(wide::kernel::<128, 512>().erased(), [1, 1, 1], a, 3e-2, 3e-2));
    let (e, d) = (E::F16, 60i64);
    for (queries, keys, lengths) in [(150i64, 600i64, vec![600, 33]), (40, 70, vec![0, 70])] {
        let b = lengths.len() as i64;
        let a = Args::default().floats(e, &[b, 2, queries, d], 1.0).floats(e, &[b, 1, keys, d], 1.0);
        let a =
            a.floats(e, &[b, 1, keys, d], 1.0).ints(&lengths, &[b]).out(e, &[b, 2, queries, d]).float(0.25);
        let grid = [(queries as u32).div_ceil(128), 2, b as u32];
        let attention = k::attention::attention_tile::kernel::<f16, 128, 256, 64, true>();
        r.push(check(attention.erased(), grid, a, 3e-3, 3e-3));
    }
    all(r);
}
