//! Inputs of the test cases: reproducible numbers, exactly representable in the element type under test.

use kcc_dsl::prelude::*;

/// A small generator (SplitMix64): the same numbers on every platform.
pub struct Random(u64);

impl Random {
    /// A generator; equal seeds give equal numbers.
    pub fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0x9e37_79b9_7f4a_7c15)
    }

    /// The next 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`; 0 if `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        if n == 0 { 0 } else { (self.bits() % n as u64) as usize }
    }

    /// Evenly distributed over `-range..range`.
    pub fn uniform(&mut self, range: f32) -> f32 {
        let unit = (self.bits() >> 40) as f32 / (1u64 << 24) as f32;
        (2.0 * unit - 1.0) * range
    }

    /// `n` numbers of `-range..range`, rounded to `T`.
    pub fn values<T: Float>(&mut self, n: usize, range: f32) -> Vec<T> {
        (0..n).map(|_| T::from_f32(self.uniform(range))).collect()
    }
}

/// The exact values of `x`.
pub fn exact<T: Value>(x: &[T]) -> Vec<f64> {
    x.iter().map(|x| x.to_f64()).collect()
}

/// An element type of the test cases: its exact value and its precision.
pub trait Value: Float {
    /// The value, exactly.
    fn to_f64(self) -> f64;
    /// Half the distance between neighbours of 1: the largest relative error of rounding.
    const UNIT: f64;
    /// The smallest positive normal number: below it the error of rounding is absolute.
    const NORMAL: f64;
    /// The largest finite number.
    const LARGEST: f64;
}

impl Value for f32 {
    fn to_f64(self) -> f64 {
        self.into()
    }
    const UNIT: f64 = 1.0 / (1u64 << 24) as f64;
    const NORMAL: f64 = f32::MIN_POSITIVE as f64;
    const LARGEST: f64 = f32::MAX as f64;
}
impl Value for f16 {
    fn to_f64(self) -> f64 {
        self.to_f32().into()
    }
    const UNIT: f64 = 1.0 / 2048.0;
    const NORMAL: f64 = 6.103515625e-5;
    const LARGEST: f64 = 65504.0;
}
impl Value for bf16 {
    fn to_f64(self) -> f64 {
        self.to_f32().into()
    }
    const UNIT: f64 = 1.0 / 256.0;
    const NORMAL: f64 = f32::MIN_POSITIVE as f64;
    const LARGEST: f64 = 3.3895313892515355e38;
}
