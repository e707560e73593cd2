//! A warp: registers, and the groups of lanes that run together.

use super::race::Knowledge;

/// Lanes at the same position.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) pc: u32,
    pub(crate) mask: u64,
    /// Set while the group waits inside a barrier at which it has already arrived: the barrier's generation.
    pub(crate) arrived: Option<u64>,
    /// The machine's event count when the group last found that it had to wait.
    pub(crate) blocked: Option<u64>,
}

#[derive(Default)]
pub(crate) struct Warp {
    /// Number within its block.
    pub(crate) number: u32,
    /// Rank of its block in the cluster.
    pub(crate) cta: usize,
    /// Its agent, for races.
    pub(crate) agent: u32,
    pub(crate) width: usize,
    /// Registers of a thread, where they change hands.
    pub(crate) registers: u32,
    pub(crate) regs: Vec<u64>,
    /// For each slot, the lanes whose value nobody defined.
    pub(crate) poison: Vec<u64>,
    /// The load that last brought such a value into a register.
    pub(crate) poison_site: Option<u32>,
    pub(crate) groups: Vec<Group>,
    /// Lanes that exist, and those that have not returned.
    pub(crate) lanes: u64,
    pub(crate) live: u64,
    pub(crate) known: Knowledge,
    /// Own count at the last point where the lanes of the warp were synchronised.
    pub(crate) lanes_since: u32,
    /// What fences have prepared for relaxed atomics to publish, and what relaxed atomics have read.
    pub(crate) released: Option<Box<Knowledge>>,
    pub(crate) to_acquire: Option<Box<Knowledge>>,
    /// Private memory, lane after lane.
    pub(crate) local: Vec<u8>,
    pub(crate) local_init: Vec<bool>,
    /// `cp.async` groups committed by each lane.
    pub(crate) copy_groups: Vec<u32>,
    /// The agent of this warp's `cp.async`, and the groups that every lane knows done.
    pub(crate) copy_agent: u32,
    pub(crate) copies_shared: u32,
    /// Bulk groups committed by each lane.
    pub(crate) bulk_groups: Vec<u32>,
    pub(crate) wgmma: super::wgmma::WarpState,
    pub(crate) executed: u64,
    /// The generation of the cluster barrier at which this warp has arrived.
    pub(crate) cluster_arrived: Option<u64>,
}

impl Warp {
    pub(crate) fn row(&self, slot: u32) -> &[u64] {
        let start = slot as usize * self.width;
        &self.regs[start..start + self.width]
    }

    pub(crate) fn get(&self, slot: u32, lane: usize) -> u64 {
        self.regs[slot as usize * self.width + lane]
    }

    pub(crate) fn set(&mut self, slot: u32, lane: usize, value: u64) {
        self.regs[slot as usize * self.width + lane] = value;
    }

    /// Writes a slot in the lanes of `mask`, `poison` among them undefined.
    pub(crate) fn write(&mut self, slot: u32, mask: u64, values: &[u64], poison: u64) {
        let start = slot as usize * self.width;
        let row = &mut self.regs[start..start + self.width];
        if mask == self.lanes {
            row.copy_from_slice(&values[..row.len()]);
        } else {
            for lane in lanes(mask) {
                row[lane] = values[lane];
            }
        }
        let old = &mut self.poison[slot as usize];
        *old = *old & !mask | poison & mask;
    }

    pub(crate) fn own_count(&self) -> u32 {
        self.known.seen.get(self.agent)
    }

    /// Takes over what another agent released.
    pub(crate) fn acquire(&mut self, from: &Knowledge) {
        self.lanes_since = self.lanes_since.max(from.seen.get(self.agent) + 1);
        self.copies_shared = self.copies_shared.max(from.seen.get(self.copy_agent));
        self.known.join(from);
    }

    /// What this warp hands on; its later accesses count as after it.
    pub(crate) fn release(&mut self) -> Knowledge {
        let out = self.known.clone();
        let next = self.own_count() + 1;
        self.known.seen.raise(self.agent, next);
        out
    }

    /// Joins groups that are at the same place and wait for nothing.
    pub(crate) fn merge(&mut self) {
        let mut at = 0;
        while at < self.groups.len() {
            let mut other = at + 1;
            while other < self.groups.len() {
                let (a, b) = (&self.groups[at], &self.groups[other]);
                if a.pc == b.pc && a.arrived.is_none() && b.arrived.is_none() {
                    let joined = self.groups.swap_remove(other);
                    self.groups[at].mask |= joined.mask;
                    self.groups[at].blocked = None;
                } else {
                    other += 1;
                }
            }
            at += 1;
        }
    }

    pub(crate) fn done(&self) -> bool {
        self.groups.is_empty()
    }
}

/// The lanes of a mask, lowest first.
pub(crate) fn lanes(mask: u64) -> impl Iterator<Item = usize> {
    let mut rest = mask;
    std::iter::from_fn(move || {
        if rest == 0 {
            return None;
        }
        let lane = rest.trailing_zeros() as usize;
        rest &= rest - 1;
        Some(lane)
    })
}
