//! Goes through a core's work as it may run, with what each pipe knows to be done; where an access may meet another that is not
//! known to be done, something is put between them.
//!
//! ```text
//! same pipe                     barrier of the pipe, before the later one
//! same turn, another pipe       event: set behind the earlier one, wait before the later one
//! an earlier turn of a loop     token: an event that is set once for each slot at the start, and waited for at the end
//! ```
//! Loops are gone through several times, so that conflicts between turns show, and may take no turn at all: what is learnt inside
//! says nothing of what was before.

mod events;

use super::bits::Bits;
use super::items::{Answer, Id, Item, Order, Says, Slots, Wrong};
use super::memories::{LISTS, Users, done, lists, memory, users};
use super::places::{Access, Touch};
use super::starts::Start;
use super::tree::{Kind, Tree};
use kcc_davinci::ir::{Pipe, Stmt};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

struct Live {
    number: usize,
    access: Access,
    path: Rc<[(usize, usize)]>,
}

/// Keys of events.
type Key = (Pipe, Pipe, u8);

pub(super) struct Replay<'a> {
    start: Start,
    tree: &'a Tree,
    slots: &'a Slots,
    pub order: Order,
    /// Adds what is missing.
    mend: bool,
    ids: bool,
    /// In the last turns of a loop, without what is done ahead: the number of the first access that tails may meet there.
    draining: Option<usize>,
    known: [Bits; 7],
    own: [Bits; 7],
    count: usize,
    /// By what they touch (see [`lists`]).
    live: Vec<Vec<Live>>,
    users: Vec<Users>,
    /// The number of the first access of each loop that is being gone through.
    entries: Vec<usize>,
    path: Vec<(usize, usize)>,
    /// Loops being gone through: number, and turns so far.
    parity: Vec<(usize, usize)>,
    /// Turns of each loop (a node) so far.
    totals: HashMap<usize, usize>,
    messages: HashMap<usize, VecDeque<Bits>>,
    snaps: HashMap<(usize, usize), Vec<(usize, Bits)>>,
    /// Items that stand before and behind each node.
    before: Vec<Vec<usize>>,
    after: Vec<Vec<usize>>,
    tokens: HashMap<usize, Vec<usize>>,
    /// What flags of this core told, the last ones.
    told: HashMap<u8, VecDeque<Bits>>,
    answers: &'a [Answer],
    raised: HashMap<Key, usize>,
    /// Waits that may have been the last, since loops may take no turn.
    waited: HashMap<Key, Vec<usize>>,
}

const S: usize = Pipe::S as usize;
/// Last turns of a skewed loop that are gone through: as many as there are, within reason.
const DRAINED: usize = 16;

/// The loops around a place, and their turns.
fn turn_of(path: &[(usize, usize)]) -> &[(usize, usize)] {
    path.split_last().map_or(&[], |(_, around)| around)
}

/// Goes through everything, for each of the order's starts. With `mend`, the order comes back with what was missing.
pub(super) fn run(
    tree: &Tree,
    slots: &Slots,
    answers: &[Answer],
    mut order: Order,
    how: (bool, bool),
) -> Result<Order, Wrong> {
    for start in order.starts.clone().into_iter().rev() {
        order = from(tree, slots, answers, order, how, start)?;
    }
    Ok(order)
}

fn from(
    tree: &Tree,
    slots: &Slots,
    answers: &[Answer],
    order: Order,
    (mend, ids): (bool, bool),
    start: Start,
) -> Result<Order, Wrong> {
    let mut r = Replay {
        start,
        tree,
        slots,
        order: Order::default(),
        mend,
        ids,
        draining: None,
        known: Default::default(),
        own: Default::default(),
        count: 0,
        live: (0..LISTS).map(|_| Vec::new()).collect(),
        users: users(tree),
        entries: Vec::new(),
        path: Vec::new(),
        parity: Vec::new(),
        totals: HashMap::new(),
        messages: HashMap::new(),
        snaps: HashMap::new(),
        before: vec![Vec::new(); tree.nodes.len()],
        after: vec![Vec::new(); tree.nodes.len()],
        tokens: HashMap::new(),
        told: HashMap::new(),
        answers,
        raised: HashMap::new(),
        waited: HashMap::new(),
    };
    for (i, item) in order.items.iter().enumerate() {
        if let Some(item) = item {
            r.place(i, item);
        }
    }
    r.order = order;
    r.edges(true)?;
    r.block(&tree.root, 0)?;
    r.edges(false)?;
    Ok(r.order)
}

impl Replay<'_> {
    fn place(&mut self, i: usize, item: &Item) {
        let (before, after) = match item {
            Item::Barrier { before, .. } | Item::All { before } => (*before, None),
            Item::Event { before, after, .. } => (*before, Some(*after)),
            Item::Token { before, after, turns, .. } => {
                self.tokens.entry(*turns).or_default().push(i);
                (*before, Some(*after))
            }
        };
        self.before[before].push(i);
        if let Some(a) = after {
            self.after[a].push(i);
        }
    }

    fn add(&mut self, item: Item) -> usize {
        let i = self.order.items.len();
        self.place(i, &item);
        self.order.items.push(Some(item));
        i
    }

    fn block(&mut self, nodes: &[usize], turn: usize) -> Result<(), Wrong> {
        for &n in nodes {
            self.path.push((n, 0));
            // What is added meanwhile comes with the next turn.
            for k in 0..self.before[n].len() {
                self.wait_side(self.before[n][k])?;
            }
            let node = &self.tree.nodes[n];
            if !(turn < self.first_turn(n) || self.draining.is_some() && node.ahead > 0) {
                self.node(n)?;
            }
            self.snap(n, turn);
            for k in 0..self.after[n].len() {
                self.set_side(self.after[n][k])?;
            }
            self.path.pop();
        }
        Ok(())
    }

    /// The first turn of its loop in which a node is done.
    fn first_turn(&self, n: usize) -> usize {
        self.tree.nodes[n].later.min(self.start.first_tail())
    }

    /// Remembers what the pipes of a node know behind it.
    fn snap(&mut self, n: usize, turn: usize) {
        if !self.mend {
            return;
        }
        let mut pipes = Vec::new();
        self.tree.leaves(n, &mut |l| pipes.extend(l.accesses.iter().map(|a| a.pipe as usize)));
        pipes.sort_unstable();
        pipes.dedup();
        let all = pipes.into_iter().map(|p| (p, self.says(p))).collect();
        self.snaps.insert((n, turn), all);
    }

    /// Tells a pipe what the scalar unit knows, which issues its work.
    fn tell(&mut self, p: usize) {
        if p != S {
            let told = std::mem::take(&mut self.known[S]);
            self.known[p].join(&told);
            self.known[S] = told;
        }
    }

    /// What a pipe can tell once all that it has started is done.
    fn says(&self, p: usize) -> Bits {
        let mut m = self.known[p].clone();
        m.join(&self.known[S]);
        m.join(&self.own[p]);
        m
    }

    fn node(&mut self, n: usize) -> Result<(), Wrong> {
        let node = &self.tree.nodes[n];
        match &node.kind {
            Kind::Leaf => {
                if node.drains {
                    self.drain();
                }
                if let Some(f) = node.awaits {
                    self.answered(f);
                }
                if let Some(p) = node.hands_over {
                    self.hand_over(n, p)?;
                    if let Some(f) = node.raises {
                        let m = self.says(p as usize);
                        self.told.entry(f).or_default().push_back(m);
                    }
                }
                // What belongs to one leaf is in order, or has no conflict.
                let all: Vec<Access> = node.accesses.iter().map(|a| self.slotted(a)).collect();
                all.iter().try_for_each(|a| self.check(n, a))?;
                let certain = node.stmt.blocks().is_empty();
                all.into_iter().for_each(|a| self.note(a, certain));
                Ok(())
            }
            Kind::Turns(body, number) => self.turns(n, body, *number),
            Kind::Fence(blocks) => {
                let branch = matches!(node.stmt, Stmt::If { .. });
                let way = self.start.chance();
                match (way, &blocks[..]) {
                    (Some(way), _) if branch => self.block(&blocks[way % blocks.len()], 0),
                    (Some(turns), [head, body]) => {
                        self.block(head, 0)?;
                        (0..turns).try_for_each(|_| self.block(body, 0).and_then(|()| self.block(head, 0)))
                    }
                    _ => blocks.iter().try_for_each(|b| self.block(b, 0)),
                }
            }
        }
    }

    /// A flag of other cores says that they saw an earlier flag of this core: what that one told is done.
    fn answered(&mut self, flag: u8) {
        for a in self.answers {
            if a.waits != flag {
                continue;
            }
            let queue = self.told.entry(a.raises).or_default();
            while queue.len() > a.behind {
                if let Some(m) = queue.pop_front() {
                    self.known[S].join(&m);
                }
            }
        }
    }

    fn turns(&mut self, n: usize, body: &[usize], number: usize) -> Result<(), Wrong> {
        if let Some(turns) = self.start.chance() {
            return self.exactly(n, body, number, turns);
        }
        let slotted = self.slots.values().any(|(l, _)| *l == number);
        let (first, before, told) = (self.count, self.known.clone(), self.told.clone());
        let tokens = self.tokens.get(&n).map_or(&[][..], Vec::as_slice);
        let held: HashMap<usize, VecDeque<Bits>> = tokens
            .iter()
            .map(|i| self.source(*i))
            .filter_map(|i| Some((i, self.messages.get(&i)?.clone())))
            .collect();
        self.entries.push(first);
        let tail = body.iter().map(|n| self.first_turn(*n)).max().unwrap_or(0);
        let full = tail + if slotted { 6 } else { 3 } + usize::from(self.start.more);
        self.through(n, body, number, 0..full)?;
        self.entries.pop();
        // No turn at all teaches nothing of what was before.
        for (k, b) in self.known.iter_mut().zip(&before) {
            *k = k.since(first);
            k.join(b);
        }
        for i in self.tokens.get(&n).cloned().unwrap_or_default() {
            let i = self.source(i);
            // A token that is still there from before says what it said then.
            let old = held.get(&i).into_iter().flatten().map(Some).chain(std::iter::repeat(None));
            if let Some(queue) = self.messages.get_mut(&i) {
                for (m, old) in queue.iter_mut().zip(old) {
                    let still = old.map(|o| m.both(o));
                    *m = m.since(first);
                    still.iter().for_each(|s| m.join(s));
                }
            }
        }
        // Turns without a head there always are.
        let drained = body.iter().map(|n| self.tree.nodes[*n].ahead).max().unwrap_or(0).min(DRAINED);
        if drained > 0 {
            self.draining = Some(first);
            let done = self.through(n, body, number, full..full + drained);
            self.draining = None;
            done?;
        }
        // In the last turns of a skewed loop nothing is told: what is open there is no one's knowledge.
        for (i, a) in self.answers.iter().enumerate() {
            let queue = self.told.entry(a.raises).or_default();
            if a.behind > 0 {
                queue.clear();
            }
            if self.answers[..i].iter().any(|b| b.raises == a.raises) {
                continue;
            }
            queue.iter_mut().for_each(|m| *m = m.since(first));
            // What was told before the loop was answered in it, or will be behind it.
            if a.behind == 0
                && let Some(old) = told.get(&a.raises)
            {
                old.iter().rev().for_each(|m| queue.push_front(m.clone()));
            }
        }
        Ok(())
    }

    /// A loop with so many turns of heads, and no others: what is learnt in it is known behind it.
    fn exactly(&mut self, n: usize, body: &[usize], number: usize, turns: usize) -> Result<(), Wrong> {
        self.entries.push(self.count);
        let drained = body.iter().map(|n| self.tree.nodes[*n].ahead).max().unwrap_or(0).min(DRAINED);
        self.through(n, body, number, 0..turns)?;
        self.draining = Some(0);
        let done = self.through(n, body, number, turns..turns + drained);
        self.draining = None;
        self.entries.pop();
        let open = self.answers.iter().filter(|a| a.behind > 0);
        open.for_each(|a| self.told.entry(a.raises).or_default().clear());
        done
    }

    /// Some turns of a loop, one after another.
    fn through(
        &mut self,
        n: usize,
        body: &[usize],
        number: usize,
        turns: std::ops::Range<usize>,
    ) -> Result<(), Wrong> {
        for t in turns {
            if let Some(p) = self.path.last_mut() {
                p.1 = t;
            }
            let total = self.totals.get(&n).copied().unwrap_or(self.start.slot(n));
            self.parity.push((number, total));
            self.block(body, t)?;
            self.parity.pop();
            self.totals.insert(n, total + 1);
        }
        Ok(())
    }

    fn wait_side(&mut self, i: usize) -> Result<(), Wrong> {
        match self.order.items[i].clone() {
            None => {}
            Some(Item::Barrier { pipe, .. }) => {
                let p = pipe as usize;
                self.known[p] = self.says(p);
            }
            Some(Item::All { .. }) => self.drain(),
            Some(Item::Event { to, .. } | Item::Token { to, .. }) => {
                let m = self.lower(i, self.turn_of(i) + self.turned(i))?;
                self.known[to as usize].join(&m);
            }
        }
        Ok(())
    }

    fn set_side(&mut self, i: usize) -> Result<(), Wrong> {
        if let Some(Item::Event { .. } | Item::Token { .. }) = self.order.items[i] {
            self.raise(i, self.turn_of(i))?;
        }
        Ok(())
    }

    fn drain(&mut self) {
        for p in 0..7 {
            let m = self.says(p);
            self.known[S].join(&m);
        }
        // Outside the loop, it may not have taken place.
        let first = self.entries.last().copied().unwrap_or(0);
        self.live.iter_mut().for_each(|live| live.retain(|x| x.number < first));
    }

    fn conflict(&self, x: &Live, a: &Access) -> bool {
        if !(x.access.write || a.write) {
            return false;
        }
        match (x.access.touch, a.touch) {
            (Touch::Local(p), Touch::Local(q)) => {
                let rest = x.access.part && a.part && x.access.pipe != a.pipe && p.buffer == q.buffer;
                p.meets(&q) && !(rest && turn_of(&x.path) == turn_of(&self.path))
            }
            // Programs of the grid do not share what they write.
            (Touch::Param(p), Touch::Param(q)) => p == q && x.path.first() == self.path.first(),
            _ => false,
        }
    }

    /// The last access that may not be done.
    fn race(&self, a: &Access, filter: &dyn Fn(&Live) -> bool) -> Option<(usize, usize)> {
        let p = a.pipe as usize;
        let open = |x: &Live| {
            let same = x.access.pipe == a.pipe && (a.pipe == Pipe::S || a.in_order || x.access.sealed);
            !same && !self.known[p].has(x.number) && filter(x)
        };
        let last = |l: usize| self.live[l].iter().rposition(open).map(|i| (l, i));
        lists(&a.touch).filter_map(last).max_by_key(|(l, i)| self.live[*l][*i].number)
    }

    /// An access in this turn's slot.
    fn slotted(&self, a: &Access) -> Access {
        let mut a = *a;
        if let Touch::Local(place) = &mut a.touch
            && let Some((number, bytes)) = self.slots.get(&place.buffer)
            && let Some((_, turn)) = self.parity.iter().find(|(l, _)| l == number)
        {
            place.from += bytes * ((*turn + usize::from(a.other)) as u64 % 2);
        }
        a
    }

    /// The first access that a node may meet. In last turns a tail is only done if there were turns with heads: what was before the loop its
    /// first turn has met, in either slot, with no more that was known.
    fn since(&self, n: usize) -> usize {
        self.draining.filter(|_| self.tree.nodes[n].later > 0).unwrap_or(0)
    }

    fn check(&mut self, n: usize, a: &Access) -> Result<(), Wrong> {
        self.tell(a.pipe as usize);
        let since = self.since(n);
        while let Some(x) = self.race(a, &|x| x.number >= since && self.conflict(x, a)) {
            self.mended(n, x, a.pipe)?;
        }
        Ok(())
    }

    fn note(&mut self, a: Access, certain: bool) {
        let p = a.pipe as usize;
        let number = self.count;
        self.count += 1;
        self.own[p].set(number);
        // The scalar unit goes on with what it read of global memory; elements of the core's memories it leaves behind like any pipe.
        if a.pipe == Pipe::S && !matches!(a.touch, Touch::Local(_)) {
            self.known[S].set(number);
        }
        // Whoever meets what this covers meets this, if this took place; what waits for this waits for earlier work of the pipe.
        let at = lists(&a.touch);
        if let Touch::Local(q) = a.touch {
            let first = self.entries.last().copied().unwrap_or(0);
            let (all, users) = (&self.known, &self.users[memory(&a.touch)]);
            let known = &all[p];
            let stays = |x: &Live| {
                let Touch::Local(o) = x.access.touch else { return true };
                if x.number < first {
                    return true;
                }
                if done((x.number, &x.access), users, all) {
                    return false;
                }
                if !q.covers(&o) {
                    return true;
                }
                let own = x.access.pipe == a.pipe;
                let ordered = known.has(x.number) || own && (a.in_order || x.access.sealed);
                let same = own && x.access.write == a.write && (x.access.sealed || !a.sealed);
                // A part of a tile does not meet the tile's other parts, which may well meet what was there before.
                let stands = !a.part
                    || x.access.part && o.buffer == q.buffer && turn_of(&x.path) == turn_of(&self.path);
                !(stands && (certain && a.write && ordered || same))
            };
            self.live[at.clone()].iter_mut().for_each(|live| live.retain(stays));
        }
        let path: Rc<[_]> = self.path.clone().into();
        self.live[at].iter_mut().for_each(|l| l.push(Live { number, access: a, path: path.clone() }));
    }

    /// A flag tells other cores that what this core read in the workspace was read.
    fn hand_over(&mut self, n: usize, pipe: Pipe) -> Result<(), Wrong> {
        self.tell(pipe as usize);
        let a = Access {
            pipe,
            touch: Touch::Shared,
            write: true,
            in_order: true,
            sealed: false,
            other: false,
            part: false,
        };
        let says = self.tree.nodes[n].says;
        if says == Says::Nothing {
            return Ok(());
        }
        let here = turn_of(&self.path).to_vec();
        let since = self.since(n);
        // What another pipe wrote, a flag of its own announces.
        let others = |x: &Live| {
            let told = says == Says::All || turn_of(&x.path) != here;
            let met = x.number < since;
            x.access.touch == Touch::Shared && x.access.pipe != pipe && !x.access.write && told && !met
        };
        while let Some(x) = self.race(&a, &others) {
            self.mended(n, x, pipe)?;
        }
        Ok(())
    }

    /// Puts something between access `x` and node `n`.
    fn mended(&mut self, n: usize, (list, x): (usize, usize), pipe: Pipe) -> Result<(), Wrong> {
        if !self.mend {
            return Err(Wrong::Race);
        }
        let x = &self.live[list][x];
        let (px, path) = (x.access.pipe, x.path.clone());
        let p = pipe as usize;
        if px == pipe {
            self.add(Item::Barrier { pipe, before: n });
            self.known[p] = self.says(p);
            return Ok(());
        }
        let apart = path.iter().zip(&self.path).position(|(a, b)| a != b);
        let Some(l) = apart else { return Err(Wrong::Race) };
        let ((nx, tx), (ny, ty)) = (path[l], self.path[l]);
        let mut message = Bits::default();
        let mut snapped = |r: &Self, node: usize, turn: usize| {
            let s = r.snaps.get(&(node, turn))?.iter().find(|(q, _)| *q == px as usize)?;
            message = s.1.clone();
            Some(())
        };
        if nx != ny {
            let around = l.checked_sub(1).map(|l| self.path[l]);
            let turn = around.filter(|(n, _)| matches!(self.tree.nodes[*n].kind, Kind::Turns(..)));
            let turn = turn.map_or(0, |p| p.1);
            snapped(self, nx, turn).ok_or(Wrong::Race)?;
            self.add(Item::Event { from: px, to: pipe, after: nx, before: ny, id: None });
        } else {
            let (Some(cx), Some(cy)) = (path.get(l + 1), self.path.get(l + 1)) else {
                return Err(Wrong::Race);
            };
            let (cx, cy) = (cx.0, cy.0);
            let number = match &self.tree.nodes[nx].kind {
                Kind::Turns(_, number) => *number,
                _ => return Err(Wrong::Race),
            };
            let slotted = self.slots.values().any(|(l, _)| *l == number);
            let distance = if slotted && ty - tx >= 2 { 2 } else { 1 };
            snapped(self, cx, ty - distance).ok_or(Wrong::Race)?;
            let i = self.add(Item::Token {
                from: px,
                to: pipe,
                after: cx,
                before: cy,
                turns: nx,
                distance,
                id: None,
                shares: None,
            });
            // What later turns of a distance of two wait for was raised a turn ago.
            let mut queue = VecDeque::new();
            for d in 1..distance {
                if let Some((_, m)) =
                    self.snaps.get(&(cx, ty - d)).and_then(|s| s.iter().find(|(q, _)| *q == px as usize))
                {
                    queue.push_back(m.clone());
                }
            }
            // The turn under way has passed the place where it is set, if that is before the wait.
            if cx < cy
                && let Some((_, m)) =
                    self.snaps.get(&(cx, ty)).and_then(|s| s.iter().find(|(q, _)| *q == px as usize))
            {
                queue.push_back(m.clone());
            }
            self.messages.insert(i, queue);
        }
        self.known[p].join(&message);
        Ok(())
    }
}
