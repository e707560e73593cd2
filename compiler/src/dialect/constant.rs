//! Constants of the tile IR as bits of their element type, and as MLIR attributes.

use kcc_dsl::elem::{F8E4M3, F8E5M2, bf16, f16};
use kcc_dsl::ir::{Const, Elem};

/// Bits of a constant in an element type, in the low bytes; `None` if the constant is of another kind.
pub fn bits(elem: Elem, c: Const) -> Option<u64> {
    let mask = if elem.bytes() == 8 { u64::MAX } else { (1 << (8 * elem.bytes())) - 1 };
    match c {
        Const::Bool(b) if elem == Elem::Bool => Some(u64::from(b)),
        Const::Int(i) if elem.is_int() => Some(i as u64 & mask),
        Const::Float(b) => float_bits(elem, f32::from_bits(b)),
        _ => None,
    }
}

/// Bits of the value of a float type nearest to `v`; NaN becomes quiet.
pub fn float_bits(elem: Elem, v: f32) -> Option<u64> {
    Some(match elem {
        Elem::F32 => u64::from(if v.is_nan() { v.to_bits() | 0x0040_0000 } else { v.to_bits() }),
        Elem::F16 => u64::from(f16::from_f32(v).to_bits()),
        Elem::BF16 => u64::from(bf16::from_f32(v).to_bits()),
        Elem::F8E4M3 => u64::from(F8E4M3::from_f32(v).to_bits()),
        Elem::F8E5M2 => u64::from(F8E5M2::from_f32(v).to_bits()),
        _ => return None,
    })
}

/// The value of a float of these bits, exactly.
pub fn float_value(elem: Elem, bits: u64) -> Option<f32> {
    Some(match elem {
        Elem::F32 => f32::from_bits(bits as u32),
        Elem::F16 => f16::from_bits(bits as u16).to_f32(),
        Elem::BF16 => bf16::from_bits(bits as u16).to_f32(),
        Elem::F8E4M3 => F8E4M3::from_bits(bits as u8).to_f32(),
        Elem::F8E5M2 => F8E5M2::from_bits(bits as u8).to_f32(),
        _ => return None,
    })
}

/// The integer of these bits: sign-extended for signed types, zero-extended for unsigned ones.
pub fn int_value(elem: Elem, bits: u64) -> Option<i64> {
    Some(match elem {
        Elem::I8 => i64::from(bits as i8),
        Elem::I16 => i64::from(bits as i16),
        Elem::I32 => i64::from(bits as i32),
        Elem::I64 => bits as i64,
        Elem::U8 => i64::from(bits as u8),
        Elem::U32 => i64::from(bits as u32),
        _ => return None,
    })
}

/// The constant of these bits, in the one form that the reader gives.
pub fn from_bits(elem: Elem, bits: u64) -> Const {
    if let Some(v) = float_value(elem, bits) {
        return Const::Float(v.to_bits());
    }
    int_value(elem, bits).map_or(Const::Bool(bits & 1 != 0), Const::Int)
}

/// The constant rounded or wrapped to its element type, as the reader gives it.
pub fn canonical(elem: Elem, c: Const) -> Option<Const> {
    bits(elem, c).map(|b| from_bits(elem, b))
}

/// An attribute's value without its type: `0x3F800000`, `-7`, `true`.
pub fn literal(elem: Elem, bits: u64) -> String {
    if elem == Elem::Bool {
        return (bits & 1 != 0).to_string();
    }
    match int_value(elem, bits) {
        Some(i) => i.to_string(),
        None => format!("0x{bits:0width$X}", width = 2 * elem.bytes()),
    }
}

/// A scalar attribute: `0x3F800000 : f32`.
pub fn attribute(elem: Elem, bits: u64) -> String {
    match elem {
        Elem::Bool => literal(elem, bits),
        _ => format!("{} : {}", literal(elem, bits), super::types::elem_text(elem)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_constants_are_fixed_points() {
        let values = [0.0, -0.0, 1.0, 0.1, -3.5e5, 1e-40, f32::INFINITY, f32::NAN, f32::MAX];
        for elem in Elem::ALL {
            let ints = [0, -1, 127, 300, i64::MIN].map(Const::Int);
            for c in values.map(Const::float).into_iter().chain(ints).chain([Const::Bool(true)]) {
                if let Some(once) = canonical(elem, c) {
                    assert_eq!(canonical(elem, once), Some(once), "{elem} {c:?}");
                }
            }
        }
        assert_eq!(canonical(Elem::U8, Const::Int(-1)), Some(Const::Int(255)));
        assert_eq!(canonical(Elem::I8, Const::Int(200)), Some(Const::Int(-56)));
        assert_eq!(canonical(Elem::I32, Const::float(1.0)), None);
    }
}
