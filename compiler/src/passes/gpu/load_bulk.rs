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
//! slot and the phase are carried on. A wait for the phase before the first returns at once, so the ring starts empty.

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
}

/// Slot and phase of a ring, where the program stands.
type State = HashMap<usize, (ValueId, ValueId)>;

fn run(func: &mut Func, target: &dyn GpuTarget, options: &GpuOptions) -> Result<(), Error> {
    if target.bulk().is_none() || options.number("bulk")? == Some(0) {
        return Ok(());
    }
    let found = find(func);
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
            rings.push(Ring { map, ty, looped, ring: zero, full: zero, empty: None, index: 0 });
            rings.len() - 1
        });
        of_load.insert(load, index);
    }
    let asked = found.values().filter_map(|c| c.stages).max().filter(|s| *s > 0).map(u32::from);
    let stages = choose_stages(func, target, &rings, options.stages.or(asked));
    let consumers = func.warps;
    for ring in &mut rings {
        ring.index = match func.tensor_maps.iter().position(|m| *m == ring.map) {
            Some(i) => i as u32,
            None => {
                func.tensor_maps.push(ring.map.clone());
                func.tensor_maps.len() as u32 - 1
            }
        };
        ring.ty.stages = if ring.looped { stages } else { 1 };
    }
    let mut body = std::mem::take(&mut func.body);
    let mut state = State::new();
    let (head, ()) = func.build(LocId::default(), |b| {
        for (i, ring) in rings.iter_mut().enumerate() {
            let count = ring.ty.stages;
            [ring.ring] = b.op(GpuOp::AllocShared { offset: None }, &[], [Type::Shared(ring.ty.clone())]);
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
    func.walk(&mut |op| {
        if let (Kind::Gpu(GpuOp::AllocShared { .. }), Some(r)) = (&op.kind, op.results.first()) {
            other += func.ty(*r).shared().map_or(0, SharedType::bytes);
        }
    });
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
    let spec = func.args.get(view.0 as usize).filter(|s| s.tma)?;
    // Threads' writes of global memory are not ordered before the engine's reads.
    if matches!(func.params.get(view.0 as usize)?.kind, ParamKind::View { mutable: true, .. }) {
        return None;
    }
    let rank = offsets.len();
    let fixed = rank - ty.shape.len();
    let unit = usize::from(spec.unit_axis?);
    let axis = unit.checked_sub(fixed)?;
    let row = panel_row(&ty, axis)?;
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
    let map = TensorMap { param: view.0, elem: ty.elem, axes, box_dims, swizzle: row, l2_promotion: 128 };
    Some(Candidate { param: view, offsets, buffer, map, ty, stages })
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
                rings.push(*ring);
            }
        });
        rings.sort_unstable();
        rings.dedup();
        rings
    }

    fn block(&self, func: &mut Func, block: &mut Block, state: &mut State) {
        let mut fills = Vec::new();
        let mut ops = Vec::new();
        for mut op in std::mem::take(&mut block.ops) {
            if let Some(&index) = op.results.first().and_then(|r| self.of_load.get(r)) {
                let (slot, phase) = state[&index];
                let slot_of = self.fill(func, &op, index, (slot, phase), &mut ops);
                fills.push((index, slot_of, slot, phase, self.found[&op.results[0]].buffer));
                if self.rings[index].looped {
                    state.insert(
                        index,
                        next(func, &mut ops, op.loc, slot, phase, self.rings[index].ty.stages),
                    );
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
        for (index, slot_of, slot, phase, buffer) in fills {
            self.guard(func, block, index, slot_of, (slot, phase), buffer);
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

    /// Writes what fills a slot; gives the slot's buffer.
    fn fill(
        &self,
        func: &mut Func,
        load: &Op,
        index: usize,
        (slot, phase): (ValueId, ValueId),
        ops: &mut Vec<Op>,
    ) -> ValueId {
        let (ring, c) = (&self.rings[index], &self.found[&load.results[0]]);
        let (made, buffer) = func.build(load.loc, |b| {
            if let Some(empty) = ring.empty {
                let one = b.i32(1);
                let before = b.binary(BinaryOp::Xor, phase, one);
                let [] = b.op(GpuOp::BarrierWait, &[empty, slot, before], []);
            }
            let [buffer] = b.op(GpuOp::Slot, &[ring.ring, slot], [Type::Shared(ring.ty.slot())]);
            let [] = b.op(GpuOp::BarrierExpect { bytes: ring.ty.buffer_bytes() }, &[ring.full, slot], []);
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
    fn guard(
        &self,
        func: &mut Func,
        block: &mut Block,
        index: usize,
        slot_of: ValueId,
        (slot, phase): (ValueId, ValueId),
        buffer: ValueId,
    ) {
        let map = HashMap::from([(buffer, slot_of)]);
        block.replace_all(&map);
        let (first, last) = reach(block, slot_of);
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

/// The first operation of a block that reads a buffer, and the last that does or waits for one that does; those that fill
/// it do not count.
fn reach(block: &Block, buffer: ValueId) -> (Option<usize>, Option<usize>) {
    let mut names = vec![buffer];
    let (mut first, mut last) = (None, None);
    for (i, op) in block.ops.iter().enumerate() {
        let mut uses = false;
        let mut see = |op: &Op| uses |= op.operands.iter().any(|v| names.contains(v));
        see(op);
        op.regions.iter().for_each(|r| r.walk(&mut see));
        match &op.kind {
            _ if !uses => continue,
            Kind::Gpu(GpuOp::BulkLoad { .. }) => continue,
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
