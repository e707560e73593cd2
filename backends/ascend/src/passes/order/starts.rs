//! The runs that an order is tried with: in which slot each loop's first turn is, and how many turns there are.
//!
//! ```text
//! loop      0  1  2
//! run 0     0  0  0        any two loops begin in all four combinations of slots,
//! run 1     0  1  1        with so many turns and with one more
//! run 2     1  0  1
//! run 3     1  1  0
//! ```
//! A loop may have ended in either slot, whatever others did. Two accesses meet, or a wait and a later set of its event, so that it is the slots
//! of two loops that decide: a third one orders them by its sets and waits, whatever its slots.
//!
//! The runs in which a loop begins in slot 0 are half of them, the first among these (Kleitman and Spencer, *Families of k-independent sets*, 1973): any
//! two such sets have the first run in common, neither has all of the other, and some run is in neither.

use super::tree::{Kind, Tree};
use std::rc::Rc;

/// How the loops of a tree go in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Start {
    /// The slot of the first turn, for each node.
    slots: Rc<[usize]>,
    /// Loops take a turn more.
    pub more: bool,
    /// Each loop takes another number of turns each time, none too, by chance.
    random: Option<u64>,
}

impl Start {
    /// The slot of a loop's first turn.
    pub fn slot(&self, node: usize) -> usize {
        self.slots[node]
    }

    /// The turn in which tails begin, if theirs is later. What is known in an early turn is known in later ones, so that few turns have to be
    /// gone through; by chance all are.
    pub fn first_tail(&self) -> usize {
        if self.random.is_some() { usize::MAX } else { 2 }
    }

    /// A run in which loops take any numbers of turns, by a seed.
    #[cfg(test)]
    pub fn by_chance(tree: &Tree, seed: u64) -> Start {
        let random = Some(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        Start { slots: vec![0; tree.nodes.len()].into(), more: false, random }
    }

    /// The turns of the next loop, or the next branch's way, if that is by chance.
    pub fn chance(&mut self) -> Option<usize> {
        let x = self.random.as_mut()?;
        *x ^= *x << 13;
        *x ^= *x >> 7;
        *x ^= *x << 17;
        Some([0, 0, 1, 1, 2, 3, 4, 5][(*x >> 40) as usize % 8])
    }
}

/// Subsets of `runs` with half of them, the first among these, as bits.
fn sets(runs: u32) -> impl Iterator<Item = u64> {
    (1u64..1 << runs).step_by(2).filter(move |s| s.count_ones() == runs / 2)
}

/// How many runs so many loops take: the least even number with sets enough.
fn runs(loops: usize) -> u32 {
    let enough = |r: &u32| sets(*r).nth(loops.saturating_sub(1)).is_some();
    (2..64).step_by(2).find(enough).unwrap_or(62)
}

/// All runs of a tree. The first has every loop begin in slot 0.
pub(super) fn all(tree: &Tree) -> Vec<Start> {
    let loops: Vec<usize> =
        (0..tree.nodes.len()).filter(|n| matches!(tree.nodes[*n].kind, Kind::Turns(..))).collect();
    let runs = runs(loops.len());
    let mut out = Vec::new();
    for more in [false, true] {
        for run in 0..runs {
            let mut slots = vec![0; tree.nodes.len()];
            for (n, set) in loops.iter().zip(sets(runs)) {
                slots[*n] = 1 - (set >> run & 1) as usize;
            }
            out.push(Start { slots: slots.into(), more, random: None });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_loops_begin_in_all_combinations_of_slots() {
        for (loops, runs) in [(1, 2), (2, 4), (3, 4), (4, 6), (10, 6), (11, 8), (35, 8), (36, 10)] {
            assert_eq!(super::runs(loops), runs, "{loops} loops");
            let sets: Vec<u64> = sets(runs).take(loops).collect();
            for (i, a) in sets.iter().enumerate() {
                for b in &sets[..i] {
                    let mut seen: Vec<u64> = (0..runs).map(|r| (a >> r & 1) << 1 | b >> r & 1).collect();
                    seen.sort_unstable();
                    seen.dedup();
                    assert_eq!(seen, [0, 1, 2, 3], "{loops} loops");
                }
            }
        }
    }
}
