//! Operations that move elements.

use super::*;
use crate::ir::Const;

fn f(shape: &[usize]) -> TileType {
    TileType::new(Elem::F32, shape)
}

/// 0, 1, 2, … of a shape.
fn iota(shape: &[usize]) -> Value {
    let n: usize = shape.iter().product();
    Value::floats(Elem::F32, shape, &(0..n).map(|i| i as f32).collect::<Vec<_>>()).unwrap()
}

#[test]
fn constants_are_rounded_and_wrapped_to_their_type() {
    let c = |elem, c| op(OpKind::Constant(c), &[], TileType::new(elem, &[2]));
    assert_floats(&c(Elem::BF16, Const::float(1.001)), &[1.0, 1.0]);
    assert_ints(&c(Elem::U8, Const::Int(-1)), &[255, 255]);
    assert_eq!(c(Elem::Bool, Const::Bool(true)).as_bools().unwrap(), [true, true]);
    assert!(try_op(OpKind::Constant(Const::Int(1)), &[], f(&[2])).is_err());
    assert_ints(&op(OpKind::Arange, &[], TileType::new(Elem::I32, &[4])), &[0, 1, 2, 3]);
}

#[test]
fn broadcast_repeats_the_other_axes() {
    let row = iota(&[3]);
    let b = |axes: &[u8], x: &Value, shape: &[usize]| {
        op(OpKind::Broadcast { axes: axes.to_vec() }, &[x], f(shape))
    };
    assert_floats(&b(&[1], &row, &[2, 3]), &[0.0, 1.0, 2.0, 0.0, 1.0, 2.0]);
    assert_floats(&b(&[0], &row, &[3, 2]), &[0.0, 0.0, 1.0, 1.0, 2.0, 2.0]);
    assert_floats(&b(&[0, 1], &iota(&[3, 1]), &[3, 2]), &[0.0, 0.0, 1.0, 1.0, 2.0, 2.0]);
    assert_floats(&b(&[], &iota(&[]), &[2, 1, 2]), &[0.0; 4]);
    assert!(try_op(OpKind::Broadcast { axes: vec![0] }, &[&row], f(&[2, 3])).is_err());
}

#[test]
fn transpose_takes_axis_i_from_perm_i() {
    let x = iota(&[2, 3]);
    let t = op(OpKind::Transpose { perm: vec![1, 0] }, &[&x], f(&[3, 2]));
    assert_floats(&t, &[0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
    // Result axes (2, 0, 1) of a [2, 1, 3] cube: shape [3, 2, 1].
    let t = op(OpKind::Transpose { perm: vec![2, 0, 1] }, &[&iota(&[2, 1, 3])], f(&[3, 2, 1]));
    assert_eq!(t.shape(), [3, 2, 1]);
    assert_floats(&t, &[0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
    assert!(try_op(OpKind::Transpose { perm: vec![0, 0] }, &[&x], f(&[2, 2])).is_err());
}

#[test]
fn reshape_keeps_row_major_order() {
    let r = op(OpKind::Reshape, &[&iota(&[2, 3])], f(&[3, 2]));
    assert_eq!(r, iota(&[3, 2]));
    assert!(try_op(OpKind::Reshape, &[&iota(&[2, 3])], f(&[4])).is_err());
}

#[test]
fn split_undoes_join() {
    let (a, b) = (iota(&[2, 2]), matrix([2, 2], &[9.0, 8.0, 7.0, 6.0]));
    let j = op(OpKind::Join, &[&a, &b], f(&[2, 2, 2]));
    assert_floats(&j, &[0.0, 9.0, 1.0, 8.0, 2.0, 7.0, 3.0, 6.0]);
    assert_eq!(eval(&OpKind::Split, &[&j], &[]).unwrap(), [a, b]);
}

#[test]
fn slice_and_concat_along_each_axis() {
    let x = iota(&[3, 4]);
    let s = |o: [usize; 2], shape: [usize; 2]| op(OpKind::Slice { offsets: o.to_vec() }, &[&x], f(&shape));
    assert_floats(&s([1, 2], [2, 2]), &[6.0, 7.0, 10.0, 11.0]);
    for axis in 0..2 {
        let (a, b) = match axis {
            0 => (s([0, 0], [1, 4]), s([1, 0], [2, 4])),
            _ => (s([0, 0], [3, 1]), s([0, 1], [3, 3])),
        };
        assert_eq!(op(OpKind::Concat { axis }, &[&a, &b], f(&[3, 4])), x);
    }
    assert!(try_op(OpKind::Slice { offsets: vec![2, 0] }, &[&x], f(&[2, 4])).is_err());
}
