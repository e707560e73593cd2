//! Products and attention as tile IR.

use kcc_dsl::ir::{BinaryOp, Builder, Elem, Kernel, Precision, ReduceOp, UnaryOp};

/// `c = a · b`, blocks of `m` by `n` in steps of `k`. Operands of `f32` may be rounded to tf32; `i8` is summed in `i32`.
pub fn matmul(elem: Elem, m: usize, n: usize, k: usize) -> Kernel {
    let sum = if elem == Elem::I8 { Elem::I32 } else { Elem::F32 };
    let mut b = Builder::new("matmul");
    let (x, y) = (b.view("a", elem, 2), b.view("b", elem, 2));
    let c = b.view_mut("c", sum, 2);
    let (pm, pn) = (b.program_id(0), b.program_id(1));
    let (sm, sn) = (b.i32(m as i32), b.i32(n as i32));
    let (row, column) = (b.mul(pm, sm), b.mul(pn, sn));
    let (zero, end, step) = (b.i32(0), b.dim(x, 1), b.i32(k as i32));
    let acc = b.full(sum, &[m, n], 0.0);
    let out = b.for_([zero, end, step], &[acc], |b, i, carried| {
        let left = b.load(x, &[row, i], &[m, k]);
        let right = b.load(y, &[i, column], &[k, n]);
        vec![b.dot_with(left, right, carried[0], Precision::Tf32)]
    });
    b.store(c, &[row, column], out[0]);
    b.finish().expect("valid")
}

/// One head of attention, `o = softmax(q · kᵀ) · v` in `f32`: `bm` queries, blocks of `bn` keys of `width`.
pub fn attention(elem: Elem, bm: usize, bn: usize, width: usize) -> Kernel {
    attention_to(Elem::F32, elem, bm, bn, width)
}

/// The same with the result in this type.
pub fn attention_to(result: Elem, elem: Elem, bm: usize, bn: usize, width: usize) -> Kernel {
    let mut b = Builder::new("attention");
    let (q, k, v) = (b.view("q", elem, 2), b.view("k", elem, 2), b.view("v", elem, 2));
    let o = b.view_mut("o", result, 2);
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
    let r = if result == Elem::F32 { r } else { b.cast(r, result) };
    b.store(o, &[m, zero], r);
    b.finish().expect("valid")
}
