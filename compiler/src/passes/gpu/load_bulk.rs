//! Loads that only fill a buffer become copies by the bulk engine into a ring, with a pair of barriers per stage.
//!
//! ```text
//! loop:                             loop (slot, phase):
//!   x = load v, i                     barrier_wait empty[slot], phase ^ 1          ┐ whoever fills
//!   store_shared x, s                 barrier_expect full[slot], bytes             │
//!   … uses of s …             →       bulk_load v, i, ring[slot], full[slot]       ┘
//!                                     barrier_wait full[slot], phase               ┐ whoever uses
//!                                     … uses of ring[slot] …                       │
//!                                     barrier_arrive empty[slot]                   ┘
//! ```
//! As it stands the program is right but waits for each copy; `specialise_warps` gives the two halves to different warps,
//! and then the ring runs ahead. Loops that follow each other and load the same box of one argument share a ring: the
//! slot and the phase are carried on. Rings that are filled and given back together share one pair of barriers. A wait for
//! the phase before the first returns at once, so the ring starts empty.

use super::GpuPass;
use crate::error::Error;
use crate::gpu::{GpuOptions, GpuTarget};
use crate::ktg::{Block, Builder, Func, GpuOp, Kind, Op, SharedType, Type};
use crate::layout::shared::Swizzle;
use crate::layout::{Dim, Linear};
use kcc_dsl::exchange::TensorMap;
use kcc_dsl::ir::{BinaryOp, CmpOp, Const, Elem, LocId, OpKind, ParamKind, ValueId};
use std::collections::{HashMap, HashSet};

/// The pass.
pub const PASS: GpuPass = GpuPass { name: "load_bulk", run };

/// A load that the engine can do.
#[derive(Clone, Debug)]
struct Candidate {
    /// The view parameter.
    param: ValueId,
    /// Offsets of the block in the parameter, axis by axis.
    offsets: Vec<ValueId>,
    /// The buffer that the tile is stored to.
    buffer: ValueId,
    map: TensorMap,
    ty: SharedType,
    /// In a loop, with a number of stages asked for by its author (0: none).
    stages: Option<u8>,
}

/// What loads of one box share.
struct Ring {
    map: TensorMap,
    ty: SharedType,
    looped: bool,
    ring: ValueId,
    full: ValueId,
    empty: Option<ValueId>,
    index: u32,
    /// The ring whose slot, phase and barriers it has.
    leader: Option<usize>,
    /// Bytes of a turn of this ring and of those that it leads.
    bytes: u32,
}

/// Slot and phase of a ring, where the program stands.
type State = HashMap<usize, (ValueId, ValueId)>;

fn run(func: &mut Func, target: &dyn GpuTarget, options: &GpuOptions) -> Result<(), Error> {
    if target.bulk().is_none() || options.number("bulk")? == Some(0) {
        return Ok(());
    }
    let mut found = find(func);
    within(&mut found, target.facts().shared_bytes / 2);
    if found.is_empty() {
        return Ok(());
    }
    let mut rings: Vec<Ring> = Vec::new();
    let mut of_load: HashMap<ValueId, usize> = HashMap::new();
    let mut results: Vec<_> = found.keys().copied().collect();
    results.sort_unstable_by_key(|v| v.0);
    for load in results {
        let c = &found[&load];
        let looped = c.stages.is_some();
        let same = rings.iter().position(|r| r.looped && looped && r.map == c.map && r.ty == c.ty);
        let index = same.unwrap_or_else(|| {
            let ty = c.ty.clone();
            let zero = ValueId(u32::MAX);
            let map = c.map.clone();
            let bytes = ty.buffer_bytes();
            let (full, empty, leader) = (zero, None, None);
            rings.push(Ring { map, ty, looped, ring: zero, full, empty, index: 0, leader, bytes });
            rings.len() - 1
        });
        of_load.insert(load, index);
    }
    join(func, &found, &of_load, &mut rings);
    let asked = found.values().filter_map(|c| c.stages).max().filter(|s| *s > 0).map(u32::from);
    let stages = options.capped(choose_stages(func, target, &rings, options.stages.or(asked)));
    let consumers = func.warps;
    for ring in &mut rings {
        ring.index = func.tensor_map(ring.map.clone());
        ring.ty.stages = if ring.looped { stages } else { 1 };
    }
    let mut body = std::mem::take(&mut func.body);
    let mut state = State::new();
    let (head, ()) = func.build(LocId::default(), |b| {
        for (i, ring) in rings.iter_mut().enumerate() {
            let count = ring.ty.stages;
            [ring.ring] = b.op(GpuOp::AllocShared { offset: None }, &[], [Type::Shared(ring.ty.clone())]);
            if ring.leader.is_some() {
                continue;
            }
            let barriers = |b: &mut Builder, arrivals: u32| -> ValueId {
                let kind = GpuOp::AllocBarriers { arrivals, offset: None };
                let [v] = b.op(kind, &[], [Type::Barriers { count }]);
                v
            };
            ring.full = barriers(b, 1);
            ring.empty = ring.looped.then(|| barriers(b, consumers));
            state.insert(i, (b.i32(0), b.i32(0)));
        }
    });
    for i in 0..rings.len() {
        if let Some(leader) = rings[i].leader {
            (rings[i].full, rings[i].empty) = (rings[leader].full, rings[leader].empty);
        }
    }
    let work = Work { found: &found, of_load: &of_load, rings: &rings };
    work.block(func, &mut body, &mut state);
    body.ops.splice(0..0, head);
    func.body = body;
    func.drop_dead();
    drop_fences(func);
    func.count("stages", u64::from(stages));
    func.count("bulk_rings", rings.len() as u64);
    Ok(())
}

/// As many as asked for, or four; fewer where they do not fit beside what else lies in shared memory.
fn choose_stages(func: &Func, target: &dyn GpuTarget, rings: &[Ring], asked: Option<u32>) -> u32 {
    let mut other = 0;
    // What is made behind the last loop lies where the rings were.
    let is_loop = |op: &Op| matches!(op.kind, Kind::Tile(OpKind::For { .. }));
    let end = func.body.ops.iter().rposition(is_loop).map_or(func.body.ops.len(), |i| i + 1);
    let mut see = |op: &Op| {
        if let (Kind::Gpu(GpuOp::AllocShared { .. }), Some(r)) = (&op.kind, op.results.first()) {
            other += func.ty(*r).shared().map_or(0, SharedType::bytes);
        }
    };
    for op in &func.body.ops[..end] {
        see(op);
        op.regions.iter().for_each(|r| r.walk(&mut see));
    }
    // Buffers that rings replace are counted among the others.
    let replaced: u32 = rings.iter().map(|r| r.ty.buffer_bytes()).sum();
    let fixed: u32 = rings.iter().filter(|r| !r.looped).map(|r| r.ty.buffer_bytes()).sum();
    let looped: u32 = rings.iter().filter(|r| r.looped).map(|r| r.ty.buffer_bytes()).sum();
    // Barriers, alignment, and scratch memory of reductions and conversions.
    let reserve = 8192;
    let room = target.facts().shared_bytes.saturating_sub(other.saturating_sub(replaced) + fixed + reserve);
    let fit = room.checked_div(looped).unwrap_or(1).max(1);
    asked.unwrap_or(4).min(fit)
}

/// Leaves copies that are made once to threads where they would take more than so many bytes: nothing tells the engine when a
/// buffer may be filled by another one, so each has memory of its own.
fn within(found: &mut HashMap<ValueId, Candidate>, bytes: u32) {
    let mut once: Vec<_> = found.iter().filter(|(_, c)| c.stages.is_none()).map(|(v, _)| *v).collect();
    once.sort_unstable_by_key(|v| v.0);
    let mut sum = 0;
    for load in once {
        sum += found[&load].ty.buffer_bytes();
        if sum > bytes {
            found.remove(&load);
        }
    }
}

/// Loads whose tile is only stored to one buffer and that a tensor map can do, by their results.
fn find(func: &Func) -> HashMap<ValueId, Candidate> {
    let uses = func.uses();
    let mut defs: HashMap<ValueId, (Kind, Vec<ValueId>)> = HashMap::new();
    let mut stores: HashMap<ValueId, ValueId> = HashMap::new();
    func.walk(&mut |op| {
        for r in &op.results {
            defs.insert(*r, (op.kind.clone(), op.operands.clone()));
        }
        if let (Kind::Gpu(GpuOp::StoreShared), &[tile, buffer]) = (&op.kind, op.operands.as_slice()) {
            stores.insert(tile, buffer);
        }
    });
    let mut found = HashMap::new();
    search(func, &func.body, &Scope { uses: &uses, defs: &defs, stores: &stores }, Some(None), &mut found);
    found
}

struct Scope<'s> {
    uses: &'s [u32],
    defs: &'s HashMap<ValueId, (Kind, Vec<ValueId>)>,
    stores: &'s HashMap<ValueId, ValueId>,
}

/// `within`: `None` where the engine cannot follow (conditions in loops, `while`), else the innermost loop's stages.
fn search(
    func: &Func,
    block: &Block,
    scope: &Scope,
    within: Option<Option<u8>>,
    found: &mut HashMap<ValueId, Candidate>,
) {
    for op in &block.ops {
        let inner = match (&op.kind, within) {
            (Kind::Tile(OpKind::For { stages }), Some(_)) => Some(Some(*stages)),
            // Only one branch runs, and only once: its rings start anew.
            (Kind::Tile(OpKind::If), Some(None)) => Some(None),
            _ => None,
        };
        for r in &op.regions {
            search(func, r, scope, inner, found);
        }
        if let (Kind::Tile(OpKind::Load { padding, .. }), Some(stages)) = (&op.kind, within)
            && let Some(c) = candidate(func, op, scope, *padding, stages)
        {
            found.insert(op.results[0], c);
        }
    }
}

fn candidate(func: &Func, op: &Op, scope: &Scope, padding: Const, stages: Option<u8>) -> Option<Candidate> {
    let zero = matches!(padding, Const::Float(0) | Const::Int(0) | Const::Bool(false));
    let result = *op.results.first()?;
    if !zero || scope.uses[result.0 as usize] != 1 {
        return None;
    }
    let buffer = *scope.stores.get(&result)?;
    let ty = func.ty(buffer).shared()?.clone();
    let mut offsets = op.operands.get(1..)?.to_vec();
    let mut view = *op.operands.first()?;
    while let Some((Kind::Tile(OpKind::At), operands)) = scope.defs.get(&view) {
        offsets.splice(0..0, operands.get(1..)?.iter().copied());
        view = *operands.first()?;
    }
    // Threads' writes of global memory are not ordered before the engine's reads.
    if matches!(func.params.get(view.0 as usize)?.kind, ParamKind::View { mutable: true, .. }) {
        return None;
    }
    let map = recipe(func, view, offsets.len(), &ty)?;
    Some(Candidate { param: view, offsets, buffer, map, ty, stages })
}

/// How the engine gets at a buffer's block of a view parameter of that rank, if it does.
pub(super) fn recipe(func: &Func, param: ValueId, rank: usize, ty: &SharedType) -> Option<TensorMap> {
    let spec = func.args.get(param.0 as usize).filter(|s| s.tma)?;
    let fixed = rank.checked_sub(ty.shape.len())?;
    let unit = usize::from(spec.unit_axis?);
    let axis = unit.checked_sub(fixed)?;
    let row = panel_row(ty, axis)?;
    let mut axes = vec![unit as u8];
    axes.extend((0..rank).rev().filter(|a| *a != unit).map(|a| a as u8));
    let bytes = ty.elem.bytes() as u32;
    let box_dims: Vec<u32> = axes
        .iter()
        .map(|&a| match usize::from(a).checked_sub(fixed) {
            None => 1,
            Some(i) if i == axis => row / bytes,
            Some(i) => (ty.shape[i] as u32).next_power_of_two(),
        })
        .collect();
    if rank > 5 || box_dims.iter().any(|d| *d > 256) {
        return None;
    }
    Some(TensorMap { param: param.0, elem: ty.elem, axes, box_dims, swizzle: row, l2_promotion: 128 })
}

/// Bytes of a row of the buffer's panels along an axis, if it lies in panels that the engine writes: the row whose layout
/// is the buffer's.
pub(crate) fn panel_row(ty: &SharedType, axis: usize) -> Option<u32> {
    let bytes = ty.elem.bytes() as u32;
    let mut order = vec![axis];
    order.extend((0..ty.shape.len()).rev().filter(|a| *a != axis));
    let extents: Vec<u32> = ty.shape.iter().map(|s| (*s as u32).next_power_of_two()).collect();
    let is = |row: u32| {
        Swizzle::of_row(row)?;
        let made = crate::layout::shared::Shared::panels(&extents, &order, bytes, row).ok()?;
        same(made.layout(), &ty.layout).then_some(row)
    };
    [128, 64, 32].into_iter().find_map(is)
}

fn same(a: &Linear, b: &Linear) -> bool {
    a.extents() == b.extents() && a.basis(Dim::Offset) == b.basis(Dim::Offset)
}

/// A turn of a ring in a block.
struct Fill {
    index: usize,
    slot: ValueId,
    phase: ValueId,
    /// What was stored to, and the slot's buffer, of the ring and of those that it leads.
    buffers: Vec<(ValueId, ValueId)>,
}

/// Finds rings that are filled in the same blocks and used to the same end: one pair of barriers does for all.
fn join(
    func: &Func,
    found: &HashMap<ValueId, Candidate>,
    of_load: &HashMap<ValueId, usize>,
    rings: &mut [Ring],
) {
    // Of each turn of each ring: block, places of the load and of the last use.
    let mut turns: Vec<Vec<(usize, usize, Option<usize>)>> = vec![Vec::new(); rings.len()];
    let mut blocks = 0;
    let mut see = |block: &Block| {
        blocks += 1;
        for (place, op) in block.ops.iter().enumerate() {
            if let Some(load) = op.results.first()
                && let Some(ring) = of_load.get(load)
            {
                turns[*ring].push((blocks, place, reach(block, vec![found[load].buffer]).1));
            }
        }
    };
    each_block(&func.body, &mut see);
    for i in 0..rings.len() {
        let once = turns[i].windows(2).all(|w| w[0].0 != w[1].0);
        let together = |j: usize| {
            let mut pairs = turns[j].iter().zip(&turns[i]);
            pairs.all(|(a, b)| a.0 == b.0 && a.1 < b.1 && a.2 == b.2) && turns[j].len() == turns[i].len()
        };
        let same = |j: &usize| once && rings[*j].looped && rings[*j].leader.is_none() && together(*j);
        if let (true, Some(leader)) = (rings[i].looped, (0..i).find(same)) {
            rings[i].leader = Some(leader);
            rings[leader].bytes += rings[i].bytes;
        }
    }
}

fn each_block(block: &Block, see: &mut dyn FnMut(&Block)) {
    see(block);
    for op in &block.ops {
        op.regions.iter().for_each(|r| each_block(r, see));
    }
}

struct Work<'w> {
    found: &'w HashMap<ValueId, Candidate>,
    of_load: &'w HashMap<ValueId, usize>,
    rings: &'w [Ring],
}

impl Work<'_> {
    /// Rings that a block fills.
    fn rings_in(&self, block: &Block) -> Vec<usize> {
        let mut rings = Vec::new();
        block.walk(&mut |op| {
            if let Some(ring) = op.results.first().and_then(|r| self.of_load.get(r))
                && self.rings[*ring].looped
            {
                rings.push(self.rings[*ring].leader.unwrap_or(*ring));
            }
        });
        rings.sort_unstable();
        rings.dedup();
        rings
    }

    fn block(&self, func: &mut Func, block: &mut Block, state: &mut State) {
        let mut fills: Vec<Fill> = Vec::new();
        let mut ops = Vec::new();
        for mut op in std::mem::take(&mut block.ops) {
            if let Some(&index) = op.results.first().and_then(|r| self.of_load.get(r)) {
                let old = self.found[&op.results[0]].buffer;
                if let Some(leader) = self.rings[index].leader {
                    // Its leader was filled before it, in this block.
                    if let Some(fill) = fills.iter_mut().rfind(|f| f.index == leader) {
                        let buffer = self.copy(func, &op, index, fill.slot, &mut ops);
                        fill.buffers.push((old, buffer));
                    }
                    continue;
                }
                let (slot, phase) = state[&index];
                self.open(func, &op, index, (slot, phase), &mut ops);
                let buffer = self.copy(func, &op, index, slot, &mut ops);
                fills.push(Fill { index, slot, phase, buffers: vec![(old, buffer)] });
                if self.rings[index].looped {
                    let after = next(func, &mut ops, op.loc, slot, phase, self.rings[index].ty.stages);
                    state.insert(index, after);
                }
                continue;
            }
            let filled = |v: &ValueId| self.found.values().any(|c| c.buffer == *v);
            let is_store = matches!(op.kind, Kind::Gpu(GpuOp::StoreShared)) && filled(&op.operands[1]);
            let is_alloc = matches!(op.kind, Kind::Gpu(GpuOp::AllocShared { .. }))
                && op.results.first().is_some_and(filled);
            if is_store || is_alloc {
                continue;
            }
            if matches!(op.kind, Kind::Tile(OpKind::For { .. })) && op.regions.len() == 1 {
                self.loop_(func, &mut op, state);
            } else {
                for r in &mut op.regions {
                    self.block(func, r, &mut state.clone());
                }
            }
            ops.push(op);
        }
        block.ops = ops;
        for fill in fills {
            self.guard(func, block, &fill);
        }
    }

    /// Carries slot and phase of each ring that the loop fills.
    fn loop_(&self, func: &mut Func, op: &mut Op, state: &mut State) {
        let rings = self.rings_in(&op.regions[0]);
        let mut inner = state.clone();
        for ring in &rings {
            let (slot, phase) = state[ring];
            op.operands.extend([slot, phase]);
            let args = [func.fresh(Type::scalar(Elem::I32)), func.fresh(Type::scalar(Elem::I32))];
            op.regions[0].args.extend(args);
            inner.insert(*ring, args.into());
        }
        self.block(func, &mut op.regions[0], &mut inner);
        for ring in &rings {
            let (slot, phase) = inner[ring];
            op.regions[0].yields.extend([slot, phase]);
            let results = [func.fresh(Type::scalar(Elem::I32)), func.fresh(Type::scalar(Elem::I32))];
            op.results.extend(results);
            state.insert(*ring, results.into());
        }
    }

    /// Waits for a slot to be empty, and announces what will come.
    fn open(
        &self,
        func: &mut Func,
        load: &Op,
        index: usize,
        (slot, phase): (ValueId, ValueId),
        ops: &mut Vec<Op>,
    ) {
        let ring = &self.rings[index];
        let (made, ()) = func.build(load.loc, |b| {
            if let Some(empty) = ring.empty {
                let one = b.i32(1);
                let before = b.binary(BinaryOp::Xor, phase, one);
                let [] = b.op(GpuOp::BarrierWait, &[empty, slot, before], []);
            }
            let [] = b.op(GpuOp::BarrierExpect { bytes: ring.bytes }, &[ring.full, slot], []);
        });
        ops.extend(made);
    }

    /// Writes the copy into a slot; gives the slot's buffer.
    fn copy(&self, func: &mut Func, load: &Op, index: usize, slot: ValueId, ops: &mut Vec<Op>) -> ValueId {
        let (ring, c) = (&self.rings[index], &self.found[&load.results[0]]);
        let (made, buffer) = func.build(load.loc, |b| {
            let [buffer] = b.op(GpuOp::Slot, &[ring.ring, slot], [Type::Shared(ring.ty.slot())]);
            let mut operands = vec![c.param];
            operands.extend(&c.offsets);
            operands.extend([buffer, ring.full, slot]);
            let [] = b.op(GpuOp::BulkLoad { map: ring.index, multicast: 0 }, &operands, []);
            buffer
        });
        ops.extend(made);
        buffer
    }

    /// Waits for the slot before its first use in the block, and gives it back after the last.
    fn guard(&self, func: &mut Func, block: &mut Block, fill: &Fill) {
        let &Fill { index, slot, phase, .. } = fill;
        let map = fill.buffers.iter().copied().collect();
        block.replace_all(&map);
        let (first, last) = reach(block, fill.buffers.iter().map(|(_, new)| *new).collect());
        let (Some(mut first), Some(last)) = (first, last) else { return };
        let ring = &self.rings[index];
        if let Some(empty) = ring.empty {
            let loc = block.ops[last].loc;
            let (arrive, ()) = func.build(loc, |b| {
                let [] = b.op(GpuOp::BarrierArrive, &[empty, slot], []);
            });
            block.ops.splice(last + 1..last + 1, arrive);
        }
        let order = |op: &Op| matches!(op.kind, Kind::Gpu(GpuOp::MmaFence | GpuOp::FenceAsync));
        while first > 0 && order(&block.ops[first - 1]) {
            first -= 1;
        }
        let loc = block.ops[first].loc;
        let (wait, ()) = func.build(loc, |b| {
            let [] = b.op(GpuOp::BarrierWait, &[ring.full, slot, phase], []);
        });
        block.ops.splice(first..first, wait);
    }
}

/// The first operation of a block that reads some buffers, and the last that does or waits for one that does; those that fill
/// them do not count.
fn reach(block: &Block, mut names: Vec<ValueId>) -> (Option<usize>, Option<usize>) {
    let (mut first, mut last) = (None, None);
    for (i, op) in block.ops.iter().enumerate() {
        let mut uses = false;
        let mut see = |op: &Op| uses |= op.operands.iter().any(|v| names.contains(v));
        see(op);
        op.regions.iter().for_each(|r| r.walk(&mut see));
        match &op.kind {
            _ if !uses => continue,
            Kind::Gpu(GpuOp::BulkLoad { .. } | GpuOp::StoreShared) => continue,
            Kind::Gpu(GpuOp::SharedTranspose { .. } | GpuOp::SharedSlice { .. }) => {
                names.extend(&op.results);
                continue;
            }
            Kind::Gpu(GpuOp::MmaAsync { .. }) => names.extend(&op.results),
            _ => {}
        }
        first = first.or(Some(i));
        last = Some(i);
    }
    (first, last)
}

/// A product whose operands in shared memory all come from the engine needs no fence: threads wrote none of them.
fn drop_fences(func: &mut Func) {
    let mut written = HashSet::new();
    let mut names: HashMap<ValueId, ValueId> = HashMap::new();
    func.walk(&mut |op| match (&op.kind, op.results.first()) {
        (Kind::Gpu(GpuOp::StoreShared), _) => drop(written.insert(op.operands[1])),
        (Kind::Gpu(GpuOp::SharedTranspose { .. } | GpuOp::SharedSlice { .. }), Some(r)) => {
            let from = names.get(&op.operands[0]).copied().unwrap_or(op.operands[0]);
            names.insert(*r, from);
        }
        _ => {}
    });
    let by_threads = |v: &ValueId| written.contains(names.get(v).unwrap_or(v));
    let mut body = std::mem::take(&mut func.body);
    fences_in(&mut body, &by_threads);
    func.body = body;
}

fn fences_in(block: &mut Block, by_threads: &dyn Fn(&ValueId) -> bool) {
    // Whether the next product, seen from behind, reads what threads wrote; a fence without product stays.
    let mut wanted = true;
    let mut kept = Vec::with_capacity(block.ops.len());
    for mut op in std::mem::take(&mut block.ops).into_iter().rev() {
        op.regions.iter_mut().for_each(|r| fences_in(r, by_threads));
        match &op.kind {
            Kind::Gpu(GpuOp::MmaAsync { .. }) => wanted = op.operands.iter().any(by_threads),
            Kind::Gpu(GpuOp::BulkStore { .. }) => wanted = true,
            Kind::Gpu(GpuOp::FenceAsync) if !wanted => {
                wanted = true;
                continue;
            }
            _ => {}
        }
        kept.push(op);
    }
    kept.reverse();
    block.ops = kept;
}

/// Slot and phase after a turn.
fn next(
    func: &mut Func,
    ops: &mut Vec<Op>,
    loc: LocId,
    slot: ValueId,
    phase: ValueId,
    stages: u32,
) -> (ValueId, ValueId) {
    let (made, state) = func.build(loc, |b| {
        let (one, zero, count) = (b.i32(1), b.i32(0), b.i32(i64::from(stages)));
        let after = b.binary(BinaryOp::Add, slot, one);
        let [wraps] = b.op(OpKind::Compare(CmpOp::Eq), &[after, count], [Type::scalar(Elem::Bool)]);
        let [slot] = b.op(OpKind::Select, &[wraps, zero, after], [Type::scalar(Elem::I32)]);
        let flipped = b.binary(BinaryOp::Xor, phase, one);
        let [phase] = b.op(OpKind::Select, &[wraps, flipped, phase], [Type::scalar(Elem::I32)]);
        (slot, phase)
    });
    ops.extend(made);
    state
}
