//! Puts work in order: events between pipes, barriers within one, and nothing that is not needed.
//!
//! ```text
//! tree.rs     statements as a tree of work
//! places.rs   the bytes that an instruction touches
//! tighten.rs  waits as late, sets as early as they may be
//! replay.rs   goes through the tree with what each pipe knows to be done, and mends what is missing
//! emit.rs     the statements again, with sets, waits and barriers
//! ```
//! What was put in is then taken out piece by piece; what the replay does not miss stays out. So each set, wait and barrier that
//! is left has a hazard behind it. At last events get numbers that are surely free when they are raised.

mod bits;
mod emit;
pub(super) mod places;
mod replay;
mod tighten;
pub(super) mod tree;

use kcc_compiler::{Error, bug};
use kcc_davinci::Chip;
use kcc_davinci::ir::{Barrier, CoreKind, Pipes, Program, Reg, Stmt};
use kcc_dsl::ir::LocId;
pub(crate) use replay::{Answer, DRAINED, Hints, Slots};
use replay::{Id, Item, Order, run as replay};
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
/// turns apart, where there is time enough; and those between neighbours, if `near`.
fn merge(order: &mut Order, near: bool) {
    for i in 0..order.items.len() {
        for j in i + 1..order.items.len() {
            let (Some(Item::Token { from, to, after, before, turns, distance, .. }), Some(other)) =
                (order.items[i].clone(), order.items[j].clone())
            else {
                continue;
            };
            if let Item::Token { from: f, to: t, after: a, before: b, turns: n, distance: d, .. } = other
                && (f, t, n, d) == (from, to, turns, distance)
                && (distance == 2 || near)
            {
                let (after, before) = (after.max(a), before.min(b));
                order.items[i] = Some(Item::Token { from, to, after, before, turns, distance, id: None });
                order.items[j] = None;
            }
        }
    }
}

/// Numbers for events; whether all got one. Those that did not become barriers of all pipes.
fn number(tree: &Tree, slots: &Slots, answers: &[Answer], order: &mut Order, events: u8) -> bool {
    let parents = parents(tree);
    let mut all = true;
    for i in 0..order.items.len() {
        let Some(item) = order.items[i].clone() else { continue };
        let (before, candidates): (usize, Vec<Id>) = match &item {
            Item::Event { before, .. } => {
                let one = (0..events).map(Id::One);
                let two =
                    parents[*before].into_iter().flat_map(|n| (0..events - 1).map(move |e| Id::Parity(e, n)));
                (*before, one.chain(two).collect())
            }
            Item::Token { before, distance: 1, .. } => (*before, (0..events).map(Id::One).collect()),
            Item::Token { before, turns, .. } => {
                (*before, (0..events - 1).map(|e| Id::Parity(e, *turns)).collect())
            }
            _ => continue,
        };
        if matches!(item, Item::Event { id: Some(_), .. } | Item::Token { id: Some(_), .. }) {
            continue;
        }
        let fits = candidates.into_iter().any(|c| {
            if let Some(Item::Event { id, .. } | Item::Token { id, .. }) = &mut order.items[i] {
                *id = Some(c);
            }
            replay(tree, slots, answers, order.clone(), (false, true)).is_ok()
        });
        if !fits {
            order.items[i] = Some(Item::All { before });
            all = false;
        }
    }
    all
}

/// What must be there, and no more.
fn settled(
    program: &Program,
    tree: &Tree,
    slots: &Slots,
    answers: &[Answer],
    (chip, either): (&Chip, bool),
) -> Result<Order, Error> {
    let missing = |_| bug(format!("the order of `{}`", program.name));
    let mut order = Order { either, ..Order::default() };
    let prune = |order: &mut Order, ids: bool| {
        for i in (0..order.items.len()).rev() {
            let Some(item) = order.items[i].take() else { continue };
            if replay(tree, slots, answers, order.clone(), (false, ids)).is_err() {
                order.items[i] = Some(item);
            }
        }
    };
    loop {
        order = replay(tree, slots, answers, order, (true, false)).map_err(missing)?;
        merge(&mut order, false);
        prune(&mut order, true);
        if number(tree, slots, answers, &mut order, u8::try_from(chip.events).unwrap_or(1)) {
            break;
        }
        // Barriers of all pipes leave little to do for others.
        prune(&mut order, true);
    }
    tighten::run(tree, &mut order, |o| replay(tree, slots, answers, o, (false, true)).is_ok());
    Ok(order)
}

/// `hints`: what flags of each kind of core say of its own, and what is not done in loops' last turns.
pub(crate) fn run(program: &mut Program, slots: &Slots, hints: &Hints, chip: &Chip) -> Result<(), Error> {
    let mut first = 0;
    for kind in [CoreKind::Cube, CoreKind::Vector] {
        let Some(body) = program.body(kind).cloned() else { continue };
        let answers: Vec<Answer> = hints.answers.iter().filter(|a| a.0 == kind).map(|a| a.1).collect();
        let answers = &answers[..];
        let mut tree = tree::build(program, &body, first);
        let heads: Vec<Reg> = hints.heads.iter().filter(|a| a.0 == kind).map(|a| a.1).collect();
        tree.mark(&heads);
        let tree = tree;
        first += tree::loops(&body);
        // Mostly an order that holds where loops end in one slot holds in either.
        let mut order = settled(program, &tree, slots, answers, (chip, false))?;
        order.either = true;
        if replay(&tree, slots, answers, order.clone(), (false, true)).is_err() {
            order = settled(program, &tree, slots, answers, (chip, true))?;
        }
        let mut done = emit::run(&tree, &order, slots, &body);
        done.push(Stmt::issue(Barrier { pipe: Pipes::All }, LocId(0)));
        if let Some(b) = program.body_mut(kind) {
            *b = done;
        }
    }
    Ok(())
}
