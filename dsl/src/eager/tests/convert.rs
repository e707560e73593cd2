//! Conversions of values and of bits.

use super::*;

fn cast(x: &Value, to: Elem) -> Value {
    op(OpKind::Cast, &[x], x.ty().with_elem(to))
}

fn bitcast(x: &Value, to: Elem) -> Value {
    op(OpKind::Bitcast, &[x], x.ty().with_elem(to))
}

#[test]
fn floats_become_integers_by_truncation_saturation_and_zero_for_nan() {
    let x = f32s(&[1.9, -1.9, 1e30, -1e30, NAN, INF, -0.5]);
    assert_ints(&cast(&x, Elem::I8), &[1, -1, 127, -128, 0, 127, 0]);
    let (lo, hi) = (i32::MIN.into(), i32::MAX.into());
    assert_ints(&cast(&x, Elem::I32), &[1, -1, hi, lo, 0, hi, 0]);
    assert_ints(&cast(&x, Elem::U8), &[1, 0, 255, 0, 0, 255, 0]);
    assert_ints(&cast(&x, Elem::U32), &[1, 0, 0xffff_ffff, 0, 0, 0xffff_ffff, 0]);
    assert_ints(&cast(&x, Elem::I64), &[1, -1, i64::MAX, i64::MIN, 0, i64::MAX, 0]);
}

#[test]
fn integers_wrap_into_narrower_ones_and_round_into_floats() {
    let x = ints(Elem::I32, &[300, -1, 16_777_217]);
    assert_ints(&cast(&x, Elem::I8), &[44, -1, 1]);
    assert_ints(&cast(&x, Elem::U8), &[44, 255, 1]);
    assert_ints(&cast(&x, Elem::U32), &[300, 0xffff_ffff, 16_777_217]);
    assert_floats(&cast(&x, Elem::F32), &[300.0, -1.0, 16_777_216.0]);
    assert_floats(&cast(&ints(Elem::I32, &[257, 259, 70000]), Elem::BF16), &[256.0, 260.0, 70144.0]);
    assert_floats(&cast(&ints(Elem::I32, &[2049, 65520]), Elem::F16), &[2048.0, INF]);
}

#[test]
fn truth_is_anything_but_zero() {
    let b = cast(&f32s(&[0.0, -0.0, NAN, 1e-45]), Elem::Bool);
    assert_eq!(b.as_bools().unwrap(), [false, false, true, true]);
    assert_eq!(cast(&ints(Elem::I8, &[0, -1]), Elem::Bool).as_bools().unwrap(), [false, true]);
    assert_floats(&cast(&b, Elem::F16), &[0.0, 0.0, 1.0, 1.0]);
    assert_ints(&cast(&b, Elem::I64), &[0, 0, 1, 1]);
}

#[test]
fn narrowing_rounds_ties_to_even() {
    let x = f32s(&[1.0 + 2f32.powi(-8), 1.0 + 3.0 * 2f32.powi(-8), f32::MAX, f32::from_bits(1)]);
    assert_floats(&cast(&x, Elem::BF16), &[1.0, 1.0 + 2f32.powi(-6), INF, 0.0]);
    let x = f32s(&[1.0 + 2f32.powi(-11), 65519.0, 65520.0, 2f32.powi(-25)]);
    assert_floats(&cast(&x, Elem::F16), &[1.0, 65504.0, INF, 0.0]);
}

#[test]
fn eight_bit_floats_saturate() {
    let x = f32s(&[449.0, 1e9, -INF, NAN, 2f32.powi(-9), 2f32.powi(-10)]);
    assert_floats(&cast(&x, Elem::F8E4M3), &[448.0, 448.0, -448.0, NAN, 2f32.powi(-9), 0.0]);
    let x = f32s(&[57344.0, 1e9, -INF, NAN, 2f32.powi(-16)]);
    assert_floats(&cast(&x, Elem::F8E5M2), &[57344.0, 57344.0, -57344.0, NAN, 2f32.powi(-16)]);
}

#[test]
fn bitcast_keeps_the_bits() {
    assert_ints(&bitcast(&f32s(&[1.0, -0.0, INF]), Elem::I32), &[0x3f80_0000, i32::MIN.into(), 0x7f80_0000]);
    assert_floats(&bitcast(&ints(Elem::U32, &[0x8000_0001]), Elem::F32), &[-f32::from_bits(1)]);
    assert_ints(&bitcast(&floats(Elem::BF16, &[-2.0]), Elem::I16), &[0xc000u16 as i16 as i64]);
    assert_ints(&bitcast(&ints(Elem::I8, &[-1]), Elem::U8), &[255]);
    // An f8e5m2 infinity exists only by its bits, and survives a round trip.
    let inf = bitcast(&ints(Elem::U8, &[0x7c, 0xfc]), Elem::F8E5M2);
    assert_floats(&inf, &[INF, -INF]);
    assert_ints(&bitcast(&inf, Elem::U8), &[0x7c, 0xfc]);
}
