//! The statements of a tree, with what orders them, and with slots that change from turn to turn.
//!
//! ```text
//! slot = 0
//! for … { …; slot = 1 - slot }       places in a buffer of two slots: offset + slot · bytes
//! ```

use super::items::{Id, Item, Order, Slots};
use super::tree::{Kind, Tree};
use kcc_davinci::ir::*;
use kcc_dsl::ir::LocId;
use std::collections::BTreeMap;

struct Emit<'a> {
    tree: &'a Tree,
    order: &'a Order,
    slots: &'a Slots,
    regs: u32,
    /// Of loops with slots or with events by parity: the loop's node and number, the slot's register.
    around: Vec<Turn>,
    /// Slots at the start.
    first: Vec<Stmt>,
    /// Registers of loops' slots.
    ended: BTreeMap<usize, Reg>,
}

struct Turn {
    node: usize,
    number: usize,
    slot: Reg,
    /// `slot · factor + offset` in registers, computed at the start of a turn.
    sums: BTreeMap<(i64, i64), Reg>,
}

fn registers(stmts: &[Stmt]) -> u32 {
    let mut n = 0;
    for s in stmts {
        match s {
            Stmt::Let { to, .. } => n = n.max(to.0 + 1),
            Stmt::For { counter, .. } => n = n.max(counter.0 + 1),
            _ => {}
        }
        for b in s.blocks() {
            n = n.max(registers(b));
        }
    }
    n
}

pub(super) fn run(tree: &Tree, order: &Order, slots: &Slots, body: &[Stmt]) -> Vec<Stmt> {
    let mut e = Emit {
        tree,
        order,
        slots,
        regs: registers(body),
        around: Vec::new(),
        first: Vec::new(),
        ended: BTreeMap::new(),
    };
    let inner = e.block(&tree.root);
    let (mut edges, mut turned) = (Vec::new(), Vec::new());
    for i in e.items() {
        match i {
            // Another loop's token has its event.
            Item::Token { shares: Some(_), .. } => {}
            Item::Token { from, to, id: Some(Id::One(n)), .. } => edges.push((*from, *to, *n)),
            Item::Token { from, to, distance: 1, id: Some(Id::Parity(n, node)), .. } => {
                turned.push((*from, *to, *n, *node));
            }
            Item::Token { from, to, id: Some(Id::Parity(n, _)), .. } => {
                edges.extend([(*from, *to, *n), (*from, *to, *n + 1)]);
            }
            _ => {}
        }
    }
    let mut out = std::mem::take(&mut e.first);
    for (from, to, n) in &edges {
        out.push(Stmt::issue(Set { from: *from, to: *to, event: i64::from(*n).into() }, LocId(0)));
    }
    // One of the two, that of the turn before the first.
    for (from, to, n, _) in &turned {
        out.push(Stmt::issue(Set { from: *from, to: *to, event: (i64::from(*n) + 1).into() }, LocId(0)));
    }
    out.extend(inner);
    for (from, to, n) in &edges {
        out.push(Stmt::issue(Wait { from: *from, to: *to, event: i64::from(*n).into() }, LocId(0)));
    }
    for (from, to, n, node) in turned {
        // That of the last turn.
        let event = match e.ended.get(&node).copied() {
            Some(slot) => {
                let r = e.reg();
                out.push(let_(r, int(IntOp::Sub, (i64::from(n) + 1).into(), slot.into())));
                r.into()
            }
            None => (i64::from(n) + 1).into(),
        };
        out.push(Stmt::issue(Wait { from, to, event }, LocId(0)));
    }
    out
}

fn let_(to: Reg, value: Scalar) -> Stmt {
    Stmt::Let { to, value, loc: LocId(0) }
}

fn int(op: IntOp, a: Val, b: Val) -> Scalar {
    Scalar::Int { op, a, b }
}

impl Emit<'_> {
    fn reg(&mut self) -> Reg {
        self.regs += 1;
        Reg(self.regs - 1)
    }

    fn items(&self) -> impl Iterator<Item = &'_ Item> {
        self.order.items.iter().flatten()
    }

    /// `slot · factor + offset` of a loop.
    fn sum(&mut self, turn: usize, factor: i64, offset: i64) -> Val {
        let fresh = Reg(self.regs);
        let t = &mut self.around[turn];
        if (factor, offset) == (1, 0) {
            return t.slot.into();
        }
        let r = *t.sums.entry((factor, offset)).or_insert(fresh);
        if r == fresh {
            self.regs += 1;
        }
        r.into()
    }

    /// The number of an event; of the other one of two, if `other`.
    fn event(&mut self, id: Option<Id>, other: bool) -> Val {
        match id {
            Some(Id::One(e)) => i64::from(e).into(),
            Some(Id::Parity(e, node)) => {
                let turn = self.around.iter().position(|t| t.node == node);
                let (factor, first) = if other { (-1, i64::from(e) + 1) } else { (1, i64::from(e)) };
                turn.map_or(first.into(), |t| self.sum(t, factor, first))
            }
            None => 0.into(),
        }
    }

    fn block(&mut self, nodes: &[usize]) -> Vec<Stmt> {
        let mut out = Vec::new();
        for &n in nodes {
            let loc = match &self.tree.nodes[n].stmt {
                Stmt::Let { loc, .. } | Stmt::Issue { loc, .. } => *loc,
                _ => LocId(0),
            };
            let (mut waits, mut sets) = (Vec::new(), Vec::new());
            for i in self.items() {
                match i {
                    Item::Barrier { pipe, before } if *before == n => {
                        waits.push((Pipes::One(*pipe), None));
                    }
                    Item::All { before } if *before == n => waits.push((Pipes::All, None)),
                    Item::Event { from, to, after, before, id }
                    | Item::Token { from, to, after, before, id, .. } => {
                        if *before == n {
                            let other =
                                matches!(i, Item::Token { distance: 1, id: Some(Id::Parity(..)), .. });
                            waits.push((Pipes::All, Some((*from, *to, *id, other))));
                        }
                        if *after == n {
                            sets.push((*from, *to, *id));
                        }
                    }
                    _ => {}
                }
            }
            for (pipe, event) in waits {
                out.push(match event {
                    None => Stmt::issue(Barrier { pipe }, loc),
                    Some((from, to, id, other)) => {
                        let event = self.event(id, other);
                        Stmt::issue(Wait { from, to, event }, loc)
                    }
                });
            }
            self.node(n, &mut out);
            for (from, to, id) in sets {
                let event = self.event(id, false);
                out.push(Stmt::issue(Set { from, to, event }, loc));
            }
        }
        out
    }

    fn node(&mut self, n: usize, out: &mut Vec<Stmt>) {
        let node = &self.tree.nodes[n];
        let mut stmt = node.stmt.clone();
        match &node.kind {
            Kind::Leaf => self.leaf(stmt, out),
            Kind::Fence(blocks) => {
                let inner: Vec<Vec<Stmt>> = blocks.iter().map(|b| self.block(b)).collect();
                for (b, i) in stmt.blocks_mut().into_iter().zip(inner) {
                    *b = i;
                }
                out.push(stmt);
            }
            Kind::Turns(body, number) => self.turns(n, body, *number, stmt, out),
        }
    }

    fn turns(&mut self, n: usize, body: &[usize], number: usize, mut stmt: Stmt, out: &mut Vec<Stmt>) {
        let by_parity = |i: &Item| match i {
            Item::Event { id: Some(Id::Parity(_, m)), .. }
            | Item::Token { id: Some(Id::Parity(_, m)), .. } => *m == n,
            _ => false,
        };
        let slotted = self.slots.values().any(|(l, _)| *l == number) || self.items().any(by_parity);
        let slot = self.reg();
        if slotted {
            self.ended.insert(n, slot);
            self.first.push(let_(slot, Scalar::Move { value: 0.into() }));
        }
        self.around.push(Turn { node: n, number, slot, sums: BTreeMap::new() });
        let inner = self.block(body);
        let sums = self.around.pop().map(|t| t.sums).unwrap_or_default();
        if let Stmt::For { body, .. } = &mut stmt {
            let mut factors: BTreeMap<i64, Val> = BTreeMap::from([(1, slot.into())]);
            for ((factor, offset), to) in &sums {
                if !factors.contains_key(factor) {
                    let r = self.reg();
                    body.push(let_(r, int(IntOp::Mul, slot.into(), (*factor).into())));
                    factors.insert(*factor, r.into());
                }
                body.push(let_(*to, int(IntOp::Add, factors[factor], (*offset).into())));
            }
            body.extend(inner);
            if slotted {
                body.push(let_(slot, int(IntOp::Sub, 1.into(), slot.into())));
            }
        }
        out.push(stmt);
    }

    /// Places in slots move with the turn.
    fn leaf(&mut self, mut stmt: Stmt, out: &mut Vec<Stmt>) {
        let mut before = Vec::new();
        let mut move_ = |e: &mut Self, l: &mut Local| {
            let Some((number, bytes)) = e.slots.get(&l.buffer) else { return };
            let Some(turn) = e.around.iter().position(|t| t.number == *number) else { return };
            let bytes = *bytes as i64;
            l.offset = match l.offset {
                // In the other slot.
                Val::Const(c) if c >= bytes => e.sum(turn, -bytes, c),
                Val::Const(c) => e.sum(turn, bytes, c),
                v => {
                    let (r, by) = (e.reg(), e.sum(turn, bytes, 0));
                    before.push(let_(r, int(IntOp::Add, v, by)));
                    r.into()
                }
            };
        };
        match &mut stmt {
            Stmt::Let { value, .. } => value.each_local(&mut |l| move_(self, l)),
            Stmt::Issue { instr, .. } => instr.each_local(&mut |l| move_(self, l)),
            _ => {
                for b in stmt.blocks_mut() {
                    let mut inner = Vec::new();
                    for s in std::mem::take(b) {
                        self.leaf(s, &mut inner);
                    }
                    *b = inner;
                }
            }
        }
        out.extend(before);
        out.push(stmt);
    }
}
