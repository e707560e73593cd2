//! Puts each wait before the first work that needs it and each set behind the last work that it announces, so that pipes wait for
//! nothing more than they must.
//!
//! ```text
//! wait  load  load'  …  work  work'  set          load and work' have nothing to do with it
//! load  wait  load'  …  work  set  work'
//! ```
//! Merged tokens and what was taken out before leave room on either side; the replay says how far.

use super::replay::{Item, Order};
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

pub(super) fn run(tree: &Tree, order: &mut Order, right: impl Fn(Order) -> bool) {
    let lists = lists(tree);
    for i in 0..order.items.len() {
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
        Item::Event { from, to, after, before, .. } | Item::Token { from, to, after, before, .. } => {
            let (place, pipe) = if later { (before, *to) } else { (after, *from) };
            *place = near(tree, lists, *place, pipe, later)?;
        }
        Item::Barrier { pipe, before } if later => *before = near(tree, lists, *before, *pipe, later)?,
        _ => return None,
    }
    Some(new)
}
