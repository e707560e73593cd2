//! Mutation runs: whether each barrier, wait, fence, arrival and commit of a program is missed when it is gone.

use super::{Program, SyncSite};

/// Three seeds for each way in which asynchronous work lands: late, early, at random.
const SEEDS: std::ops::Range<u64> = 0..9;

impl Program {
    /// Deletes each of [`Program::sync_sites`] in turn, and gives those that `noticed` says `false` of under every seed.
    /// `noticed` runs the program under the seed, and tells whether it faulted or gave another result than the whole one.
    ///
    /// An empty answer proves two things: no operation that orders is superfluous, and the simulator sees each of them.
    pub fn unnoticed(&self, mut noticed: impl FnMut(&Program, u64) -> bool) -> Vec<SyncSite> {
        let sites = self.sync_sites().into_iter();
        sites
            .filter(|site| match self.without(site.index) {
                Ok(mutant) => !SEEDS.clone().any(|seed| noticed(&mutant, seed)),
                // A program that does not load without it has noticed.
                Err(_) => false,
            })
            .collect()
    }
}
