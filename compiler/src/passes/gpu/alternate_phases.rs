//! Two groups of warps, one of each on every unit that issues instructions: while one multiplies, the other moves data.
//!
//! ```text
//! for i { mma s …                    phase of group 1 only;  for i {
//!         store_shared x, s    →       mma_read s ……………… | mma, first half | store_shared x, s … | mma, second half |   }
//!         x = load i+2 }             phase of group 0 only               | ends a phase: a barrier of the block
//!
//! group 0    read │ multiply │ store  │ multiply │ read  …
//! group 1         │ read     │ multiply │ store  │ multiply …
//! ```
//! Group 1 waits once more before the loop, group 0 behind it: in between they are one phase apart. So what one stores the other has read two
//! phases before, and reads two phases later. Products are served first. Warps that have a unit for themselves meet those of other blocks there,
//! which are in other places of their own accord: their products are served first, too.
//!
//! Public evidence: Triton's `BlockPingpong` pass alternates so from 256x128x64 tiles of 16 bits on, HipKittens in its largest products.

use super::GpuPass;
use super::pipeline_loops::is_constant;
use crate::error::Error;
use crate::gpu::fragments;
use crate::gpu::{Facts, GpuOptions, GpuTarget};
use crate::ktg::access::Views;
use crate::ktg::{Block, Func, GpuOp, Kind, Op};
use crate::lower::gpu::scratch_bytes;
use kcc_dsl::ir::{LocId, OpKind, ValueId};
use std::collections::HashSet;

/// The pass.
pub const PASS: GpuPass = GpuPass { name: "alternate_phases", run };

/// Bits of operand that a turn multiplies, counted as rows by columns by depth by bits, from which on it is done unasked.
const LARGE: usize = 256 * 128 * 64 * 16;

/// Instructions of a warp in a product that is worth being served first.
const MANY: u32 = 8;

/// Whether the groups of a loop are to alternate, so that its copies are stored behind its product.
pub(super) fn wanted(func: &Func, schedulers: u32, options: &GpuOptions, op: &Op) -> bool {
    let Some(body) = op.regions.first() else { return false };
    let Some(product) = only_product(body) else { return false };
    let asked = options.number("ping_pong").ok().flatten();
    schedulers > 0
        && func.warps == 2 * schedulers
        && asked != Some(0)
        && (asked.is_some() || work(func, &body.ops[product]) >= LARGE)
}

/// The place of the only product of a body, if its operands lie in shared memory and have no scales.
fn only_product(body: &Block) -> Option<usize> {
    let is = |op: &Op| matches!(op.kind, Kind::Gpu(GpuOp::Mma { depth: None, .. }));
    let mut all = (0..body.ops.len()).filter(|i| is(&body.ops[*i]));
    all.next().filter(|i| all.next().is_none() && body.ops[*i].operands.len() == 3)
}

fn work(func: &Func, product: &Op) -> usize {
    let tile = |v: &ValueId| func.ty(*v).tile().map(|t| t.shape.iter().product::<usize>());
    let sums = product.results.first().and_then(tile).unwrap_or(0);
    let operand = product.operands.first().and_then(|v| func.ty(*v).shared());
    operand.map_or(0, |s| sums * s.shape.last().copied().unwrap_or(0) * 8 * s.elem.bytes())
}

fn run(func: &mut Func, target: &dyn GpuTarget, options: &GpuOptions) -> Result<(), Error> {
    if target.facts().schedulers == 0 || options.number("ping_pong")? == Some(0) {
        return Ok(());
    }
    let mut body = std::mem::take(&mut func.body);
    let mut counts = [0; 2];
    block(func, target, options, &mut body, &mut counts);
    func.body = body;
    for (name, count) in ["phases", "priorities"].into_iter().zip(counts) {
        if count > 0 {
            func.count(name, count);
        }
    }
    Ok(())
}

fn block(
    func: &mut Func,
    target: &dyn GpuTarget,
    options: &GpuOptions,
    b: &mut Block,
    counts: &mut [u64; 2],
) {
    let facts = target.facts();
    let interleave = options.all.get("interleave").is_some_and(|n| n != "0");
    let mut done = Vec::with_capacity(b.ops.len());
    for mut op in std::mem::take(&mut b.ops) {
        op.regions.iter_mut().for_each(|r| block(func, target, options, r, counts));
        if !matches!(op.kind, Kind::Tile(OpKind::For { .. })) {
            done.push(op);
            continue;
        }
        let loc = op.loc;
        let split = if wanted(func, facts.schedulers, options, &op) {
            op.regions.first().and_then(|body| split(func, target, body))
        } else {
            None
        };
        if let Some((at, half, depth)) = split {
            counts[0] += 1;
            alternate(func, &mut op.regions[0], (at, half, depth));
            done.push(effect(GpuOp::BlockBarrier { id: 0, threads: 0 }, loc));
            done.push(effect(GpuOp::Phase { only: Some(1) }, loc));
            done.push(op);
            done.push(effect(GpuOp::Phase { only: Some(0) }, loc));
            continue;
        }
        // Priorities keep reads of shared memory in their order, at the price of more waits: unasked only where one product is fed by way of
        // registers, as in the evidence.
        let asked = ["ping_pong", "interleave"].iter().any(|name| options.all.contains_key(*name));
        if func.warps <= facts.schedulers && (asked || staged(&op)) {
            counts[1] += serve_first(func, target, interleave, &mut op.regions[0]);
        }
        done.push(op);
    }
    b.ops = done;
}

/// Whether a loop has one product, and copies by way of registers.
fn staged(op: &Op) -> bool {
    let Some(body) = op.regions.first() else { return false };
    let stores = body.ops.iter().any(|op| matches!(op.kind, Kind::Gpu(GpuOp::StoreShared)));
    stores && only_product(body).is_some()
}

fn effect(kind: GpuOp, loc: LocId) -> Op {
    Op { kind: Kind::Gpu(kind), operands: Vec::new(), results: Vec::new(), regions: Vec::new(), loc }
}

/// Where the product of a body is, half of its depth, and all of it, if the rest of the body is nothing but what stores behind it: no
/// other use of shared memory, no meeting of threads.
fn split(func: &Func, target: &dyn GpuTarget, body: &Block) -> Option<(usize, u32, u32)> {
    let facts: &Facts = target.facts();
    let at = only_product(body)?;
    let product = &body.ops[at];
    let Kind::Gpu(GpuOp::Mma { instr, .. }) = &product.kind else { return None };
    let row = target.mma_named(instr)?;
    let views = Views::of(func);
    let quiet = body.ops.iter().enumerate().all(|(i, op)| {
        let shared = match &op.kind {
            Kind::Gpu(GpuOp::StoreShared) => i > at,
            Kind::Gpu(GpuOp::Mma { .. }) => i == at,
            Kind::Gpu(GpuOp::ConvertLayout | GpuOp::SharedTranspose { .. } | GpuOp::SharedSlice { .. }) => {
                true
            }
            Kind::Gpu(_) => false,
            Kind::Tile(k) if k.reads_memory() => is_constant(func, &views, op.operands[0]),
            Kind::Tile(k) => !k.has_side_effect(),
        };
        shared && op.regions.is_empty() && scratch_bytes(func, op, facts) == 0
    });
    let stores = body.ops[at..].iter().any(|op| matches!(op.kind, Kind::Gpu(GpuOp::StoreShared)));
    let both = product.operands[..2].iter().all(|v| func.ty(*v).shared().is_some());
    let depth = *func.ty(product.operands[0]).shared()?.shape.last()? as u32;
    let half = (depth / row.k).div_ceil(2) * row.k;
    (quiet && stores && both && half < depth).then_some((at, half, depth))
}

fn alternate(func: &mut Func, body: &mut Block, (at, half, depth): (usize, u32, u32)) {
    let mut ops = std::mem::take(&mut body.ops);
    let rest = ops.split_off(at + 1);
    let Some(product) = ops.pop() else { return };
    let loc = product.loc;
    let Kind::Gpu(GpuOp::Mma { instr, .. }) = &product.kind else { return };
    let read = GpuOp::MmaRead { instr: instr.clone() };
    ops.push(Op { operands: product.operands.clone(), ..effect(read, loc) });
    ops.push(effect(GpuOp::Phase { only: None }, loc));
    let part = |from: u32, to: u32, operands: Vec<ValueId>, results: Vec<ValueId>| {
        let kind = GpuOp::Mma { instr: instr.clone(), depth: Some([from, to]) };
        let op = Op { operands, results, ..effect(kind, loc) };
        let first = effect(GpuOp::Priority { level: 1 }, loc);
        [first, op, effect(GpuOp::Priority { level: 0 }, loc), effect(GpuOp::Phase { only: None }, loc)]
    };
    let between = func.fresh(func.ty(product.results[0]).clone());
    ops.extend(part(0, half, product.operands.clone(), vec![between]));
    // What follows from the sums waits for all of them.
    let mut late: HashSet<ValueId> = product.results.iter().copied().collect();
    let (after, meanwhile): (Vec<Op>, Vec<Op>) = rest.into_iter().partition(|op| {
        let follows = op.operands.iter().any(|v| late.contains(v));
        late.extend(op.results.iter().filter(|_| follows));
        follows
    });
    ops.extend(meanwhile);
    ops.push(effect(GpuOp::Phase { only: None }, loc));
    let operands = vec![product.operands[0], product.operands[1], between];
    ops.extend(part(half, depth, operands, product.results.clone()));
    ops.extend(after);
    body.ops = ops;
}

/// Raises the priority of large products of a loop's body; how many they are. With `interleave` their instructions are spread between
/// the reads of their operands.
fn serve_first(func: &Func, target: &dyn GpuTarget, interleave: bool, body: &mut Block) -> u64 {
    let mut count = 0;
    let mut done = Vec::with_capacity(body.ops.len());
    for op in std::mem::take(&mut body.ops) {
        let (products, reads) = size(func, target, &op).unwrap_or_default();
        if products < MANY {
            done.push(op);
            continue;
        }
        count += 1;
        let loc = op.loc;
        done.push(effect(GpuOp::Priority { level: 1 }, loc));
        done.push(op);
        if interleave && reads > 0 {
            done.push(effect(GpuOp::Interleave { products, reads }, loc));
        }
        done.push(effect(GpuOp::Priority { level: 0 }, loc));
    }
    body.ops = done;
    count
}

/// Instructions of a warp in a product, and reads of 16 bytes of a thread for them.
fn size(func: &Func, target: &dyn GpuTarget, op: &Op) -> Option<(u32, u32)> {
    let Kind::Gpu(GpuOp::Mma { instr, .. }) = &op.kind else { return None };
    let row = target.mma_named(instr)?;
    let acc = func.ty(*op.results.first()?).layout()?.registers();
    let shape = |v: ValueId| {
        let ty = func.ty(v);
        ty.shared().map(|s| &s.shape).or(ty.tile().map(|t| &t.shape)).cloned()
    };
    let depth = *shape(op.operands[0])?.last()? as u32;
    let products = acc / row.acc_layout.registers().max(1) * depth.div_ceil(row.k) * row.issues;
    let read = |side: usize| -> Option<u32> {
        let elem = func.ty(op.operands[side]).shared()?.elem;
        let held = fragments::operand(row, func.ty(op.results[0]).layout()?, depth as usize, side).ok()?;
        Some(held.registers() * elem.bytes() as u32 / 16)
    };
    Some((products, read(0).unwrap_or(0) + read(1).unwrap_or(0)))
}
