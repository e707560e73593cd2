//! Rounding to an element type, and the bits of an element: the only place where eager mode knows a format.
//!
//! Every float is held as the `f32` of equal value. Sums, products, quotients and square roots of types narrower
//! than `f32` may be computed in `f32` and rounded again without error, since 24 bits ≥ 2·11 + 2 (Figueroa, "When
//! is double rounding innocuous?", 1995). Everything else comes from `f64` through round-to-odd, after which a
//! second rounding to at most 22 bits is exact too (Boldo and Melquiond, 2008).

use crate::elem::f8;
use crate::ir::Elem;
use half::{bf16, f16};

/// One element, whatever its type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Lane {
    /// A float of any width, as the `f32` of equal value.
    Float(f32),
    /// An integer of any width, by its value.
    Int(i64),
    /// A truth value.
    Bool(bool),
}

/// Rounds to the nearest value of a float type, ties to even; 8-bit floats saturate.
pub fn round(elem: Elem, x: f32) -> f32 {
    match elem {
        Elem::F16 => f16::from_f32(x).to_f32(),
        Elem::BF16 => bf16::from_f32(x).to_f32(),
        Elem::F8E4M3 => f8::f8e4m3_to_f32(f8::f32_to_f8e4m3(x)),
        Elem::F8E5M2 => f8::f8e5m2_to_f32(f8::f32_to_f8e5m2(x)),
        _ => x,
    }
}

/// Rounds an `f64` once, to the nearest value of a float type.
pub fn round_wide(elem: Elem, x: f64) -> f32 {
    if elem == Elem::F32 { x as f32 } else { round(elem, to_odd(x)) }
}

/// Rounds an integer once, to the nearest value of a float type.
pub fn round_int(elem: Elem, x: i64) -> f32 {
    let y = x as f32;
    if elem == Elem::F32 {
        return y;
    }
    let error = x as i128 - y as i128;
    round(elem, odd_neighbour(y, error.signum() as i32))
}

/// `f64` to `f32` by rounding to odd: exact, or whichever neighbour has an odd last bit.
fn to_odd(x: f64) -> f32 {
    let y = x as f32;
    if x.is_nan() || y.is_infinite() {
        return y;
    }
    let error = x - f64::from(y);
    odd_neighbour(y, (error > 0.0) as i32 - (error < 0.0) as i32)
}

/// `y` if it is exact (`side` 0) or odd, else the next value towards the exact one (`side` +1: above).
fn odd_neighbour(y: f32, side: i32) -> f32 {
    match side {
        0 => y,
        _ if y.to_bits() & 1 == 1 => y,
        1 => y.next_up(),
        _ => y.next_down(),
    }
}

/// `a * b + c` with one rounding to the type.
pub fn fma(elem: Elem, a: f32, b: f32, c: f32) -> f32 {
    if elem == Elem::F32 {
        return a.mul_add(b, c);
    }
    // The product of two narrow floats is exact in f64; the sum goes to odd by its error term (TwoSum).
    let (p, c) = (f64::from(a) * f64::from(b), f64::from(c));
    let s = p + c;
    if !s.is_finite() {
        return round(elem, s as f32);
    }
    let c_back = s - p;
    let error = (p - (s - c_back)) + (c - c_back);
    let s = match error {
        e if e == 0.0 || s.to_bits() & 1 == 1 => s,
        e if e > 0.0 => s.next_up(),
        _ => s.next_down(),
    };
    round_wide(elem, s)
}

/// Wraps an integer to the width of its type.
pub fn wrap(elem: Elem, x: i64) -> i64 {
    match elem {
        Elem::I8 => i64::from(x as i8),
        Elem::I16 => i64::from(x as i16),
        Elem::I32 => i64::from(x as i32),
        Elem::U8 => i64::from(x as u8),
        Elem::U32 => i64::from(x as u32),
        _ => x,
    }
}

/// Smallest and largest value of an integer type.
pub fn int_range(elem: Elem) -> (i64, i64) {
    match elem {
        Elem::I8 => (i8::MIN.into(), i8::MAX.into()),
        Elem::I16 => (i16::MIN.into(), i16::MAX.into()),
        Elem::I32 => (i32::MIN.into(), i32::MAX.into()),
        Elem::U8 => (0, u8::MAX.into()),
        Elem::U32 => (0, u32::MAX.into()),
        _ => (i64::MIN, i64::MAX),
    }
}

/// The bits of an element in memory, in the low bytes.
pub fn to_bits(elem: Elem, lane: Lane) -> u64 {
    match (elem, lane) {
        (Elem::F32, Lane::Float(x)) => x.to_bits().into(),
        (Elem::F16, Lane::Float(x)) => f16::from_f32(x).to_bits().into(),
        (Elem::BF16, Lane::Float(x)) => bf16::from_f32(x).to_bits().into(),
        (Elem::F8E4M3, Lane::Float(x)) => f8::f32_to_f8e4m3(x).into(),
        // An infinity that was loaded is stored as it is; only rounding saturates.
        (Elem::F8E5M2, Lane::Float(x)) if x.is_infinite() => 0x7c | (u64::from(x < 0.0) << 7),
        (Elem::F8E5M2, Lane::Float(x)) => f8::f32_to_f8e5m2(x).into(),
        (_, Lane::Float(x)) => x.to_bits().into(),
        (_, Lane::Int(x)) => x as u64,
        (_, Lane::Bool(x)) => x.into(),
    }
}

/// The element that these bits stand for; bits beyond the width of the type are ignored.
pub fn from_bits(elem: Elem, bits: u64) -> Lane {
    match elem {
        Elem::Bool => Lane::Bool(bits as u8 != 0),
        Elem::F32 => Lane::Float(f32::from_bits(bits as u32)),
        Elem::F16 => Lane::Float(f16::from_bits(bits as u16).to_f32()),
        Elem::BF16 => Lane::Float(bf16::from_bits(bits as u16).to_f32()),
        Elem::F8E4M3 => Lane::Float(f8::f8e4m3_to_f32(bits as u8)),
        Elem::F8E5M2 => Lane::Float(f8::f8e5m2_to_f32(bits as u8)),
        _ => Lane::Int(wrap(elem, bits as i64)),
    }
}

/// Reads one element from the start of `bytes` (little-endian); `None` if they are too few.
pub fn read(elem: Elem, bytes: &[u8]) -> Option<Lane> {
    let mut b = [0u8; 8];
    let n = elem.bytes();
    b[..n].copy_from_slice(bytes.get(..n)?);
    Some(from_bits(elem, u64::from_le_bytes(b)))
}

/// Writes one element to the start of `bytes` (little-endian); does nothing if they are too few.
pub fn write(elem: Elem, lane: Lane, bytes: &mut [u8]) {
    let n = elem.bytes();
    if let Some(to) = bytes.get_mut(..n) {
        to.copy_from_slice(&to_bits(elem, lane).to_le_bytes()[..n]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_pattern_of_a_narrow_float_survives() {
        for elem in [Elem::F16, Elem::BF16, Elem::F8E4M3, Elem::F8E5M2] {
            for bits in 0..(1u64 << (8 * elem.bytes())) {
                let Lane::Float(x) = from_bits(elem, bits) else { panic!("{elem} is a float") };
                if !x.is_nan() {
                    assert_eq!(to_bits(elem, Lane::Float(x)), bits, "{elem} {bits:#x}");
                } else {
                    assert!(
                        matches!(from_bits(elem, to_bits(elem, Lane::Float(x))), Lane::Float(y) if y.is_nan())
                    );
                }
            }
        }
    }

    #[test]
    fn rounding_from_f64_is_not_done_twice() {
        // 1 + 2^-8 is half-way between two bf16; the added 2^-40 is lost in f32, yet decides.
        let x = 1.0 + 2f64.powi(-8) + 2f64.powi(-40);
        assert_eq!(round(Elem::BF16, x as f32), 1.0);
        assert_eq!(round_wide(Elem::BF16, x), 1.0 + 2f32.powi(-7));
        // The same for f16 and from an integer: 2^53 + 2^45 is half-way between bf16 neighbours.
        assert_eq!(round_wide(Elem::F16, 1.0 + 2f64.powi(-11) + 2f64.powi(-40)), 1.0 + 2f32.powi(-10));
        assert_eq!(round_int(Elem::BF16, (1 << 53) + (1 << 45)), 2f32.powi(53));
        assert_eq!(round_int(Elem::BF16, (1 << 53) + (1 << 45) + 1), 2f32.powi(53) + 2f32.powi(46));
    }

    #[test]
    fn narrow_fma_rounds_once() {
        // 9 · 29/256 = 261/256 lies half-way between the bf16 values 260/256 and 262/256; c decides, however small.
        let (a, b, tiny) = (9.0, 29.0 / 256.0, 2f32.powi(-100));
        assert_eq!(fma(Elem::BF16, a, b, 0.0), 260.0 / 256.0);
        assert_eq!(fma(Elem::BF16, a, b, tiny), 262.0 / 256.0);
        assert_eq!(fma(Elem::BF16, a, b, -tiny), 260.0 / 256.0);
        // In two steps the product rounds up first, and the sum loses the difference.
        let (a, b) = (1.0 + 2f32.powi(-12), 1.0 + 2f32.powi(-12));
        assert_eq!(fma(Elem::F32, a, b, -1.0 - 2f32.powi(-11)), 2f32.powi(-24));
    }

    #[test]
    fn denormals_are_kept() {
        assert_eq!(round(Elem::F16, 2f32.powi(-24)), 2f32.powi(-24));
        assert_eq!(round(Elem::F16, 2f32.powi(-25)), 0.0);
        assert_eq!(round(Elem::BF16, 2f32.powi(-133)), 2f32.powi(-133));
        assert_eq!(round_wide(Elem::F32, 2f64.powi(-149)), 2f32.powi(-149));
    }
}
