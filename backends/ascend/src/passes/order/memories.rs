//! Which accesses may still meet another: those of the same memory that some pipe of its users does not know to be done.
//!
//! The replay looks through what is left for every access, so that what is settled has to go.

use super::bits::Bits;
use super::places::{Access, Touch};
use super::tree::Tree;
use kcc_davinci::ir::{Pipe, Space};
use std::ops::Range;

const S: usize = Pipe::S as usize;

/// Of each pipe, whether it uses a memory, and whether some of its accesses there are out of its own order.
pub(super) type Users = [(bool, bool); 7];

/// A core's memories, parameters, the workspace.
const MEMORIES: usize = Space::ALL.len() + 2;
/// Parts of a memory, each of so many bytes; the last has the rest.
const PARTS: usize = 128;
const PART: u64 = 4096;
/// Lists of accesses: one for each part of each memory.
pub(super) const LISTS: usize = MEMORIES * PARTS;

/// The lists that an access belongs to: whatever meets it is in one of them.
pub(super) fn lists(touch: &Touch) -> Range<usize> {
    let first = memory(touch) * PARTS;
    match touch {
        Touch::Local(p) => {
            let part = |byte: u64| (byte / PART).min(PARTS as u64 - 1) as usize;
            first + part(p.from)..first + part(p.end().saturating_sub(1)) + 1
        }
        _ => first..first + 1,
    }
}

/// Which of them.
pub(super) fn memory(touch: &Touch) -> usize {
    match touch {
        Touch::Local(place) => place.space as usize,
        Touch::Param(_) => Space::ALL.len(),
        Touch::Shared => Space::ALL.len() + 1,
    }
}

/// Who uses each of them.
pub(super) fn users(tree: &Tree) -> Vec<Users> {
    let mut users = vec![[(false, false); 7]; MEMORIES];
    for a in tree.nodes.iter().flat_map(|n| &n.accesses) {
        let user = &mut users[memory(&a.touch)][a.pipe as usize];
        *user = (true, user.1 || !a.in_order);
    }
    users
}

/// Whether an access is known to be done wherever it could matter: nothing meets it any more.
pub(super) fn done((number, x): (usize, &Access), users: &Users, known: &[Bits; 7]) -> bool {
    let own = x.pipe as usize;
    known[S].has(number)
        || users.iter().enumerate().all(|(p, &(uses, disorder))| {
            !uses || known[p].has(number) || p == own && (x.sealed || !disorder)
        })
}
