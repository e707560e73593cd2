//! A product, work on its result, a second product of that: the first one of the next turn is issued before the second one
//! of this turn, so that the work of a turn runs beside a product.
//!
//! ```text
//! front     k[i] is filled; s = q · k[i]            needs the counter and the state of its ring only
//! early     what follows from s                     while p · v of the turn before is under way
//! late      what needs the carried sum, and the narrow form of p, whose registers that product reads
//! ```
//! Before the loop the first front runs if the loop does; the last turn's front is one too many, of a block beyond the end,
//! whose result nobody reads.

use super::{Late, Product, Products, carry, effect, not_first, wait_behind};
use crate::ktg::{Block, Effect, Func, GpuOp, Kind, Op, Type, effect as effect_of};
use kcc_dsl::ir::{BinaryOp, CmpOp, Const, Elem, OpKind, ValueId};
use std::collections::{HashMap, HashSet};

/// The parts of a body, as places of operations.
pub(super) struct Parts {
    /// Carried values of the front, as numbers of the loop's results.
    state: Vec<usize>,
    /// The carried sum.
    sum: usize,
    front: Vec<usize>,
    early: Vec<usize>,
    late: Vec<usize>,
    /// What fills and awaits the second product's operands, and that product.
    second: Vec<usize>,
    /// Returns of slots of the first and of the second product.
    returns: [Vec<usize>; 2],
}

/// The slots of rings that a product reads.
fn slots(body: &Block, products: &Products, p: &Product) -> HashSet<ValueId> {
    let mut found = HashSet::new();
    for v in &body.ops[p.at].operands[..2] {
        let mut v = *v;
        while let Some(op) = products.place.get(&v).map(|i| &body.ops[*i]) {
            match op.kind {
                Kind::Gpu(GpuOp::Slot) => {
                    found.insert(op.operands[1]);
                    break;
                }
                Kind::Gpu(GpuOp::SharedTranspose { .. } | GpuOp::SharedSlice { .. }) => v = op.operands[0],
                _ => break,
            }
        }
    }
    found
}

/// The slot that an operation on a ring's barriers is about.
fn slot_of(op: &Op) -> Option<ValueId> {
    match &op.kind {
        Kind::Gpu(GpuOp::BarrierWait | GpuOp::BarrierExpect { .. } | GpuOp::BarrierArrive) => {
            op.operands.get(1).copied()
        }
        Kind::Gpu(GpuOp::BulkLoad { .. }) => op.operands.last().copied(),
        _ => None,
    }
}

fn is_arrive(op: &Op) -> bool {
    matches!(op.kind, Kind::Gpu(GpuOp::BarrierArrive))
}

/// Places in a block of what some values are computed from, arguments that are among it.
struct Slice<'b> {
    body: &'b Block,
    place: &'b HashMap<ValueId, usize>,
    ops: HashSet<usize>,
    args: HashSet<ValueId>,
}

impl Slice<'_> {
    fn add(&mut self, v: ValueId) {
        match self.place.get(&v) {
            Some(i) => self.add_op(*i),
            None if self.body.args.contains(&v) && self.args.insert(v) => {
                // A carried value: what it becomes belongs to it.
                if let Some(j) = self.body.args[1..].iter().position(|a| *a == v) {
                    self.add(self.body.yields[j]);
                }
            }
            None => {}
        }
    }

    fn add_op(&mut self, i: usize) {
        if self.ops.insert(i) {
            let op = &self.body.ops[i];
            let mut used = op.operands.clone();
            for r in &op.regions {
                r.walk(&mut |o| used.extend(&o.operands));
                used.extend(&r.yields);
            }
            used.into_iter().for_each(|v| self.add(v));
        }
    }
}

/// The parts of a loop's body, if it is of that form.
pub(super) fn parts(func: &Func, the_loop: &Op, products: &Products) -> Option<Parts> {
    let [first, second] = products.all.as_slice() else { return None };
    let body = &the_loop.regions[0];
    let ops = &body.ops;
    let sum = body.yields.iter().position(|y| *y == second.done)?;
    let fresh = products.place.get(&ops[first.at].operands[3]).map(|i| &ops[*i].kind);
    if !matches!(fresh, Some(Kind::Tile(OpKind::Constant(Const::Bool(false))))) || first.sums.is_some() {
        return None;
    }
    let (one, two) = (slots(body, products, first), slots(body, products, second));
    if one.is_empty() || one.intersection(&two).next().is_some() {
        return None;
    }
    let (mut returns, mut after) = ([Vec::new(), Vec::new()], Vec::new());
    let (args, place) = (HashSet::new(), &products.place);
    let mut front = Slice { body, place, ops: HashSet::new(), args };
    let framed = |p: &Product, i: usize| (p.at - 1..=p.at + 2).contains(&i);
    for (i, op) in ops.iter().enumerate() {
        match slot_of(op) {
            Some(s) if one.contains(&s) && is_arrive(op) => returns[0].push(i),
            Some(s) if two.contains(&s) && is_arrive(op) => returns[1].push(i),
            Some(s) if one.contains(&s) => front.add_op(i),
            Some(s) if two.contains(&s) => after.push(i),
            Some(_) => return None,
            None if i == first.at => front.add_op(i),
            None if framed(first, i) || framed(second, i) => {}
            None => match effect_of(&op.kind) {
                Effect::Pure | Effect::Read => {}
                Effect::Regions if pure_within(op) => {}
                _ => return None,
            },
        }
    }
    let touches = |i: &usize| *i == second.at || *i == first.at + 2 || after.contains(i);
    let counter = body.args[0];
    let tiles = front.args.iter().any(|a| func.ty(*a).layout().is_some());
    if returns.iter().any(Vec::is_empty) || front.ops.iter().any(touches) || tiles {
        return None;
    }
    let state: Vec<usize> =
        (0..body.yields.len()).filter(|j| front.args.contains(&body.args[j + 1])).collect();
    front.ops.extend([first.at - 1, first.at + 1]);
    // Others may use what the front computes from the counter, but neither its state nor its buffers.
    let inside = |i: usize| front.ops.contains(&i) && (slot_of(&ops[i]).is_some() || framed(first, i));
    let (mut late, mut early) = (Vec::new(), Vec::new());
    let delayed = delayed(func, body, products, second, sum);
    let mut private: HashSet<ValueId> = front.args.iter().copied().filter(|a| *a != counter).collect();
    for (i, op) in ops.iter().enumerate() {
        let on_private = op.operands.iter().any(|v| private.contains(v));
        if inside(i) || i == first.at + 2 || returns[0].contains(&i) {
            continue;
        }
        if on_private && front.ops.contains(&i) {
            private.extend(&op.results);
        } else if on_private || regions_use(op, &private) {
            return None;
        } else if framed(second, i) || returns[1].contains(&i) || after.contains(&i) {
        } else if delayed.contains(&i) {
            late.push(i);
        } else {
            early.push(i);
        }
    }
    let mut own: Vec<usize> = front.ops.into_iter().collect();
    own.sort_unstable();
    after.extend([second.at, second.at + 1]);
    after.sort_unstable();
    Some(Parts { state, sum, front: own, early, late, second: after, returns })
}

fn pure_within(op: &Op) -> bool {
    let mut pure = true;
    let quiet = |o: &Op| matches!(effect_of(&o.kind), Effect::Pure | Effect::Read | Effect::Regions);
    op.regions.iter().for_each(|r| r.walk(&mut |o| pure &= quiet(o)));
    pure
}

fn regions_use(op: &Op, values: &HashSet<ValueId>) -> bool {
    let mut uses = false;
    for r in &op.regions {
        r.walk(&mut |o| uses |= o.operands.iter().any(|v| values.contains(v)));
        uses |= r.yields.iter().any(|v| values.contains(v));
    }
    uses
}

/// What waits for the second product of the turn before: what needs its sum, and narrow forms of its left operand.
fn delayed(func: &Func, body: &Block, products: &Products, second: &Product, sum: usize) -> HashSet<usize> {
    let mut values = HashSet::from([body.args[sum + 1]]);
    let mut found = HashSet::new();
    let mut narrow = vec![body.ops[second.at].operands[0]];
    while let Some(v) = narrow.pop() {
        let tile = func.ty(v).tile().is_some_and(|t| t.rank() > 0 && t.elem.bytes() < 4);
        if let (true, Some(i)) = (tile, products.place.get(&v))
            && found.insert(*i)
        {
            narrow.extend(&body.ops[*i].operands);
        }
    }
    values.extend(found.iter().flat_map(|i| &body.ops[*i].results));
    for (i, op) in body.ops.iter().enumerate() {
        if op.operands.iter().any(|v| values.contains(v)) || regions_use(op, &values) {
            values.extend(&op.results);
            found.insert(i);
        }
    }
    found
}

/// The front as operations of its own: for the counter and the state that `map` says; gives what `map` calls the product.
fn front(
    func: &mut Func,
    body: &Block,
    parts: &Parts,
    first: &Product,
    map: &mut HashMap<ValueId, ValueId>,
) -> (Vec<Op>, ValueId) {
    let ops = parts.front.iter().map(|i| func.clone_op(&body.ops[*i], map)).collect();
    (ops, map.get(&first.running).copied().unwrap_or(first.running))
}

fn mapped(map: &HashMap<ValueId, ValueId>, v: ValueId) -> ValueId {
    map.get(&v).copied().unwrap_or(v)
}

/// Waits until only the youngest `pending` groups are under way, and gives the first product's slots back.
fn finish(
    func: &mut Func,
    body: &Block,
    parts: &Parts,
    (running, pending): (ValueId, u32),
    map: &HashMap<ValueId, ValueId>,
) -> (Vec<Op>, ValueId) {
    let loc = body.ops[parts.returns[0][0]].loc;
    let ty = func.ty(running).clone();
    let done = func.fresh(ty);
    let kind = Kind::Gpu(GpuOp::MmaWait { pending });
    let mut ops = vec![Op { kind, operands: vec![running], results: vec![done], regions: Vec::new(), loc }];
    for i in &parts.returns[0] {
        let op = &body.ops[*i];
        let operands = op.operands.iter().map(|v| mapped(map, *v)).collect();
        ops.push(effect(GpuOp::BarrierArrive, operands, op.loc));
    }
    (ops, done)
}

/// The loop, rotated, and what is around it.
pub(super) fn apply(
    func: &mut Func,
    mut op: Op,
    products: &Products,
    parts: &Parts,
    zeros: &HashSet<ValueId>,
) -> Vec<Op> {
    let [first, second] = products.all.as_slice() else { return vec![op] };
    let (lo, hi, step) = (op.operands[0], op.operands[1], op.operands[2]);
    let body = std::mem::take(&mut op.regions[0]);
    let late: Vec<Late> = parts.returns[1].iter().map(|i| Late::of(func, &body.ops[*i])).collect();
    // Before the loop.
    let mut map = HashMap::from([(body.args[0], lo)]);
    map.extend(parts.state.iter().map(|j| (body.args[j + 1], op.operands[j + 3])));
    let given: HashMap<ValueId, ValueId> = map.clone();
    let (mut ops, running) = front(func, &body, parts, first, &mut map);
    // A ring that nobody has filled is empty.
    let returned: HashSet<ValueId> = parts.returns[0].iter().map(|i| body.ops[*i].operands[0]).collect();
    ops.retain(|o| {
        let waits = matches!(o.kind, Kind::Gpu(GpuOp::BarrierWait)) && returned.contains(&o.operands[0]);
        !(waits && zeros.contains(&o.operands[1]))
    });
    let (more, scores) = finish(func, &body, parts, (running, 0), &given);
    ops.extend(more);
    let mut yields: Vec<ValueId> = parts.state.iter().map(|j| mapped(&map, body.yields[*j])).collect();
    yields.push(scores);
    let then = Block { args: Vec::new(), ops, yields };
    let ty = func.ty(first.done).clone();
    let zero = if ty.elem() == Some(Elem::F32) { Const::float(0.0) } else { Const::Int(0) };
    let (ops, none) = func.build(op.loc, |b| {
        let [none] = b.op(OpKind::Constant(zero), &[], [ty.clone()]);
        none
    });
    let mut yields: Vec<ValueId> = parts.state.iter().map(|j| op.operands[j + 3]).collect();
    yields.push(none);
    let otherwise = Block { args: Vec::new(), ops, yields };
    let (mut out, runs) = func.build(op.loc, |b| {
        let [runs] = b.op(OpKind::Compare(CmpOp::Lt), &[lo, hi], [Type::scalar(Elem::Bool)]);
        runs
    });
    let mut results: Vec<ValueId> = Vec::new();
    for y in &otherwise.yields {
        let ty = func.ty(*y).clone();
        results.push(func.fresh(ty));
    }
    for (j, v) in parts.state.iter().zip(&results) {
        op.operands[j + 3] = *v;
    }
    op.operands.extend(results.last());
    let regions = vec![then, otherwise];
    out.push(Op { kind: Kind::Tile(OpKind::If), operands: vec![runs], results, regions, loc: op.loc });
    // The loop.
    let scores = func.fresh(ty.clone());
    op.regions[0].args = body.args.clone();
    let (mut ops, condition) = not_first(func, &op);
    let take =
        |into: &mut Vec<Op>, places: &[usize]| into.extend(places.iter().map(|i| body.ops[*i].clone()));
    take(&mut ops, &parts.early);
    let carried = body.args[parts.sum + 1];
    let sum_ty = func.ty(carried).clone();
    let sum = func.fresh(sum_ty);
    let mut rest = Vec::new();
    take(&mut rest, &parts.late);
    rest.iter_mut().for_each(|o| rename(o, carried, sum));
    let (made, next) = func.build(op.loc, |b| b.binary(BinaryOp::Add, body.args[0], step));
    ops.extend(made);
    let mut map = HashMap::from([(body.args[0], next)]);
    let (mut filled, running) = front(func, &body, parts, first, &mut map);
    // Waits for what was filled are branches. Without them the machine's own scheduler would put the wait for the product in
    // front of the work that is to run beside it, and what makes the narrow form behind the next product, at the price
    // of registers.
    let fence = filled.iter().position(|o| matches!(o.kind, Kind::Gpu(GpuOp::MmaFence)));
    let issued = filled.split_off(fence.unwrap_or_default());
    let (fill, product): (Vec<usize>, Vec<usize>) = parts.second.iter().partition(|i| **i < second.at);
    take(&mut ops, &fill);
    let kind = Kind::Gpu(GpuOp::MmaWait { pending: 0 });
    let (operands, results) = (vec![carried], vec![sum]);
    ops.push(Op { kind, operands, results, regions: Vec::new(), loc: op.loc });
    ops.extend(late.iter().map(|l| l.give_back(condition)));
    ops.extend(rest);
    ops.extend(filled);
    ops.extend(issued);
    let from = ops.len();
    take(&mut ops, &product);
    ops[from..].iter_mut().for_each(|o| rename(o, carried, sum));
    let (more, after) = finish(func, &body, parts, (running, 1), &HashMap::new());
    ops.extend(more);
    let mut yields = body.yields.clone();
    for j in &parts.state {
        yields[*j] = mapped(&map, yields[*j]);
    }
    yields[parts.sum] = second.running;
    let mut inner = Block { args: body.args, ops, yields };
    inner.replace_all(&HashMap::from([(first.done, scores)]));
    inner.args.push(scores);
    inner.yields.push(after);
    op.regions[0] = inner;
    op.results.push(func.fresh(ty));
    let behind = carry(func, &mut op, &late, &mut out);
    let wait = wait_behind(func, &mut op, &[parts.sum]);
    out.extend([op, wait]);
    out.extend(behind);
    out
}

fn rename(op: &mut Op, from: ValueId, to: ValueId) {
    for v in &mut op.operands {
        if *v == from {
            *v = to;
        }
    }
    for r in &mut op.regions {
        r.replace_all(&HashMap::from([(from, to)]));
    }
}
