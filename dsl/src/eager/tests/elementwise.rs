//! Element-wise operations, with the values on which implementations differ.

use super::*;
use crate::ir::{BinaryOp, CmpOp, UnaryOp};

fn unary(u: UnaryOp, x: &Value) -> Value {
    map(OpKind::Unary(u), &[x])
}

fn binary(b: BinaryOp, x: &Value, y: &Value) -> Value {
    map(OpKind::Binary(b), &[x, y])
}

#[test]
fn functions_keep_their_limits_at_infinity_and_zero() {
    let x = f32s(&[INF, -INF, 0.0, -0.0, NAN]);
    assert_floats(&unary(UnaryOp::Exp, &x), &[INF, 0.0, 1.0, 1.0, NAN]);
    assert_floats(&unary(UnaryOp::Exp2, &x), &[INF, 0.0, 1.0, 1.0, NAN]);
    assert_floats(&unary(UnaryOp::Log, &x), &[INF, NAN, -INF, -INF, NAN]);
    assert_floats(&unary(UnaryOp::Log2, &x), &[INF, NAN, -INF, -INF, NAN]);
    assert_floats(&unary(UnaryOp::Sin, &x), &[NAN, NAN, 0.0, -0.0, NAN]);
    assert_floats(&unary(UnaryOp::Cos, &x), &[NAN, NAN, 1.0, 1.0, NAN]);
    assert_floats(&unary(UnaryOp::Tanh, &x), &[1.0, -1.0, 0.0, -0.0, NAN]);
    assert_floats(&unary(UnaryOp::Erf, &x), &[1.0, -1.0, 0.0, -0.0, NAN]);
    assert_floats(&unary(UnaryOp::Sqrt, &x), &[INF, NAN, 0.0, -0.0, NAN]);
    assert_floats(&unary(UnaryOp::Rsqrt, &x), &[0.0, NAN, INF, -INF, NAN]);
    assert_floats(&unary(UnaryOp::Neg, &x), &[-INF, INF, -0.0, 0.0, NAN]);
    assert_floats(&unary(UnaryOp::Abs, &x), &[INF, INF, 0.0, 0.0, NAN]);
}

#[test]
fn functions_are_rounded_once_to_their_type() {
    // Values from tables with 20 digits.
    assert_floats(&unary(UnaryOp::Exp, &f32s(&[1.0])), &[std::f32::consts::E]);
    assert_floats(&unary(UnaryOp::Log, &f32s(&[2.0])), &[std::f32::consts::LN_2]);
    assert_floats(&unary(UnaryOp::Erf, &f32s(&[0.5])), &[0.520_499_877_813_046_5_f64 as f32]);
    assert_floats(&unary(UnaryOp::Tanh, &f32s(&[0.5])), &[0.462_117_157_260_009_76_f64 as f32]);
    assert_floats(&unary(UnaryOp::Exp, &floats(Elem::BF16, &[1.0])), &[2.71875]);
    assert_floats(&unary(UnaryOp::Exp, &floats(Elem::F16, &[1.0])), &[2.71875]);
    // The smallest positive f32 comes out of exp2 without being flushed.
    assert_floats(&unary(UnaryOp::Exp2, &f32s(&[-149.0, -150.0])), &[f32::from_bits(1), 0.0]);
}

#[test]
fn rounding_to_integers_keeps_the_sign_of_zero_and_rounds_ties_to_even() {
    let x = f32s(&[0.5, 1.5, 2.5, -0.5, -1.5, 1e30, -0.2]);
    assert_floats(&unary(UnaryOp::Round, &x), &[0.0, 2.0, 2.0, -0.0, -2.0, 1e30, -0.0]);
    assert_floats(&unary(UnaryOp::Floor, &x), &[0.0, 1.0, 2.0, -1.0, -2.0, 1e30, -1.0]);
    assert_floats(&unary(UnaryOp::Ceil, &x), &[1.0, 2.0, 3.0, -0.0, -1.0, 1e30, -0.0]);
}

#[test]
fn arithmetic_overflows_to_infinity_and_keeps_denormals() {
    let (max, tiny) = (f32::MAX, f32::from_bits(3));
    let (x, y) = (f32s(&[max, tiny, 0.0, INF, 1.0]), f32s(&[max, tiny, 0.0, INF, -0.0]));
    assert_floats(&binary(BinaryOp::Add, &x, &y), &[INF, f32::from_bits(6), 0.0, INF, 1.0]);
    assert_floats(&binary(BinaryOp::Sub, &x, &y), &[0.0, 0.0, 0.0, NAN, 1.0]);
    assert_floats(&binary(BinaryOp::Mul, &x, &y), &[INF, 0.0, 0.0, INF, -0.0]);
    assert_floats(&binary(BinaryOp::Div, &x, &y), &[1.0, 1.0, NAN, NAN, -INF]);
}

#[test]
fn narrow_floats_round_after_each_operation() {
    let one = floats(Elem::BF16, &[1.0]);
    let small = floats(Elem::BF16, &[2f32.powi(-9)]);
    let sum = binary(BinaryOp::Add, &binary(BinaryOp::Add, &one, &small), &small);
    assert_floats(&sum, &[1.0]);
    let big = floats(Elem::F16, &[60000.0]);
    assert_floats(&binary(BinaryOp::Add, &big, &big), &[INF]);
    let big = floats(Elem::F8E4M3, &[448.0, -448.0]);
    assert_floats(&binary(BinaryOp::Add, &big, &big), &[448.0, -448.0]);
}

#[test]
fn remainder_is_fmod() {
    let (x, y) = (f32s(&[5.5, -5.5, 5.5, 1.0, INF, 3.0]), f32s(&[2.0, 2.0, -2.0, 0.0, 1.0, INF]));
    assert_floats(&binary(BinaryOp::Rem, &x, &y), &[1.5, -1.5, 1.5, NAN, NAN, 3.0]);
}

#[test]
fn minimum_number_drops_nan_and_orders_zeros() {
    let (x, y) = (f32s(&[NAN, 1.0, 0.0, -0.0, NAN]), f32s(&[1.0, NAN, -0.0, 0.0, NAN]));
    assert_floats(&binary(BinaryOp::Min, &x, &y), &[1.0, 1.0, -0.0, -0.0, NAN]);
    assert_floats(&binary(BinaryOp::Max, &x, &y), &[1.0, 1.0, 0.0, 0.0, NAN]);
    assert_floats(&binary(BinaryOp::MinNan, &x, &y), &[NAN, NAN, -0.0, -0.0, NAN]);
    assert_floats(&binary(BinaryOp::MaxNan, &x, &y), &[NAN, NAN, 0.0, 0.0, NAN]);
}

#[test]
fn integers_wrap() {
    for (elem, max) in
        [(Elem::I8, 127), (Elem::I16, 32767), (Elem::I32, i64::from(i32::MAX)), (Elem::I64, i64::MAX)]
    {
        let (x, one) = (ints(elem, &[max]), ints(elem, &[1]));
        let min = binary(BinaryOp::Add, &x, &one);
        assert_ints(&min, &[-max - 1]);
        assert_ints(&unary(UnaryOp::Neg, &min), &[-max - 1]);
        assert_ints(&unary(UnaryOp::Abs, &min), &[-max - 1]);
        assert_ints(&binary(BinaryOp::Div, &min, &ints(elem, &[-1])), &[-max - 1]);
        assert_ints(&binary(BinaryOp::Rem, &min, &ints(elem, &[-1])), &[0]);
    }
    assert_ints(&binary(BinaryOp::Sub, &ints(Elem::U8, &[0]), &ints(Elem::U8, &[1])), &[255]);
    assert_ints(&binary(BinaryOp::Mul, &ints(Elem::U32, &[1 << 31]), &ints(Elem::U32, &[2])), &[0]);
}

#[test]
fn integer_division_truncates_and_division_by_zero_gives_zero() {
    let (x, y) = (ints(Elem::I32, &[7, -7, 7, -7, 5]), ints(Elem::I32, &[2, 2, -2, -2, 0]));
    assert_ints(&binary(BinaryOp::Div, &x, &y), &[3, -3, -3, 3, 0]);
    assert_ints(&binary(BinaryOp::Rem, &x, &y), &[1, -1, 1, -1, 0]);
    assert_ints(
        &binary(BinaryOp::Div, &ints(Elem::U32, &[0xffff_fffe]), &ints(Elem::U32, &[2])),
        &[0x7fff_ffff],
    );
}

#[test]
fn shifts_take_their_amount_modulo_the_width() {
    let (x, by) = (ints(Elem::I8, &[-128, 1, 1, 1]), ints(Elem::I8, &[1, 8, 9, -1]));
    assert_ints(&binary(BinaryOp::Shl, &x, &by), &[0, 1, 2, -128]);
    assert_ints(&binary(BinaryOp::Shr, &x, &by), &[-64, 1, 0, 0]);
    assert_ints(&binary(BinaryOp::Shr, &ints(Elem::U8, &[128]), &ints(Elem::U8, &[7])), &[1]);
    assert_ints(&binary(BinaryOp::Shl, &ints(Elem::I64, &[1]), &ints(Elem::I64, &[63])), &[i64::MIN]);
}

#[test]
fn mul_hi_is_the_high_half_of_the_product() {
    let m = |e, a, b| binary(BinaryOp::MulHi, &ints(e, &[a]), &ints(e, &[b]));
    assert_ints(&m(Elem::I32, i64::from(i32::MIN), i64::from(i32::MIN)), &[1 << 30]);
    assert_ints(&m(Elem::I32, -1, 1), &[-1]);
    assert_ints(&m(Elem::U32, 0xffff_ffff, 0xffff_ffff), &[0xffff_fffe]);
    assert_ints(&m(Elem::I64, i64::MAX, 4), &[1]);
}

#[test]
fn bits_of_integers_and_masks() {
    assert_ints(&binary(BinaryOp::Xor, &ints(Elem::I8, &[-1]), &ints(Elem::I8, &[0x55])), &[-86]);
    assert_ints(&unary(UnaryOp::Not, &ints(Elem::U8, &[0x0f])), &[0xf0]);
    let (a, b) = (Value::bools(&[4], &[true, true, false, false]).unwrap(), [true, false, true, false]);
    let b = Value::bools(&[4], &b).unwrap();
    assert_eq!(binary(BinaryOp::And, &a, &b).as_bools().unwrap(), [true, false, false, false]);
    assert_eq!(binary(BinaryOp::Or, &a, &b).as_bools().unwrap(), [true, true, true, false]);
    assert_eq!(binary(BinaryOp::Xor, &a, &b).as_bools().unwrap(), [false, true, true, false]);
    assert_eq!(unary(UnaryOp::Not, &a).as_bools().unwrap(), [false, false, true, true]);
}

#[test]
fn comparisons_with_nan_hold_only_for_ne() {
    let (x, y) = (f32s(&[NAN, NAN, 0.0, 1.0]), f32s(&[NAN, 1.0, -0.0, 2.0]));
    let c = |op| {
        let r = super::op(OpKind::Compare(op), &[&x, &y], x.ty().with_elem(Elem::Bool));
        r.as_bools().unwrap().to_vec()
    };
    assert_eq!(c(CmpOp::Lt), [false, false, false, true]);
    assert_eq!(c(CmpOp::Le), [false, false, true, true]);
    assert_eq!(c(CmpOp::Gt), [false, false, false, false]);
    assert_eq!(c(CmpOp::Ge), [false, false, true, false]);
    assert_eq!(c(CmpOp::Eq), [false, false, true, false]);
    assert_eq!(c(CmpOp::Ne), [true, true, false, true]);
}

#[test]
fn unsigned_integers_compare_as_unsigned() {
    let (x, y) = (ints(Elem::U32, &[0xffff_ffff]), ints(Elem::U32, &[1]));
    let r = super::op(OpKind::Compare(CmpOp::Gt), &[&x, &y], x.ty().with_elem(Elem::Bool));
    assert_eq!(r.as_bools().unwrap(), [true]);
}

#[test]
fn select_picks_by_lane_and_never_computes() {
    let mask = Value::bools(&[3], &[true, false, true]).unwrap();
    let r = map(OpKind::Select, &[&mask, &f32s(&[NAN, NAN, -0.0]), &f32s(&[1.0, 2.0, 3.0])]);
    assert_floats(&r, &[NAN, 2.0, -0.0]);
}

#[test]
fn fma_rounds_once_and_wraps_integers() {
    let e = 2f32.powi(-12);
    let (a, c) = (f32s(&[1.0 + e, INF]), f32s(&[-1.0 - 2.0 * e, -INF]));
    assert_floats(&map(OpKind::Fma, &[&a, &a, &c]), &[e * e, NAN]);
    let (a, c) = (ints(Elem::I8, &[100]), ints(Elem::I8, &[56]));
    assert_ints(&map(OpKind::Fma, &[&a, &ints(Elem::I8, &[2]), &c]), &[0]);
}

#[test]
fn an_operation_that_the_type_lacks_is_an_error() {
    let (f, i) = (f32s(&[1.0]), ints(Elem::I32, &[1]));
    for kind in [OpKind::Unary(UnaryOp::Not), OpKind::Binary(BinaryOp::Xor), OpKind::Binary(BinaryOp::MulHi)]
    {
        assert!(try_op(kind, &[&f, &f], f.ty().clone()).is_err());
    }
    assert!(try_op(OpKind::Unary(UnaryOp::Exp), &[&i], i.ty().clone()).is_err());
    assert!(try_op(OpKind::Binary(BinaryOp::MinNan), &[&i, &i], i.ty().clone()).is_err());
    assert!(try_op(OpKind::Binary(BinaryOp::Add), &[&i, &f], i.ty().clone()).is_err());
    assert!(try_op(OpKind::Binary(BinaryOp::Add), &[&i], i.ty().clone()).is_err());
}
