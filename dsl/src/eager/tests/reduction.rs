//! Reductions, scans, sorting, counting, and dots.

use super::*;
use crate::ir::{Precision, ReduceOp, ScaledFormat};

fn reduce(r: ReduceOp, axis: u8, x: &Value) -> Value {
    let mut ty = x.ty().clone();
    ty.shape.remove(axis.into());
    op(OpKind::Reduce { axis, op: r }, &[x], ty)
}

#[test]
fn sums_run_along_the_named_axis() {
    let x = matrix([2, 3], &[1.0, 2.0, 3.0, 10.0, 20.0, 30.0]);
    assert_floats(&reduce(ReduceOp::Sum, 0, &x), &[11.0, 22.0, 33.0]);
    assert_floats(&reduce(ReduceOp::Sum, 1, &x), &[6.0, 60.0]);
    assert_floats(&reduce(ReduceOp::Prod, 1, &x), &[6.0, 6000.0]);
    let cube = Value::floats(Elem::F32, &[2, 2, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]).unwrap();
    assert_floats(&reduce(ReduceOp::Sum, 1, &cube), &[4.0, 6.0, 12.0, 14.0]);
}

#[test]
fn a_sum_is_rounded_once() {
    let mut v = vec![2f32.powi(-9); 256];
    v[0] = 1.0;
    // One rounding at the end: 1 + 255/512 to bf16; rounding at each step would stay at 1.
    assert_floats(&reduce(ReduceOp::Sum, 0, &floats(Elem::BF16, &v)), &[1.5]);
    assert_floats(&reduce(ReduceOp::Sum, 0, &f32s(&[1e8, 1.0, -1e8])), &[1.0]);
}

#[test]
fn min_and_max_drop_nan_and_start_at_the_identity() {
    let x = matrix([2, 3], &[NAN, 1.0, -2.0, NAN, NAN, NAN]);
    assert_floats(&reduce(ReduceOp::Max, 1, &x), &[1.0, -INF]);
    assert_floats(&reduce(ReduceOp::Min, 1, &x), &[-2.0, INF]);
}

#[test]
fn integer_reductions_wrap() {
    let x = ints(Elem::I8, &[100, 100, -1]);
    assert_ints(&reduce(ReduceOp::Sum, 0, &x), &[-57]);
    assert_ints(&reduce(ReduceOp::Prod, 0, &x), &[-16]);
    assert_ints(&reduce(ReduceOp::And, 0, &x), &[100]);
    assert_ints(&reduce(ReduceOp::Xor, 0, &x), &[-1]);
    let m = Value::bools(&[2, 2], &[true, false, true, true]).unwrap();
    assert_eq!(reduce(ReduceOp::And, 1, &m).as_bools().unwrap(), [false, true]);
    assert_eq!(reduce(ReduceOp::Or, 0, &m).as_bools().unwrap(), [true, true]);
}

#[test]
fn arg_max_takes_the_first_of_equals_and_never_nan() {
    let arg = |max, x: &Value| op(OpKind::ArgReduce { axis: 1, max }, &[x], TileType::new(Elem::I32, &[2]));
    let x = matrix([2, 4], &[NAN, 3.0, 1.0, 3.0, NAN, NAN, NAN, NAN]);
    assert_ints(&arg(true, &x), &[1, 0]);
    assert_ints(&arg(false, &x), &[2, 0]);
    let x = Value::ints(Elem::I32, &[2, 2], &[5, 5, -1, 0]).unwrap();
    assert_ints(&arg(true, &x), &[0, 1]);
}

#[test]
fn scans_are_inclusive_and_may_run_backwards() {
    let x = matrix([2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let scan = |axis, op, reverse| map(OpKind::Scan { axis, op, reverse }, &[&x]);
    assert_floats(&scan(1, ReduceOp::Sum, false), &[1.0, 3.0, 6.0, 4.0, 9.0, 15.0]);
    assert_floats(&scan(1, ReduceOp::Sum, true), &[6.0, 5.0, 3.0, 15.0, 11.0, 6.0]);
    assert_floats(&scan(0, ReduceOp::Prod, false), &[1.0, 2.0, 3.0, 4.0, 10.0, 18.0]);
    let i = ints(Elem::I8, &[100, 100]);
    assert_ints(&map(OpKind::Scan { axis: 0, op: ReduceOp::Sum, reverse: false }, &[&i]), &[100, -56]);
    let n = f32s(&[NAN, 1.0, NAN, 0.5]);
    assert_floats(
        &map(OpKind::Scan { axis: 0, op: ReduceOp::Min, reverse: false }, &[&n]),
        &[INF, 1.0, 1.0, 0.5],
    );
}

#[test]
fn sort_is_stable_with_nan_last_either_way() {
    let x = f32s(&[2.0, NAN, -INF, 2.0, 0.0]);
    let up = eval(&OpKind::Sort { descending: false }, &[&x], &[]).unwrap();
    assert_floats(&up[0], &[-INF, 0.0, 2.0, 2.0, NAN]);
    assert_ints(&up[1], &[2, 4, 0, 3, 1]);
    let down = eval(&OpKind::Sort { descending: true }, &[&x], &[]).unwrap();
    assert_floats(&down[0], &[2.0, 2.0, 0.0, -INF, NAN]);
    assert_ints(&down[1], &[0, 3, 4, 2, 1]);
}

#[test]
fn top_k_takes_the_largest_of_each_row() {
    let x = matrix([2, 4], &[1.0, 4.0, 4.0, 2.0, -1.0, NAN, -3.0, -2.0]);
    let top = eval(&OpKind::TopK { k: 2 }, &[&x], &[]).unwrap();
    assert_floats(&top[0], &[4.0, 4.0, -1.0, -2.0]);
    assert_ints(&top[1], &[1, 2, 0, 3]);
    assert!(eval(&OpKind::TopK { k: 5 }, &[&x], &[]).is_err());
}

#[test]
fn histogram_leaves_out_what_has_no_bin() {
    let x = ints(Elem::I32, &[0, 2, 2, -1, 3, 100]);
    assert_ints(&op(OpKind::Histogram { bins: 3 }, &[&x], TileType::new(Elem::I32, &[3])), &[1, 0, 2]);
}

fn dot(a: &Value, b: &Value, acc: &Value) -> Value {
    map(OpKind::Dot { precision: Precision::Full }, &[a, b, acc])
}

#[test]
fn dot_adds_the_product_to_the_accumulator() {
    let a = matrix([2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let b = matrix([3, 2], &[1.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
    let acc = matrix([2, 2], &[100.0, 0.0, 0.0, 0.0]);
    assert_floats(&dot(&a, &b, &acc), &[104.0, 5.0, 10.0, 11.0]);
}

#[test]
fn batched_dot_multiplies_batch_by_batch() {
    let a = Value::floats(Elem::BF16, &[2, 1, 2], &[1.0, 2.0, 3.0, 4.0]).unwrap();
    let b = Value::floats(Elem::BF16, &[2, 2, 1], &[1.0, 1.0, 10.0, 100.0]).unwrap();
    let acc = Value::floats(Elem::F32, &[2, 1, 1], &[0.0, 0.0]).unwrap();
    assert_floats(&dot(&a, &b, &acc), &[3.0, 430.0]);
}

#[test]
fn i8_dot_accumulates_in_i32_and_wraps() {
    let a = Value::ints(Elem::I8, &[1, 2], &[-128, -128]).unwrap();
    let b = Value::ints(Elem::I8, &[2, 1], &[-128, -128]).unwrap();
    let acc = |x| Value::ints(Elem::I32, &[1, 1], &[x]).unwrap();
    assert_ints(&dot(&a, &b, &acc(0)), &[32768]);
    assert_ints(&dot(&a, &b, &acc(i32::MAX.into())), &[i64::from(i32::MIN) + 32767]);
}

#[test]
fn dot_rounds_once_and_spreads_nan_only_along_its_row_and_column() {
    let a = matrix([2, 2], &[1e8, 1.0, NAN, 1.0]);
    let b = matrix([2, 1], &[1.0, 1.0]);
    assert_floats(&dot(&a, &b, &matrix([2, 1], &[-1e8, 0.0])), &[1.0, NAN]);
}

#[test]
fn dot_scaled_applies_one_scale_per_32_elements() {
    // e4m3 0x38 = 1.0, e5m2 0x3c = 1.0; scales 2^1 and 2^-1 for a, 2^0 and 2^3 for b.
    let a = Value::ints(Elem::U8, &[1, 64], &[0x38; 64]).unwrap();
    let b = Value::ints(Elem::U8, &[64, 1], &[0x3c; 64]).unwrap();
    let sa = Value::ints(Elem::U8, &[1, 2], &[128, 126]).unwrap();
    let sb = Value::ints(Elem::U8, &[2, 1], &[127, 130]).unwrap();
    let kind = OpKind::DotScaled { a: ScaledFormat::F8E4M3, b: ScaledFormat::F8E5M2 };
    let acc = matrix([1, 1], &[0.5]);
    assert_floats(&map(kind.clone(), &[&a, &sa, &b, &sb, &acc]), &[0.5 + 32.0 * 2.0 + 32.0 * 4.0]);
    let nan = Value::ints(Elem::U8, &[1, 2], &[255, 126]).unwrap();
    assert_floats(&map(kind, &[&a, &nan, &b, &sb, &acc]), &[NAN]);
}
