//! Attention with an online softmax: dots, reductions and carried tiles together.

use crate::smoke::{check, numbers, view};
use kcc_dsl::eager::{EagerArg, EagerBuffer};
use kcc_dsl::ir::{BinaryOp, Builder, CmpOp, Const, Elem, Kernel, ReduceOp, UnaryOp};

fn attention(elem: Elem, bm: usize, bn: usize, width: usize, causal: bool) -> Kernel {
    let mut b = Builder::new("attention");
    let (q, k, v) = (b.view("q", elem, 2), b.view("k", elem, 2), b.view("v", elem, 2));
    let o = b.view_mut("o", Elem::F32, 2);
    let pid = b.program_id(0);
    let (sm, zero, step) = (b.i32(bm as i32), b.i32(0), b.i32(bn as i32));
    let m = b.mul(pid, sm);
    let len = b.dim(k, 0);
    let queries = b.load(q, &[m, zero], &[bm, width]);
    let most = b.full(Elem::F32, &[bm], -1e30);
    let sum = b.full(Elem::F32, &[bm], 0.0);
    let acc = b.full(Elem::F32, &[bm, width], 0.0);
    let out = b.for_([zero, len, step], &[most, sum, acc], |b, n, c| {
        let keys = b.load(k, &[n, zero], &[bn, width]);
        let keys = b.transpose(keys, &[1, 0]);
        let none = b.full(Elem::F32, &[bm, bn], 0.0);
        let s = b.dot(queries, keys, none);
        let column = b.arange(bn);
        let start = b.splat(n, &[bn]);
        let column = b.add(column, start);
        let end = b.splat(len, &[bn]);
        let inside = b.compare(CmpOp::Lt, column, end);
        let mut seen = b.broadcast(inside, &[1], &[bm, bn]);
        if causal {
            let row = b.arange(bm);
            let first = b.splat(m, &[bm]);
            let row = b.add(row, first);
            let row = b.broadcast(row, &[0], &[bm, bn]);
            let column = b.broadcast(column, &[1], &[bm, bn]);
            let past = b.compare(CmpOp::Le, column, row);
            seen = b.binary(BinaryOp::And, seen, past);
        }
        let hidden = b.constant(Elem::F32, &[bm, bn], Const::float(-1e30));
        let s = b.select(seen, s, hidden);
        let top = b.reduce(ReduceOp::Max, s, 1);
        let top = b.binary(BinaryOp::Max, c[0], top);
        let wide = b.broadcast(top, &[0], &[bm, bn]);
        let p = b.sub(s, wide);
        let p = b.unary(UnaryOp::Exp2, p);
        let scale = b.sub(c[0], top);
        let scale = b.unary(UnaryOp::Exp2, scale);
        let row = b.reduce(ReduceOp::Sum, p, 1);
        let sum = b.fma(c[1], scale, row);
        let scale = b.broadcast(scale, &[0], &[bm, width]);
        let acc = b.mul(c[2], scale);
        let values = b.load(v, &[n, zero], &[bn, width]);
        let p = b.cast(p, elem);
        vec![top, sum, b.dot(p, values, acc)]
    });
    let sum = b.broadcast(out[1], &[0], &[bm, width]);
    let r = b.div(out[2], sum);
    b.store(o, &[m, zero], r);
    b.finish().expect("valid")
}

fn run(elem: Elem, shapes: &[(usize, usize, usize, usize, bool)], tolerance: f32) {
    for (bm, bn, width, len, causal) in shapes {
        let k = attention(elem, *bm, *bn, *width, *causal);
        let n = len * width;
        let mut buffers: Vec<EagerBuffer> =
            (0..3).map(|i| EagerBuffer::from_f32(elem, &numbers(n, 20 + i))).collect();
        buffers.push(EagerBuffer::zeros(Elem::F32, n));
        let d = [*len as i64, *width as i64];
        let args: Vec<EagerArg> = (0..4).map(|i| view(i, &d, i == 3)).collect();
        check(&k, [len.div_ceil(*bm) as u32, 1, 1], &buffers, &args, tolerance);
    }
}

#[test]
fn attention_in_f32_for_odd_lengths() {
    let shapes = [
        (16, 16, 32, 33, true),
        (32, 16, 64, 77, false),
        (64, 64, 32, 129, true),
        (16, 64, 48, 1, true),
        (32, 32, 16, 65, false),
    ];
    // Scores up to 64 are off by 64 * 2^-22, so are the weights relatively; the sums of weights, as much again.
    run(Elem::F32, &shapes, 4.0 * 64.0 * 2.4e-7);
}

#[test]
fn attention_in_bf16_for_odd_lengths() {
    // The last two have more blocks of values than are kept for other programs, and programs that share them.
    let shapes = [
        (16, 16, 32, 35, true),
        (64, 32, 64, 71, false),
        (32, 64, 32, 100, true),
        (192, 16, 32, 583, false),
        (384, 32, 64, 1191, true),
    ];
    // Weights near a rounding boundary of bf16 may round either way: 2^-8 of each weight, whose sum is 1.
    run(Elem::BF16, &shapes, 4e-3);
}
