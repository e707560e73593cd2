//! Keeps asynchronous products in flight where the program first waited for each.
//!
//! ```text
//! sums over a loop (`lag`)               product, softmax, product (`chain`)
//!   wait full[i]                           s = q · k[0]
//!   acc = mma_async …; commit              for i { softmax of s        ┐ while p · v[i-1] is under way
//!   mma_wait 1                   →               wait 0; give back v[i-1]
//!   give back slot i-1                           s = q · k[i+1]; commit
//! end: mma_wait 0; give back the last           acc = p · v[i] + acc; commit
//!                                                mma_wait 1; give back k[i+1] }
//! ```
//! Only operands that the bulk engine has filled qualify: a slot of a ring is not written again before it was given back,
//! so that nothing but the return of the slot has to move with the wait.

mod chain;
mod lag;

use super::GpuPass;
use crate::error::Error;
use crate::gpu::{GpuOptions, GpuTarget};
use crate::ktg::{Block, Func, GpuOp, Kind, Op, Type};
use kcc_dsl::ir::{CmpOp, Const, Elem, LocId, OpKind, ValueId};
use std::collections::{HashMap, HashSet};

/// The pass.
pub const PASS: GpuPass = GpuPass { name: "rotate_mma", run };

fn run(func: &mut Func, target: &dyn GpuTarget, options: &GpuOptions) -> Result<(), Error> {
    if target.wide().is_none() || target.bulk().is_none() || options.number("rotate")? == Some(0) {
        return Ok(());
    }
    let mut body = std::mem::take(&mut func.body);
    let zero = |op: &&Op| matches!(op.kind, Kind::Tile(OpKind::Constant(Const::Int(0))));
    let zeros = body.ops.iter().filter(zero).flat_map(|op| op.results.iter().copied()).collect();
    block(func, &mut body, &zeros);
    drop_last_returns(&mut body);
    func.body = body;
    func.drop_dead();
    Ok(())
}

/// Nobody waits for a slot that is given back after the last copy.
fn drop_last_returns(body: &mut Block) {
    let mut awaited = HashSet::new();
    let mut kept = Vec::with_capacity(body.ops.len());
    for op in std::mem::take(&mut body.ops).into_iter().rev() {
        if is_gpu(Some(&op), |g| matches!(g, GpuOp::BarrierArrive)) && !awaited.contains(&op.operands[0]) {
            continue;
        }
        let mut see = |o: &Op| {
            if matches!(o.kind, Kind::Gpu(GpuOp::BarrierWait)) {
                awaited.insert(o.operands[0]);
            }
        };
        see(&op);
        op.regions.iter().for_each(|r| r.walk(&mut see));
        kept.push(op);
    }
    kept.reverse();
    body.ops = kept;
}

/// `zeros`: constants of the function's body, where rings that nobody has filled yet begin.
fn block(func: &mut Func, b: &mut Block, zeros: &HashSet<ValueId>) {
    let mut done = Vec::with_capacity(b.ops.len());
    for mut op in std::mem::take(&mut b.ops) {
        for r in &mut op.regions {
            block(func, r, zeros);
        }
        if !matches!(op.kind, Kind::Tile(OpKind::For { .. })) {
            done.push(op);
            continue;
        }
        let products = Products::of(func, &op);
        let sums = products.as_ref().is_some_and(|p| p.all.iter().all(|x| x.sums.is_some()));
        let chain = products.as_ref().filter(|_| !sums).and_then(|p| chain::parts(func, &op, p));
        match (products, chain) {
            (Some(p), None) if sums => done.extend(lag::apply(func, op, &p)),
            (Some(p), Some(parts)) => done.extend(chain::apply(func, op, &p, &parts, zeros)),
            _ => {
                done.push(op);
                continue;
            }
        }
        func.count("products_in_flight", 1);
    }
    b.ops = done;
}

/// A product of a loop's body: `mma_fence; mma_async; mma_commit; mma_wait 0`.
struct Product {
    /// Place of the product in the body.
    at: usize,
    /// What it gives while it is under way, and once it was waited for.
    running: ValueId,
    done: ValueId,
    /// The loop's carried value that it adds to and becomes, if it does nothing else with it.
    sums: Option<usize>,
}

/// The products of a loop's body, and rings that their operands come from.
struct Products {
    all: Vec<Product>,
    /// Places in the body by the values that are defined there.
    place: HashMap<ValueId, usize>,
    /// Operations that give slots back, in order: behind a product each.
    returns: Vec<usize>,
}

fn is_gpu(op: Option<&Op>, is: impl Fn(&GpuOp) -> bool) -> bool {
    op.is_some_and(|op| matches!(&op.kind, Kind::Gpu(g) if is(g)))
}

impl Products {
    /// `None` if a product is not in the common form or reads what threads write.
    fn of(func: &Func, the_loop: &Op) -> Option<Products> {
        let body = the_loop.regions.first()?;
        let place: HashMap<ValueId, usize> =
            body.ops.iter().enumerate().flat_map(|(i, op)| op.results.iter().map(move |r| (*r, i))).collect();
        let mut uses: HashMap<ValueId, u32> = HashMap::new();
        let mut see = |op: &Op| op.operands.iter().for_each(|v| *uses.entry(*v).or_default() += 1);
        body.walk(&mut see);
        body.yields.iter().for_each(|v| *uses.entry(*v).or_default() += 1);
        let mut all = Vec::new();
        let mut returns = Vec::new();
        for (at, op) in body.ops.iter().enumerate() {
            let mut inner = false;
            op.regions.iter().for_each(|r| {
                r.walk(&mut |o| inner |= is_gpu(Some(o), |g| matches!(g, GpuOp::MmaAsync { .. })));
            });
            if inner {
                return None;
            }
            match &op.kind {
                Kind::Gpu(GpuOp::MmaAsync { .. }) => all.push(product(func, the_loop, &place, &uses, at)?),
                Kind::Gpu(GpuOp::BarrierArrive) => {
                    // Of a ring of one buffer the next copy would wait for what waits for it.
                    if matches!(func.ty(op.operands[0]), Type::Barriers { count: 0 | 1 }) {
                        return None;
                    }
                    returns.push(at);
                }
                Kind::Gpu(GpuOp::FenceAsync) => return None,
                _ => {}
            }
        }
        let first = all.first()?.at;
        (!returns.is_empty() && returns.iter().all(|r| *r > first)).then_some(Products {
            all,
            place,
            returns,
        })
    }
}

fn product(
    func: &Func,
    the_loop: &Op,
    place: &HashMap<ValueId, usize>,
    uses: &HashMap<ValueId, u32>,
    at: usize,
) -> Option<Product> {
    let body = &the_loop.regions[0];
    let op = &body.ops[at];
    let fence = at.checked_sub(1).and_then(|i| body.ops.get(i));
    let wait = body.ops.get(at + 2)?;
    let (running, done) = (*op.results.first()?, *wait.results.first()?);
    let framed = is_gpu(fence, |g| matches!(g, GpuOp::MmaFence))
        && is_gpu(body.ops.get(at + 1), |g| matches!(g, GpuOp::MmaCommit))
        && is_gpu(Some(wait), |g| matches!(g, GpuOp::MmaWait { pending: 0 }))
        && wait.operands == [running]
        && uses.get(&running) == Some(&1);
    let of_rings =
        op.operands[..2].iter().all(|v| func.ty(*v).shared().is_none() || from_ring(body, place, *v));
    if !framed || !of_rings {
        return None;
    }
    let acc = origin(func, body, place, op.operands[2]);
    let sums = body.args[1..].iter().position(|a| *a == acc).filter(|j| {
        let once = |v: ValueId| uses.get(&v) == Some(&1);
        body.yields[*j] == done && once(acc) && once(done) && once(op.operands[2])
    });
    Some(Product { at, running, done, sums })
}

/// The value behind conversions that change nothing.
fn origin(func: &Func, body: &Block, place: &HashMap<ValueId, usize>, v: ValueId) -> ValueId {
    match place.get(&v).map(|i| &body.ops[*i]) {
        Some(op)
            if matches!(op.kind, Kind::Gpu(GpuOp::ConvertLayout))
                && func.ty(op.operands[0]) == func.ty(v) =>
        {
            origin(func, body, place, op.operands[0])
        }
        _ => v,
    }
}

/// Whether a buffer is a slot of a ring, or made outside of the loop.
fn from_ring(body: &Block, place: &HashMap<ValueId, usize>, v: ValueId) -> bool {
    match place.get(&v).map(|i| &body.ops[*i]) {
        None => true,
        Some(op) => match &op.kind {
            Kind::Gpu(GpuOp::SharedTranspose { .. } | GpuOp::SharedSlice { .. }) => {
                from_ring(body, place, op.operands[0])
            }
            Kind::Gpu(GpuOp::Slot) => !place.contains_key(&op.operands[0]),
            _ => false,
        },
    }
}

/// An operation without results.
fn effect(kind: GpuOp, operands: Vec<ValueId>, loc: LocId) -> Op {
    Op { kind: Kind::Gpu(kind), operands, results: Vec::new(), regions: Vec::new(), loc }
}

/// The return of a slot of the turn before: what the loop carries for it.
struct Late {
    barriers: ValueId,
    /// The slot of this turn, and of the one before.
    slot: ValueId,
    before: ValueId,
    loc: LocId,
}

impl Late {
    /// From `barrier_arrive barriers, slot` of a body whose slot is an argument or computed in it.
    fn of(func: &mut Func, arrive: &Op) -> Late {
        let before = func.fresh(Type::scalar(Elem::I32));
        Late { barriers: arrive.operands[0], slot: arrive.operands[1], before, loc: arrive.loc }
    }

    /// Gives the slot of the turn before back, where there was one.
    fn give_back(&self, condition: ValueId) -> Op {
        effect(GpuOp::BarrierArrive, vec![self.barriers, self.before, condition], self.loc)
    }
}

/// Carries the slots of the turn before through the loop; `out` gets what starts them, the result what gives the last one
/// back behind the loop.
fn carry(func: &mut Func, the_loop: &mut Op, late: &[Late], out: &mut Vec<Op>) -> Vec<Op> {
    let loc = the_loop.loc;
    let (lo, hi) = (the_loop.operands[0], the_loop.operands[1]);
    let (made, zero) = func.build(loc, |b| b.i32(0));
    out.extend(made);
    let (mut behind, ran) = func.build(loc, |b| {
        let [ran] = b.op(OpKind::Compare(CmpOp::Lt), &[lo, hi], [Type::scalar(Elem::Bool)]);
        ran
    });
    for l in late {
        the_loop.operands.push(zero);
        the_loop.regions[0].args.push(l.before);
        the_loop.regions[0].yields.push(l.slot);
        let last = func.fresh(Type::scalar(Elem::I32));
        the_loop.results.push(last);
        behind.push(effect(GpuOp::BarrierArrive, vec![l.barriers, last, ran], l.loc));
    }
    behind
}

/// Whether this is not the first turn of a loop.
fn not_first(func: &mut Func, the_loop: &Op) -> (Vec<Op>, ValueId) {
    let (lo, counter) = (the_loop.operands[0], the_loop.regions[0].args[0]);
    func.build(the_loop.loc, |b| {
        let [later] = b.op(OpKind::Compare(CmpOp::Ne), &[counter, lo], [Type::scalar(Elem::Bool)]);
        later
    })
}

/// A wait behind a loop for all products: those results of the loop are what they were only after it.
fn wait_behind(func: &mut Func, the_loop: &mut Op, results: &[usize]) -> Op {
    let mut wait = Op {
        kind: Kind::Gpu(GpuOp::MmaWait { pending: 0 }),
        operands: Vec::new(),
        results: Vec::new(),
        regions: Vec::new(),
        loc: the_loop.loc,
    };
    for j in results {
        let done = the_loop.results[*j];
        let ty = func.ty(done).clone();
        the_loop.results[*j] = func.fresh(ty);
        wait.operands.push(the_loop.results[*j]);
        wait.results.push(done);
    }
    wait
}
