//! What a pipe knows to be done, as a set of numbers: it is copied and joined for every piece of work that the replay goes through.

/// A set of accesses and waits, by their numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    /// Adds a number.
    pub fn set(&mut self, i: usize) {
        if self.0.len() <= i / 64 {
            self.0.resize(i / 64 + 1, 0);
        }
        self.0[i / 64] |= 1 << (i % 64);
    }

    /// Whether it has a number.
    pub fn has(&self, i: usize) -> bool {
        self.0.get(i / 64).is_some_and(|w| w >> (i % 64) & 1 == 1)
    }

    /// Adds those of another.
    pub fn join(&mut self, o: &Bits) {
        if self.0.len() < o.0.len() {
            self.0.resize(o.0.len(), 0);
        }
        self.0.iter_mut().zip(&o.0).for_each(|(a, b)| *a |= b);
    }

    /// Those that are in both.
    pub fn both(&self, o: &Bits) -> Bits {
        Bits(self.0.iter().zip(&o.0).map(|(a, b)| a & b).collect())
    }

    /// Those from number `first` on.
    pub fn since(&self, first: usize) -> Bits {
        let mut out = self.clone();
        for (i, w) in out.0.iter_mut().enumerate() {
            let low = first.saturating_sub(64 * i);
            *w &= if low >= 64 { 0 } else { u64::MAX << low };
        }
        out
    }
}
