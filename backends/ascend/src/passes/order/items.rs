//! What orders a core's work, and what the lowering knows of order.

use super::starts::Start;
use kcc_davinci::ir::{CoreKind, Pipe, Reg};
use std::collections::HashMap;

/// The number of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Id {
    One(u8),
    /// One more in every second turn of that loop (a node). A token between neighbours waits for that of the turn before.
    Parity(u8, usize),
}

/// Something that orders.
#[derive(Clone, Debug)]
pub(super) enum Item {
    Barrier {
        pipe: Pipe,
        before: usize,
    },
    /// All pipes.
    All {
        before: usize,
    },
    Event {
        from: Pipe,
        to: Pipe,
        after: usize,
        before: usize,
        id: Option<Id>,
    },
    /// Between turns of a loop, `distance` turns apart.
    Token {
        from: Pipe,
        to: Pipe,
        after: usize,
        before: usize,
        turns: usize,
        distance: usize,
        id: Option<Id>,
        /// The token of another loop whose event it takes over: what is set in either loop is waited for in the next turn of either.
        shares: Option<usize>,
    },
}

/// What orders a tree's work.
#[derive(Clone, Default)]
pub(super) struct Order {
    pub items: Vec<Option<Item>>,
    /// The runs in which it is to hold: what is likely to fail stands last.
    pub starts: Vec<Start>,
}

/// Why an order will not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    Race,
    /// An event may be raised before its last wait is surely done.
    Raised,
}

/// Which buffers have a slot for every second turn of which loop (a number).
pub(crate) type Slots = HashMap<u32, (usize, u64)>;

/// What the lowering knows of order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hints {
    pub answers: Vec<(CoreKind, Answer)>,
    /// Conditions that are false in the last turns of their loops, and in how many.
    pub heads: Vec<(CoreKind, Reg, usize)>,
    /// Conditions that are false in the first turns of their loops, and in how many.
    pub tails: Vec<(CoreKind, Reg, usize)>,
    /// Flags that say less of what their core read than that all of it was.
    pub says: Vec<(CoreKind, u8, Says)>,
}

impl Hints {
    /// What flags say that a kind of core waits for.
    pub fn answers_of(&self, kind: CoreKind) -> Vec<Answer> {
        self.answers.iter().filter(|a| a.0 == kind).map(|a| a.1).collect()
    }
}

/// What a flag tells other cores of what its core read in the workspace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Says {
    /// All that was read before.
    #[default]
    All,
    /// What was read in earlier turns of its loop.
    Earlier,
    /// Nothing: what was written is there, no more.
    Nothing,
}

/// A flag that is raised only after another core saw a flag of this core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The flag that this core waits for.
    pub waits: u8,
    /// The flag that this core raised before.
    pub raises: u8,
    /// Flags raised since, at most, that the answer says nothing of.
    pub behind: usize,
}
