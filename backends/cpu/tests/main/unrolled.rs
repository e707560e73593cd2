//! Code that is unrolled far: its length decides how long it takes to compile, not the square of it.

use crate::harness::specs;
use crate::smoke::{check, numbers, view};
use kcc_compiler::Target;
use kcc_cpu::Cpu;
use kcc_dsl::eager::EagerBuffer;
use kcc_dsl::ir::{Builder, Elem, Kernel, UnaryOp};
use std::collections::BTreeMap;

/// Row `i` of `y` is the square root of row `i` of `x`, `rows` statements.
fn rows_one_by_one(rows: usize) -> Kernel {
    let mut b = Builder::new("rows");
    let (x, y) = (b.view("x", Elem::F32, 2), b.view_mut("y", Elem::F32, 2));
    let zero = b.i32(0);
    for i in 0..rows {
        let at = b.i32(i as i32);
        let row = b.load(x, &[at, zero], &[1, 40]);
        let row = b.unary(UnaryOp::Abs, row);
        let row = b.unary(UnaryOp::Sqrt, row);
        b.store(y, &[at, zero], row);
    }
    b.finish().expect("valid")
}

#[test]
fn many_statements_agree_with_eager_mode() {
    let rows = 90;
    let buffers = [
        EagerBuffer::from_f32(Elem::F32, &numbers(80 * 40, 1)),
        EagerBuffer::from_f32(Elem::F32, &vec![0.0; 80 * 40]),
    ];
    let args = [view(0, &[80, 40], false), view(1, &[80, 40], true)];
    check(&rows_one_by_one(rows), [1, 1, 1], &buffers, &args, 0.0);
}

/// Lines before the first loop that are no constants. Code generation sorts them with the square of their number.
fn before_the_first_loop(rows: usize) -> usize {
    let kernel = rows_one_by_one(rows);
    let args = [view(0, &[80, 40], false), view(1, &[80, 40], true)];
    let cpu = Cpu::open("cpu:x86-64-v4").expect("a row");
    let text = cpu.lower(&kernel, &specs(&kernel, &args), &BTreeMap::new()).expect("it is supported").text;
    text.lines().take_while(|l| !l.contains("scf.for")).filter(|l| !l.contains("arith.constant")).count()
}

#[test]
fn what_stands_before_loops_has_a_bound() {
    let (some, many) = (before_the_first_loop(20), before_the_first_loop(400));
    assert!(some > 40, "{some}: what a loop does not change stands before it");
    assert!(many < 1500, "{many}: unrolled code puts all it can before the loop");
}
