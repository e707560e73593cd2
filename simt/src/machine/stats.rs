//! What a run counts.

use std::collections::BTreeMap;

use crate::text::Loc;

/// Counts of one launch. Instructions count once a warp.
#[derive(Debug, Clone, Default)]
pub struct Stats {
    /// All instructions of the interpreter.
    pub instructions: u64,
    /// Operations by name; inline PTX by its text.
    pub by_kind: BTreeMap<String, u64>,
    /// Shared-memory accesses by operation.
    pub shared: BTreeMap<(Option<Loc>, String), SharedAccess>,
    /// Global accesses: instructions, and 32-byte sectors that they touched.
    pub global_accesses: u64,
    /// 32-byte sectors touched by those.
    pub global_sectors: u64,
    /// Multiply-adds of matrix instructions.
    pub mma_products: u64,
}

/// How well an access used the banks of 4 bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SharedAccess {
    /// Times executed, by a warp.
    pub executed: u64,
    /// Cycles that the banks need, a word each.
    pub wavefronts: u64,
    /// The fewest cycles in which so many bytes could be moved.
    pub ideal: u64,
}

impl Stats {
    /// Wavefronts beyond the least possible, over all shared accesses.
    pub fn bank_conflicts(&self) -> u64 {
        self.shared.values().map(|access| access.wavefronts - access.ideal).sum()
    }
}

/// Lanes of half a wave in the order in which AMD's LDS serves a read of 16 bytes a lane: groups of eight of a chip with 32
/// banks (Composable Kernel's documentation, "LDS and bank conflicts"), groups of sixteen of one with 64.
const WIDE_READ: [usize; 32] = [
    0, 1, 2, 3, 20, 21, 22, 23, 12, 13, 14, 15, 24, 25, 26, 27, //
    4, 5, 6, 7, 16, 17, 18, 19, 8, 9, 10, 11, 28, 29, 30, 31,
];

/// How shared memory serves a warp.
#[derive(Clone, Copy)]
pub(crate) struct Banks {
    pub(crate) count: usize,
    /// Reads of 16 bytes are served in the order of [`WIDE_READ`].
    pub(crate) scattered_reads: bool,
}

/// Wavefronts of one shared access: for each phase of lanes, the most distinct words wanted from one bank.
///
/// With 32 banks, accesses of up to 4 bytes a lane are served for 32 lanes at once, of 8 bytes for half of them, of 16 bytes
/// for a quarter; with 64 banks for twice as many.
pub(crate) fn wavefronts(addresses: &[Option<u64>], bytes: u32, banks: Banks, read: bool) -> (u64, u64) {
    let lanes_at_once = match bytes {
        0..=4 => banks.count,
        5..=8 => banks.count / 2,
        _ => banks.count / 4,
    };
    let scattered = banks.scattered_reads && read && bytes > 8;
    let lane = |at: usize| if scattered { at / 32 * 32 + WIDE_READ[at % 32] } else { at };
    let words = u64::from(bytes.div_ceil(4).max(1));
    let (mut taken, mut ideal) = (0, 0);
    for phase in (0..addresses.len()).collect::<Vec<_>>().chunks(lanes_at_once) {
        let mut wanted: Vec<u64> = Vec::with_capacity(64);
        for address in phase.iter().filter_map(|&at| addresses.get(lane(at)).copied().flatten()) {
            wanted.extend((0..words).map(|word| address / 4 + word));
        }
        wanted.sort_unstable();
        wanted.dedup();
        let mut used = [0u64; 64];
        for word in &wanted {
            used[*word as usize % banks.count] += 1;
        }
        taken += used.iter().copied().max().unwrap_or(0);
        ideal += (wanted.len() as u64).div_ceil(banks.count as u64);
    }
    (taken, ideal.min(taken))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_reads_conflict_within_their_groups_only() {
        // Rows of 128 bytes, one for each lane: on 32 banks all lanes of a group want the same four.
        let rows: Vec<Option<u64>> = (0..64).map(|lane| Some(lane * 128)).collect();
        let narrow = Banks { count: 32, scattered_reads: true };
        assert_eq!(wavefronts(&rows, 16, narrow, true), (64, 8));
        // Swizzled by the number within the group that the hardware serves: lanes 0 to 3 and 20 to 23, and so on.
        let swizzle =
            |f: fn(u64) -> u64| (0..64).map(|lane| Some(lane * 128 + 16 * (f(lane) % 8))).collect::<Vec<_>>();
        assert_eq!(wavefronts(&swizzle(|lane| lane), 16, narrow, true), (8, 8));
        // By pairs of lanes: right for a write, whose groups are neighbours, wrong for none but the read's.
        let halves = swizzle(|lane| lane % 4 + lane / 16 * 4);
        assert_eq!(wavefronts(&halves, 16, narrow, true), (8, 8));
        assert_eq!(wavefronts(&halves, 16, narrow, false), (16, 8));
        let wide = Banks { count: 64, scattered_reads: true };
        let dense: Vec<Option<u64>> = (0..64).map(|lane| Some(lane * 16)).collect();
        assert_eq!(wavefronts(&dense, 16, wide, true), (4, 4));
        assert_eq!(wavefronts(&dense, 16, narrow, true), (8, 8));
    }
}
