//! Puts work in order: events between pipes, barriers within one, and nothing that is not needed.
//!
//! ```text
//! tree.rs     statements as a tree of work
//! places.rs   the bytes that an instruction touches
//! tighten.rs  waits as late, sets as early as they may be
//! items.rs    what orders: events, tokens, barriers
//! starts.rs   the runs that an order is tried with
//! replay.rs   goes through the tree with what each pipe knows to be done, and mends what is missing
//! emit.rs     the statements again, with sets, waits and barriers
//! ```
//! What was put in is then taken out piece by piece; what the replay does not miss stays out. So each set, wait and barrier that
//! is left has a hazard behind it. At last events get numbers that are surely free when they are raised.

mod bits;
mod emit;
mod items;
mod memories;
pub(super) mod places;
mod replay;
mod starts;
#[cfg(test)]
mod tests;
mod tighten;
pub(super) mod tree;

pub(crate) use items::{Answer, Hints, Says, Slots};
use items::{Id, Item, Order};
use kcc_compiler::{Error, bug};
use kcc_davinci::Chip;
use kcc_davinci::ir::{Barrier, CoreKind, Pipe, Pipes, Program, Reg, Stmt};
use kcc_dsl::ir::LocId;
use replay::run as replay;
use starts::Start;
use std::collections::{HashMap, HashSet};
use tree::{Kind, Tree};

/// The loop around each node, if it is one of several pipes.
fn parents(tree: &Tree) -> Vec<Option<usize>> {
    fn go(tree: &Tree, nodes: &[usize], around: Option<usize>, out: &mut [Option<usize>]) {
        for &n in nodes {
            out[n] = around;
            match &tree.nodes[n].kind {
                Kind::Leaf => {}
                Kind::Turns(b, _) => go(tree, b, Some(n), out),
                Kind::Fence(bs) => bs.iter().for_each(|b| go(tree, b, None, out)),
            }
        }
    }
    let mut out = vec![None; tree.nodes.len()];
    go(tree, &tree.root, None, &mut out);
    out
}

/// Tokens between the same pipes and turns become one: set behind the last work, waited for before the first. All those of two
/// turns apart, where there is time enough; and those between neighbours, if there are too few events for them.
fn merge(order: &mut Order, near: &HashSet<(Pipe, Pipe)>) {
    for i in 0..order.items.len() {
        for j in i + 1..order.items.len() {
            let (Some(Item::Token { from, to, after, before, turns, distance, .. }), Some(other)) =
                (order.items[i].clone(), order.items[j].clone())
            else {
                continue;
            };
            if let Item::Token { from: f, to: t, after: a, before: b, turns: n, distance: d, .. } = other
                && (f, t, n, d) == (from, to, turns, distance)
                && (distance == 2 || near.contains(&(from, to)))
            {
                let (after, before) = (after.max(a), before.min(b));
                let (id, shares) = (None, None);
                order.items[i] = Some(Item::Token { from, to, after, before, turns, distance, id, shares });
                order.items[j] = None;
            }
        }
    }
}

/// Events of tokens of other loops, between the same pipes, with those tokens.
fn shareable(order: &Order, i: usize) -> Vec<(Id, Option<usize>)> {
    let Some(Item::Token { from, to, turns, .. }) = &order.items[i] else { return Vec::new() };
    let mut out = Vec::new();
    let mut taken = Vec::new();
    for (j, other) in order.items.iter().enumerate() {
        let Some(Item::Token {
            from: f,
            to: t,
            turns: n,
            distance: 1,
            id: Some(id @ Id::One(_)),
            shares,
            ..
        }) = other
        else {
            continue;
        };
        if (f, t) == (from, to) {
            if n == turns {
                taken.push(shares.unwrap_or(j));
            } else if shares.is_none() {
                out.push((*id, Some(j)));
            }
        }
    }
    out.retain(|(_, j)| j.is_some_and(|j| !taken.contains(&j)));
    out
}

/// Whether a loop has several tokens between two pipes for its neighbouring turns.
fn neighbours(order: &Order, pair: (Pipe, Pipe)) -> bool {
    let mut seen = HashSet::new();
    order.items.iter().flatten().any(|i| match i {
        Item::Token { from, to, turns, distance: 1, .. } if (*from, *to) == pair => !seen.insert(*turns),
        _ => false,
    })
}

/// Forgets numbers, which may change.
fn unnumbered(order: &mut Order) {
    for item in order.items.iter_mut().flatten() {
        match item {
            Item::Event { id, .. } => *id = None,
            Item::Token { id, shares, .. } => (*id, *shares) = (None, None),
            _ => {}
        }
    }
}

/// How events got numbers.
enum Numbers {
    /// Each has one.
    Given,
    /// Some became barriers of all pipes.
    Barriers,
    /// There are too many between these pipes, of which some may become one.
    TooMany((Pipe, Pipe)),
}

/// Numbers for events. Those that did not become barriers of all pipes.
fn number(
    tree: &Tree,
    slots: &Slots,
    answers: &[Answer],
    order: &mut Order,
    (events, near): (u8, &HashSet<(Pipe, Pipe)>),
) -> Numbers {
    let parents = parents(tree);
    let mut all = true;
    for i in 0..order.items.len() {
        let Some(item) = order.items[i].clone() else { continue };
        let own = |id: Id| (id, None);
        let (before, candidates): (usize, Vec<(Id, Option<usize>)>) = match &item {
            Item::Event { before, .. } => {
                let one = (0..events).map(Id::One);
                let two =
                    parents[*before].into_iter().flat_map(|n| (0..events - 1).map(move |e| Id::Parity(e, n)));
                (*before, one.chain(two).map(own).collect())
            }
            Item::Token { before, turns, distance: 1, .. } => {
                // An event that a token of another loop has for the whole kernel does for both.
                let shared = shareable(order, i);
                let one = (0..events).map(Id::One);
                // Two, where it may be set again before the wait is done.
                let two = (0..events - 1).map(|e| Id::Parity(e, *turns));
                (*before, shared.into_iter().chain(one.chain(two).map(own)).collect())
            }
            Item::Token { before, turns, .. } => {
                (*before, (0..events - 1).map(|e| own(Id::Parity(e, *turns))).collect())
            }
            _ => continue,
        };
        if matches!(item, Item::Event { id: Some(_), .. } | Item::Token { id: Some(_), .. }) {
            continue;
        }
        let fits = candidates.into_iter().any(|c| {
            if let Some(Item::Event { id, .. } | Item::Token { id, .. }) = &mut order.items[i] {
                *id = Some(c.0);
            }
            if let Some(Item::Token { shares, .. }) = &mut order.items[i] {
                *shares = c.1;
            }
            replay(tree, slots, answers, order.clone(), (false, true)).is_ok()
        });
        if !fits {
            let pair = match item {
                Item::Event { from, to, .. } | Item::Token { from, to, .. } => (from, to),
                _ => continue,
            };
            if !near.contains(&pair) && neighbours(order, pair) {
                return Numbers::TooMany(pair);
            }
            order.items[i] = Some(Item::All { before });
            all = false;
        }
    }
    if all { Numbers::Given } else { Numbers::Barriers }
}

/// What must be there, and no more.
fn settled(
    program: &Program,
    tree: &Tree,
    slots: &Slots,
    answers: &[Answer],
    (chip, starts): (&Chip, &[Start]),
) -> Result<Order, Error> {
    let missing = |_| bug(format!("the order of `{}`", program.name));
    let mut order = Order { starts: starts.to_vec(), ..Order::default() };
    let prune = |order: &mut Order, ids: bool| {
        for i in (0..order.items.len()).rev() {
            let Some(item) = order.items[i].take() else { continue };
            if replay(tree, slots, answers, order.clone(), (false, ids)).is_err() {
                order.items[i] = Some(item);
            }
        }
    };
    let mut near = HashSet::new();
    loop {
        order = replay(tree, slots, answers, order, (true, false)).map_err(missing)?;
        unnumbered(&mut order);
        merge(&mut order, &near);
        prune(&mut order, true);
        let events = u8::try_from(chip.events).unwrap_or(1);
        match number(tree, slots, answers, &mut order, (events, &near)) {
            Numbers::Given => break,
            // Barriers of all pipes leave little to do for others.
            Numbers::Barriers => prune(&mut order, true),
            Numbers::TooMany(pair) => {
                near.insert(pair);
            }
        }
    }
    tighten::run(tree, &mut order, |o| replay(tree, slots, answers, o, (false, true)).is_ok());
    Ok(order)
}

/// A kind of core's work, and what orders it.
struct Ordered {
    kind: CoreKind,
    tree: Tree,
    order: Order,
}

/// The order of each kind of core's work. `hints`: what flags say, and what is not done in loops' first and last turns.
fn ordered(program: &Program, slots: &Slots, hints: &Hints, chip: &Chip) -> Result<Vec<Ordered>, Error> {
    let (mut first, mut out) = (0, Vec::new());
    for kind in [CoreKind::Cube, CoreKind::Vector] {
        let Some(body) = program.body(kind) else { continue };
        let answers = hints.answers_of(kind);
        let mut tree = tree::build(program, body, first);
        let of = |all: &[(CoreKind, Reg, usize)]| -> HashMap<Reg, usize> {
            all.iter().filter(|a| a.0 == kind).map(|a| (a.1, a.2)).collect()
        };
        let says = hints.says.iter().filter(|s| s.0 == kind).map(|s| (s.1, s.2)).collect();
        tree.mark(&of(&hints.heads), &of(&hints.tails), &says);
        first += tree::loops(body);
        // Mostly an order that holds in one run holds in all of them; where it does not, the run that shows it is one more to go
        // through.
        let all = starts::all(&tree);
        let mut starts = all[..1].to_vec();
        let order = loop {
            let order = settled(program, &tree, slots, &answers, (chip, &starts))?;
            let fails = |start: &Start| {
                let order = Order { starts: vec![start.clone()], ..order.clone() };
                replay(&tree, slots, &answers, order, (false, true)).is_err()
            };
            match all.iter().find(|s| !starts.contains(s) && fails(s)) {
                Some(start) => starts.push(start.clone()),
                None => break order,
            }
        };
        out.push(Ordered { kind, tree, order });
    }
    Ok(out)
}

/// Puts a program's work in order.
pub(crate) fn run(program: &mut Program, slots: &Slots, hints: &Hints, chip: &Chip) -> Result<(), Error> {
    for o in ordered(program, slots, hints, chip)? {
        let Some(body) = program.body_mut(o.kind) else { continue };
        let mut done = emit::run(&o.tree, &o.order, slots, body);
        done.push(Stmt::issue(Barrier { pipe: Pipes::All }, LocId(0)));
        *body = done;
    }
    Ok(())
}
