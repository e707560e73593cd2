//! Starts the copies of a loop's operands iterations ahead, into rings of shared buffers.
//!
//! ```text
//! for i { x = load v, i          ring = alloc_shared 3 × …;  load 0 → slot 0;  load 1 → slot 1
//!         store_shared x, s  →   for i { async_wait 1;  load i+2 → slot r-1;  mma (slot r) …;  r = (r+1) % 3 }
//!         mma s … }
//! ```
//! A load can be started ahead if its place follows from the counter alone, nothing writes its view, and its rows
//! can be copied in pieces of at least four bytes. Iterations past the end copy nothing. Rows may be named by a list of
//! indices (`load_rows`). Warps that copy whole rows of lanes (`direct`) do as threads do. What is read to know the place (a table of pages) is read one turn earlier still, so that no copy waits for it. Chips without asynchronous copies
//! go by way of registers (`staged`).

mod direct;
mod pieces;
mod staged;

pub(crate) use direct::direct_pieces;
pub(crate) use pieces::pieces;
pub use pieces::rows_layout;

use super::{GpuPass, alternate_phases};
use crate::error::Error;
use crate::gpu::{GpuOptions, GpuTarget};
use crate::ktg::access::Views;
use crate::ktg::axis::Divisibility;
use crate::ktg::{Block, Builder, Effect, Func, GpuOp, Kind, Layout, Op, SharedType, Type, effect};
use crate::layout::Dim;
use kcc_dsl::ir::{BinaryOp, Cache, CmpOp, Const, Elem, LocId, OpKind, ParamKind, ValueId};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The pass.
pub const PASS: GpuPass = GpuPass { name: "pipeline_loops", run };

/// Buffers of a ring where nobody asked for a number.
const STAGES: u32 = 3;
/// Shared memory that is left to other uses (reductions, conversions of layouts).
const RESERVE: u32 = 16 << 10;

struct Facts {
    views: Views,
    div: Divisibility,
    uses: Vec<u32>,
    /// Copies go by way of registers.
    staged: bool,
    /// Bytes of a lane in copies of whole warps, 0 without such.
    direct: u32,
    /// Lanes of a warp, threads of a block, registers of a thread.
    lanes: u32,
    threads: u32,
    registers: u32,
    /// Units of the chip that each issue the instructions of their own warps.
    schedulers: u32,
}

fn run(func: &mut Func, target: &dyn GpuTarget, options: &GpuOptions) -> Result<(), Error> {
    let chip = target.facts();
    if !chip.async_copy && target.buffers().is_none() {
        return Ok(());
    }
    let facts = Facts {
        views: Views::of(func),
        div: Divisibility::of(func),
        uses: func.uses(),
        staged: !chip.async_copy,
        direct: if chip.async_copy { 0 } else { chip.direct_copy },
        lanes: chip.lanes,
        threads: func.threads(chip.lanes),
        registers: chip.registers,
        schedulers: chip.schedulers,
    };
    let mut others = 0;
    func.walk(&mut |op| {
        if let (Kind::Gpu(GpuOp::AllocShared { .. }), Some(s)) =
            (&op.kind, op.results.first().and_then(|v| func.ty(*v).shared()))
        {
            others += s.bytes();
        }
    });
    let room = target.facts().shared_bytes.saturating_sub(RESERVE);
    let mut body = std::mem::take(&mut func.body);
    walk(func, &mut body, &facts, options, (room, others));
    func.body = body;
    func.drop_dead();
    Ok(())
}

fn walk(func: &mut Func, block: &mut Block, facts: &Facts, options: &GpuOptions, memory: (u32, u32)) {
    let mut done = Vec::with_capacity(block.ops.len());
    for mut op in std::mem::take(&mut block.ops) {
        for r in &mut op.regions {
            walk(func, r, facts, options, memory);
        }
        let Kind::Tile(OpKind::For { stages }) = &op.kind else {
            done.push(op);
            continue;
        };
        let mut copies = copies(func, facts, &op);
        let asked = if *stages > 0 { Some(u32::from(*stages)) } else { options.stages };
        // Direct copies are waited for by every barrier, so that phases would wait for them: only for those who ask.
        let alternates = alternate_phases::wanted(func, facts.schedulers, options, &op);
        let insists = alternates && options.all.contains_key("ping_pong");
        let ring: u32 = copies.iter().map(|c| c.ty.bytes()).sum();
        // Whatever is asked for is tried; what nobody asked for must fit.
        let (room, others) = memory;
        let fits = |stages: u32| others.saturating_sub(ring) + ring * stages <= room;
        if let (false, Some(stages)) =
            (insists, direct::stages(func, facts, &copies, options.capped(asked.unwrap_or(direct::STAGES))))
            && (asked.is_some() || fits(stages))
        {
            func.count("stages", u64::from(stages));
            func.count("direct_copies", copies.len() as u64);
            done.extend(pipelined(func, op, &copies, stages, true));
            continue;
        }
        if facts.staged {
            copies = staged::fitting(func, &op, copies, facts.threads, facts.registers);
        }
        let fits = |stages: u32| facts.staged || fits(stages);
        let stages = asked.unwrap_or_else(|| (2..=STAGES).rev().find(|s| fits(*s)).unwrap_or(1));
        let stages = options.capped(stages);
        if copies.is_empty() || stages < 2 {
            done.push(op);
            continue;
        }
        func.count("stages", u64::from(stages));
        if facts.staged {
            // A second buffer saves a meeting of threads a turn, and costs an addition for each place that is read: for those
            // who ask.
            if alternates && (insists || asked.is_none_or(|s| s == 2)) && copies.len() == stored(&op) {
                done.extend(staged::stored_behind(func, op, &copies));
                continue;
            }
            let buffers = if asked.is_some_and(|s| s > 2) { 2 } else { 1 };
            done.extend(staged::pipelined(func, op, &copies, buffers));
            continue;
        }
        done.extend(pipelined(func, op, &copies, stages, false));
    }
    block.ops = done;
}

/// How many tiles a loop's body stores to shared memory.
fn stored(op: &Op) -> usize {
    let ops = op.regions.iter().flat_map(|r| &r.ops);
    ops.filter(|o| matches!(o.kind, Kind::Gpu(GpuOp::StoreShared))).count()
}

/// A load whose only use is a store to shared memory of its own.
struct Copy {
    /// Value of the buffer, and the type of one.
    buffer: ValueId,
    ty: SharedType,
    view: ValueId,
    offsets: Vec<ValueId>,
    /// The first offset is a list of rows: bytes of a piece, layout of the list.
    rows: Option<(u32, Layout)>,
    /// What lies outside arrives as zeros.
    zero: bool,
    cache: Cache,
    loc: LocId,
    /// Places in the body of the load, the allocation and the store.
    ops: [usize; 3],
    /// Places in the body of what computes its operands.
    needs: Vec<usize>,
}

fn copies(func: &Func, facts: &Facts, the_loop: &Op) -> Vec<Copy> {
    let Some(body) = the_loop.regions.first() else { return Vec::new() };
    let place: HashMap<ValueId, usize> =
        body.ops.iter().enumerate().flat_map(|(i, op)| op.results.iter().map(move |r| (*r, i))).collect();
    let mut found = Vec::new();
    for (i, op) in body.ops.iter().enumerate() {
        let (Kind::Gpu(GpuOp::StoreShared), &[tile, buffer]) = (&op.kind, op.operands.as_slice()) else {
            continue;
        };
        let (Some(&load), Some(&alloc)) = (place.get(&tile), place.get(&buffer)) else { continue };
        let (from, made) = (&body.ops[load], &body.ops[alloc]);
        let (padding, cache, row_wise) = match &from.kind {
            Kind::Tile(OpKind::Load { padding, cache }) => (padding, cache, false),
            Kind::Tile(OpKind::LoadRows { padding, cache }) => (padding, cache, !facts.staged),
            _ => continue,
        };
        let whole = matches!(made.kind, Kind::Gpu(GpuOp::AllocShared { .. }));
        let zero = matches!(padding, Const::Float(0) | Const::Int(0) | Const::Bool(false));
        let Some(ty) = func.ty(buffer).shared().cloned() else { continue };
        // Values that a loop within has got since are none of a copy.
        let single = facts.uses.get(tile.0 as usize) == Some(&1);
        if !whole || !single || !facts.staged && !zero || !constant_view(func, facts, from.operands[0]) {
            continue;
        }
        let (view, offsets) = (from.operands[0], from.operands[1..].to_vec());
        let bytes = copy_bytes(&facts.views, &facts.div, view, &offsets, &ty);
        if !facts.staged && bytes < 4 {
            continue;
        }
        let mut rows = None;
        if row_wise {
            let along_rows = facts.views.get(view).and_then(|f| f.unit_axis) == Some(1);
            let layout = rows_layout(&ty, bytes, facts.lanes, func.warps).ok().filter(|_| along_rows);
            let Some(layout) = layout else { continue };
            rows = Some((bytes, Arc::new(layout)));
        }
        let mut needs = HashSet::new();
        let whole = |(at, v): (usize, &ValueId), needs: &mut HashSet<usize>| {
            let rank = usize::from(rows.is_some() && at == 1);
            ahead(func, facts, (body, &place), rank, *v, needs)
        };
        if from.operands.iter().enumerate().all(|v| whole(v, &mut needs)) {
            let mut needs: Vec<usize> = needs.into_iter().collect();
            needs.sort_unstable();
            let ops = [load, alloc, i];
            let (cache, loc) = (*cache, from.loc);
            found.push(Copy { buffer, ty, view, offsets, rows, zero, cache, loc, ops, needs });
        }
    }
    found
}

/// Whether a value follows from the loop's counter and from what is outside, by tiles of at most `rank` axes; adds the
/// operations that compute it.
fn ahead(
    func: &Func,
    facts: &Facts,
    (body, place): (&Block, &HashMap<ValueId, usize>),
    rank: usize,
    v: ValueId,
    needs: &mut HashSet<usize>,
) -> bool {
    if body.args[1..].contains(&v) {
        return false;
    }
    let Some(&i) = place.get(&v) else { return true };
    if needs.contains(&i) {
        return true;
    }
    let op = &body.ops[i];
    let reads_only = || {
        effect(&op.kind) == Effect::Read
            && op.operands.first().is_some_and(|v| constant_view(func, facts, *v))
    };
    let at = (body, place);
    let movable = op.regions.is_empty() && (effect(&op.kind) == Effect::Pure || reads_only());
    let small = op.results.iter().all(|r| func.ty(*r).tile().is_none_or(|t| t.rank() <= rank));
    if !(movable && small && op.operands.iter().all(|v| ahead(func, facts, at, rank, *v, needs))) {
        return false;
    }
    needs.insert(i);
    true
}

/// Whether a view is on memory that the kernel does not write.
fn constant_view(func: &Func, facts: &Facts, view: ValueId) -> bool {
    is_constant(func, &facts.views, view)
}

/// The same, of what is known of views.
pub(super) fn is_constant(func: &Func, views: &Views, view: ValueId) -> bool {
    let param = views.get(view).and_then(|f| func.params.get(f.param));
    param.is_some_and(|p| matches!(p.kind, ParamKind::View { mutable: false, .. }))
}

/// The most bytes (16, 8, 4, else 0) that one asynchronous copy may move between a view at these offsets and a buffer.
pub(crate) fn copy_bytes(
    views: &Views,
    div: &Divisibility,
    view: ValueId,
    offsets: &[ValueId],
    ty: &SharedType,
) -> u32 {
    let Some(facts) = views.get(view) else { return 0 };
    let Some(axis) = facts.unit_axis else { return 0 };
    let Some(offset) = offsets.get(axis) else { return 0 };
    let elem = ty.elem.bytes().trailing_zeros();
    // Neighbours in the buffer are neighbours in memory only along the same axis.
    let run = ty.layout.basis(Dim::Offset).iter().zip(0u32..).take_while(|(v, bit)| {
        let mut unit = [0; 3];
        unit[axis.min(2)] = 1 << bit;
        **v == unit
    });
    let run = run.count() as u32 + elem;
    let strides = if offsets.len() > 1 { u32::from(facts.spec.stride_align) } else { u32::MAX };
    let log2 = facts.align.min(strides).min(div.log2(*offset).saturating_add(elem)).min(run).min(4);
    if log2 < 2 { 0 } else { 1 << log2 }
}

fn compare(b: &mut Builder, op: CmpOp, x: ValueId, y: ValueId) -> ValueId {
    let [v] = b.op(OpKind::Compare(op), &[x, y], [Type::scalar(Elem::Bool)]);
    v
}

fn effectful(kind: GpuOp, operands: Vec<ValueId>, loc: LocId) -> Op {
    Op { kind: Kind::Gpu(kind), operands, results: Vec::new(), regions: Vec::new(), loc }
}

/// What the copies of a turn must read from memory to know their places, and what those reads need.
struct Lookups {
    /// Places in the body, in order.
    ops: Vec<usize>,
    /// What the reads give.
    values: Vec<ValueId>,
}

impl Lookups {
    fn of(body: &Block, copies: &[Copy]) -> Lookups {
        let mut wanted: HashSet<ValueId> = HashSet::new();
        let mut found = Lookups { ops: Vec::new(), values: Vec::new() };
        for i in needs(copies).into_iter().rev() {
            let op = &body.ops[i];
            let reads = effect(&op.kind) == Effect::Read;
            if reads || op.results.iter().any(|r| wanted.contains(r)) {
                wanted.extend(&op.operands);
                found.ops.insert(0, i);
            }
            if reads {
                found.values.extend(&op.results);
            }
        }
        found
    }

    /// Reads for the turn of that counter.
    fn read(&self, func: &mut Func, body: &Block, counter: ValueId, into: &mut Vec<Op>) -> Vec<ValueId> {
        let mut map = HashMap::from([(body.args[0], counter)]);
        into.extend(self.ops.iter().map(|i| func.clone_op(&body.ops[*i], &mut map)));
        self.values.iter().map(|v| map[v]).collect()
    }
}

/// Places in the body of what the copies' operands are computed from, in order.
fn needs(copies: &[Copy]) -> Vec<usize> {
    let mut needs: Vec<usize> = copies.iter().flat_map(|c| c.needs.iter().copied()).collect();
    needs.sort_unstable();
    needs.dedup();
    needs
}

/// The copies of one iteration into one slot, done if the counter is less than the end, or in any case where there is none: what they
/// then read is bounded otherwise. `known` are values of the body that are at hand for that iteration.
fn issue(
    func: &mut Func,
    body: &Block,
    copies: &[Copy],
    (rings, known): (&[ValueId], &HashMap<ValueId, ValueId>),
    (counter, end, slot): (ValueId, Option<ValueId>, ValueId),
    into: &mut Vec<Op>,
) {
    let loc = copies[0].loc;
    let runs = end.map(|end| {
        let (made, runs) = func.build(loc, |b| compare(b, CmpOp::Lt, counter, end));
        into.extend(made);
        runs
    });
    let mut map = known.clone();
    map.insert(body.args[0], counter);
    let new = |i: &usize| body.ops[*i].results.iter().any(|r| !known.contains_key(r));
    let needs: Vec<usize> = needs(copies).into_iter().filter(new).collect();
    let mut ops: Vec<Op> = needs.iter().map(|i| func.clone_op(&body.ops[*i], &mut map)).collect();
    for (copy, ring) in copies.iter().zip(rings) {
        let at = |v: &ValueId| map.get(v).copied().unwrap_or(*v);
        let mut operands = vec![at(&copy.view)];
        operands.extend(copy.offsets.iter().map(at));
        let mut kind = GpuOp::AsyncLoad { cache: copy.cache };
        if let Some((bytes, layout)) = &copy.rows {
            kind = GpuOp::AsyncLoadRows { cache: copy.cache, bytes: *bytes };
            // Made for these copies alone: computed where it is wanted.
            let list = operands[1];
            let own = list != copy.offsets[0];
            if let (true, Type::Tile { layout: l @ None, .. }) = (own, &mut func.values[list.0 as usize]) {
                *l = Some(layout.clone());
            }
        }
        let (made, ()) = func.build(copy.loc, |b| {
            let [s] = b.op(GpuOp::Slot, &[*ring, slot], [Type::Shared(copy.ty.slot())]);
            operands.push(s);
            let [] = b.op(kind, &operands, []);
        });
        ops.extend(made);
    }
    match runs {
        None => into.extend(ops),
        Some(runs) => {
            let then = Block { args: Vec::new(), ops, yields: Vec::new() };
            let regions = vec![then, Block::default()];
            let kind = Kind::Tile(OpKind::If);
            into.push(Op { kind, operands: vec![runs], results: Vec::new(), regions, loc });
        }
    }
    into.push(effectful(GpuOp::AsyncCommit, Vec::new(), loc));
}

/// With `direct` each turn issues as many copies, those past the end too, so that they can be counted; then none may be left behind the
/// loop.
fn pipelined(func: &mut Func, mut op: Op, copies: &[Copy], stages: u32, direct: bool) -> Vec<Op> {
    let loc = op.loc;
    let Some(body) = op.regions.pop() else { return vec![op] };
    let (lo, hi, step) = (op.operands[0], op.operands[1], op.operands[2]);
    let end = (!direct).then_some(hi);
    let (mut out, (rings, zero)) = func.build(loc, |b| {
        let rings: Vec<ValueId> = copies
            .iter()
            .map(|c| {
                b.loc = c.loc;
                let ty = SharedType { stages, ..c.ty.clone() };
                let [r] = b.op(GpuOp::AllocShared { offset: None }, &[], [Type::Shared(ty)]);
                r
            })
            .collect();
        (rings, b.i32(0))
    });
    for s in 0..stages - 1 {
        let (ops, (counter, slot)) = func.build(loc, |b| {
            let mut counter = lo;
            for _ in 0..s {
                counter = b.binary(BinaryOp::Add, counter, step);
            }
            (counter, b.i32(i64::from(s)))
        });
        out.extend(ops);
        issue(func, &body, copies, (&rings, &HashMap::new()), (counter, end, slot), &mut out);
    }
    // In the loop a turn finds what its copies look up read by the turn before.
    let lookups = Lookups::of(&body, copies);
    let far = |func: &mut Func, from: ValueId, turns: u32, into: &mut Vec<Op>| {
        let (made, counter) = func.build(loc, |b| {
            let turns = b.i32(i64::from(turns));
            let distance = b.binary(BinaryOp::Mul, step, turns);
            b.binary(BinaryOp::Add, from, distance)
        });
        into.extend(made);
        counter
    };
    let mut firsts = Vec::new();
    if !lookups.ops.is_empty() {
        let counter = far(func, lo, stages - 1, &mut out);
        firsts = lookups.read(func, &body, counter, &mut out);
    }
    let carried: Vec<ValueId> = firsts.iter().map(|v| func.fresh(func.ty(*v).clone())).collect();
    let known: HashMap<ValueId, ValueId> =
        lookups.values.iter().copied().zip(carried.iter().copied()).collect();
    let read = func.fresh(Type::scalar(Elem::I32));
    let mut ops = vec![effectful(GpuOp::AsyncWait { pending: stages - 2 }, Vec::new(), loc)];
    let (made, (counter, write, next)) = func.build(loc, |b| {
        if direct && stages == 2 {
            // The other one of two; and a constant step, so that it is known what the counter is no less than.
            let counter = b.binary(BinaryOp::Add, body.args[0], step);
            let one = b.i32(1);
            let other = b.binary(BinaryOp::Sub, one, read);
            return (counter, other, other);
        }
        let ahead = b.i32(i64::from(stages - 1));
        let distance = b.binary(BinaryOp::Mul, step, ahead);
        let counter = b.binary(BinaryOp::Add, body.args[0], distance);
        let (zero, one) = (b.i32(0), b.i32(1));
        let before = b.binary(BinaryOp::Sub, read, one);
        let first = compare(b, CmpOp::Eq, read, zero);
        let scalar = Type::scalar(Elem::I32);
        let [write] = b.op(OpKind::Select, &[first, ahead, before], [scalar.clone()]);
        let after = b.binary(BinaryOp::Add, read, one);
        let last = compare(b, CmpOp::Eq, read, ahead);
        let [next] = b.op(OpKind::Select, &[last, zero, after], [scalar]);
        (counter, write, next)
    });
    ops.extend(made);
    issue(func, &body, copies, (&rings, &known), (counter, end, write), &mut ops);
    let mut nexts = Vec::new();
    if !lookups.ops.is_empty() {
        let counter = far(func, body.args[0], stages, &mut ops);
        nexts = lookups.read(func, &body, counter, &mut ops);
    }
    let mut map = HashMap::new();
    for (copy, ring) in copies.iter().zip(&rings) {
        let (made, slot) = func.build(copy.loc, |b| {
            let [s] = b.op(GpuOp::Slot, &[*ring, read], [Type::Shared(copy.ty.slot())]);
            s
        });
        ops.extend(made);
        map.insert(copy.buffer, slot);
    }
    let gone: HashSet<usize> = copies.iter().flat_map(|c| c.ops).collect();
    let mut block = Block { args: body.args, ops: Vec::new(), yields: body.yields };
    block.ops =
        body.ops.into_iter().enumerate().filter(|(i, _)| !gone.contains(i)).map(|(_, op)| op).collect();
    block.replace_all(&map);
    block.ops.splice(0..0, ops);
    op.results.push(func.fresh(Type::scalar(Elem::I32)));
    op.results.extend(firsts.iter().map(|v| func.fresh(func.ty(*v).clone())).collect::<Vec<_>>());
    block.args.push(read);
    block.args.extend(carried);
    block.yields.push(next);
    block.yields.extend(nexts);
    op.operands.push(zero);
    op.operands.extend(firsts);
    op.regions.push(block);
    // Each copy is waited for by the turn that uses it: behind the loop only empty groups are left, and copies that nobody uses.
    out.push(op);
    if direct {
        out.push(effectful(GpuOp::AsyncWait { pending: 0 }, Vec::new(), loc));
    }
    out
}
