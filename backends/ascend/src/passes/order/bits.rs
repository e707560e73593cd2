//! What a pipe knows to be done, as a set of numbers: it is copied and joined for every piece of work that the replay goes through.
//!
//! ```text
//! mte2   ■ ■ ■ ▤         pieces are shared: what is long known to all is compared by its address
//! v      ■ ■ ■ ▥
//! ```

use std::rc::Rc;

const WORDS: usize = 16;
/// Numbers in a piece.
const PIECE: usize = 64 * WORDS;

type Piece = [u64; WORDS];

/// A set of accesses and waits, by their numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Bits(Vec<Rc<Piece>>);

impl Bits {
    /// Adds a number.
    pub fn set(&mut self, i: usize) {
        if self.0.len() <= i / PIECE {
            self.0.resize_with(i / PIECE + 1, Rc::default);
        }
        Rc::make_mut(&mut self.0[i / PIECE])[i % PIECE / 64] |= 1 << (i % 64);
    }

    /// Whether it has a number.
    pub fn has(&self, i: usize) -> bool {
        self.0.get(i / PIECE).is_some_and(|p| p[i % PIECE / 64] >> (i % 64) & 1 == 1)
    }

    /// Adds those of another.
    pub fn join(&mut self, o: &Bits) {
        for (a, b) in self.0.iter_mut().zip(&o.0) {
            if Rc::ptr_eq(a, b) {
                continue;
            }
            let both: Piece = std::array::from_fn(|i| a[i] | b[i]);
            if both == **b {
                *a = b.clone();
            } else if both != **a {
                *a = Rc::new(both);
            }
        }
        self.0.extend(o.0.iter().skip(self.0.len()).cloned());
    }

    /// Those that are in both.
    pub fn both(&self, o: &Bits) -> Bits {
        let and = |(a, b): (&Rc<Piece>, &Rc<Piece>)| {
            if Rc::ptr_eq(a, b) { a.clone() } else { Rc::new(std::array::from_fn(|i| a[i] & b[i])) }
        };
        Bits(self.0.iter().zip(&o.0).map(and).collect())
    }

    /// Those from number `first` on.
    pub fn since(&self, first: usize) -> Bits {
        let (none, mut out) = (Rc::default(), self.clone());
        for (k, p) in out.0.iter_mut().enumerate().take(first / PIECE + 1) {
            if first >= (k + 1) * PIECE {
                *p = Rc::clone(&none);
                continue;
            }
            for (i, w) in Rc::make_mut(p).iter_mut().enumerate() {
                let low = first.saturating_sub(k * PIECE + 64 * i);
                *w &= if low >= 64 { 0 } else { u64::MAX << low };
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(numbers: &[usize]) -> Bits {
        let mut b = Bits::default();
        numbers.iter().for_each(|n| b.set(*n));
        b
    }

    fn numbers(b: &Bits) -> Vec<usize> {
        (0..8 * PIECE).filter(|n| b.has(*n)).collect()
    }

    #[test]
    fn sets_of_several_pieces() {
        let (a, b) = (of(&[3, 70, PIECE, 5000]), of(&[70, 2 * PIECE - 1]));
        let mut joined = b.clone();
        joined.join(&a);
        assert_eq!(numbers(&joined), [3, 70, PIECE, 2 * PIECE - 1, 5000]);
        assert_eq!(numbers(&joined.both(&b)), numbers(&b));
        assert_eq!(numbers(&joined.since(71)), [PIECE, 2 * PIECE - 1, 5000]);
        assert_eq!(numbers(&joined.since(PIECE + 1)), [2 * PIECE - 1, 5000]);
        assert_eq!((numbers(&a), numbers(&b)), (vec![3, 70, PIECE, 5000], vec![70, 2 * PIECE - 1]));
    }
}
