//! Floats of 8, 6 and 4 bits as AMD's conversions and matrix instructions know them, and the 8-bit exponent of a scale.

/// A format of few bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Narrow {
    /// OCP: no infinity, NaN where all bits but the sign are set.
    E4M3,
    /// OCP: infinities and NaNs as in IEEE formats.
    E5M2,
    /// One zero; 0x80 is the only NaN.
    E4M3Fnuz,
    E5M2Fnuz,
    /// OCP microscaling: finite only.
    E2M3,
    E3M2,
    E2M1,
}

impl Narrow {
    pub(crate) fn bits(self) -> u32 {
        match self {
            Narrow::E4M3 | Narrow::E5M2 | Narrow::E4M3Fnuz | Narrow::E5M2Fnuz => 8,
            Narrow::E2M3 | Narrow::E3M2 => 6,
            Narrow::E2M1 => 4,
        }
    }

    /// Mantissa bits, exponent bias, code of the largest finite value.
    fn shape(self) -> (u32, i32, u32) {
        match self {
            Narrow::E4M3 => (3, 7, 0x7e),
            Narrow::E5M2 => (2, 15, 0x7b),
            Narrow::E4M3Fnuz => (3, 8, 0x7f),
            Narrow::E5M2Fnuz => (2, 16, 0x7f),
            Narrow::E2M3 => (3, 1, 0x1f),
            Narrow::E3M2 => (2, 3, 0x1f),
            Narrow::E2M1 => (1, 1, 0x7),
        }
    }

    fn fnuz(self) -> bool {
        matches!(self, Narrow::E4M3Fnuz | Narrow::E5M2Fnuz)
    }

    pub(crate) fn decode(self, code: u64) -> f64 {
        let (mantissa_bits, bias, _) = self.shape();
        let sign_bit = 1u64 << (self.bits() - 1);
        let sign = if code & sign_bit != 0 { -1.0 } else { 1.0 };
        let magnitude = code & (sign_bit - 1);
        match self {
            _ if self.fnuz() && code & 0xff == 0x80 => return f64::NAN,
            Narrow::E4M3 if magnitude == 0x7f => return f64::NAN,
            Narrow::E5M2 if magnitude == 0x7c => return sign * f64::INFINITY,
            Narrow::E5M2 if magnitude > 0x7c => return f64::NAN,
            _ => {}
        }
        sign * self.magnitude(magnitude, mantissa_bits, bias)
    }

    fn magnitude(self, code: u64, mantissa_bits: u32, bias: i32) -> f64 {
        let exponent = (code >> mantissa_bits) as i32;
        let fraction = (code & ((1 << mantissa_bits) - 1)) as f64 / f64::from(1 << mantissa_bits);
        if exponent == 0 {
            fraction * 2f64.powi(1 - bias)
        } else {
            (1.0 + fraction) * 2f64.powi(exponent - bias)
        }
    }

    /// To nearest even. Beyond the range the hardware's default mode gives NaN, or infinity where the format has one;
    /// formats of 6 and 4 bits saturate.
    pub(crate) fn encode(self, value: f64) -> u64 {
        let (mantissa_bits, bias, top) = self.shape();
        let sign_bit = 1u64 << (self.bits() - 1);
        let sign = if value.is_sign_negative() { sign_bit } else { 0 };
        let nan = match self {
            _ if self.fnuz() => 0x80,
            Narrow::E4M3 | Narrow::E5M2 => sign | 0x7f,
            _ => sign | u64::from(top),
        };
        if value.is_nan() {
            return nan;
        }
        let beyond = match self {
            Narrow::E5M2 => sign | 0x7c,
            _ => nan,
        };
        if value.is_infinite() {
            return beyond;
        }
        let magnitude = value.abs();
        if magnitude == 0.0 {
            return if self.fnuz() { 0 } else { sign };
        }
        // The exponent of the last kept bit, no lower than that of the subnormals. A value may lie a rounding away from
        // the power of two that its logarithm names; the comparison puts that right.
        let mut exponent = magnitude.log2().floor() as i32;
        if 2f64.powi(exponent) > magnitude {
            exponent -= 1;
        }
        let exponent = exponent.max(1 - bias);
        let steps = (magnitude / 2f64.powi(exponent - mantissa_bits as i32)).round_ties_even() as u64;
        let one = 1u64 << mantissa_bits;
        let code =
            if steps < one { steps } else { (((exponent + bias - 1) as u64) << mantissa_bits) + steps };
        if code > u64::from(top) {
            return beyond;
        }
        if self.fnuz() && code == 0 { 0 } else { sign | code }
    }
}

/// The power of two that an e8m0 scale means.
pub(crate) fn scale(code: u64) -> f64 {
    if code & 0xff == 0xff { f64::NAN } else { 2f64.powi((code & 0xff) as i32 - 127) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Narrow; 7] = [
        Narrow::E4M3,
        Narrow::E5M2,
        Narrow::E4M3Fnuz,
        Narrow::E5M2Fnuz,
        Narrow::E2M3,
        Narrow::E3M2,
        Narrow::E2M1,
    ];

    #[test]
    fn every_finite_code_survives_a_round_trip() {
        for format in ALL {
            for code in 0..1u64 << format.bits() {
                let value = format.decode(code);
                if value.is_finite() {
                    assert_eq!(format.encode(value), code, "{format:?} {code:#x} = {value}");
                }
            }
        }
    }

    #[test]
    fn ranges_are_those_of_the_formats() {
        // OCP 8-bit and microscaling specifications; ISA guide of MI300 for FNUZ.
        let largest = [448.0, 57344.0, 240.0, 57344.0, 7.5, 28.0, 6.0];
        for (format, largest) in ALL.into_iter().zip(largest) {
            assert_eq!(format.decode(u64::from(format.shape().2)), largest, "{format:?}");
        }
        assert_eq!(Narrow::E4M3Fnuz.encode(1e9), 0x80);
        assert_eq!(Narrow::E4M3.encode(1e9), 0x7f);
        assert_eq!(Narrow::E5M2.encode(-1e9), 0xfc);
        assert_eq!(Narrow::E2M1.encode(1e9), 7);
        assert_eq!(Narrow::E4M3Fnuz.encode(-1e-9), 0);
        assert_eq!(Narrow::E4M3.encode(1.0625), 0x38); // halfway between 1 and 1.125: to even
    }
}
