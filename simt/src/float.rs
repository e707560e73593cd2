//! Number formats: bits to values and back, rounding to nearest even unless said otherwise.

use half::{bf16, f16};

use crate::text::Scalar;

/// The value of `bits` as a float of type `scalar`.
pub(crate) fn decode(scalar: Scalar, bits: u64) -> f64 {
    match scalar {
        Scalar::F16 => f16::from_bits(bits as u16).to_f64(),
        Scalar::BF16 => f64::from(bf16_value(bits as u16)),
        Scalar::F32 => f64::from(f32::from_bits(bits as u32)),
        _ => f64::from_bits(bits),
    }
}

/// The nearest float of type `scalar`, as bits.
pub(crate) fn encode(scalar: Scalar, value: f64) -> u64 {
    match scalar {
        Scalar::F16 => u64::from(f16::from_f64(value).to_bits()),
        Scalar::BF16 => u64::from(bf16::from_f64(value).to_bits()),
        Scalar::F32 => u64::from((value as f32).to_bits()),
        _ => value.to_bits(),
    }
}

pub(crate) fn bf16_value(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

pub(crate) fn f32_of(bits: u64) -> f32 {
    f32::from_bits(bits as u32)
}

pub(crate) fn f32_bits(value: f32) -> u64 {
    u64::from(value.to_bits())
}

/// Flushes a subnormal to zero of its sign (`.ftz`).
pub(crate) fn ftz(value: f32) -> f32 {
    if value.is_subnormal() { 0f32.copysign(value) } else { value }
}

/// What a tensor core reads of a tf32 operand: the low 13 bits are ignored.
pub(crate) fn tf32_value(bits: u32) -> f32 {
    f32::from_bits(bits & !0x1fff)
}

/// `cvt.rna.tf32.f32`: to the nearest tf32, ties away from zero.
pub(crate) fn tf32_round(value: f32) -> u32 {
    let bits = value.to_bits();
    if !value.is_finite() { bits } else { bits.wrapping_add(0x1000) & !0x1fff }
}

/// `cvt.rn.tf32.f32`: to the nearest tf32, ties to even.
pub(crate) fn tf32_round_even(value: f32) -> u32 {
    let bits = value.to_bits();
    if !value.is_finite() { bits } else { bits.wrapping_add(0xfff + (bits >> 13 & 1)) & !0x1fff }
}

/// The f16 next to `value` on the side of zero, as bits; beyond the range the largest finite one.
pub(crate) fn half_towards_zero(value: f32) -> u64 {
    let near = f16::from_f32(value);
    let bits = near.to_bits();
    // Codes of one sign are ordered as their magnitudes, so one step down is the next value towards zero.
    let over = value.is_finite() && near.to_f32().abs() > value.abs();
    u64::from(if over { bits - 1 } else { bits })
}

/// The two fp8 formats of the OCP specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fp8 {
    E4M3,
    E5M2,
}

impl Fp8 {
    /// Mantissa bits, exponent bias, largest finite value.
    fn shape(self) -> (u32, i32, f32) {
        match self {
            Fp8::E4M3 => (3, 7, 448.0),
            Fp8::E5M2 => (2, 15, 57344.0),
        }
    }

    pub(crate) fn decode(self, bits: u8) -> f32 {
        let (mantissa_bits, bias, _) = self.shape();
        let sign = if bits & 0x80 != 0 { -1.0f32 } else { 1.0 };
        let magnitude = u32::from(bits & 0x7f);
        let exponent = (magnitude >> mantissa_bits) as i32;
        let mantissa = (magnitude & ((1 << mantissa_bits) - 1)) as f32 / (1 << mantissa_bits) as f32;
        match self {
            Fp8::E4M3 if magnitude == 0x7f => return f32::NAN,
            Fp8::E5M2 if exponent == 31 => {
                return if mantissa == 0.0 { sign * f32::INFINITY } else { f32::NAN };
            }
            _ => {}
        }
        if exponent == 0 {
            sign * mantissa * 2f32.powi(1 - bias)
        } else {
            sign * (1.0 + mantissa) * 2f32.powi(exponent - bias)
        }
    }

    /// To nearest even; beyond the range to the largest finite value (`.satfinite`).
    pub(crate) fn encode(self, value: f32) -> u8 {
        let (mantissa_bits, bias, largest) = self.shape();
        let sign = if value.is_sign_negative() { 0x80 } else { 0 };
        if value.is_nan() {
            return 0x7f;
        }
        let magnitude = f64::from(value.abs().min(largest));
        if magnitude == 0.0 {
            return sign;
        }
        // The exponent of the last kept bit, no lower than that of the subnormals.
        let exponent = (magnitude.log2().floor() as i32).max(1 - bias);
        let unit = 2f64.powi(exponent - mantissa_bits as i32);
        let steps = (magnitude / unit).round_ties_even() as u32;
        let one = 1u32 << mantissa_bits;
        let code = if steps < one {
            steps
        } else {
            // A carry into the next binade comes out right, since the codes are consecutive.
            (((exponent + bias - 1) as u32) << mantissa_bits) + steps
        };
        let top = match self {
            Fp8::E4M3 => 0x7e,
            Fp8::E5M2 => 0x7b,
        };
        sign | code.min(top) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fp8_value_survives_a_round_trip() {
        for format in [Fp8::E4M3, Fp8::E5M2] {
            for bits in 0..=255u8 {
                let value = format.decode(bits);
                if value.is_finite() {
                    assert_eq!(format.encode(value), bits, "{format:?} {bits:#x} = {value}");
                }
            }
        }
    }

    #[test]
    fn fp8_rounds_to_even_and_saturates() {
        assert_eq!(Fp8::E4M3.decode(0x38), 1.0);
        assert_eq!(Fp8::E4M3.encode(1.0625), 0x38); // between 1 and 1.125: to even
        assert_eq!(Fp8::E4M3.encode(1.1875), 0x3a); // between 1.125 and 1.25: to even
        assert_eq!(Fp8::E4M3.encode(1e9), 0x7e);
        assert_eq!(Fp8::E5M2.encode(-1e9), 0xfb);
        assert_eq!(Fp8::E5M2.decode(0x3c), 1.0);
    }

    #[test]
    fn tf32_keeps_ten_bits() {
        let value = 1.0 + f32::EPSILON * 4096.0; // half of the last kept bit
        assert_eq!(tf32_round(value), (1.0 + f32::EPSILON * 8192.0f32).to_bits());
        assert_eq!(tf32_round_even(value), 1f32.to_bits());
        assert_eq!(tf32_value(value.to_bits()), 1.0);
    }
}
