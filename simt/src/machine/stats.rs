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

/// How well an access used the 32 banks of 4 bytes.
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

/// Wavefronts of one shared access: for each phase of lanes, the most distinct words wanted from one bank.
///
/// Accesses of up to 4 bytes a lane are served for all 32 lanes at once, of 8 bytes for half of them, of 16 bytes
/// for a quarter.
pub(crate) fn wavefronts(addresses: &[Option<u64>], bytes: u32) -> (u64, u64) {
    let lanes_at_once = match bytes {
        0..=4 => 32,
        5..=8 => 16,
        _ => 8,
    };
    let words = u64::from(bytes.div_ceil(4).max(1));
    let (mut taken, mut ideal) = (0, 0);
    for phase in addresses.chunks(lanes_at_once) {
        let mut wanted: Vec<u64> = Vec::with_capacity(32);
        for address in phase.iter().flatten() {
            wanted.extend((0..words).map(|word| address / 4 + word));
        }
        wanted.sort_unstable();
        wanted.dedup();
        let mut banks = [0u64; 32];
        for word in &wanted {
            banks[(word % 32) as usize] += 1;
        }
        taken += banks.iter().copied().max().unwrap_or(0);
        ideal += (wanted.len() as u64).div_ceil(32);
    }
    (taken, ideal.min(taken))
}
