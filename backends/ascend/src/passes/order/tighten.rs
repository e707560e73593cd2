//! Puts each wait before the first work that needs it and each set behind the last work that it announces, so that pipes wait for
//! nothing more than they must.
//!
//! ```text
//! wait  load  load'  …  work  work'  set          load and work' have nothing to do with it
//! load  wait  load'  …  work  set  work'
//! ```
//! Merged tokens and what was taken out before leave room on either side; the replay says how far.

use super::items::{Item, Order};
use super::places::{Access, Touch};
use super::tree::{Kind, Tree};
use kcc_davinci::ir::Pipe;

/// The neighbours of each node in its block, as lists.
fn lists(tree: &Tree) -> Vec<&[usize]> {
    let mut out: Vec<&[usize]> = vec![&tree.root];
    for n in &tree.nodes {
        match &n.kind {
            Kind::Leaf => {}
            Kind::Turns(b, _) => out.push(b),
            Kind::Fence(bs) => out.extend(bs.iter().map(Vec::as_slice)),
        }
    }
    out
}

fn works(tree: &Tree, n: usize, pipe: Pipe) -> bool {
    let mut any = false;
    tree.leaves(n, &mut |l| any |= l.accesses.iter().any(|a| a.pipe == pipe));
    any
}

/// The work of a pipe that comes before or behind a node in its block.
fn near(tree: &Tree, lists: &[&[usize]], n: usize, pipe: Pipe, later: bool) -> Option<usize> {
    let list = lists.iter().find(|l| l.contains(&n))?;
    let i = list.iter().position(|m| *m == n)?;
    let does = |m: &&usize| works(tree, **m, pipe);
    if later { list[i + 1..].iter().find(does).copied() } else { list[..i].iter().rev().find(does).copied() }
}

/// Whether work of a pipe meets what the pipe did just before, in its block since the last barrier: the barrier before it is needed
/// right there.
fn meets(tree: &Tree, lists: &[&[usize]], order: &Order, n: usize, pipe: Pipe) -> bool {
    let Some(list) = lists.iter().find(|l| l.contains(&n)) else { return true };
    let barred = |m: usize| {
        let at = |i: &Item| matches!(i, Item::Barrier { pipe: p, before } if *p == pipe && *before == m);
        order.items.iter().flatten().any(at)
    };
    let own = |m: usize| {
        let mut all = Vec::new();
        tree.leaves(m, &mut |l| all.extend(l.accesses.iter().filter(|a| a.pipe == pipe).copied()));
        all
    };
    let here = own(n);
    let i = list.iter().position(|m| *m == n).unwrap_or(0);
    // In a loop, the turn before comes before its first work.
    let turns = tree.nodes.iter().any(|n| matches!(&n.kind, Kind::Turns(b, _) if b == list));
    let earlier = if turns { &list[i + 1..] } else { &[] };
    for m in list[..i].iter().rev().chain(earlier.iter().rev()) {
        let meet = |x: &Access, y: &Access| match (x.touch, y.touch) {
            (Touch::Local(p), Touch::Local(q)) => (x.write || y.write) && p.meets(&q),
            _ => true,
        };
        if own(*m).iter().any(|x| here.iter().any(|y| meet(x, y))) {
            return true;
        }
        if barred(*m) {
            return false;
        }
    }
    true
}

pub(super) fn run(tree: &Tree, order: &mut Order, right: impl Fn(Order) -> bool) {
    let lists = lists(tree);
    for i in 0..order.items.len() {
        // Events within a turn stand where they are needed; so do barriers, unless what they were put in for was taken out.
        let loose = match &order.items[i] {
            Some(Item::Token { .. }) => true,
            Some(Item::Barrier { pipe, before }) => !meets(tree, &lists, order, *before, *pipe),
            _ => false,
        };
        if !loose {
            continue;
        }
        for later in [true, false] {
            while let Some(moved) = order.items[i].as_ref().and_then(|item| step(tree, &lists, item, later)) {
                let old = order.items[i].replace(moved);
                if !right(order.clone()) {
                    order.items[i] = old;
                    break;
                }
            }
        }
    }
}

/// An item whose wait is one work later, or whose set is one work earlier.
fn step(tree: &Tree, lists: &[&[usize]], item: &Item, later: bool) -> Option<Item> {
    let mut new = item.clone();
    match &mut new {
        Item::Token { from, to, after, before, .. } => {
            let (place, pipe) = if later { (before, *to) } else { (after, *from) };
            *place = near(tree, lists, *place, pipe, later)?;
        }
        Item::Barrier { pipe, before } if later => *before = near(tree, lists, *before, *pipe, later)?,
        _ => return None,
    }
    Some(new)
}
