//! Products in loops, branches, and loops whose end a number in memory says; states that are carried through products.

use super::{Args, all, check};
use kcc_dsl::ir::Elem;
use kcc_dsl::prelude::*;

/// A recurrent net: the state is an operand of the next turn's product.
#[kernel]
fn recurrent<T: Float, const N: usize, const D: usize>(
    x: &View<T, 3>,
    w: &View<T, 2>,
    u: &View<T, 2>,
    h: &mut View<T, 3>,
) {
    let (w, u) = (w.load::<D, D>((0, 0)), u.load::<D, D>((0, 0)));
    let mut state = Matrix::<T, N, D>::zeros();
    for t in 0..x.dim(0) {
        let next = dot_acc(x.at(t).load::<N, D>((0, 0)), w, dot(state, u));
        state = next.tanh().to::<T>();
        h.at_mut(t).store((0, 0), state);
    }
}

/// Newton's iteration for an inverse: a chain of products in a loop, transposed now and then.
#[kernel]
fn inverse<T: Float, const N: usize>(x: &View<T, 2>, y: &mut View<f32, 2>, turns: Scalar<i32>) {
    let a = x.load::<N, N>((0, 0));
    let i = arange::<N>();
    let two = select(i.col() == i.row(), Matrix::<f32, N, N>::constant(2.0), Matrix::<f32, N, N>::zeros());
    let mut z = a.t().to::<f32>() * 0.5;
    for _ in 0..turns {
        let error = two - dot(a, z.to::<T>());
        z = dot(z.to::<T>(), error.to::<T>());
    }
    y.store((0, 0), z);
}

/// Products in both branches, another one behind; the condition comes from memory, or from the program's number.
#[kernel]
fn branches<T: Float, const N: usize>(
    x: &View<T, 2>,
    y: &View<T, 2>,
    flags: &View<i32, 1>,
    z: &mut View<f32, 2>,
) {
    let p = program_id(0);
    let (x, y) = (x.load::<N, N>((0, 0)), y.load::<N, N>((0, 0)));
    let mut r = Matrix::<f32, N, N>::full(1.0);
    if flags.get(p) > 0 {
        r = dot_acc(x, y, r);
        if p > 1 {
            r = dot(r.to::<T>(), y.t());
        }
    } else {
        r = dot(y, x) - r;
    }
    z.store((p * N, 0), dot(r.to::<T>(), x) + r);
}

/// A loop in a loop, sums that live for one, for the other, and for both; turns that are passed over.
#[kernel]
fn nested<T: Float, const N: usize>(x: &View<T, 2>, y: &View<T, 2>, z: &mut View<f32, 2>) {
    let mut all = Matrix::<f32, N, N>::zeros();
    let mut most = Vector::<f32, N>::full(-1e30);
    for i in (0..x.dim(0)).step_by(N) {
        let mut part = Matrix::<f32, N, N>::full(0.5);
        for j in (0..y.dim(1)).step_by(N) {
            part = dot_acc(x.load::<N, N>((i, 0)), y.load::<N, N>((0, j)), part);
            if i != j {
                all = dot_acc(x.load::<N, N>((i, j)), y.load::<N, N>((j, i)), all);
            }
        }
        all = all + part * 0.25;
        most = most.max(part.max_rows());
    }
    z.store((0, 0), all + most.col());
}

/// As many turns as a number in memory says, by `while`; then as many as the data want, without products.
#[kernel]
fn whiles<T: Float, const N: usize>(x: &View<T, 2>, n: &View<i32, 1>, z: &mut View<f32, 2>) {
    let a = x.load::<N, N>((0, 0));
    let mut r = a.to::<f32>();
    let mut i = 0.to_scalar();
    while i < n.get(0) {
        r = dot(r.to::<T>(), a) * 0.5;
        i = i + 1;
    }
    let mut v = r.max_rows().abs() + 1.0;
    while v.reduce_max() > 0.01 {
        v = v * 0.5 - 0.001;
    }
    z.store((0, 0), r);
    z.store((N, 0), v.expand_row());
}

/// Two sums over one loop, one with a start; a state that is rescaled as in attention; one operand from outside the loop.
#[kernel]
fn sums<T: Float, const M: usize, const N: usize>(x: &View<T, 2>, y: &View<T, 2>, z: &mut View<f32, 2>) {
    let fixed = x.load::<M, N>((0, 0));
    let mut a = Matrix::<f32, M, N>::zeros();
    let mut b = Matrix::<f32, M, N>::full(2.0);
    let mut c = Matrix::<f32, M, N>::zeros();
    let mut scale = Vector::<f32, M>::full(1.0);
    for k in (0..y.dim(0)).step_by(N) {
        let t = y.load::<N, N>((k, 0));
        a = dot_acc(fixed, t, a);
        b = dot_acc(fixed, t.t(), b);
        scale = scale * 0.5 + 0.25;
        c = dot_acc(fixed, t, c * scale.col());
    }
    z.store((0, 0), a + c);
    z.store((0, N), b);
}

/// Part of the depth for each program, added up in memory.
#[kernel]
fn split<T: Float, const N: usize>(x: &View<T, 2>, y: &View<T, 2>, z: &mut View<f32, 2>) {
    let k = program_id(0) * N;
    let p = dot(x.load::<N, N>((0, k)), y.load::<N, N>((k, 0)));
    let (row, col) = (arange::<N>().col().broadcast::<N>(), arange::<N>().row().broadcast::<N>());
    let inside = row < z.dim(0);
    z.atomic_add((row, col), inside && col < z.dim(1), p, Relaxed, DeviceScope);
}

fn run<T: Float + DotElem>() -> Vec<Result<(), String>> {
    let e = T::ELEM;
    let mut r = Vec::new();
    let close = 3e-2;
    for steps in [0i64, 1, 5] {
        let a = Args::default().floats(e, &[steps, 3, 20], 1.0).floats(e, &[20, 20], 0.3);
        let a = a.floats(e, &[20, 20], 0.3).out(e, &[steps, 3, 20]);
        r.push(check(recurrent::kernel::<T, 4, 24>().erased(), [1, 1, 1], a, 0.0, close));
    }
    for turns in [0, 1, 3] {
        let a = Args::default().floats(e, &[9, 9], 0.4).out(Elem::F32, &[9, 9]).int(turns);
        r.push(check(inverse::kernel::<T, 16>().erased(), [1, 1, 1], a, 1e-2, close));
    }
    let a = Args::default().floats(e, &[12, 11], 0.5).floats(e, &[12, 12], 0.5);
    let a = a.ints(&[0, 3, -1, 1], &[4]).out(Elem::F32, &[48, 12]);
    r.push(check(branches::kernel::<T, 12>().erased(), [4, 1, 1], a, 1e-2, close));
    for (m, n) in [(0i64, 5i64), (30, 33), (5, 0)] {
        let a = Args::default().floats(e, &[m, 33], 0.5).floats(e, &[33, n], 0.5).out(Elem::F32, &[16, 16]);
        r.push(check(nested::kernel::<T, 16>().erased(), [1, 1, 1], a, 1e-2, close));
    }
    for n in [0, 1, 4] {
        let a = Args::default().floats(e, &[8, 7], 0.5).ints(&[n], &[1]).out(Elem::F32, &[9, 8]);
        r.push(check(whiles::kernel::<T, 8>().erased(), [1, 1, 1], a, 1e-2, close));
    }
    for n in [0i64, 3, 50] {
        let a = Args::default().floats(e, &[5, 16], 0.5).floats(e, &[n, 16], 0.5).out(Elem::F32, &[6, 32]);
        r.push(check(sums::kernel::<T, 6, 16>().erased(), [1, 1, 1], a, 1e-2, close));
    }
    let a = Args::default().floats(e, &[10, 50], 0.5).floats(e, &[50, 16], 0.5).out(Elem::F32, &[10, 16]);
    r.push(check(split::kernel::<T, 16>().erased(), [4, 1, 1], a, 1e-2, close));
    r
}

#[test]
fn products_in_loops_and_branches() {
    all(run::<f32>());
    all(run::<f16>());
    all(run::<bf16>());
}
