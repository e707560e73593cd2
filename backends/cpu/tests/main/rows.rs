//! Products of rows that are chosen one by one, read or written: those that are not there cost nothing and change nothing.

use crate::smoke::{check, numbers, view};
use kcc_dsl::eager::EagerBuffer;
use kcc_dsl::ir::{BinaryOp, Builder, Const, Elem, Kernel};

/// How rows take part.
#[derive(Clone, Copy, Debug)]
struct Form {
    /// The left operand's rows are chosen.
    read: bool,
    /// The result's rows are chosen.
    written: bool,
    /// Two products, of which the first waits in scratch memory, as in an expert.
    two: bool,
    /// What the sums start from.
    from: f32,
}

/// `y[order[i]] = from + a · w`, `a` the rows `order[i]` or `i` of `x`; or the product of that with itself and a half.
fn kernel(elem: Elem, (bm, bn, bk): (usize, usize, usize), form: Form) -> Kernel {
    let mut b = Builder::new("rows");
    let (x, order) = (b.view("x", elem, 2), b.view("order", Elem::I32, 1));
    let (w, y) = (b.view("w", elem, 2), b.view_mut("y", Elem::F32, 2));
    let (pm, pn) = (b.program_id(0), b.program_id(1));
    let (sm, sn) = (b.i32(bm as i32), b.i32(bn as i32));
    let (m, n) = (b.mul(pm, sm), b.mul(pn, sn));
    let rows = b.load_or(order, &[m], &[bm], Const::Int(-1));
    let k = b.dim(x, 1);
    let (zero, step) = (b.i32(0), b.i32(bk as i32));
    let product = |b: &mut Builder| {
        let init = b.full(Elem::F32, &[bm, bn], form.from);
        b.for_([zero, k, step], &[init], |b, k, c| {
            let p = if form.read { b.load_rows(x, rows, k, bk) } else { b.load(x, &[m, k], &[bm, bk]) };
            let q = b.load(w, &[k, n], &[bk, bn]);
            vec![b.dot(p, q, c[0])]
        })[0]
    };
    let mut out = product(&mut b);
    if form.two {
        let half = b.full(Elem::F32, &[bm, bn], 0.5);
        let first = b.binary(BinaryOp::Mul, out, half);
        let second = product(&mut b);
        out = b.mul(first, second);
    }
    if form.written {
        b.store_rows(y, rows, n, out);
    } else {
        b.store(y, &[m, n], out);
    }
    b.finish().expect("valid")
}

/// The rows in another order, and those that are nowhere.
fn orders(rows: usize) -> [Vec<i64>; 4] {
    let turned = |i: usize| (rows - 1 - i) as i64;
    let pick = |there: &dyn Fn(usize) -> bool| -> Vec<i64> {
        (0..rows)
            .map(|i| if there(i) { turned(i) } else { [-1, rows as i64, i64::from(i32::MIN)][i % 3] })
            .collect()
    };
    [pick(&|_| true), pick(&|i| i < rows / 3), pick(&|i| i % 7 == 3), pick(&|_| false)]
}

fn forms(elem: Elem, block: (usize, usize, usize), (rows, cols, inner): (usize, usize, usize)) {
    for (read, written, two, from) in [
        (true, true, true, 0.0),
        (false, true, false, 0.0),
        (true, false, true, 0.25),
        (true, true, false, -1.0),
    ] {
        let form = Form { read, written, two, from };
        let k = kernel(elem, block, form);
        let mut x = numbers(rows * inner, 1);
        // Whoever adds a row to another, or multiplies one by zero instead of leaving it out, meets infinity.
        if inner > 0 {
            x[rows / 2 * inner..][..inner].fill(f32::INFINITY);
        }
        for order in orders(rows) {
            let buffers = [
                EagerBuffer::from_f32(elem, &x),
                EagerBuffer::from_i64(Elem::I32, &order),
                EagerBuffer::from_f32(elem, &numbers(inner * cols, 2)),
                EagerBuffer::from_f32(Elem::F32, &numbers(rows * cols, 3)),
            ];
            let (m, n, k_dim) = (rows as i64, cols as i64, inner as i64);
            let args = [
                view(0, &[m, k_dim], false),
                view(1, &[m], false),
                view(2, &[k_dim, n], false),
                view(3, &[m, n], true),
            ];
            let grid = [rows.div_ceil(block.0) as u32, cols.div_ceil(block.1) as u32, 1];
            // As for `matmul_of_every_operand_type`; a product of two such sums has the error of one times the other.
            let sum = 8.0 * (inner as f32 + 1.0).sqrt() * 6e-8;
            check(&k, grid, &buffers, &args, sum * (inner as f32 + 1.0).sqrt());
        }
    }
}

#[test]
fn products_of_chosen_rows_in_f32() {
    forms(Elem::F32, (24, 64, 16), (50, 70, 37));
    forms(Elem::F32, (5, 20, 8), (7, 33, 9));
    forms(Elem::F32, (8, 16, 8), (3, 1, 0));
}

#[test]
fn products_of_chosen_rows_in_bf16() {
    // Three and a half pairs of matrix tiles, K in parts; one pair; a tile that is never full. The last tile of rows holds one row more than
    // whole matrix tiles.
    forms(Elem::BF16, (112, 48, 32), (129, 70, 300));
    forms(Elem::BF16, (32, 80, 32), (33, 100, 70));
    forms(Elem::BF16, (7, 20, 16), (9, 21, 35));
    forms(Elem::BF16, (80, 16, 16), (3, 1, 0));
}
