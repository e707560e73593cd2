//! Who has surely finished what: vector clocks of pipes.
//!
//! An agent is a pipe of a core, or its scalar unit's accesses to elements of the core's memories. Its instructions are numbered as they start. `clock[a][b] = n` says that agent `a` knows the first
//! `n` instructions of agent `b` to be done. Instructions of one pipe start in order but may overlap: an agent knows its own
//! work to be done only up to its last barrier. What the scalar unit computes is done when it goes on; elements that it writes or
//! reads in a core's memory are not, for other pipes, before an event of the scalar unit's or a barrier of all pipes.

use super::memory::By;
use crate::ir::Pipe;
use kcc_dsl::ir::{Loc, LocId};
use std::rc::Rc;

/// No access yet.
pub(super) const NEVER: u32 = u32::MAX;
/// An entry with this bit names a set of readers.
const SET: u32 = 1 << 31;

/// What an agent knows of all agents.
pub(super) type Clock = Rc<Vec<u32>>;

/// The clocks of all agents.
pub(super) struct Clocks {
    pub known: Vec<Clock>,
    /// Instructions started.
    pub started: Vec<u32>,
    /// Nothing is followed.
    off: bool,
}

impl Clocks {
    pub fn new(agents: usize) -> Clocks {
        let zero = Rc::new(vec![0; agents]);
        Clocks { known: vec![zero; agents], started: vec![0; agents], off: false }
    }

    /// Clocks that follow nothing: all is known to be done.
    pub fn off(agents: usize) -> Clocks {
        let all = Rc::new(vec![u32::MAX; agents]);
        Clocks { known: vec![all; agents], started: vec![0; agents], off: true }
    }

    /// Agent `a` learns what a message says.
    pub fn join(&mut self, a: usize, message: &Clock) {
        if self.off || Rc::ptr_eq(&self.known[a], message) {
            return;
        }
        join(&mut self.known[a], message);
    }

    /// What agent `a` can tell once all that it has started is done.
    pub fn message(&self, a: usize) -> Clock {
        if self.off {
            return self.known[a].clone();
        }
        let mut m = (*self.known[a]).clone();
        m[a] = self.started[a];
        if a % AGENTS == Pipe::S as usize {
            let elements = a - Pipe::S as usize + ELEMENTS;
            m[elements] = self.started[elements];
        }
        Rc::new(m)
    }

    /// Elements of a core's memories are accessed by its scalar unit, which knows what it knows.
    pub fn elements(&mut self, core: usize) {
        self.known[core * AGENTS + ELEMENTS] = self.known[core * AGENTS + Pipe::S as usize].clone();
    }

    /// All that agent `a` has started is done.
    pub fn settle(&mut self, a: usize) {
        if !self.off {
            Rc::make_mut(&mut self.known[a])[a] = self.started[a];
        }
    }
}

/// `into` learns what `from` knows.
pub(super) fn join(into: &mut Clock, from: &Clock) {
    if Rc::ptr_eq(into, from) || into.iter().zip(from.iter()).all(|(a, b)| a >= b) {
        return;
    }
    for (a, b) in Rc::make_mut(into).iter_mut().zip(from.iter()) {
        *a = (*a).max(*b);
    }
}

#[derive(Clone, Copy)]
struct Entry {
    agent: u32,
    index: u32,
    loc: LocId,
    atomic: bool,
}

/// The accesses so far, and sets of them.
pub(super) struct Epochs {
    entries: Vec<Entry>,
    sets: Vec<Vec<u32>>,
    locs: Vec<Loc>,
}

/// Pipes of a core.
pub(super) const PIPES: usize = Pipe::ALL.len();
/// The agent behind the pipes: elements that the scalar unit reads and writes in the core's memories.
pub(super) const ELEMENTS: usize = PIPES;
/// Agents of a core.
pub(super) const AGENTS: usize = PIPES + 1;

impl Epochs {
    pub fn new(locs: &[Loc]) -> Epochs {
        Epochs { entries: Vec::new(), sets: Vec::new(), locs: locs.to_vec() }
    }

    /// A new access by an agent.
    pub fn open(&mut self, agent: usize, index: u32, loc: LocId, atomic: bool) -> u32 {
        self.entries.push(Entry { agent: agent as u32, index, loc, atomic });
        self.entries.len() as u32 - 1
    }

    fn done(&self, e: u32, by: By, clocks: &Clocks) -> bool {
        if e == by.epoch {
            return true;
        }
        let entry = self.entries[e as usize];
        let same = entry.agent as usize == by.agent;
        // Atomic updates of one place are in no order and need none.
        same && by.in_order
            || by.atomic && entry.atomic
            || entry.index <= clocks.known[by.agent][entry.agent as usize]
    }

    /// An access (or one of a set) that is not known to be done: its pipe's name and place.
    pub fn unordered(&self, earlier: u32, by: By, clocks: &Clocks) -> Option<(String, Option<Loc>)> {
        if earlier == NEVER {
            return None;
        }
        let one = [earlier];
        let all = if earlier & SET == 0 { &one[..] } else { &self.sets[(earlier & !SET) as usize] };
        let e = all.iter().find(|e| !self.done(**e, by, clocks))?;
        let entry = self.entries[*e as usize];
        let pipe = Pipe::ALL.get(entry.agent as usize % AGENTS).unwrap_or(&Pipe::S).name();
        let core = entry.agent as usize / AGENTS;
        let here = core == by.agent / AGENTS;
        let name = if here { pipe.to_owned() } else { format!("{pipe} of core {core}") };
        Some((name, self.locs.get(entry.loc.0 as usize).cloned()))
    }
}

/// Adds a reader to what is noted of bytes; remembers the last answer, since neighbours mostly ask the same.
#[derive(Default)]
pub(super) struct Reader {
    last: Option<(u32, u32)>,
}

impl Reader {
    pub fn add(&mut self, before: u32, by: By, clocks: &Clocks, epochs: &mut Epochs) -> u32 {
        if let Some((b, a)) = self.last
            && b == before
        {
            return a;
        }
        let after = if before == NEVER || before == by.epoch {
            by.epoch
        } else {
            let all =
                if before & SET == 0 { vec![before] } else { epochs.sets[(before & !SET) as usize].clone() };
            let mut rest: Vec<u32> = all.into_iter().filter(|e| !epochs.done(*e, by, clocks)).collect();
            if rest.is_empty() {
                by.epoch
            } else {
                rest.push(by.epoch);
                epochs.sets.push(rest);
                SET | (epochs.sets.len() as u32 - 1)
            }
        };
        self.last = Some((before, after));
        after
    }
}
