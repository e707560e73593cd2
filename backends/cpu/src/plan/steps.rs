//! Cuts a block into loop nests and other steps.
//!
//! Operations join the earliest nest of their shape in which everything they need is at hand: computed in the same
//! nest at the same element, or complete before it. A value is kept in scratch memory when some use is not in its
//! nest at the same element.

use super::cheap::is_cheap;
use super::contract::{self, Contract};
use super::facts::{Facts, is_reindexing};
use kcc_dsl::ir::{Block, Op, OpKind, ValueId};
use std::collections::{HashMap, HashSet};

/// A loop nest over the elements of one shape.
#[derive(Default)]
pub struct Nest<'k> {
    /// Extents.
    pub shape: Vec<usize>,
    /// The axis in vector lanes.
    pub lane: usize,
    /// The dot whose register blocks the nest follows.
    pub dot: Option<&'k Op>,
    /// The loop that is one contraction, instead of `dot`.
    pub contract: Option<Contract<'k>>,
    /// Reductions of values of this shape, all along one axis.
    pub reduces: Vec<&'k Op>,
    /// Stores of values of this shape.
    pub stores: Vec<&'k Op>,
    /// Values computed here.
    pub named: Vec<ValueId>,
    /// Those of them that are written to scratch memory.
    pub keep: Vec<ValueId>,
    /// Loads evaluated in this nest.
    pub loads: Vec<&'k Op>,
}

impl Nest<'_> {
    /// Whether all that it makes are rows of a matrix, each stored at a place of its own or nowhere.
    pub fn only_stores_rows(&self) -> bool {
        let nothing_else = self.keep.is_empty() && self.reduces.is_empty() && !self.stores.is_empty();
        let rows = self.stores.iter().all(|s| matches!(s.kind, OpKind::StoreRows { .. }));
        nothing_else && rows && self.shape.len() == 2 && self.lane == 1
    }

    /// The axis along which its reductions run.
    pub fn reduce_axis(&self) -> Option<usize> {
        match self.reduces.first()?.kind {
            OpKind::Reduce { axis, .. } => Some(axis as usize),
            _ => None,
        }
    }
}

/// One step of a block.
pub enum Step<'k> {
    /// A loop nest.
    Nest(Box<Nest<'k>>),
    /// Control flow, or an operation with loops of its own.
    Op(&'k Op),
}

/// A block as steps; scalar operations stand before the step of their index.
pub struct BlockPlan<'k> {
    /// The steps in order.
    pub steps: Vec<Step<'k>>,
    /// `scalars[i]` come before step `i`; the last entry after all of them.
    pub scalars: Vec<Vec<&'k Op>>,
    /// What each step reads from outside itself, and whether element by element; the last entry is what the yields
    /// read.
    pub reads: Vec<Vec<(ValueId, bool)>>,
}

impl<'k> BlockPlan<'k> {
    /// The nest that computes `v`.
    pub fn nest_of(&self, v: ValueId) -> Option<(usize, &Nest<'k>)> {
        self.steps.iter().enumerate().find_map(|(i, s)| match s {
            Step::Nest(n) if n.named.contains(&v) => Some((i, &**n)),
            _ => None,
        })
    }
}

/// Whether a tile's value is computed where it is used instead of in a nest of its own.
pub fn is_inline(f: &Facts<'_>, lanes: &[u8], v: ValueId) -> bool {
    let Some(op) = f.op(v) else { return false };
    let uses = &f.uses[v.0 as usize];
    match &op.kind {
        OpKind::Constant(_) | OpKind::Arange | OpKind::Broadcast { .. } | OpKind::Transpose { .. } => true,
        OpKind::Slice { .. } | OpKind::Split => true,
        OpKind::Reshape => drops_units(f.shape(op.operands[0]), f.shape(v)),
        OpKind::Load { .. } => {
            !f.is_written(op.operands[0])
                && (f.rank(v) != 2
                    || f.unit_axis(op.operands[0]) == Some(lanes[v.0 as usize] as usize)
                    || uses.iter().all(|u| dot_side(f, u.op, v)))
        }
        OpKind::LoadRows { .. } => {
            !f.is_written(op.operands[0])
                && f.unit_axis(op.operands[0]) == Some(1)
                && lanes[v.0 as usize] == 1
                && !uses.iter().any(|u| matches!(u.op.kind, OpKind::Dot { .. } | OpKind::Transpose { .. }))
        }
        OpKind::Gather => !f.is_written(op.operands[0]) && single_pointwise_use(f, v),
        k if k.is_elementwise() => is_cheap(f, v) || single_pointwise_use(f, v),
        _ => false,
    }
}

/// Whether a reshape only adds or drops axes of extent 1, so that coordinates carry over.
pub fn drops_units(a: &[usize], b: &[usize]) -> bool {
    a.iter().filter(|d| **d != 1).eq(b.iter().filter(|d| **d != 1))
}

fn dot_side(f: &Facts<'_>, user: &Op, v: ValueId) -> bool {
    match &user.kind {
        OpKind::Dot { .. } => user.operands[2] != v && f.rank(user.results[0]) == 2,
        OpKind::Transpose { .. } => f.uses[user.results[0].0 as usize]
            .iter()
            .all(|u| !u.yielded && dot_side(f, u.op, user.results[0])),
        _ => false,
    }
}

fn single_pointwise_use(f: &Facts<'_>, v: ValueId) -> bool {
    let [u] = &f.uses[v.0 as usize][..] else { return false };
    if u.yielded || u.block != f.block[v.0 as usize] {
        return false;
    }
    match &u.op.kind {
        k if k.is_elementwise() => true,
        OpKind::Store { .. } | OpKind::StoreRows { .. } | OpKind::Scatter => f.rank(v) > 0,
        OpKind::Reduce { .. } => f.rank(v) <= 2,
        OpKind::Dot { .. } => u.op.operands[2] == v && f.rank(v) == 2 && u.op.operands[..2] != [v, v],
        _ => false,
    }
}

struct Planner<'a, 'k> {
    f: &'a Facts<'k>,
    lanes: &'a [u8],
    steps: Vec<Step<'k>>,
    scalars: Vec<(usize, &'k Op)>,
    /// Nest or step that computes a value of this block.
    home: HashMap<ValueId, Home>,
    memo: HashMap<(ValueId, bool), usize>,
    stored: HashMap<usize, usize>,
    loaded: HashMap<usize, usize>,
    effect: usize,
    reads: Vec<Vec<(ValueId, bool)>>,
    /// Values that this block defines.
    own: HashSet<ValueId>,
}

#[derive(Clone, Copy)]
enum Home {
    /// Available before this step (scalars, results of steps).
    Before(usize),
    /// Computed element by element in this nest.
    Nest(usize),
}

/// Plans one block.
pub fn plan<'k>(f: &Facts<'k>, lanes: &[u8], block: &'k Block) -> BlockPlan<'k> {
    let mut p = Planner {
        f,
        lanes,
        steps: Vec::new(),
        scalars: Vec::new(),
        home: HashMap::new(),
        memo: HashMap::new(),
        stored: HashMap::new(),
        loaded: HashMap::new(),
        effect: 0,
        reads: Vec::new(),
        own: block.ops.iter().flat_map(|op| op.results.iter().copied()).collect(),
    };
    for op in &block.ops {
        p.place(op);
    }
    let end = p.steps.len();
    p.reads = vec![Vec::new(); end + 1];
    for i in 0..end {
        p.mark(i);
    }
    for y in &block.yields {
        p.keep_uses(*y, end, false);
    }
    // Values of this block that nested blocks read, directly or through what is computed where it is used.
    for op in &block.ops {
        for r in &op.results {
            if !f.is_local(*r) {
                p.keep_uses(*r, usize::MAX, false);
            }
        }
    }
    let mut scalars: Vec<Vec<&Op>> = vec![Vec::new(); p.steps.len() + 1];
    for (slot, op) in p.scalars {
        scalars[slot].push(op);
    }
    BlockPlan { steps: p.steps, scalars, reads: p.reads }
}

impl<'k> Planner<'_, 'k> {
    /// First step in which the value can be used (`pointwise`: in its own nest too).
    fn need(&mut self, v: ValueId, pointwise: bool) -> usize {
        if let Some(n) = self.memo.get(&(v, pointwise)) {
            return *n;
        }
        let n = match self.home.get(&v) {
            Some(Home::Before(s)) => *s,
            Some(Home::Nest(n)) => n + usize::from(!pointwise),
            None => match self.f.op(v) {
                Some(op) if is_inline(self.f, self.lanes, v) => {
                    let point = pointwise && (op.kind.is_elementwise() || matches!(op.kind, OpKind::Gather));
                    op.operands.iter().map(|o| self.need(*o, point)).max().unwrap_or(0)
                }
                _ => 0,
            },
        };
        if self.home.contains_key(&v) || self.f.op(v).is_none_or(|_| is_inline(self.f, self.lanes, v)) {
            self.memo.insert((v, pointwise), n);
        }
        n
    }

    fn need_all(&mut self, vs: &[ValueId], pointwise: bool) -> usize {
        vs.iter().map(|v| self.need(*v, pointwise)).max().unwrap_or(0)
    }

    /// The earliest nest of this shape at or after `min` that `fits`, or a new one.
    fn nest(&mut self, v: ValueId, min: usize, fits: impl Fn(&Nest<'k>) -> bool) -> usize {
        let (shape, lane) = (self.f.shape(v), self.lanes[v.0 as usize] as usize);
        for i in min..self.steps.len() {
            if let Step::Nest(n) = &self.steps[i]
                && n.shape == shape
                && n.lane == lane
                && fits(n)
            {
                return i;
            }
        }
        self.steps.push(Step::Nest(Box::new(Nest { shape: shape.to_vec(), lane, ..Nest::default() })));
        self.steps.len() - 1
    }

    fn at(&mut self, i: usize) -> &mut Nest<'k> {
        match &mut self.steps[i] {
            Step::Nest(n) => n,
            Step::Op(_) => unreachable!("only nests are asked for by index"),
        }
    }

    fn step(&mut self, op: &'k Op) -> usize {
        self.steps.push(Step::Op(op));
        self.steps.len() - 1
    }

    /// Gives an inline value a nest of its own, so that a dot or a step can read it from memory.
    fn force(&mut self, v: ValueId) {
        if self.f.rank(v) == 0 || self.home.contains_key(&v) {
            return;
        }
        let Some(op) = self.f.op(v) else { return };
        if matches!(op.kind, OpKind::Load { .. }) && is_inline(self.f, self.lanes, v) {
            return;
        }
        if matches!(op.kind, OpKind::Transpose { .. }) && self.f.rank(v) == 2 {
            return self.force(op.operands[0]);
        }
        // A value of an outer block stays computed where it is used: memory filled here may be read after a branch
        // that did not run.
        if self.own.contains(&v) {
            let min = self.need(v, true);
            self.name(v, min);
        }
    }

    fn name(&mut self, v: ValueId, min: usize) {
        let n = self.nest(v, min, |_| true);
        self.at(n).named.push(v);
        self.home.insert(v, Home::Nest(n));
        self.memo.clear();
    }

    fn memory_min(&self, op: &Op, writes: bool) -> usize {
        let Some(p) = op.operands.first().and_then(|v| self.f.view_param(*v)) else { return 0 };
        let after_store = self.stored.get(&p).map_or(0, |s| s + 1);
        if !writes {
            return after_store;
        }
        after_store.max(self.loaded.get(&p).map_or(0, |s| s + 1))
    }

    fn note_memory(&mut self, op: &Op, writes: bool, step: usize) {
        if let Some(p) = op.operands.first().and_then(|v| self.f.view_param(*v)) {
            let map = if writes { &mut self.stored } else { &mut self.loaded };
            let e = map.entry(p).or_insert(step);
            *e = (*e).max(step);
        }
    }

    fn place(&mut self, op: &'k Op) {
        let f = self.f;
        let tiles = op.results.iter().chain(&op.operands).any(|v| f.rank(*v) > 0);
        if op.regions.is_empty() && !tiles && !op.kind.has_side_effect() {
            let written = op.kind.reads_memory() && f.is_written(op.operands[0]);
            if !written {
                let slot = self.need_all(&op.operands, false);
                self.scalars.push((slot, op));
                for r in &op.results {
                    self.home.insert(*r, Home::Before(slot));
                }
                return;
            }
        }
        let scalar = op.results.iter().any(|r| f.rank(*r) == 0);
        if scalar && (is_reindexing(&op.kind) || reads(&op.kind)) {
            // One element of a tile, or of memory that this kernel writes.
            return self.own_step(op);
        }
        match &op.kind {
            OpKind::For { .. } if let Some(c) = contract::find(f, op) => {
                let mut min = self.need_all(&op.operands[..3], false).max(self.need(op.operands[3], true));
                for side in [c.a, c.b] {
                    // What the loads use from outside the loop.
                    for v in &side.load.operands {
                        if f.block[v.0 as usize] == f.block[op.results[0].0 as usize] {
                            min = min.max(self.need(*v, false));
                        }
                    }
                }
                let n = self.nest(op.results[0], min.max(self.steps.len()), |_| false);
                self.at(n).contract = Some(c);
                self.at(n).named.push(op.results[0]);
                self.home.insert(op.results[0], Home::Nest(n));
            }
            OpKind::Dot { .. } if f.rank(op.results[0]) == 2 => {
                self.force(op.operands[0]);
                self.force(op.operands[1]);
                let min = self.need_all(&op.operands[..2], false).max(self.need(op.operands[2], true));
                let n = self.nest(op.results[0], min.max(self.steps.len()), |_| false);
                self.at(n).dot = Some(op);
                self.at(n).named.push(op.results[0]);
                self.home.insert(op.results[0], Home::Nest(n));
            }
            OpKind::Reduce { axis, .. } if f.rank(op.operands[0]) <= 2 => {
                let min = self.need(op.operands[0], true);
                let axis = *axis as usize;
                let n = self.nest(op.operands[0], min, |n| n.reduce_axis().is_none_or(|a| a == axis));
                self.at(n).reduces.push(op);
                self.home.insert(op.results[0], Home::Before(n + 1));
            }
            OpKind::Store { .. } | OpKind::StoreRows { .. } | OpKind::Scatter
                if f.rank(op.operands[op.operands.len() - 1]) > 0 =>
            {
                let v = op.operands[op.operands.len() - 1];
                let point = matches!(op.kind, OpKind::Scatter);
                let rest = &op.operands[..op.operands.len() - 1];
                let min = self.need_all(rest, point).max(self.need(v, true)).max(self.memory_min(op, true));
                let n = self.nest(v, min, |_| true);
                self.at(n).stores.push(op);
                self.note_memory(op, true, n);
            }
            k if k.is_elementwise()
                || is_reindexing(k)
                || reads(k)
                || matches!(k, OpKind::Constant(_) | OpKind::Arange) =>
            {
                let v = op.results[0];
                if is_inline(f, self.lanes, v) {
                    return;
                }
                if !k.is_elementwise() && !reads(k) {
                    return self.own_step(op);
                }
                let point = k.is_elementwise() || matches!(k, OpKind::Gather);
                let mut min = self.need_all(&op.operands, point);
                if reads(k) {
                    min = min.max(self.memory_min(op, false));
                }
                self.name(v, min);
                if reads(k)
                    && f.is_written(op.operands[0])
                    && let Some(Home::Nest(n)) = self.home.get(&v).copied()
                {
                    self.note_memory(op, false, n);
                }
            }
            _ => self.own_step(op),
        }
    }

    /// A step with loops of its own: after all it uses, and after every effect before it.
    fn own_step(&mut self, op: &'k Op) {
        for v in &op.operands {
            if !is_cheap(self.f, *v) {
                self.force(*v);
            }
        }
        let mut min = self.need_all(&op.operands, false).max(self.effect);
        let control = !op.regions.is_empty();
        if control {
            // Whatever the regions capture must be complete.
            min = min.max(self.steps.len());
        }
        if control || op.kind.has_side_effect() || op.kind.reads_memory() {
            min = min.max(self.stored.values().chain(self.loaded.values()).map(|s| s + 1).max().unwrap_or(0));
        }
        debug_assert!(min <= self.steps.len());
        let n = self.step(op);
        if control || op.kind.has_side_effect() {
            self.effect = n + 1;
            for p in 0..self.f.kernel.params.len() {
                self.stored.insert(p, n);
                self.loaded.insert(p, n);
            }
        }
        for r in &op.results {
            self.home.insert(*r, Home::Before(n + 1));
        }
    }

    fn keep(&mut self, n: usize, v: ValueId) {
        let nest = self.at(n);
        if !nest.keep.contains(&v) {
            nest.keep.push(v);
        }
    }

    /// Marks what a use of `v` in `step` needs from scratch memory, and the loads it evaluates.
    fn keep_uses(&mut self, v: ValueId, step: usize, pointwise: bool) {
        if self.f.rank(v) == 0 {
            return;
        }
        match self.home.get(&v).copied() {
            Some(Home::Nest(n)) if n == step && pointwise => return,
            // A nest of its own that was asked for later: this step still computes the value where it uses it.
            Some(Home::Nest(n)) if n >= step && is_inline(self.f, self.lanes, v) => {
                if let Some(op) = self.f.op(v) {
                    self.visit_inline(op, step, pointwise);
                }
                return;
            }
            Some(Home::Nest(n)) => self.keep(n, v),
            Some(Home::Before(_)) => {}
            None => {
                if let Some(op) = self.f.op(v)
                    && is_inline(self.f, self.lanes, v)
                {
                    return self.visit_inline(op, step, pointwise);
                }
            }
        }
        if let Some(r) = self.reads.get_mut(step) {
            r.push((v, pointwise));
        }
    }

    fn visit_inline(&mut self, op: &'k Op, step: usize, pointwise: bool) {
        let point = pointwise && (op.kind.is_elementwise() || matches!(op.kind, OpKind::Gather));
        if matches!(op.kind, OpKind::Load { .. } | OpKind::LoadRows { .. })
            && let Some(Step::Nest(n)) = self.steps.get_mut(step)
            && !n.loads.iter().any(|l| std::ptr::eq(*l, op))
        {
            n.loads.push(op);
        }
        for o in &op.operands {
            self.keep_uses(*o, step, point);
        }
    }

    fn mark(&mut self, i: usize) {
        let (mut point, mut whole): (Vec<ValueId>, Vec<ValueId>) = (Vec::new(), Vec::new());
        let mut computed: Vec<&'k Op> = Vec::new();
        match &self.steps[i] {
            Step::Op(op) => whole.extend(&op.operands),
            Step::Nest(n) => {
                for r in &n.reduces {
                    point.push(r.operands[0]);
                }
                for s in &n.stores {
                    let (v, rest) = s.operands.split_last().expect("a store has a value");
                    point.push(*v);
                    if matches!(s.kind, OpKind::Scatter) { point.extend(rest) } else { whole.extend(rest) }
                }
                computed.extend(n.named.iter().filter_map(|v| self.f.op(*v)));
            }
        }
        for op in computed {
            match &op.kind {
                OpKind::Dot { .. } => {
                    whole.extend(&op.operands[..2]);
                    point.push(op.operands[2]);
                }
                OpKind::For { .. } => {
                    whole.extend(&op.operands[..3]);
                    point.push(op.operands[3]);
                    if let Some(c) = contract::find(self.f, op) {
                        whole.extend(c.a.load.operands.iter().chain(&c.b.load.operands));
                    }
                }
                _ => self.visit_inline(op, i, true),
            }
        }
        for v in point {
            self.keep_uses(v, i, true);
        }
        for v in whole {
            // A dot reads loads in place and does its own checks.
            let (base, _) = super::lanes::through_transposes(self.f, v);
            match self.f.op(base).map(|o| &o.kind) {
                Some(OpKind::Load { .. }) if !self.home.contains_key(&base) => {}
                _ => self.keep_uses(v, i, false),
            }
        }
    }
}

fn reads(k: &OpKind) -> bool {
    matches!(k, OpKind::Load { .. } | OpKind::LoadRows { .. } | OpKind::Gather)
}
