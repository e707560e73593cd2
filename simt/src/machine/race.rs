//! Finds accesses that nothing orders: vector clocks, and for each byte its last write and the reads since.
//!
//! An *agent* is whatever proceeds in program order: a warp, or one of its queues of asynchronous copies, or the
//! transfers that complete on one mbarrier. Each agent counts its releases; an access carries the agent's count, and
//! is ordered before whoever has acquired a count at least as large (FastTrack, Flanagan and Freund 2009).

use std::collections::HashMap;

/// Local agents of a cluster; an agent's global number is `cluster << AGENT_BITS | local`.
pub(crate) const AGENT_BITS: u32 = 12;

/// What an agent knows of the others' counts.
#[derive(Clone, Default, Debug)]
pub(crate) struct Clock {
    cluster: u32,
    local: Vec<u32>,
    foreign: HashMap<u32, u32>,
}

impl Clock {
    pub(crate) fn new(cluster: u32) -> Self {
        Clock { cluster, ..Clock::default() }
    }

    pub(crate) fn get(&self, agent: u32) -> u32 {
        if agent >> AGENT_BITS == self.cluster {
            self.local.get((agent & ((1 << AGENT_BITS) - 1)) as usize).copied().unwrap_or(0)
        } else {
            self.foreign.get(&agent).copied().unwrap_or(0)
        }
    }

    pub(crate) fn raise(&mut self, agent: u32, count: u32) {
        if agent >> AGENT_BITS == self.cluster {
            let index = (agent & ((1 << AGENT_BITS) - 1)) as usize;
            if self.local.len() <= index {
                self.local.resize(index + 1, 0);
            }
            self.local[index] = self.local[index].max(count);
        } else {
            let entry = self.foreign.entry(agent).or_default();
            *entry = (*entry).max(count);
        }
    }

    pub(crate) fn join(&mut self, other: &Clock) {
        if other.cluster == self.cluster {
            if self.local.len() < other.local.len() {
                self.local.resize(other.local.len(), 0);
            }
            for (mine, theirs) in self.local.iter_mut().zip(&other.local) {
                *mine = (*mine).max(*theirs);
            }
        } else {
            for (index, &count) in other.local.iter().enumerate().filter(|(_, count)| **count > 0) {
                self.raise(other.cluster << AGENT_BITS | index as u32, count);
            }
        }
        for (&agent, &count) in &other.foreign {
            self.raise(agent, count);
        }
    }
}

/// What one agent hands to another: what happened before, and which of it the async proxy can see.
#[derive(Clone, Default, Debug)]
pub(crate) struct Knowledge {
    pub(crate) seen: Clock,
    /// Writes of the generic proxy that a `fence.proxy.async` has covered.
    pub(crate) fenced: Clock,
}

impl Knowledge {
    pub(crate) fn new(cluster: u32) -> Self {
        Knowledge { seen: Clock::new(cluster), fenced: Clock::new(cluster) }
    }

    pub(crate) fn join(&mut self, other: &Knowledge) {
        self.seen.join(&other.seen);
        self.fenced.join(&other.fenced);
    }
}

/// An access as the shadow remembers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AccessInfo {
    pub(crate) agent: u32,
    pub(crate) count: u32,
    pub(crate) site: u32,
    pub(crate) flags: u8,
}

pub(crate) const ATOMIC: u8 = 1;
pub(crate) const ASYNC: u8 = 2;
/// By the async proxy (bulk copies, `wgmma`).
pub(crate) const PROXY: u8 = 4;

/// Who accesses: identity, knowledge, and how.
pub(crate) struct Actor<'k> {
    pub(crate) info: AccessInfo,
    pub(crate) known: &'k Knowledge,
    /// Accesses of the same warp with a count at least this are not ordered across lanes.
    pub(crate) lanes_since: u32,
    /// The warp's own `cp.async`, and the group up to which all its lanes know them done.
    pub(crate) own_copies: (u32, u32),
    /// Proxy fences are checked (shared and global reads by TMA and wgmma).
    pub(crate) proxy: bool,
}

/// Last write and reads since, as references to accesses; 0 is none.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Cell {
    write: u32,
    read: u32,
}

/// Lane number that stands for several.
pub(crate) const MANY: u32 = (1 << LANE_BITS) - 1;
const LANE_BITS: u32 = 7;
const SET: u32 = 1 << 31;
const MOST: usize = 1 << (31 - LANE_BITS);

/// An access that conflicts with an earlier one.
#[derive(Debug)]
pub(crate) enum Conflict {
    /// Nothing orders the two; the earlier one, its lane, whether it was a write.
    Race(AccessInfo, u32, bool),
    /// Ordered, but not visible to the async proxy.
    Proxy(AccessInfo, u32),
}

/// All accesses so far.
#[derive(Default)]
pub(crate) struct Races {
    accesses: Vec<AccessInfo>,
    sets: Vec<Vec<u32>>,
}

impl Races {
    /// The number of an access; 0 when there are too many to follow.
    fn intern(&mut self, info: AccessInfo) -> u32 {
        if self.accesses.is_empty() {
            self.accesses.push(info);
        }
        if self.accesses.last() != Some(&info) || self.accesses.len() == 1 {
            if self.accesses.len() >= MOST {
                return 0;
            }
            self.accesses.push(info);
        }
        self.accesses.len() as u32 - 1
    }

    fn info(&self, word: u32) -> AccessInfo {
        self.accesses[(word >> LANE_BITS) as usize]
    }

    /// Whether `word` is ordered before `actor`, or by the same lane.
    fn ordered(&self, word: u32, actor: &Actor<'_>, lane: u32) -> bool {
        let info = self.info(word);
        if info.flags & actor.info.flags & ATOMIC != 0 {
            return true;
        }
        if info.agent == actor.info.agent {
            return word & MANY == lane || info.count < actor.lanes_since || info.flags & ASYNC != 0;
        }
        // A wait for `cp.async` speaks for the lane's own copies only.
        let (copies, shared) = actor.own_copies;
        let known = actor.known.seen.get(info.agent);
        if info.agent == copies && word & MANY != lane {
            info.count <= shared.min(known)
        } else {
            info.count <= known
        }
    }

    fn proxied(&self, word: u32, actor: &Actor<'_>) -> bool {
        let info = self.info(word);
        !actor.proxy || info.flags & PROXY != 0 || info.count <= actor.known.fenced.get(info.agent)
    }

    /// A read of `cells` by `lane`.
    pub(crate) fn read(&mut self, cells: &mut [Cell], actor: &Actor<'_>, lane: u32) -> Result<(), Conflict> {
        let id = self.intern(actor.info);
        let word = id << LANE_BITS | lane;
        let (mut checked, mut from, mut to) = (0, u32::MAX, 0);
        for cell in cells {
            if cell.write != 0 && cell.write != checked {
                if !self.ordered(cell.write, actor, lane) {
                    return Err(Conflict::Race(self.info(cell.write), cell.write & MANY, true));
                }
                if !self.proxied(cell.write, actor) {
                    return Err(Conflict::Proxy(self.info(cell.write), cell.write & MANY));
                }
                checked = cell.write;
            }
            if id == 0 {
                continue;
            }
            if cell.read != from {
                from = cell.read;
                to = self.add_reader(from, word, actor);
            }
            cell.read = to;
        }
        Ok(())
    }

    fn add_reader(&mut self, old: u32, word: u32, actor: &Actor<'_>) -> u32 {
        if old == 0 {
            return word;
        }
        let mut readers = Vec::new();
        let mut word = word;
        {
            let single = [old];
            let olds = if old & SET == 0 { &single[..] } else { &self.sets[(old & !SET) as usize] };
            for &reader in olds {
                let info = self.info(reader);
                if info.agent == actor.info.agent {
                    if reader & MANY != word & MANY && info.count >= actor.lanes_since {
                        word |= MANY;
                    }
                } else if info.count > actor.known.seen.get(info.agent) {
                    readers.push(reader);
                }
            }
        }
        if readers.is_empty() {
            return word;
        }
        readers.push(word);
        if self.sets.len() >= MOST {
            return word;
        }
        self.sets.push(readers);
        SET | (self.sets.len() as u32 - 1)
    }

    /// A write of `cells` by `lane`. `same(i)` tells whether byte `i` keeps its value: two writers that agree do no
    /// harm.
    pub(crate) fn write(
        &mut self,
        cells: &mut [Cell],
        actor: &Actor<'_>,
        lane: u32,
        same: impl Fn(usize) -> bool,
    ) -> Result<(), Conflict> {
        let id = self.intern(actor.info);
        let word = id << LANE_BITS | lane;
        let (mut write, mut read) = (0, 0);
        for (index, cell) in cells.iter_mut().enumerate() {
            if cell.write != 0 && cell.write != write {
                let unordered = !self.ordered(cell.write, actor, lane);
                if unordered && !same(index) {
                    return Err(Conflict::Race(self.info(cell.write), cell.write & MANY, true));
                }
                if !unordered && !self.proxied(cell.write, actor) {
                    return Err(Conflict::Proxy(self.info(cell.write), cell.write & MANY));
                }
                if !unordered {
                    write = cell.write;
                }
            }
            if cell.read != 0 && cell.read != read {
                let single = [cell.read];
                let readers =
                    if cell.read & SET == 0 { &single[..] } else { &self.sets[(cell.read & !SET) as usize] };
                for &reader in readers {
                    if !self.ordered(reader, actor, lane) {
                        return Err(Conflict::Race(self.info(reader), reader & MANY, false));
                    }
                }
                read = cell.read;
            }
            *cell = Cell { write: word, read: 0 };
            if id == 0 {
                *cell = Cell::default();
            }
        }
        Ok(())
    }
}
