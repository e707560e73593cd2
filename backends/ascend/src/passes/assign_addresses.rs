//! Gives every buffer an address: buffers that are never in use at the same time share bytes.
//!
//! A buffer is in use from its first to its last mention. One that is mentioned in a loop and outside it is in use for the whole
//! loop, since the next turn may read it. A result takes the place of an operand that nobody reads any more, where elements
//! meet only their own kind.

use super::order::Slots;
use kcc_compiler::Error;
use kcc_compiler::nowhere;
use kcc_davinci::Chip;
use kcc_davinci::ir::*;
use std::collections::BTreeMap;

/// First and last statement of a use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    first: usize,
    last: usize,
}

impl Range {
    fn meets(self, o: Range) -> bool {
        self.first <= o.last && o.first <= self.last
    }

    /// Statements between two uses that do not meet.
    fn distance(self, o: Range) -> usize {
        if self.last < o.first { o.first - self.last } else { self.first.saturating_sub(o.last) }
    }
}

/// The buffers that a statement itself mentions.
pub(super) fn mentioned(s: &Stmt) -> Vec<u32> {
    match s {
        Stmt::Issue { instr, .. } => {
            let l = instr.locals();
            l.reads.iter().chain(&l.writes).map(|p| p.buffer).collect()
        }
        Stmt::Let { value: Scalar::LoadLocal { src, .. }, .. } => vec![src.buffer],
        _ => Vec::new(),
    }
}

/// Results that may lie where an operand lies: element by element, of one width.
fn in_place(i: &Instr) -> Vec<(u32, u32)> {
    let start = |l: &Local| l.offset == Val::Const(0);
    let dense = |s: &Span| matches!(s, Span::Count { .. });
    let of = |dst: &Local, sources: &[&Local]| -> Vec<(u32, u32)> {
        let ok = |s: &&&Local| start(dst) && start(s) && s.buffer != dst.buffer;
        sources.iter().filter(ok).map(|s| (dst.buffer, s.buffer)).collect()
    };
    match i {
        Instr::VUnary(i) if dense(&i.span) => of(&i.dst, &[&i.src]),
        Instr::VScalar(i) if dense(&i.span) => of(&i.dst, &[&i.src]),
        Instr::VBinary(i) if dense(&i.span) => of(&i.dst, &[&i.a, &i.b]),
        Instr::Cast(i) if dense(&i.span) && i.to.bytes() == i.from.bytes() => of(&i.dst, &[&i.src]),
        Instr::Select(i) => of(&i.dst, &[&i.a, &i.b]),
        Instr::SelectScalar(i) => of(&i.dst, &[&i.a]),
        _ => Vec::new(),
    }
}

/// The lowest bytes that are free during a use.
fn lowest(placed: &Placed, range: Range, bytes: u64) -> u64 {
    let mut near: Vec<(u64, u64)> =
        placed.iter().filter(|p| p.2.meets(range)).map(|(from, to, _)| (*from, *to)).collect();
    near.sort_unstable();
    let mut at = 0;
    for (from, to) in near {
        if at + bytes <= from {
            break;
        }
        at = at.max(to);
    }
    at
}

/// Free bytes, below a limit if there are such, whose other uses are farthest from this one.
fn farthest(placed: &Placed, range: Range, bytes: u64, limit: u64) -> u64 {
    let mut starts: Vec<u64> = placed.iter().flat_map(|p| [p.0, p.1]).chain([0]).collect();
    starts.sort_unstable();
    starts.dedup();
    let mut best = None;
    for at in starts {
        let over = |p: &&(u64, u64, Range)| p.0 < at + bytes && at < p.1;
        if at + bytes > limit || placed.iter().any(|p| over(&p) && p.2.meets(range)) {
            continue;
        }
        let away = placed.iter().filter(over).map(|p| p.2.distance(range)).min().unwrap_or(usize::MAX);
        if best.is_none_or(|(far, _)| away > far) {
            best = Some((away, at));
        }
    }
    best.map_or_else(|| lowest(placed, range, bytes), |b| b.1)
}

struct Uses {
    at: usize,
    /// Result, operand, statement.
    pairs: Vec<(u32, u32, usize)>,
    ranges: BTreeMap<u32, Range>,
    /// Loops, as ranges of statements, in order of their starts.
    loops: Vec<Range>,
}

impl Uses {
    fn walk(&mut self, stmts: &[Stmt]) {
        for s in stmts {
            let first = self.at;
            self.at += 1;
            let number = matches!(s, Stmt::For { .. } | Stmt::While { .. }).then_some(self.loops.len());
            if number.is_some() {
                self.loops.push(Range { first, last: first });
            }
            if let Stmt::Issue { instr, .. } = s {
                self.pairs.extend(in_place(instr).into_iter().map(|(d, o)| (d, o, first)));
            }
            for b in mentioned(s) {
                let r = self.ranges.entry(b).or_insert(Range { first, last: first });
                r.last = first;
            }
            for b in s.blocks() {
                self.walk(b);
            }
            if let Some(l) = number {
                self.loops[l] = Range { first, last: self.at };
                self.at += 1;
            }
        }
    }

    /// Widens uses over loops that they cross, until nothing changes.
    fn settle(&mut self) {
        loop {
            let mut changed = false;
            for r in self.ranges.values_mut() {
                for l in &self.loops {
                    let meets = r.first <= l.last && r.last >= l.first;
                    let within = r.first >= l.first && r.last <= l.last;
                    if meets && !within {
                        let wide = Range { first: r.first.min(l.first), last: r.last.max(l.last) };
                        changed |= wide != *r;
                        *r = wide;
                    }
                }
            }
            if !changed {
                return;
            }
        }
    }
}

pub(crate) fn run(program: &mut Program, slots: &mut Slots, chip: &Chip) -> Result<(), (Space, Error)> {
    let mut uses = Uses { at: 0, pairs: Vec::new(), ranges: BTreeMap::new(), loops: Vec::new() };
    for kind in [CoreKind::Cube, CoreKind::Vector] {
        if let Some(body) = program.body(kind) {
            uses.walk(body);
        }
    }
    uses.settle();
    // Buffers that lie in another's place.
    let mut homes: BTreeMap<u32, u32> = BTreeMap::new();
    for (dst, src, at) in uses.pairs.clone() {
        let home = homes.get(&src).copied().unwrap_or(src);
        let (Some(d), Some(h)) = (uses.ranges.get(&dst).copied(), uses.ranges.get(&home).copied()) else {
            continue;
        };
        let fits = program.buffers[dst as usize].total() <= program.buffers[home as usize].total();
        // In the place of a buffer with slots, a result has slots itself: it must live within the same turn.
        let within = match slots.get(&home).map(|s| uses.loops[s.0]) {
            Some(l) => d.first > l.first && d.last < l.last,
            None => true,
        };
        if d.first == at
            && h.last == at
            && fits
            && within
            && !slots.contains_key(&dst)
            && !homes.contains_key(&dst)
        {
            if let Some(s) = slots.get(&home).copied() {
                slots.insert(dst, s);
                let bytes = program.buffers[home as usize].bytes;
                let b = &mut program.buffers[dst as usize];
                (b.slots, b.bytes) = (2, bytes);
            }
            homes.insert(dst, home);
            uses.ranges.insert(home, Range { first: h.first, last: d.last });
            uses.ranges.remove(&dst);
        }
    }
    // Slots are in use for the whole loop.
    for (b, (l, _)) in slots.iter() {
        if let (Some(r), Some(l)) = (uses.ranges.get_mut(b), uses.loops.get(*l)) {
            *r = *l;
        }
    }
    for space in Space::ALL {
        place(program, chip, space, &uses.ranges).map_err(|e| (space, e))?;
    }
    for (b, home) in homes {
        program.buffers[b as usize].address = program.buffers[home as usize].address;
    }
    Ok(())
}

/// Where buffers lie: bytes, and when they are in use.
type Placed = Vec<(u64, u64, Range)>;

/// Buffers of fewer bytes are small.
const SMALL: u64 = 4 << 10;

/// How buffers are placed, one way after another until there is room.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Largest first, where bytes were free for long, so that what one buffer leaves is not waited for by the next.
    Apart,
    /// The same for large ones, behind the small ones, which lie close together.
    LargeApart,
    /// Largest first, the lowest free bytes.
    Close,
}

fn place(
    program: &mut Program,
    chip: &Chip,
    space: Space,
    ranges: &BTreeMap<u32, Range>,
) -> Result<(), Error> {
    let align = u64::from(Chip::alignment(space));
    let bytes = |p: &Program, b: u32| p.buffers[b as usize].total().next_multiple_of(align);
    let mut order: Vec<(u32, u64)> = (0..program.buffers.len() as u32)
        .filter(|b| program.buffers[*b as usize].space == space && ranges.contains_key(b))
        .map(|b| (b, bytes(program, b)))
        .collect();
    let capacity = u64::from(chip.capacity(space));
    let mut most = 0;
    for way in [Way::Apart, Way::LargeApart, Way::Close] {
        order.sort_by_key(|(b, n)| (way == Way::LargeApart && *n >= SMALL, std::cmp::Reverse(*n), *b));
        let mut placed = Placed::new();
        for (b, n) in &order {
            let (range, n) = (ranges[b], *n);
            let apart = way == Way::Apart || way == Way::LargeApart && n >= SMALL;
            let at = if apart { farthest(&placed, range, n, capacity) } else { lowest(&placed, range, n) };
            program.buffers[*b as usize].address = Some(u32::try_from(at).unwrap_or(u32::MAX));
            placed.push((at, at + n, range));
        }
        most = placed.iter().map(|p| p.1).max().unwrap_or(0);
        if most <= capacity {
            break;
        }
    }
    if most > capacity {
        let times = most.div_ceil(capacity).next_power_of_two();
        return Err(nowhere()
            .invalid(format!(
                "the tiles of `{}` need {most} bytes of the {} memory, a core of {} has {capacity}",
                program.name,
                space.name(),
                chip.name
            ))
            .help(format!("divide a block size of the kernel by {times}")));
    }
    Ok(())
}
