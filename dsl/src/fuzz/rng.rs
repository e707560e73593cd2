//! Random numbers that are equal on every machine and in every version: a case is its seed.

use crate::ir::Elem;

/// SplitMix64 (Steele, Lea and Flood, 2014).
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A generator that starts from a seed.
    pub fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n` (0 if `n` is 0).
    pub fn below(&mut self, n: usize) -> usize {
        (self.bits() % n.max(1) as u64) as usize
    }

    /// A number from `lo` to `hi`, both included.
    pub fn range(&mut self, lo: i64, hi: i64) -> i64 {
        lo + self.below((hi - lo + 1).max(1) as usize) as i64
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// One of several.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// An element for an input: floats are multiples of `2^-quantum` up to 4 in magnitude, so that sums and products
    /// of a few are exact in f32; integers are small, random, or extreme.
    pub fn lane(&mut self, elem: Elem, specials: bool) -> f64 {
        if elem == Elem::Bool {
            return self.below(2) as f64;
        }
        if elem.is_float() {
            if specials && self.one_in(12) {
                return f64::from(self.special(elem));
            }
            let q = 2f64.powi(quantum(elem));
            return self.range((-4.0 * q) as i64, (4.0 * q) as i64) as f64 / q;
        }
        self.range(-9, 9) as f64
    }

    /// An integer of any size.
    pub fn int(&mut self) -> i64 {
        match self.below(8) {
            0 => *self.pick(&[i64::MIN, i64::MAX, -1, 0, i32::MIN.into(), i32::MAX.into(), 127, -128, 255]),
            1 | 2 => self.bits() as i64,
            _ => self.range(-20, 20),
        }
    }

    fn special(&mut self, elem: Elem) -> f32 {
        match elem {
            // Their rounding would make an infinity a large finite number.
            Elem::F8E4M3 | Elem::F8E5M2 => *self.pick(&[f32::NAN, -0.0]),
            Elem::F16 => *self.pick(&[f32::INFINITY, f32::NEG_INFINITY, f32::NAN, -0.0, 2f32.powi(-24)]),
            _ => *self.pick(&[
                f32::INFINITY,
                f32::NEG_INFINITY,
                f32::NAN,
                -0.0,
                2f32.powi(-130),
                -2f32.powi(-127),
                f32::MIN_POSITIVE,
            ]),
        }
    }
}

/// Input floats are multiples of `2^-quantum`.
pub(super) fn quantum(elem: Elem) -> i32 {
    match elem {
        Elem::F8E4M3 | Elem::F8E5M2 => 1,
        Elem::BF16 => 2,
        _ => 4,
    }
}
