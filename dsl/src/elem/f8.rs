//! The two 8-bit floats of the OCP specification "OFP8", and their conversions.
//!
//! ```text
//! E4M3  s eeee mmm   bias 7    largest 448     no infinity, NaN = s 1111 111
//! E5M2  s eeeee mm   bias 15   largest 57344   infinities and NaN as in IEEE 754
//! ```
//! Narrowing rounds to nearest, ties to even, and saturates: what is larger than the largest finite value, infinity
//! included, becomes that value; NaN stays NaN.

/// Rounds to the nearest value of an 8-bit format; the result is its 7 low bits, before the sign.
///
/// `mantissa` is the number of mantissa bits, `bias` the exponent bias, `largest` the bits of the largest finite value.
fn narrow(v: f32, mantissa: u32, bias: i32, largest: u8, nan: u8) -> u8 {
    let sign = ((v.to_bits() >> 24) & 0x80) as u8;
    if v.is_nan() {
        return sign | nan;
    }
    let magnitude = v.abs();
    // The step between neighbours at this magnitude; below the smallest normal it stays constant.
    let exponent = (((magnitude.to_bits() >> 23) as i32) - 127).max(1 - bias);
    let step = exponent - mantissa as i32;
    // Exact: a scaling by a power of two far from both ends of f64's range.
    let scaled = f64::from(magnitude) * f64::powi(2.0, -step);
    // In steps; at most 2^(mantissa + 1), except when huge.
    let steps = scaled.min(65536.0).round_ties_even() as u32;
    // The exponent field counts from 0 for subnormals; a carry out of the mantissa moves it up by itself.
    let field = (exponent + bias - 1) as u32;
    let bits = (field << mantissa) + steps;
    if exponent > 120 || bits > u32::from(largest) { sign | largest } else { sign | bits as u8 }
}

/// The exact value of an 8-bit pattern whose exponent is not reserved.
fn widen(bits: u8, mantissa: u32, bias: i32) -> f32 {
    let magnitude = u32::from(bits & 0x7f);
    let field = (magnitude >> mantissa) as i32;
    let fraction = magnitude & ((1 << mantissa) - 1);
    let significand = if field == 0 { fraction } else { fraction | 1 << mantissa };
    let scale = f32::powi(2.0, field.max(1) - bias - mantissa as i32);
    let v = significand as f32 * scale;
    if bits & 0x80 != 0 { -v } else { v }
}

/// Bits of the E4M3 value nearest to `v`, saturating.
pub fn f32_to_f8e4m3(v: f32) -> u8 {
    narrow(v, 3, 7, 0x7e, 0x7f)
}

/// Bits of the E5M2 value nearest to `v`, saturating.
pub fn f32_to_f8e5m2(v: f32) -> u8 {
    narrow(v, 2, 15, 0x7b, 0x7e)
}

/// The value of an E4M3 pattern, exactly.
pub fn f8e4m3_to_f32(bits: u8) -> f32 {
    if bits & 0x7f == 0x7f { f32::NAN } else { widen(bits, 3, 7) }
}

/// The value of an E5M2 pattern, exactly.
pub fn f8e5m2_to_f32(bits: u8) -> f32 {
    match bits & 0x7f {
        0x7c if bits & 0x80 != 0 => f32::NEG_INFINITY,
        0x7c => f32::INFINITY,
        0x7d..=0x7f => f32::NAN,
        _ => widen(bits, 2, 15),
    }
}

macro_rules! f8 {
    ($(#[$doc:meta])* $name:ident, $from:ident, $to:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default)]
        #[repr(transparent)]
        pub struct $name(u8);

        impl $name {
            /// The value nearest to `v`: ties to even, saturating, NaN stays NaN.
            pub fn from_f32(v: f32) -> Self {
                Self($from(v))
            }
            /// The value, exactly.
            pub fn to_f32(self) -> f32 {
                $to(self.0)
            }
            /// The value with these bits.
            pub fn from_bits(bits: u8) -> Self {
                Self(bits)
            }
            /// The value's bits.
            pub fn to_bits(self) -> u8 {
                self.0
            }
        }
        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.to_f32() == other.to_f32()
            }
        }
        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
                self.to_f32().partial_cmp(&other.to_f32())
            }
        }
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.to_f32().fmt(f)
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.to_f32().fmt(f)
            }
        }
    };
}
f8!(
    /// 8-bit float with 4 exponent and 3 mantissa bits: largest value 448, no infinity.
    F8E4M3, f32_to_f8e4m3, f8e4m3_to_f32
);
f8!(
    /// 8-bit float with 5 exponent and 2 mantissa bits: largest finite value 57344.
    F8E5M2, f32_to_f8e5m2, f8e5m2_to_f32
);

#[cfg(test)]
mod tests {
    use super::*;

    /// The nearest pattern by trying all of them: least distance, then even mantissa.
    fn by_search(v: f32, widen: fn(u8) -> f32) -> u8 {
        let sign = if v.is_sign_negative() { 0x80 } else { 0 };
        let distance = |b: u8| (f64::from(widen(b)) - f64::from(v)).abs();
        let finite = (0..0x80u8).map(|b| b | sign).filter(|&b| widen(b).is_finite());
        finite.min_by(|&a, &b| distance(a).total_cmp(&distance(b)).then((a & 1).cmp(&(b & 1)))).unwrap()
    }

    #[test]
    fn every_pattern_survives_a_round_trip() {
        for b in 0..=255u8 {
            if f8e4m3_to_f32(b).is_finite() {
                assert_eq!(f32_to_f8e4m3(f8e4m3_to_f32(b)), b);
            }
            if f8e5m2_to_f32(b).is_finite() {
                assert_eq!(f32_to_f8e5m2(f8e5m2_to_f32(b)), b);
            }
        }
    }

    #[test]
    fn narrowing_finds_the_nearest_value_with_ties_to_even() {
        let mut values: Vec<f32> =
            vec![0.0, -0.0, 1e-30, 447.9, 448.0, 464.0, 465.0, 1e9, -57344.0, -61440.0, 1e12];
        for b in 0..0x7eu8 {
            let (lo, hi) = (f8e4m3_to_f32(b), f8e4m3_to_f32(b + 1));
            values.extend([(lo + hi) / 2.0, lo + (hi - lo) * 0.499, lo + (hi - lo) * 0.501]);
            let (lo, hi) = (f8e5m2_to_f32(b), f8e5m2_to_f32(b + 1));
            if hi.is_finite() {
                values.extend([-(lo + hi) / 2.0, lo + (hi - lo) * 0.49, lo + (hi - lo) * 0.51]);
            }
        }
        for v in values {
            assert_eq!(f32_to_f8e4m3(v), by_search(v, f8e4m3_to_f32), "e4m3 of {v}");
            assert_eq!(f32_to_f8e5m2(v), by_search(v, f8e5m2_to_f32), "e5m2 of {v}");
        }
    }

    #[test]
    fn infinity_saturates_and_nan_stays() {
        assert_eq!(F8E4M3::from_f32(f32::INFINITY).to_f32(), 448.0);
        assert_eq!(F8E4M3::from_f32(3e38).to_f32(), 448.0);
        assert_eq!(F8E5M2::from_f32(3e38).to_f32(), 57344.0);
        assert_eq!(F8E5M2::from_f32(f32::NEG_INFINITY).to_f32(), -57344.0);
        assert!(F8E4M3::from_f32(f32::NAN).to_f32().is_nan());
        assert!(F8E5M2::from_f32(f32::NAN).to_f32().is_nan());
    }
}
