//! A core's statements as a tree whose leaves are work of one pipe.
//!
//! ```text
//! leaf     an instruction, a computation, or a loop or branch in which one pipe works (and the scalar unit reads)
//! turns    a loop of several pipes
//! fence    a branch or `while` of several pipes: nothing is under way where it starts and where its blocks end
//! ```

use super::items::Says;
use super::places::{Access, Place, Touch, of_instr, of_scalar};
use kcc_davinci::ir::*;
use kcc_dsl::ir::LocId;
use std::collections::HashMap;

/// What a node is.
#[derive(Clone, Debug)]
pub(in crate::passes) enum Kind {
    Leaf,
    /// A loop; its number among the loops of the program.
    Turns(Vec<usize>, usize),
    /// Blocks between barriers of all pipes.
    Fence(Vec<Vec<usize>>),
}

/// A statement; without its blocks, unless it is a leaf.
#[derive(Clone, Debug)]
pub(in crate::passes) struct Node {
    pub stmt: Stmt,
    pub kind: Kind,
    /// Of a leaf, in order.
    pub accesses: Vec<Access>,
    /// A flag to other cores, raised by that pipe.
    pub hands_over: Option<Pipe>,
    /// Its number.
    pub raises: Option<u8>,
    /// What it says of what was read.
    pub says: Says,
    /// A flag of other cores that is waited for.
    pub awaits: Option<u8>,
    /// Nothing is under way behind it.
    pub drains: bool,
    /// In how many of the last turns of its loop it is not done.
    pub ahead: usize,
    /// In how many of the first turns of its loop it is not done.
    pub later: usize,
    /// Of a fence: elements that the scalar unit touches in its last block may be under way behind it.
    pub trails: bool,
}

pub(in crate::passes) struct Tree {
    pub nodes: Vec<Node>,
    pub root: Vec<usize>,
}

struct Builder<'a> {
    program: &'a Program,
    nodes: Vec<Node>,
    loops: usize,
}

/// The tree of a body whose first loop has that number.
pub(in crate::passes) fn build(program: &Program, body: &[Stmt], first_loop: usize) -> Tree {
    let mut b = Builder { program, nodes: Vec::new(), loops: first_loop };
    let root = b.block(body, false);
    Tree { nodes: b.nodes, root }
}

/// Loops in a list of statements.
pub(in crate::passes) fn loops(stmts: &[Stmt]) -> usize {
    stmts
        .iter()
        .map(|s| {
            usize::from(matches!(s, Stmt::For { .. } | Stmt::While { .. }))
                + s.blocks().iter().map(|b| loops(b)).sum::<usize>()
        })
        .sum()
}

fn accesses(program: &Program, s: &Stmt, out: &mut Vec<Access>) {
    match s {
        Stmt::Let { value, .. } => out.extend(of_scalar(program, value)),
        Stmt::Issue { instr: Instr::Barrier(Barrier { pipe: Pipes::One(p) }), .. } => {
            out.iter_mut().filter(|a| a.pipe == *p).for_each(|a| a.sealed = true);
        }
        Stmt::Issue { instr, .. } => out.extend(of_instr(program, instr)),
        _ => s.blocks().iter().for_each(|b| b.iter().for_each(|s| accesses(program, s, out))),
    }
}

/// The flags that a statement raises and waits for; the last of each.
fn numbers(s: &Stmt) -> (Option<u8>, Option<u8>) {
    match s {
        Stmt::Issue { instr: Instr::CrossSet(c), .. } => (Some(c.flag), None),
        Stmt::Issue { instr: Instr::CrossWait(c), .. } => (None, Some(c.flag)),
        _ => s
            .blocks()
            .iter()
            .flat_map(|b| b.iter())
            .map(numbers)
            .fold((None, None), |(a, b), (c, d)| (c.or(a), d.or(b))),
    }
}

/// Pipes that raise flags.
fn raised(s: &Stmt, out: &mut Vec<Pipe>) {
    match s {
        Stmt::Issue { instr: Instr::CrossSet(c), .. } => out.push(c.pipe),
        _ => s.blocks().iter().for_each(|b| b.iter().for_each(|s| raised(s, out))),
    }
}

/// Whether it holds anything that orders all pipes, or events.
fn orders(s: &Stmt) -> bool {
    match s {
        Stmt::Issue {
            instr: Instr::Barrier(Barrier { pipe: Pipes::One(_) }) | Instr::CrossSet(_) | Instr::CrossWait(_),
            ..
        } => false,
        Stmt::Issue { instr, .. } => instr.is_sync(),
        _ => s.blocks().iter().any(|b| b.iter().any(orders)),
    }
}

impl Builder<'_> {
    /// `idle`: nothing is under way where the block starts.
    fn block(&mut self, stmts: &[Stmt], idle: bool) -> Vec<usize> {
        let mut out = Vec::new();
        for s in stmts {
            let idle = idle && out.iter().all(|n| self.rests(*n));
            self.stmt(s, &mut out, idle);
        }
        out
    }

    /// Whether a node leaves nothing under way that was not before.
    fn rests(&self, n: usize) -> bool {
        let n = &self.nodes[n];
        match n.kind {
            // What the scalar unit reads of global memory it has when it goes on; a flag hurts nobody.
            Kind::Leaf => n.accesses.iter().all(|a| a.pipe == Pipe::S && a.buffer().is_none()),
            Kind::Turns(..) => false,
            Kind::Fence(_) => !n.trails,
        }
    }

    /// Whether a node leaves nothing under way but the scalar unit's elements.
    fn is_scalar(&self, n: usize) -> bool {
        let n = &self.nodes[n];
        match n.kind {
            Kind::Leaf => n.accesses.iter().all(|a| a.pipe == Pipe::S),
            Kind::Turns(..) => false,
            Kind::Fence(_) => true,
        }
    }

    fn push(&mut self, stmt: Stmt, kind: Kind, accesses: Vec<Access>) -> usize {
        self.nodes.push(Node {
            stmt,
            kind,
            accesses,
            hands_over: None,
            raises: None,
            says: Says::All,
            awaits: None,
            drains: false,
            ahead: 0,
            later: 0,
            trails: false,
        });
        self.nodes.len() - 1
    }

    fn drain(&mut self) -> usize {
        let n = self.push(Stmt::issue(Barrier { pipe: Pipes::All }, LocId(0)), Kind::Leaf, Vec::new());
        self.nodes[n].drains = true;
        n
    }

    fn stmt(&mut self, s: &Stmt, out: &mut Vec<usize>, idle: bool) {
        let (mut all, mut flags) = (Vec::new(), Vec::new());
        accesses(self.program, s, &mut all);
        let compound = !s.blocks().is_empty();
        if compound {
            raised(s, &mut flags);
            let mut pipes: Vec<Pipe> =
                all.iter().map(|a| a.pipe).chain(flags.iter().copied()).filter(|p| *p != Pipe::S).collect();
            pipes.sort_unstable();
            pipes.dedup();
            let written = |p: Pipe| all.iter().any(|a| a.pipe == p && a.write);
            let simple = pipes.is_empty() || pipes.len() == 1 && !written(Pipe::S) && !reads_result(&all);
            if !simple || orders(s) || self.meets_itself(s) {
                return self.compound(s, out, idle);
            }
            self.loops += loops(std::slice::from_ref(s));
            // What the scalar unit reads is known before the pipe's work is issued.
            all.sort_by_key(|a| a.pipe != Pipe::S);
        }
        let n = self.push(s.clone(), Kind::Leaf, all);
        self.nodes[n].hands_over = flags.first().copied();
        (self.nodes[n].raises, self.nodes[n].awaits) = numbers(s);
        if let Stmt::Issue { instr, .. } = s {
            match instr {
                Instr::CrossSet(c) => self.nodes[n].hands_over = Some(c.pipe),
                Instr::Barrier(b) => self.nodes[n].drains = b.pipe == Pipes::All,
                _ => {}
            }
        }
        out.push(n);
    }

    /// Whether vector instructions of a loop or branch conflict with each other: they need barriers between them.
    fn meets_itself(&self, s: &Stmt) -> bool {
        fn collect(program: &Program, s: &Stmt, out: &mut Vec<Vec<Access>>) {
            match s {
                Stmt::Issue { instr, .. } if instr.pipe() == Some(Pipe::V) => {
                    out.push(of_instr(program, instr))
                }
                _ => s.blocks().iter().for_each(|b| b.iter().for_each(|s| collect(program, s, out))),
            }
        }
        let mut all = Vec::new();
        collect(self.program, s, &mut all);
        let writes = |a: &[Access]| a.iter().any(|a| a.write && !a.part);
        let conflict = |a: &Access, b: &Access| match (a.touch, b.touch) {
            (Touch::Local(p), Touch::Local(q)) => (a.write || b.write) && !(a.part && b.part) && p.meets(&q),
            _ => false,
        };
        let meet = |x: &[Access], y: &[Access]| x.iter().any(|a| y.iter().any(|b| conflict(a, b)));
        fn turns(s: &Stmt) -> bool {
            matches!(s, Stmt::For { .. } | Stmt::While { .. })
                || s.blocks().iter().any(|b| b.iter().any(turns))
        }
        turns(s) && all.iter().any(|a| writes(a))
            || all.iter().enumerate().any(|(i, x)| all[..i].iter().any(|y| meet(x, y)))
    }

    fn compound(&mut self, s: &Stmt, out: &mut Vec<usize>, idle: bool) {
        let mut shell = s.clone();
        shell.blocks_mut().into_iter().for_each(Vec::clear);
        if let Stmt::For { body, .. } = s {
            let number = self.loops;
            self.loops += 1;
            let inner = self.block(body, false);
            let n = self.push(shell, Kind::Turns(inner, number), Vec::new());
            out.push(n);
            return;
        }
        self.loops += usize::from(matches!(s, Stmt::While { .. }));
        if !idle {
            let before = self.drain();
            out.push(before);
        }
        let (mut blocks, mut trails) = (Vec::new(), false);
        let last_block = s.blocks().iter().rposition(|b| !b.is_empty());
        for (i, b) in s.blocks().into_iter().enumerate() {
            // A loop that is none of `for` comes to its blocks again, each time with nothing under way.
            let mut inner = self.block(b, true);
            let fence = |n: &usize| matches!(self.nodes[*n].kind, Kind::Fence(_));
            let last = inner.iter().rposition(|n| self.nodes[*n].drains || fence(n));
            // What was before a fence is done; what is in it need not be.
            let since = &inner[last.map_or(0, |l| if fence(&inner[l]) { l } else { l + 1 })..];
            if !since.iter().all(|n| self.rests(*n)) {
                // Behind a branch's last block no other block of it follows: an event behind the branch does for elements.
                let branch = matches!(s, Stmt::If { .. }) && Some(i) == last_block;
                if branch && since.iter().all(|n| self.is_scalar(*n)) {
                    trails = true;
                } else {
                    inner.push(self.drain());
                }
            }
            blocks.push(inner);
        }
        let n = self.push(shell, Kind::Fence(blocks), Vec::new());
        self.nodes[n].trails = trails;
        out.push(n);
    }
}

/// Whether the scalar unit reads elements that a pipe writes.
fn reads_result(all: &[Access]) -> bool {
    let read = all.iter().filter(|a| a.pipe == Pipe::S && !a.write);
    let written = |p: &Place| {
        let meets = |a: &Access| matches!(a.touch, Touch::Local(q) if q.meets(p));
        all.iter().any(|a| a.pipe != Pipe::S && a.write && meets(a))
    };
    read.into_iter().any(|a| matches!(a.touch, Touch::Local(p) if written(&p)))
}

impl Tree {
    /// Marks what is done under one of these conditions, which are false in so many last turns, or first ones. Of flags, what they say of
    /// what was read.
    pub fn mark(
        &mut self,
        heads: &HashMap<Reg, usize>,
        tails: &HashMap<Reg, usize>,
        says: &HashMap<u8, Says>,
    ) {
        for n in &mut self.nodes {
            n.says = n.raises.and_then(|f| says.get(&f)).copied().unwrap_or_default();
            if let Stmt::If { condition: Val::Reg(r), .. } = &n.stmt {
                n.ahead = heads.get(r).copied().unwrap_or(0);
                n.later = tails.get(r).copied().unwrap_or(0);
            }
        }
    }

    /// Calls `f` with each leaf below a node.
    pub fn leaves(&self, n: usize, f: &mut dyn FnMut(&Node)) {
        let node = &self.nodes[n];
        match &node.kind {
            Kind::Leaf => f(node),
            Kind::Turns(b, _) => b.iter().for_each(|n| self.leaves(*n, f)),
            Kind::Fence(bs) => bs.iter().flatten().for_each(|n| self.leaves(*n, f)),
        }
    }

    /// Whether a loop has another loop of several pipes, or a fence, inside.
    pub fn is_inner(&self, n: usize) -> bool {
        match &self.nodes[n].kind {
            Kind::Turns(b, _) => b.iter().all(|n| matches!(self.nodes[*n].kind, Kind::Leaf)),
            _ => false,
        }
    }
}
