//! Loops in which the cube core runs ahead of the vector cores, as in attention.
//!
//! ```text
//! turn      0       1       2       3       4       5
//! cube      QK 0    QK 1    QK 2    QK 3    …           early products: their operands come from memory
//!                           PV 0    PV 1    …           late products: they wait for vector cores
//! vector            S 0→P 0 S 1→P 1 S 2→P 2 S 3→P 3          the head of a turn
//!                                           O 0     O 1     its tail: what depends on late products, some turns behind
//! ```
//! How far the parts of a turn are apart is counted from what a turn costs ([`super::depth`]). Where there is room for it, operands are copied a turn
//! before their products, so that copies go on beside products that are queued already ([`Plan::copies_ahead`]), and vector cores have a
//! turn's results copied in before they compute ([`Plan::fetches`]).
//!
//! Results of early products have a slot more in the workspace than they are ahead, operands and results of late ones a slot more than tails are
//! behind. Nothing else is needed to keep a slot from being overwritten too soon: that a late product's operand is there tells the cube core that
//! the early results of that turn were read, and a tail that was gone through tells vector cores that the operand was.

use super::Lower;
use super::assign_cores::{Cores, Product};
use super::control::Home;
use super::depth::{Depth, Turn};
use super::values::Held;
use crate::passes::order::{Answer, Says};
use kcc_compiler::Error;
use kcc_davinci::Chip;
use kcc_davinci::ir::*;
use kcc_dsl::ir::{Block, Elem, Kernel, Op, OpKind, ValueId};
use std::collections::{HashMap, HashSet};

/// What is done early in skewed loops, at the cost of room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The cube core has operands copied a turn before their products, to the other slot of their buffers.
    pub copies_ahead: bool,
    /// Vector cores have a turn's results copied in before they compute.
    pub fetches: bool,
}

impl Plan {
    /// All there are, the best first.
    pub const ALL: [Plan; 4] = [
        Plan { copies_ahead: true, fetches: true },
        Plan { copies_ahead: false, fetches: true },
        Plan { copies_ahead: true, fetches: false },
        Plan { copies_ahead: false, fetches: false },
    ];

    /// Turns that copies are ahead of products.
    fn ahead(self) -> usize {
        usize::from(self.copies_ahead)
    }
}

/// The first flag between cores that skewed loops use.
const FIRST_FLAG: u8 = 3;
/// Flags that products have.
const FLAGS: u8 = super::products::PAIR;

/// How a skewed loop's products are exchanged.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    /// Raised by vector cores: operands are there.
    pub ready: Option<u8>,
    /// Raised by the cube core: the result is there.
    pub done: u8,
    /// Bytes from an operand's slot to the next, from a result's to the next.
    pub step: (u64, u64),
    /// Products that are done together.
    pub group: Vec<ValueId>,
    /// It is the first of its group: its result is waited for.
    pub opens: bool,
    /// It is the last: flags are raised.
    pub closes: bool,
}

/// A skewed loop.
#[derive(Clone, Debug, Default)]
pub(crate) struct Skew {
    /// How far its parts are apart.
    pub depth: Depth,
    early: HashSet<ValueId>,
    late: HashSet<ValueId>,
    /// Groups of each, in the order of their operations.
    groups: Vec<Vec<ValueId>>,
    /// Operations of the tail, by index.
    tail: HashSet<usize>,
    /// What the head computes and the tail uses.
    crossing: Vec<ValueId>,
    /// Loads of the cube core for early products.
    early_loads: HashSet<ValueId>,
    late_loads: HashSet<ValueId>,
    pub exchange: HashMap<ValueId, Exchange>,
}

impl Skew {
    /// Products that are done together.
    pub fn groups(&self) -> &[Vec<ValueId>] {
        &self.groups
    }

    /// What the head computes and the tail uses.
    pub fn crossing(&self) -> impl Iterator<Item = ValueId> + '_ {
        self.crossing.iter().copied()
    }
}

/// Whether a value is cheap to compute again for another turn.
fn again(kernel: &Kernel, cores: &Cores, op: &Op) -> bool {
    let scalar = |v: &ValueId| kernel.ty(*v).tile().is_none_or(|t| t.rank() == 0) && !cores.far.contains(v);
    match op.kind {
        OpKind::Constant(_) => true,
        OpKind::Broadcast { .. } => scalar(&op.operands[0]),
        ref k => !k.has_side_effect() && !op.results.is_empty() && op.results.iter().all(scalar),
    }
}

/// The skew of a loop, if there is something to gain and nothing in the way.
pub(super) fn find(kernel: &Kernel, cores: &Cores, op: &Op, chip: &Chip) -> Option<Skew> {
    let region = &op.regions[0];
    let mut s = Skew::default();
    if op.results.iter().any(|r| cores.chains.contains_key(r)) {
        return None;
    }
    // The cube core does a turn's parts one by one: what it would carry from turn to turn is in none of them.
    let carried = |v: &ValueId| kernel.ty(*v).tile().is_none_or(|t| t.rank() == 0) && !cores.far.contains(v);
    if region.args[1..].iter().any(carried) {
        return None;
    }
    let product = |v: &ValueId| cores.products.get(v);
    for o in &region.ops {
        let simple = o.regions.is_empty() && !o.results.iter().any(|r| cores.near.contains(r));
        if !simple {
            return None;
        }
        if let OpKind::Dot { .. } = o.kind {
            let r = o.results[0];
            let p = product(&r)?;
            let batched = kernel.ty(r).tile().is_none_or(|t| t.rank() != 2);
            let through = p.a.workspace.is_some() || p.b.workspace.is_some();
            if batched {
                return None;
            }
            if through {
                s.late.insert(r)
            } else {
                s.early.insert(r)
            };
            for side in [&p.a, &p.b] {
                if side.workspace.is_none() {
                    if through {
                        s.late_loads.insert(side.source)
                    } else {
                        s.early_loads.insert(side.source)
                    };
                }
            }
        }
    }
    let inside: HashSet<ValueId> = region.ops.iter().flat_map(|o| o.results.iter().copied()).collect();
    s.early_loads.retain(|v| inside.contains(v));
    s.late_loads.retain(|v| inside.contains(v));
    let mut last = Vec::new();
    for r in region.ops.iter().filter(|o| matches!(o.kind, OpKind::Dot { .. })).map(|o| o.results[0]) {
        let b = &product(&r)?.b;
        let key = (b.source, b.swapped, s.late.contains(&r), b.workspace);
        match last.iter().position(|k| *k == key && b.workspace.is_none()) {
            Some(i) => s.groups[i].push(r),
            None => {
                last.push(key);
                s.groups.push(vec![r]);
            }
        }
    }
    // That a late operand is there says that early results were read, if those are read first.
    let place = |v: &ValueId| region.ops.iter().position(|o| o.results.first() == Some(v));
    let read = s.early.iter().filter_map(place).max();
    if s.groups.iter().any(|g| s.late.contains(&g[0]) && g.last().and_then(place) < read) {
        return None;
    }
    let flags: usize = s.groups.iter().map(|g| if s.late.contains(&g[0]) { 2 } else { 1 }).sum();
    if s.early.is_empty() || s.late.is_empty() || !s.early_loads.is_disjoint(&s.late_loads) {
        return None;
    }
    if flags > usize::from(FLAGS - FIRST_FLAG) {
        return None;
    }
    // What depends on late products, and carried values that do.
    let mut behind: HashSet<ValueId> = s.late.clone();
    loop {
        let before = behind.len();
        for (k, o) in region.ops.iter().enumerate() {
            let late = o.results.first().is_some_and(|r| s.late.contains(r));
            if !late && o.operands.iter().any(|v| behind.contains(v)) {
                s.tail.insert(k);
                behind.extend(o.results.iter().copied());
            }
        }
        for (i, y) in region.yields.iter().enumerate() {
            if behind.contains(y) {
                behind.insert(region.args[1 + i]);
            }
        }
        if behind.len() == before {
            break;
        }
    }
    // What only spreads something for the tail belongs to it.
    for (k, o) in region.ops.iter().enumerate().rev() {
        let OpKind::Broadcast { .. } = o.kind else { continue };
        let r = o.results[0];
        let needs = |(j, u): (usize, &Op)| {
            let late = u.results.first().is_some_and(|r| s.late.contains(r));
            !u.operands.contains(&r) || s.tail.contains(&j) || late && u.operands[2] == r
        };
        if !region.yields.contains(&r) && region.ops.iter().enumerate().all(needs) {
            s.tail.insert(k);
            behind.insert(r);
        }
    }
    let heads: HashSet<ValueId> =
        (region.args[1..].iter()).filter(|a| !behind.contains(a)).copied().collect();
    let mut wanted: Vec<ValueId> = Vec::new();
    for (k, o) in region.ops.iter().enumerate() {
        let r = o.results.first();
        if r.is_some_and(|r| s.early.contains(r)) && o.operands.iter().any(|v| behind.contains(v)) {
            return None;
        }
        if r.is_some_and(|r| s.late.contains(r)) {
            let p = product(r?)?;
            if [&p.a, &p.b].iter().any(|x| behind.contains(&x.source)) || heads.contains(&o.operands[2]) {
                return None;
            }
            wanted.push(o.operands[2]);
        } else if s.tail.contains(&k) {
            if o.operands.iter().any(|v| heads.contains(v)) {
                return None;
            }
            wanted.extend(&o.operands);
        }
    }
    let cheap: HashSet<ValueId> = region
        .ops
        .iter()
        .filter(|o| again(kernel, cores, o))
        .flat_map(|o| o.results.iter().copied())
        .collect();
    for v in wanted {
        let tile = kernel.ty(v).tile().is_some();
        if inside.contains(&v) && !behind.contains(&v) && !cheap.contains(&v) {
            if !tile {
                return None;
            }
            if !s.crossing.contains(&v) {
                s.crossing.push(v);
            }
        }
    }
    s.depth = depth(kernel, cores, op, &s, chip)?;
    Some(s)
}

/// How far the parts of a loop's turns are apart.
fn depth(kernel: &Kernel, cores: &Cores, op: &Op, s: &Skew, chip: &Chip) -> Option<Depth> {
    let tile = |v: ValueId| kernel.ty(v).tile();
    let mut turn = Turn::default();
    for o in op.regions[0].ops.iter().filter(|o| matches!(o.kind, OpKind::Dot { .. })) {
        let r = o.results[0];
        let early = tile(r).filter(|_| s.early.contains(&r));
        turn.product(tile(o.operands[0])?, tile(o.operands[1])?, early);
        let p = cores.products.get(&r)?;
        for side in [&p.a, &p.b].into_iter().filter(|x| x.workspace.is_some()) {
            turn.operand(tile(side.source)?);
        }
    }
    Some(turn.depth(chip))
}

/// Gives a skewed loop's products flags, and slots in the workspace: `space` takes bytes and gives their place.
pub(super) fn exchange(
    s: &mut Skew,
    products: &mut HashMap<ValueId, Product>,
    bytes: impl Fn(ValueId) -> u64,
    space: &mut dyn FnMut(u64) -> u64,
) {
    let mut flag = FIRST_FLAG;
    let depth = s.depth;
    for group in &s.groups {
        let late = s.late.contains(&group[0]);
        let (ready, done) = if late { (Some(flag), flag + 1) } else { (None, flag) };
        flag = done + 1;
        for (i, v) in group.iter().enumerate() {
            let Some(p) = products.get_mut(v) else { continue };
            let step = bytes(*v).next_multiple_of(512);
            let slots = if late { depth.behind } else { depth.ahead } as u64 + 1;
            p.out = space(step * slots);
            let mut most = 0;
            for side in [&mut p.a, &mut p.b] {
                if side.workspace.is_some() {
                    most = most.max(bytes(side.source).next_multiple_of(512));
                }
            }
            for side in [&mut p.a, &mut p.b] {
                if let Some(at) = &mut side.workspace {
                    *at = space(slots * most);
                }
            }
            let (opens, closes, group) = (i == 0, i + 1 == group.len(), group.clone());
            s.exchange.insert(*v, Exchange { ready, done, step: (most, step), group, opens, closes });
        }
    }
}

/// That a late operand is there says that the early results of its turn were read; that a late result is there, that its operand
/// was.
pub(super) fn answers(s: &Skew, plan: Plan) -> Vec<(CoreKind, Answer)> {
    let mut all = Vec::new();
    for late in s.exchange.values() {
        let Some(ready) = late.ready else { continue };
        // Where results are fetched first, late ones are waited for before the operands of the turn are sent.
        let behind = s.depth.behind - usize::from(plan.fetches);
        let own = Answer { waits: late.done, raises: ready, behind };
        all.push((CoreKind::Vector, own));
        for early in s.exchange.values().filter(|e| e.ready.is_none()) {
            let seen = Answer { waits: ready, raises: early.done, behind: s.depth.ahead };
            all.push((CoreKind::Cube, seen));
        }
    }
    all.sort_by_key(|(k, a)| (*k, a.waits, a.raises));
    all.dedup();
    all
}

/// Flags of the cube core that say less than others: those of early results nothing of operands; those of late results, where copies
/// are ahead, nothing of the next turn's, which are copied before.
pub(super) fn says<'s>(all: impl Iterator<Item = &'s Skew> + Clone, plan: Plan) -> Vec<(CoreKind, u8, Says)> {
    let late = if plan.copies_ahead { Says::Earlier } else { Says::All };
    let of = |e: &Exchange| (e.done, if e.ready.is_none() { Says::Nothing } else { late });
    let each = || all.clone().flat_map(|s| s.exchange.values()).map(of);
    // A flag that loops use differently says all.
    let alone = |(flag, says): &(u8, Says)| each().all(|(f, s)| f != *flag || s == *says);
    let mut out: Vec<(CoreKind, u8, Says)> =
        each().filter(alone).map(|(flag, says)| (CoreKind::Cube, flag, says)).collect();
    out.sort_by_key(|s| s.1);
    out.dedup();
    out
}

/// Statements under a condition: each in a branch of its own, so that pipes stay apart and can be put in order. Fractals that are
/// loaded one after another share a branch; computations need none.
fn guarded(stmts: Vec<Stmt>, condition: Val) -> Vec<Stmt> {
    fn idle(s: &Stmt) -> bool {
        match s {
            Stmt::Let { value: Scalar::LoadLocal { .. } | Scalar::LoadGlobal { .. }, .. } => false,
            Stmt::Let { .. } => true,
            Stmt::Issue { .. } => false,
            _ => s.blocks().iter().all(|b| b.iter().all(idle)),
        }
    }
    let loads = |s: &Stmt| matches!(s, Stmt::Issue { instr: Instr::LoadData(_), .. });
    let mut out: Vec<Stmt> = Vec::new();
    let mut last = false;
    for s in stmts {
        let load = loads(&s);
        match out.last_mut() {
            Some(Stmt::If { then, .. }) if load && last => then.push(s),
            _ if idle(&s) => out.push(s),
            _ if matches!(s, Stmt::Let { .. }) => {
                // A register has a value on either way.
                if let Stmt::Let { to, loc, .. } = &s {
                    out.push(Stmt::Let { to: *to, value: Scalar::Move { value: 0.into() }, loc: *loc });
                }
                out.push(Stmt::If { condition, then: vec![s], otherwise: Vec::new() });
            }
            _ => out.push(Stmt::If { condition, then: vec![s], otherwise: Vec::new() }),
        }
        last = load;
    }
    out
}

/// Slots of a turn: the early product's, the late product's operand's and result's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lane {
    early: Val,
    late: Val,
}

/// The turns of a skewed loop.
#[derive(Clone, Copy)]
struct Turns {
    /// The number of a turn, a register.
    turn: Val,
    counter: Reg,
    /// First counter, end, step.
    bounds: (Val, Val, Val),
    /// How far the last part is behind the first.
    behind: usize,
}

impl Lower<'_> {
    /// Where the slot of a product's operand or result starts, from its first slot.
    pub(super) fn slot_of(&mut self, product: ValueId, result: bool) -> Val {
        let Some((e, lane)) = self.exchange(product).zip(self.lane) else { return 0.into() };
        let slot = if e.ready.is_some() { lane.late } else { lane.early };
        let step = if result { e.step.1 } else { e.step.0 };
        self.int(IntOp::Mul, slot, (step as i64).into())
    }

    /// How a product of a skewed loop is exchanged.
    pub(super) fn exchange(&self, product: ValueId) -> Option<Exchange> {
        self.cores?.skews.values().find_map(|s| s.exchange.get(&product)).cloned()
    }

    /// The slots of the turn `behind` turns before.
    fn lane(&mut self, s: &Skew, turn: Val, behind: i64) -> Lane {
        let t = self.int(IntOp::Sub, turn, behind.into());
        let early = self.int(IntOp::Rem, t, (s.depth.ahead as i64 + 1).into());
        Lane { early, late: self.int(IntOp::Rem, t, (s.depth.behind as i64 + 1).into()) }
    }

    /// A skewed loop.
    pub(super) fn loop_skewed(&mut self, op: &Op, s: &Skew) -> Result<(), Error> {
        let vector = self.core == CoreKind::Vector;
        let behind = if vector { s.depth.behind } else { s.depth.ahead + 2 * self.plan.ahead() };
        let bound = |l: &Self, i: usize| l.scalar(op.operands[i]);
        let (from, to, step) = (bound(self, 0)?, bound(self, 1)?, bound(self, 2)?);
        // Turns without a head there are in any case: what is done in them is known behind the loop.
        let to = self.int(IntOp::Max, from, to);
        let region = &op.regions[0];
        let homes: Vec<Home> = region.args[1..].iter().map(|v| self.home(*v)).collect::<Result<_, _>>()?;
        self.settle_all(&homes, &op.operands[3..])?;
        let turn = self.variable(0.into());
        let back = self.int(IntOp::Mul, step, (behind as i64).into());
        let end = self.int(IntOp::Add, to, back);
        let turns = Turns { turn: turn.into(), counter: self.reg(), bounds: (from, to, step), behind };
        let body = if vector {
            self.turn_beside_cube(op, s, &homes, turns)?
        } else {
            self.turn_on_cube(region, s, turns)?
        };
        let counter = turns.counter;
        self.push(Stmt::For { counter, from, to: end, step, body });
        self.dwell(&op.results, &homes);
        Ok(())
    }

    /// Whether a part that is some turns behind is done in a turn, and the counter of its own turn. With `idle`, it is not done in so many
    /// last turns.
    fn stage(&mut self, t: Turns, behind: usize, idle: usize) -> (Val, Val) {
        let (from, to, step) = t.bounds;
        let back = self.int(IntOp::Mul, step, (behind as i64).into());
        let own = self.int(IntOp::Sub, t.counter.into(), back);
        let started = (behind > 0).then(|| self.int(IntOp::Le, from, own));
        let open = (behind < t.behind).then(|| self.int(IntOp::Lt, own, to));
        let condition = match (started, open) {
            (Some(a), Some(b)) => self.int(IntOp::And, a, b),
            (Some(c), None) | (None, Some(c)) => c,
            (None, None) => 1.into(),
        };
        if let (Val::Reg(r), true) = (condition, idle > 0) {
            self.heads.push((self.core, r, idle));
        }
        if let (Val::Reg(r), true) = (condition, behind > 0) {
            self.tails.push((self.core, r, behind));
        }
        (condition, own)
    }

    fn next_turn(&mut self, turn: Val) {
        let next = self.int(IntOp::Add, turn, 1.into());
        if let Val::Reg(to) = turn {
            self.assign(to, Scalar::Move { value: next });
        }
        self.lane = None;
    }

    /// A turn on the cube core: copies and products of the head, then those of a tail. With [`Plan::copies_ahead`], copies are those of the
    /// next turn's products.
    fn turn_on_cube(&mut self, region: &Block, s: &Skew, t: Turns) -> Result<Vec<Stmt>, Error> {
        let Some(cores) = self.cores else { return Ok(Vec::new()) };
        self.open();
        let (ahead, depth) = (self.plan.ahead(), s.depth.ahead);
        let stages = [
            (false, false, 0, depth + ahead),
            (false, true, ahead, depth + ahead),
            (true, false, ahead + depth, 0),
            (true, true, 2 * ahead + depth, 0),
        ];
        self.start_ring(s)?;
        self.turned = Some(HashSet::new());
        for (late, products, behind, idle) in stages {
            let (condition, own) = self.stage(t, behind, idle);
            self.lane = Some(self.lane(s, t.turn, behind as i64));
            self.open();
            self.set(region.args[0], Held::Scalar(own));
            for o in &region.ops {
                self.loc = o.loc;
                let of = |set: &HashSet<ValueId>| o.results.first().is_some_and(|r| set.contains(r));
                let (mine, loads) = if late { (&s.late, &s.early_loads) } else { (&s.early, &s.late_loads) };
                match o.kind {
                    OpKind::Dot { .. } if !of(mine) => {}
                    OpKind::Dot { .. } if products => self.op_on_cube(o, cores)?,
                    OpKind::Dot { .. } => self.bring(o)?,
                    _ if products || of(loads) => {}
                    _ => self.op_on_cube(o, cores)?,
                }
            }
            let part = self.close();
            guarded(part, condition).into_iter().for_each(|s| self.push(s));
        }
        (self.ring, self.turned) = (None, None);
        self.next_turn(t.turn);
        Ok(self.close())
    }

    /// A turn on vector cores: the head, then the tail of an earlier turn.
    fn turn_beside_cube(&mut self, op: &Op, s: &Skew, homes: &[Home], t: Turns) -> Result<Vec<Stmt>, Error> {
        let region = &op.regions[0];
        // Homes of what crosses, the oldest turn's first.
        let mut saved: Vec<Vec<Home>> = Vec::new();
        for _ in 0..t.behind {
            saved.push(s.crossing.iter().map(|v| self.home(*v)).collect::<Result<_, _>>()?);
        }
        // They hold something from the start, so that they have their bytes for the whole loop.
        for (v, home) in saved.iter().flat_map(|h| s.crossing.iter().zip(h)) {
            if let Home::Buffer(b) = home {
                let t = self.tile(*v)?.clone();
                let (dst, n) = (Local::new(*b, 0), self.halves(&t));
                let span = Span::Count { n: n.into() };
                let scalar = 0.into();
                self.issue(Duplicate { elem: Elem::I16, dst, scalar, span, dst_stride: Stride::DENSE });
            }
        }
        self.open();
        let (ahead, now) = self.stage(t, 0, t.behind);
        let (after, earlier) = self.stage(t, t.behind, 0);
        let lanes = [self.lane(s, t.turn, 0), self.lane(s, t.turn, t.behind as i64)];
        let outer = std::mem::take(&mut self.fresh);
        let mut kept: Vec<Held> = Vec::new();
        // A turn's head and an earlier one's tail, each with its slots; where everything is fetched first, the tail comes first, so that
        // it is computed while the head's results are on their way.
        let order = if self.plan.fetches { [true, false] } else { [false, true] };
        for tail in if self.plan.fetches { &order[..] } else { &[] } {
            let (set, condition) = if *tail { (&s.late, after) } else { (&s.early, ahead) };
            self.lane = Some(lanes[usize::from(*tail)]);
            self.open();
            for o in region.ops.iter().filter(|o| o.results.first().is_some_and(|r| set.contains(r))) {
                self.loc = o.loc;
                self.fetch_early(o)?;
            }
            let part = self.close();
            guarded(part, condition).into_iter().for_each(|s| self.push(s));
        }
        for tail in order {
            self.fresh.clear();
            self.lane = Some(lanes[usize::from(tail)]);
            self.open();
            let counter = if tail { earlier } else { now };
            self.set(region.args[0], Held::Scalar(counter));
            self.dwell(&region.args[1..], homes);
            self.carried = region.args[1..].iter().copied().collect();
            if tail {
                if let Some(oldest) = saved.first() {
                    self.dwell(&s.crossing, oldest);
                }
                self.tail(region, s)?;
            } else {
                self.head(region, s)?;
            }
            self.loc = op.loc;
            // What this part of the turn yields goes to its homes.
            let part =
                homes.iter().zip(&region.yields).filter(|(_, y)| self.is_behind(region, s, **y) == tail);
            let (homes, yields): (Vec<Home>, Vec<ValueId>) = part.map(|(h, y)| (*h, *y)).unzip();
            self.settle_all(&homes, &yields)?;
            let part = self.close();
            guarded(part, if tail { after } else { ahead }).into_iter().for_each(|s| self.push(s));
            if !tail {
                kept = s.crossing.iter().map(|v| self.get(*v)).collect::<Result<_, _>>()?;
            }
        }
        self.fresh = outer;
        // What later tails need of this turn's head; what is older moves on, also where there is no head.
        for turn in 1..saved.len() {
            self.dwell(&s.crossing, &saved[turn]);
            for (v, home) in s.crossing.iter().zip(&saved[turn - 1]) {
                self.settle(*home, *v)?;
            }
        }
        self.open();
        for (i, (v, held)) in s.crossing.iter().zip(kept).enumerate() {
            self.set(*v, held);
            if let Some(home) = saved.last().map(|h| h[i]) {
                self.settle(home, *v)?;
            }
        }
        let save = self.close();
        guarded(save, ahead).into_iter().for_each(|s| self.push(s));
        self.next_turn(t.turn);
        Ok(self.close())
    }

    /// Whether a yielded value comes out of the tail.
    fn is_behind(&self, region: &Block, s: &Skew, v: ValueId) -> bool {
        let of = |k: usize| region.ops[k].results.contains(&v);
        s.late.contains(&v) || s.tail.iter().any(|k| of(*k))
    }

    fn head(&mut self, region: &Block, s: &Skew) -> Result<(), Error> {
        let Some(cores) = self.cores else { return Ok(()) };
        for (k, o) in region.ops.iter().enumerate() {
            self.loc = o.loc;
            if o.results.first().is_some_and(|r| s.late.contains(r)) {
                self.send_operands(o)?;
            } else if !s.tail.contains(&k) {
                self.op_beside_cube(o, cores)?;
            }
        }
        Ok(())
    }

    fn tail(&mut self, region: &Block, s: &Skew) -> Result<(), Error> {
        let Some(cores) = self.cores else { return Ok(()) };
        for (k, o) in region.ops.iter().enumerate() {
            self.loc = o.loc;
            if o.results.first().is_some_and(|r| s.late.contains(r)) {
                let p = cores.products.get(&o.results[0]).map_or(0, |p| p.out);
                self.receive(o.results[0], p, Some(o.operands[2]))?;
            } else if s.tail.contains(&k) || again(self.kernel, cores, o) {
                self.op_beside_cube(o, cores)?;
            }
        }
        Ok(())
    }
}
