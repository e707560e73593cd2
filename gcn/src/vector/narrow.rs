//! Floats of 8, 6 and 4 bits.

use super::elementwise::Compute::Wide;
use super::elementwise::{Compute, Row, lanes, row};
use super::source::Type::{B16, B32, B64, F32};

/// A format: its bits, and what its largest codes mean.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Format {
    exponent: u32,
    mantissa: u32,
    bias: i32,
    specials: Specials,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Specials {
    /// Infinities and NaNs where the exponent is all ones.
    Ieee,
    /// NaN where all bits are ones.
    OneNan,
    /// NaN where a negative zero would be.
    Fnuz,
    None,
}

pub(crate) const E4M3: Format = Format { exponent: 4, mantissa: 3, bias: 7, specials: Specials::OneNan };
pub(crate) const E5M2: Format = Format { exponent: 5, mantissa: 2, bias: 15, specials: Specials::Ieee };
pub(crate) const E4M3_FNUZ: Format = Format { exponent: 4, mantissa: 3, bias: 8, specials: Specials::Fnuz };
pub(crate) const E5M2_FNUZ: Format = Format { exponent: 5, mantissa: 2, bias: 16, specials: Specials::Fnuz };
pub(crate) const E2M3: Format = Format { exponent: 2, mantissa: 3, bias: 1, specials: Specials::None };
pub(crate) const E3M2: Format = Format { exponent: 3, mantissa: 2, bias: 3, specials: Specials::None };
pub(crate) const E2M1: Format = Format { exponent: 2, mantissa: 1, bias: 1, specials: Specials::None };

impl Format {
    pub(crate) fn bits(self) -> u32 {
        1 + self.exponent + self.mantissa
    }

    pub(crate) fn decode(self, code: u32) -> f64 {
        let (top, ones) = ((1 << self.exponent) - 1, (1 << self.mantissa) - 1);
        let (e, m) = (code >> self.mantissa & top, code & ones);
        let sign = if code >> (self.bits() - 1) & 1 == 1 { -1.0 } else { 1.0 };
        match self.specials {
            Specials::Fnuz if sign < 0.0 && (e, m) == (0, 0) => return f64::NAN,
            Specials::OneNan if (e, m) == (top, ones) => return f64::NAN,
            Specials::Ieee if e == top && m != 0 => return f64::NAN,
            Specials::Ieee if e == top => return sign * f64::INFINITY,
            _ => {}
        }
        let (digits, e) = if e == 0 { (m, 1) } else { (m | 1 << self.mantissa, e) };
        sign * f64::from(digits) * 2f64.powi(e as i32 - self.bias - self.mantissa as i32)
    }

    /// Nearest, ties to even; too large numbers are not saturated (MODE.FP16_OVFL is 0 in compute kernels).
    fn encode(self, x: f32) -> u32 {
        let sign = u32::from(x.is_sign_negative()) << (self.bits() - 1);
        let not_a_number = match self.specials {
            Specials::Fnuz => 0x80,
            _ => sign | 0x7f,
        };
        if x.is_nan() {
            return not_a_number;
        }
        let magnitude = f64::from(x).abs();
        // The spacing at this magnitude: that of subnormals at least.
        let lowest = 1 - self.bias - self.mantissa as i32;
        let exponent = (magnitude.to_bits() >> 52) as i32 - 1023 - self.mantissa as i32;
        let spacing = exponent.max(lowest);
        let steps = (magnitude / 2f64.powi(spacing)).round_ties_even();
        let carry = steps * 2f64.powi(spacing - lowest);
        // Codes count steps: each exponent doubles their spacing.
        let code = match spacing - lowest {
            0 => steps,
            up => f64::from(up) * f64::from(1 << self.mantissa) + steps,
        };
        let largest = match self.specials {
            Specials::Ieee => 0x7b,
            Specials::OneNan => 0x7e,
            _ => 0x7f,
        };
        if !magnitude.is_finite() || carry.is_nan() || code > f64::from(largest) {
            return match self.specials {
                Specials::Ieee => sign | 0x7c,
                _ => not_a_number,
            };
        }
        let code = code as u32;
        if self.specials == Specials::Fnuz && code == 0 { 0 } else { sign | code }
    }
}

fn single(format: Format, code: u32) -> u32 {
    (format.decode(code & 0xff) as f32).to_bits()
}

fn pair(format: Format, codes: u64) -> u64 {
    let half = |at: u32| u64::from(single(format, (codes >> at) as u32));
    half(0) | half(8) << 32
}

fn packed(format: Format, a: u32, b: u32) -> u32 {
    format.encode(f32::from_bits(a)) | format.encode(f32::from_bits(b)) << 8
}

/// Writes a half, leaves the other.
const fn packs(name: &'static str, compute: Compute) -> Row {
    Row { name, sources: &[F32, F32], result: B16, keeps: true, compute }
}

pub(super) const TABLE: &[Row] = &[
    packs("v_cvt_pk_fp8_f32 ocp", lanes!(|a, b| packed(E4M3, a, b))),
    packs("v_cvt_pk_bf8_f32 ocp", lanes!(|a, b| packed(E5M2, a, b))),
    packs("v_cvt_pk_fp8_f32 fnuz", lanes!(|a, b| packed(E4M3_FNUZ, a, b))),
    packs("v_cvt_pk_bf8_f32 fnuz", lanes!(|a, b| packed(E5M2_FNUZ, a, b))),
    row("v_cvt_f32_fp8 ocp", &[B32], F32, lanes!(|a| single(E4M3, a))),
    row("v_cvt_f32_bf8 ocp", &[B32], F32, lanes!(|a| single(E5M2, a))),
    row("v_cvt_f32_fp8 fnuz", &[B32], F32, lanes!(|a| single(E4M3_FNUZ, a))),
    row("v_cvt_f32_bf8 fnuz", &[B32], F32, lanes!(|a| single(E5M2_FNUZ, a))),
    row("v_cvt_pk_f32_fp8 ocp", &[B16], B64, Wide(|[a, ..]| pair(E4M3, a))),
    row("v_cvt_pk_f32_bf8 ocp", &[B16], B64, Wide(|[a, ..]| pair(E5M2, a))),
    row("v_cvt_pk_f32_fp8 fnuz", &[B16], B64, Wide(|[a, ..]| pair(E4M3_FNUZ, a))),
    row("v_cvt_pk_f32_bf8 fnuz", &[B16], B64, Wide(|[a, ..]| pair(E5M2_FNUZ, a))),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_8_bits_comes_back() {
        for format in [E4M3, E5M2, E4M3_FNUZ, E5M2_FNUZ] {
            for code in 0..256 {
                let value = format.decode(code) as f32;
                if value.is_nan() {
                    assert!(format.decode(format.encode(value)).is_nan(), "{code:#x}");
                } else {
                    assert_eq!(format.encode(value), code, "{value}");
                }
            }
        }
    }

    #[test]
    fn halves_round_to_even_and_beyond_the_largest_is_none() {
        assert_eq!(E4M3.decode(E4M3.encode(17.0)), 16.0);
        assert_eq!(E4M3.decode(E4M3.encode(19.0)), 20.0);
        assert_eq!(E4M3.decode(E4M3.encode(463.0)), 448.0);
        assert!(E4M3.decode(E4M3.encode(465.0)).is_nan());
        assert_eq!(E5M2.decode(E5M2.encode(-1e9)), f64::NEG_INFINITY);
        assert_eq!(E2M1.decode(0xf), -6.0);
    }
}
