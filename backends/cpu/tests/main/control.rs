//! Loops and branches that carry tiles.

use crate::smoke::{check, numbers, view};
use kcc_dsl::eager::{EagerArg, EagerBuffer};
use kcc_dsl::ir::{Builder, CmpOp, Elem, Kernel, ReduceOp, ValueId};

/// A kernel that takes a 5 × 20 tile from `x`, and a count, and stores what `body` makes of them.
fn kernel(name: &str, body: impl FnOnce(&mut Builder, ValueId, ValueId) -> ValueId) -> Kernel {
    let mut b = Builder::new(name);
    let (x, y) = (b.view("x", Elem::F32, 2), b.view_mut("y", Elem::F32, 2));
    let n = b.scalar("n", Elem::I32);
    let zero = b.i32(0);
    let t = b.load(x, &[zero, zero], &[5, 20]);
    let t = body(&mut b, t, n);
    b.store(y, &[zero, zero], t);
    b.finish().expect("valid")
}

/// Runs for several counts. The kernels only add a few numbers, in the order in which eager mode adds them.
fn counts(k: &Kernel) {
    let x: Vec<f32> = numbers(100, 9).iter().map(|v| (v * 64.0).round()).collect();
    let buffers = [EagerBuffer::from_f32(Elem::F32, &x), EagerBuffer::zeros(Elem::F32, 100)];
    for n in [0u64, 1, 2, 7] {
        let args = [view(0, &[5, 20], false), view(1, &[5, 20], true), EagerArg::Scalar(n)];
        check(k, [1, 1, 1], &buffers, &args, 0.0);
    }
}

#[test]
fn a_carried_tile_may_be_rewritten_in_place() {
    counts(&kernel("in_place", |b, t, n| {
        let (lo, step) = (b.i32(0), b.i32(1));
        b.for_([lo, n, step], &[t], |b, _, c| {
            let row = b.reduce(ReduceOp::Max, c[0], 1);
            let row = b.broadcast(row, &[0], &[5, 20]);
            vec![b.sub(c[0], row)]
        })[0]
    }));
}

#[test]
fn carried_values_may_change_places() {
    counts(&kernel("swap", |b, t, n| {
        let (lo, step) = (b.i32(0), b.i32(1));
        let other = b.full(Elem::F32, &[5, 20], 3.0);
        let out = b.for_([lo, n, step], &[t, other], |b, _, c| vec![c[1], b.add(c[0], c[0])]);
        let low = b.full(Elem::F32, &[5, 20], 256.0);
        let scaled = b.mul(out[1], low);
        b.add(out[0], scaled)
    }));
}

#[test]
fn loops_inside_loops_carry_tiles_of_their_own() {
    counts(&kernel("nested", |b, t, n| {
        let (lo, step) = (b.i32(0), b.i32(1));
        b.for_([lo, n, step], &[t], |b, i, c| {
            let start = b.full(Elem::F32, &[5, 20], 1.0);
            let inner = b.for_([lo, i, step], &[start, c[0]], |b, _, d| {
                let next = b.add(d[0], d[0]);
                vec![next, b.add(d[1], d[0])]
            });
            vec![b.sub(inner[1], inner[0])]
        })[0]
    }));
}

#[test]
fn a_while_loop_stops_on_what_it_computed() {
    counts(&kernel("while", |b, t, n| {
        let zero = b.i32(0);
        let out = b.while_(
            &[zero, t],
            |b, c| {
                let sum = b.reduce(ReduceOp::Max, c[1], 1);
                let most = b.reduce(ReduceOp::Max, sum, 0);
                let limit = b.f32(1000.0);
                let small = b.compare(CmpOp::Lt, most, limit);
                let more = b.compare(CmpOp::Lt, c[0], n);
                (b.binary(kcc_dsl::ir::BinaryOp::And, small, more), c.to_vec())
            },
            |b, c| {
                let one = b.i32(1);
                let i = b.add(c[0], one);
                vec![i, b.add(c[1], c[1])]
            },
        );
        out[1]
    }));
}

#[test]
fn what_a_branch_computes_of_an_outer_value_is_not_taken_for_computed_after_it() {
    counts(&kernel("branch", |b, t, n| {
        let corner = b.slice(t, &[1, 2], &[1, 1]);
        let zero = b.i32(0);
        let some = b.compare(CmpOp::Gt, n, zero);
        let picked = b.if_(some, |b| vec![b.f32(5.0)], |b| vec![b.reshape(corner, &[])]);
        let corner = b.broadcast(corner, &[0, 1], &[5, 20]);
        let picked = b.splat(picked[0], &[5, 20]);
        let sum = b.add(t, corner);
        b.add(sum, picked)
    }));
}

#[test]
fn a_carried_tile_may_be_transposed_in_place() {
    let mut b = Builder::new("turn");
    let (x, y) = (b.view("x", Elem::F32, 2), b.view_mut("y", Elem::F32, 2));
    let n = b.scalar("n", Elem::I32);
    let (zero, one) = (b.i32(0), b.i32(1));
    let t = b.load(x, &[zero, zero], &[20, 20]);
    let out = b.for_([zero, n, one], &[t], |b, _, c| vec![b.transpose(c[0], &[1, 0])]);
    b.store(y, &[zero, zero], out[0]);
    let k = b.finish().expect("valid");
    let buffers = [EagerBuffer::from_f32(Elem::F32, &numbers(400, 9)), EagerBuffer::zeros(Elem::F32, 400)];
    for n in [0u64, 1, 2, 3] {
        let args = [view(0, &[20, 20], false), view(1, &[20, 20], true), EagerArg::Scalar(n)];
        check(&k, [1, 1, 1], &buffers, &args, 0.0);
    }
}

#[test]
fn a_carried_tile_is_not_overwritten_before_what_it_still_gives() {
    counts(&kernel("late", |b, t, n| {
        let (lo, step) = (b.i32(0), b.i32(1));
        let row = b.full(Elem::F32, &[20], 1.0);
        let out = b.for_([lo, n, step], &[t, row], |b, _, c| {
            let three = b.full(Elem::F32, &[5, 20], 3.0);
            let next = b.sub(c[0], three);
            let corner = b.slice(c[0], &[2, 4], &[1, 1]);
            let corner = b.reshape(corner, &[1]);
            let corner = b.broadcast(corner, &[0], &[20]);
            vec![next, b.add(c[1], corner)]
        });
        let row = b.broadcast(out[1], &[1], &[5, 20]);
        b.add(out[0], row)
    }));
}

/// `acc += q · x[i..]`, then `acc += x[i..] · q`, with one `q` from outside the loop on either side.
#[test]
fn an_operand_of_two_products_is_made_ready_for_each_side() {
    for elem in [Elem::F32, Elem::BF16] {
        let mut b = Builder::new("sides");
        let (q, x, y) = (b.view("q", elem, 2), b.view("x", elem, 2), b.view_mut("y", Elem::F32, 2));
        let (zero, step) = (b.i32(0), b.i32(32));
        let end = b.dim(x, 0);
        let whole = b.load(q, &[zero, zero], &[32, 32]);
        let acc = b.full(Elem::F32, &[32, 32], 0.0);
        let sides = |b: &mut Builder, i, c| {
            let block = b.load(x, &[i, zero], &[32, 32]);
            let left = b.dot(whole, block, c);
            b.dot(block, whole, left)
        };
        let out = b.for_([zero, end, step], &[acc], |b, i, c| vec![sides(b, i, c[0])]);
        let out = b.for_([zero, end, step], &[out[0]], |b, i, c| vec![sides(b, i, c[0])]);
        b.store(y, &[zero, zero], out[0]);
        let k = b.finish().expect("valid");
        let buffers = [
            EagerBuffer::from_f32(elem, &numbers(32 * 32, 1)),
            EagerBuffer::from_f32(elem, &numbers(80 * 32, 2)),
            EagerBuffer::zeros(Elem::F32, 32 * 32),
        ];
        let args = [view(0, &[32, 32], false), view(1, &[80, 32], false), view(2, &[32, 32], true)];
        // Twelve sums of 32 products of magnitude 1 at most, each rounded: 384 * 2^-24, relative to sums of magnitude 1 to 10.
        check(&k, [1, 1, 1], &buffers, &args, 384.0 * 6e-8);
    }
}
