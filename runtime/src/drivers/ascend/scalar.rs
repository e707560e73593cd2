//! Numbers as NPU kernels take them.

use half::{bf16, f16};
use kcc_dsl::ir::Elem;

/// A scalar as programs take it: integers extended, floats by the bits of an `f32`.
pub(super) fn scalar(elem: Elem, bits: u64) -> i64 {
    match elem {
        Elem::Bool => (bits & 1) as i64,
        Elem::I8 => i64::from(bits as i8),
        Elem::I16 => i64::from(bits as i16),
        Elem::I32 => i64::from(bits as i32),
        Elem::F16 => f16::from_bits(bits as u16).to_f32().to_bits().into(),
        Elem::BF16 => bf16::from_bits(bits as u16).to_f32().to_bits().into(),
        Elem::U8 | Elem::F8E4M3 | Elem::F8E5M2 => (bits & 0xff) as i64,
        Elem::U32 | Elem::F32 => (bits & 0xffff_ffff) as i64,
        Elem::I64 => bits as i64,
    }
}

#[cfg(test)]
mod tests {
    use super::scalar;
    use kcc_dsl::ir::Elem;

    #[test]
    fn integers_are_extended_and_floats_become_the_bits_of_an_f32() {
        assert_eq!(scalar(Elem::I8, 0xfe), -2);
        assert_eq!(scalar(Elem::U8, 0xfe), 0xfe);
        assert_eq!(scalar(Elem::I32, 0xffff_ffff), -1);
        assert_eq!(scalar(Elem::U32, 0xffff_ffff), 0xffff_ffff);
        assert_eq!(scalar(Elem::I64, u64::MAX), -1);
        for (elem, bits) in [(Elem::F32, 0x3fc0_0000), (Elem::F16, 0x3e00), (Elem::BF16, 0x3fc0)] {
            assert_eq!(scalar(elem, bits), i64::from(1.5f32.to_bits()), "{elem}");
        }
        assert_eq!(scalar(Elem::Bool, 3), 1);
    }
}
