//! Loops, `while` and branches in each other, without products and with; what they carry: tiles, masks, numbers, several at once.

use super::{Args, all, check};
use kcc_dsl::ir::Elem as E;
use kcc_dsl::prelude::*;

/// Loops whose ends are in memory, branches and `while` in them, a tile, a vector and a number that all of them change.
#[kernel]
fn knots(x: &View<f32, 2>, n: &View<i32, 1>, y: &mut View<f32, 2>, c: &mut View<i32, 1>) {
    let mut t = x.load::<7, 13>((0, 0));
    let mut most = Vector::<f32, 13>::zeros();
    let mut count = 0.to_scalar();
    for i in 0..n.get(0) {
        let mut j = i;
        while j > 0 {
            if j % 2 == 0 {
                t = t + 1.0;
                j = j / 2;
            } else {
                t = t * 0.5;
                j = j - 1;
                count = count + j;
            }
        }
        for k in (i..n.get(1)).step_by(3) {
            if k == 4 {
                t = -t;
                most = most.max(t.max_cols());
            }
            t = t + k.to::<f32>();
        }
        if count > 3 && i < 5 {
            count = count - 3;
        } else if count > 100 {
            count = 0.to_scalar();
        }
    }
    y.store((0, 0), t + most.row());
    c.set(program_id(0), count);
}

/// Each element goes its own way until all have arrived.
#[kernel]
fn hailstones(x: &View<i32, 1>, y: &mut View<i32, 1>) {
    let at = program_id(0) * 33;
    let mut v = x.load_or::<33>(at, 1);
    let mut steps = Vector::<i32, 33>::zeros();
    while (v != 1).any() {
        let going = v != 1;
        let next = select((v & 1) == 1, v * 3 + 1, v >> 1);
        steps = steps + select(going, Vector::<i32, 33>::full(1), Vector::zeros());
        v = select(going, next, v);
    }
    y.store(at, steps);
}

/// Masks that loops and branches carry; the loop's end is a sum of the tile.
#[kernel]
fn carried_masks(x: &View<f16, 2>, y: &mut View<f16, 2>, n: &mut View<i32, 2>) {
    let t = x.load::<5, 70>((program_id(0) * 5, 0));
    let mut seen = t > 2.0;
    let mut last = t < -3.0;
    let turns = select(seen.any(), 3.to_scalar(), 1.to_scalar());
    for i in 0..turns {
        let next = seen ^ (t < i.to::<f16>());
        if i == 1 {
            last = !last;
        }
        last = seen || last;
        seen = next;
    }
    let one = Matrix::<i32, 5, 70>::full(1);
    n.store((program_id(0) * 5, 0), select(seen && !last, one, -one));
    y.store((program_id(0) * 5, 0), fill_where(last, t, 9.0));
}

/// A pair of tiles that change places each turn, and what a loop without turns leaves as it was.
#[kernel]
fn exchange(x: &View<f32, 2>, y: &mut View<f32, 2>, n: Scalar<i32>) {
    let (mut a, mut b) = (x.load::<3, 9>((0, 0)), x.load::<3, 9>((3, 0)));
    let mut c = a;
    for i in 0..n {
        let old = a;
        a = b + 1.0;
        b = old;
        for _ in 0..i - 1 {
            c = c + a;
        }
    }
    for _ in 5..n {
        a = a * b;
    }
    y.store((0, 0), a);
    y.store((3, 0), b);
    y.store((6, 0), c);
}

/// Products in nested loops; the carried tile is operand, result and summand by turns, a branch leaves one out.
#[kernel]
fn ladder<T: Float + DotElem>(x: &View<T, 3>, n: &View<i32, 1>, y: &mut View<f32, 2>) {
    let p = program_id(0);
    let mut acc = Matrix::<f32, 9, 9>::zeros();
    let mut v = Vector::<f32, 9>::full(1.0);
    for i in 0..x.dim(0) {
        let a = x.at(i).load::<9, 20>((0, 0));
        let b = x.at(i).load::<9, 20>((0, p));
        for j in 0..n.get(i) {
            if (i + j) % 3 != 1 {
                acc = dot_acc(a, b.t(), acc * 0.5);
            } else {
                let c = acc.clamp(-2.0, 2.0).to::<T>();
                acc = dot(c, c.t());
            }
        }
        v = v * 0.5 + acc.sum_rows();
        acc = acc + v.col() - v.row();
        acc = acc.clamp(-4.0, 4.0);
    }
    y.store((p * 9, 0), acc);
}

/// What a product gives decides how often a loop without products runs.
#[kernel]
fn settled(x: &View<f16, 2>, y: &mut View<f32, 2>) {
    let p = dot(x.load::<16, 16>((0, 0)), x.load::<16, 16>((0, 0)).t());
    let mut r = p;
    let mut turns = 0.to_scalar();
    while r.reduce_max() > 1.0 && turns < 30 {
        r = r * 0.5;
        turns = turns + 1;
    }
    if turns > 2 {
        r = r - 1.0;
    }
    y.store((0, 0), r);
    y.store((16, 0), p.max_rows().expand_row() + turns.to::<f32>());
}

/// Products in loops and branches that tiles decide, one in the other; a sum over a loop whose end is a product's.
#[kernel]
fn until<T: Float + DotElem>(
    x: &View<T, 2>,
    y: &mut View<f32, 2>,
    n: &mut View<i32, 1>,
    enough: Scalar<f32>,
) {
    let p = program_id(0);
    let a = x.load::<12, 12>((p, 0));
    let mut r = a.to::<f32>();
    let mut k = 0.to_scalar();
    while r.abs().sum() < enough && k < 5 {
        let next = dot(r.to::<T>(), x.load::<12, 12>((k, 1)));
        if next.reduce_max() > 1.5 {
            r = dot_acc(a, next.to::<T>(), r * 0.25).clamp(-3.0, 3.0);
        } else {
            r = next + 0.25;
        }
        k += 1;
    }
    let turns = r.argmax_rows().reduce_max() % 4;
    let mut sum = Matrix::<f32, 12, 12>::full(1.0);
    for i in (k - k)..turns {
        sum = dot_acc(x.load::<12, 12>((i, 0)), a, sum);
    }
    y.store((p * 24, 0), r);
    y.store((p * 24 + 12, 0), sum);
    n.set(p, k * 8 + turns);
}

/// Three states at a time in an array, and a tuple that a branch gives.
#[kernel]
fn arrays(x: &View<f32, 2>, y: &mut View<f32, 2>) {
    let mut parts = [x.load::<2, 21>((0, 0)), x.load::<2, 21>((2, 0)), x.load::<2, 21>((4, 0))];
    for i in 0..x.dim(0) {
        for p in 0..3 {
            parts[p] = parts[p] + parts[(p + 1) % 3] * 0.25;
        }
        let (a, b) =
            if i % 2 == 0 { (parts[0], parts[1].sum_rows()) } else { (parts[2], parts[0].max_rows()) };
        parts[1] = a * 0.5 - b.col() * 0.125;
    }
    for p in 0..3 {
        y.store((2 * p, 0), parts[p]);
    }
}

/// Numbers alone: what the scalar unit computes.
#[kernel]
fn numbers(x: &View<i32, 1>, f: &View<f32, 1>, y: &mut View<i32, 1>, g: &mut View<f32, 1>, k: Scalar<i32>) {
    let (a, b) = (x.get(0), x.get(1));
    y.set(0, a / b + a % b * k);
    y.set(1, (a << (b & 31)) ^ (a >> 3));
    y.set(2, a.mul_hi(b) + a.min(b) - a.max(k));
    y.set(3, select(a < b && !(k == 3), a, b & k | 5));
    y.set(4, a / (k - k) + a % (k - k) + (a << 40) + (a >> 33));
    let (u, v) = (f.get(0), f.get(1));
    g.set(0, u / v + u * v - v.sqrt());
    g.set(1, select(u > v || u != u, u.exp(), v.abs()));
    g.set(2, u.floor() + v.ceil() + (u * 3.0).round());
    g.set(3, u.min(v).max(0.25) % 0.75);
    y.set(5, u.to::<i32>() + (v * 1e12).to::<i32>() / 2);
    y.set(6, a.to::<i8>().to::<i32>() + a.to::<u8>().to::<i32>() + b.to::<i16>().to::<i32>());
    y.set(7, select((a > 0) ^ (b > 0), 1.to_scalar(), 2.to_scalar()));
}

#[test]
fn loops_and_branches_in_each_other() {
    let mut r = Vec::new();
    for n in [[0, 0], [1, 7], [9, 11], [4, 0]] {
        let a = Args::default().floats(E::F32, &[7, 13], 1.0).ints(&n, &[2]).out(E::F32, &[7, 13]);
        r.push(check(knots::kernel().erased(), [1, 1, 1], a.out(E::I32, &[1]), 0.0, 1e-4));
    }
    for n in [1i64, 33, 61] {
        let x: Vec<i32> = (0..n as i32).map(|i| 1 + (i * 7) % 97).collect();
        let a = Args::default().ints(&x, &[n]).out(E::I32, &[n]);
        r.push(check(hailstones::kernel().erased(), [2, 1, 1], a, 0.0, 0.0));
    }
    let a = Args::default().floats(E::F16, &[9, 67], 4.0).out(E::F16, &[9, 67]).out(E::I32, &[10, 70]);
    r.push(check(carried_masks::kernel().erased(), [2, 1, 1], a, 0.0, 0.0));
    for n in [0, 1, 2, 7] {
        let a = Args::default().floats(E::F32, &[6, 9], 1.0).out(E::F32, &[9, 9]).int(n);
        r.push(check(exchange::kernel().erased(), [1, 1, 1], a, 1e-6, 1e-5));
    }
    let a = Args::default().floats(E::F32, &[6, 21], 1.0).out(E::F32, &[6, 21]);
    r.push(check(arrays::kernel().erased(), [1, 1, 1], a, 1e-6, 1e-5));
    for (x, f) in [([77, -5], [2.5, 0.75]), ([i32::MIN, -1], [f32::NAN, -1.5]), ([5, i32::MAX], [-0.0, 1e30])]
    {
        let a = Args::default().ints(&x, &[2]).list(E::F32, &f).out(E::I32, &[8]).out(E::F32, &[4]).int(3);
        r.push(check(numbers::kernel().erased(), [1, 1, 1], a, 1e-6, 0.0));
    }
    all(r);
}

fn of<T: Float + DotElem>(r: &mut Vec<Result<(), String>>) {
    for n in [vec![2, 0, 3], vec![0, 1, 0], vec![5, 4, 1]] {
        let a = Args::default().floats(T::ELEM, &[3, 9, 20], 0.5).ints(&n, &[3]).out(E::F32, &[27, 9]);
        r.push(check(ladder::kernel::<T>().erased(), [3, 1, 1], a, 3e-2, 6e-2));
    }
    for enough in [0.0, 70.0, 1e9] {
        let a = Args::default().floats(T::ELEM, &[11, 12], 0.75).out(E::F32, &[72, 12]).out(E::I32, &[3]);
        r.push(check(until::kernel::<T>().erased(), [3, 1, 1], a.float(enough), 3e-2, 6e-2));
    }
}

#[test]
fn loops_and_branches_around_products() {
    let mut r = Vec::new();
    of::<f32>(&mut r);
    of::<f16>(&mut r);
    of::<bf16>(&mut r);
    let a = Args::default().floats(E::F16, &[13, 16], 1.0).out(E::F32, &[17, 16]);
    r.push(check(settled::kernel().erased(), [1, 1, 1], a, 1e-3, 1e-3));
    all(r);
}
