//! Chooses buffers that get a second slot, so that a turn of a loop may fill one while the turn before still reads the other.
//!
//! A buffer that lives within one turn of an innermost loop, and that two pipes touch there.

use super::order::Slots;
use super::order::tree::{self, Kind, Tree};
use kcc_davinci::ir::{CoreKind, Local, Pipe, Program, Space, Stmt};
use std::collections::{BTreeMap, BTreeSet};

/// What is known of a buffer within a loop.
#[derive(Default)]
struct Use {
    pipes: BTreeSet<Pipe>,
    /// The first access writes.
    written_first: bool,
    accesses: usize,
}

fn uses(tree: &Tree, n: usize) -> BTreeMap<u32, Use> {
    let mut out: BTreeMap<u32, Use> = BTreeMap::new();
    tree.leaves(n, &mut |leaf| {
        for a in &leaf.accesses {
            if let Some(b) = a.buffer() {
                let u = out.entry(b).or_default();
                if u.accesses == 0 {
                    u.written_first = a.write;
                }
                u.accesses += 1;
                u.pipes.insert(a.pipe);
            }
        }
    });
    out
}

/// Buffers that are read a turn after they were filled, in the slot of the other turns: at places behind their bytes. They need their slots.
fn read_later(program: &Program) -> BTreeSet<u32> {
    let mut out = BTreeSet::new();
    for kind in [CoreKind::Cube, CoreKind::Vector] {
        program.walk(kind, &mut |s| {
            let Stmt::Issue { instr, .. } = s else { return };
            let bytes = |b: u32| i64::from(program.buffers[b as usize].bytes);
            let behind = |l: &&&Local| l.offset.known().is_some_and(|o| o > 0 && o >= bytes(l.buffer));
            out.extend(instr.locals().reads.iter().filter(behind).map(|l| l.buffer));
        });
    }
    out
}

/// Buffers with the loop that alternates their slots, and the bytes of a slot.
pub(crate) fn choose(program: &Program) -> Slots {
    let mut slots = Slots::new();
    let later = read_later(program);
    let mut first = 0;
    for kind in [CoreKind::Cube, CoreKind::Vector] {
        let Some(body) = program.body(kind) else { continue };
        let tree = tree::build(program, body, first);
        first += tree::loops(body);
        let mut all: BTreeMap<u32, usize> = BTreeMap::new();
        for &n in &tree.root {
            for (b, u) in uses(&tree, n) {
                *all.entry(b).or_default() += u.accesses;
            }
        }
        for n in 0..tree.nodes.len() {
            let Kind::Turns(_, number) = tree.nodes[n].kind else { continue };
            if !tree.is_inner(n) {
                continue;
            }
            for (b, u) in uses(&tree, n) {
                let shared = u.pipes.len() > 1 && !u.pipes.contains(&Pipe::S);
                if (shared && u.written_first || later.contains(&b)) && all.get(&b) == Some(&u.accesses) {
                    let buffer = &program.buffers[b as usize];
                    let align = u64::from(kcc_davinci::Chip::alignment(buffer.space));
                    slots.insert(b, (number, u64::from(buffer.bytes).next_multiple_of(align)));
                }
            }
        }
    }
    slots
}

/// Gives buffers their slots.
pub(crate) fn apply(program: &mut Program, slots: &Slots) {
    for (i, b) in program.buffers.iter_mut().enumerate() {
        b.slots = 1;
        if let Some((_, bytes)) = slots.get(&(i as u32)) {
            (b.slots, b.bytes) = (2, u32::try_from(*bytes).unwrap_or(b.bytes));
        }
    }
}

/// The slots that a program's buffers have, with the loops that alternate them: what [`choose`] would choose, and what lies in the
/// place of such a buffer.
pub(crate) fn given(program: &Program) -> Slots {
    let has = |b: &u32| program.buffers[*b as usize].slots > 1;
    let mut slots: Slots = choose(program).into_iter().filter(|(b, _)| has(b)).collect();
    let home = |i: usize| (program.buffers[i].space, program.buffers[i].address);
    let homes: Vec<_> = slots.iter().map(|(b, s)| (home(*b as usize), *s)).collect();
    for i in 0..program.buffers.len() {
        let b = i as u32;
        if let (true, false) = (has(&b), slots.contains_key(&b))
            && let Some((_, s)) = homes.iter().find(|(h, _)| h.1.is_some() && *h == home(i))
        {
            slots.insert(b, *s);
        }
    }
    slots
}

/// Takes the slots of a buffer of a memory back; whether there was one. The largest of those that are not brought in goes first:
/// they hide less. Where pieces of products are, all go: many of them take turns in each other's places, and a few that keep two for
/// themselves would leave the others one.
pub(crate) fn give_up(program: &Program, slots: &mut Slots, space: Space) -> bool {
    if matches!(space, Space::L0a | Space::L0b | Space::L0c) {
        let before = slots.len();
        slots.retain(|b, _| program.buffers[*b as usize].space != space);
        return slots.len() < before;
    }
    let mut brought = BTreeSet::new();
    for kind in [CoreKind::Cube, CoreKind::Vector] {
        program.walk(kind, &mut |s| {
            if let Stmt::Issue { instr, .. } = s
                && instr.pipe() == Some(Pipe::Mte2)
            {
                brought.extend(instr.locals().writes.iter().map(|l| l.buffer));
            }
        });
    }
    let of = |b: &u32| &program.buffers[*b as usize];
    let later = read_later(program);
    let spare = |b: &u32| of(b).space == space && !later.contains(b);
    let mut all: Vec<u32> = slots.keys().copied().filter(spare).collect();
    all.sort_unstable();
    let last = all.into_iter().max_by_key(|b| (!brought.contains(b), of(b).bytes));
    last.is_some_and(|b| slots.remove(&b).is_some())
}
