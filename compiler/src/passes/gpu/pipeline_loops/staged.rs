//! The same by way of registers, for chips whose threads do not copy asynchronously: a turn stores what the turn before has
//! loaded, and starts the next loads before its products.
//!
//! ```text
//! one buffer                              two
//! x = load 0                              load 0 → slot 0;  x = load 1
//! for i { store_shared x, s               for i { async_wait 0
//!         x = load i+1                            store_shared x, slot w;  x = load i+2
//!         mma s … }                               mma (slot 1-w) …;  w = 1 - w }
//! ```
//! With one buffer threads meet twice a turn, with two once. Loads are not predicated: those past the end read what the view
//! has there, or nothing. Where groups of warps are to take turns (`alternate_phases`), a turn stores for the next one instead:
//!
//! ```text
//! load 0 → s;  x = load 1;  for i { mma s …;  store_shared x, s;  x = load i+2 }
//! ```

use super::{Copy, effectful};
use crate::ktg::{Block, Func, GpuOp, Kind, Op, SharedType, Type};
use kcc_dsl::ir::{BinaryOp, Elem, OpKind, ValueId};
use std::collections::{HashMap, HashSet};

/// Registers that addresses, operands and what is between products take.
const OTHERS: u32 = 128;

/// The copies that registers have room for, first come, first served: an eighth of all, and half of what the sums of
/// the loop's products and other uses leave.
pub(super) fn fitting(func: &Func, op: &Op, copies: Vec<Copy>, threads: u32, registers: u32) -> Vec<Copy> {
    let mut sums = 0;
    for o in op.regions.iter().flat_map(|r| &r.ops) {
        let product = matches!(o.kind, Kind::Gpu(GpuOp::Mma { .. }));
        for t in o.results.iter().filter(|_| product).filter_map(|r| func.ty(*r).tile()) {
            sums += t.shape.iter().product::<usize>() as u32 / threads;
        }
    }
    let room = (registers.saturating_sub(OTHERS) / 2).saturating_sub(sums);
    let mut left = room.min(registers / 8) * 4 * threads;
    let mut fits = |bytes: u32| {
        let fits = bytes <= left;
        left -= if fits { bytes } else { 0 };
        fits
    };
    copies.into_iter().filter(|c| fits(c.ty.bytes())).collect()
}

/// Clones of the loads of one turn, and what they give.
fn loads(
    func: &mut Func,
    body: &Block,
    copies: &[Copy],
    counter: ValueId,
    into: &mut Vec<Op>,
) -> Vec<ValueId> {
    let mut needs: Vec<usize> = copies.iter().flat_map(|c| c.needs.iter().copied()).collect();
    needs.extend(copies.iter().map(|c| c.ops[0]));
    needs.sort_unstable();
    needs.dedup();
    let mut map = HashMap::from([(body.args[0], counter)]);
    into.extend(needs.iter().map(|i| func.clone_op(&body.ops[*i], &mut map)));
    let made = copies.iter().map(|c| body.ops[c.ops[0]].results[0]);
    made.map(|v| map.get(&v).copied().unwrap_or(v)).collect()
}

fn store(tile: ValueId, to: ValueId, copy: &Copy) -> Op {
    effectful(GpuOp::StoreShared, vec![tile, to], copy.loc)
}

/// The loop with its copies so started, in `buffers` (1 or 2) buffers each.
pub(super) fn pipelined(func: &mut Func, mut op: Op, copies: &[Copy], buffers: u32) -> Vec<Op> {
    let loc = op.loc;
    let Some(mut body) = op.regions.pop() else { return vec![op] };
    let (lo, step) = (op.operands[0], op.operands[2]);
    let mut out = Vec::new();
    let mut tiles = loads(func, &body, copies, lo, &mut out);
    let types: Vec<Type> = tiles.iter().map(|t| func.ty(*t).clone()).collect();
    let args: Vec<ValueId> = types.iter().map(|t| func.fresh(t.clone())).collect();
    if buffers < 2 {
        // The buffer stays in the loop; what is stored comes from the turn before.
        let (made, counter) = func.build(loc, |b| b.binary(BinaryOp::Add, body.args[0], step));
        let mut ahead = made;
        let next = loads(func, &body, copies, counter, &mut ahead);
        let last = copies.iter().map(|c| c.ops[2]).max().unwrap_or(0);
        for (copy, arg) in copies.iter().zip(&args) {
            body.ops[copy.ops[2]].operands[0] = *arg;
        }
        body.ops.splice(last + 1..last + 1, ahead);
        let gone: HashSet<ValueId> = copies.iter().flat_map(|c| body.ops[c.ops[0]].results.clone()).collect();
        body.ops.retain(|o| !o.results.iter().any(|r| gone.contains(r)));
        return finish(func, out, op, body, (tiles, args, next), types);
    }
    let (made, (rings, zero, one)) = func.build(loc, |b| {
        let rings: Vec<ValueId> = copies
            .iter()
            .map(|c| {
                b.loc = c.loc;
                let ty = SharedType { stages: buffers, ..c.ty.clone() };
                let [r] = b.op(GpuOp::AllocShared { offset: None }, &[], [Type::Shared(ty)]);
                r
            })
            .collect();
        (rings, b.i32(0), b.i32(1))
    });
    out.extend(made);
    let slots = |func: &mut Func, index: ValueId, into: &mut Vec<Op>| -> Vec<ValueId> {
        let rings = copies.iter().zip(&rings);
        rings
            .map(|(c, ring)| {
                let (made, slot) = func.build(c.loc, |b| {
                    let [s] = b.op(GpuOp::Slot, &[*ring, index], [Type::Shared(c.ty.slot())]);
                    s
                });
                into.extend(made);
                slot
            })
            .collect()
    };
    let first = slots(func, zero, &mut out);
    out.extend(copies.iter().zip(&tiles).zip(&first).map(|((c, t), s)| store(*t, *s, c)));
    let (made, counter) = func.build(loc, |b| b.binary(BinaryOp::Add, lo, step));
    out.extend(made);
    tiles = loads(func, &body, copies, counter, &mut out);
    // The body: meet, store, load, then as before.
    let write = func.fresh(Type::scalar(Elem::I32));
    let mut ops = vec![effectful(GpuOp::AsyncWait { pending: 0 }, Vec::new(), loc)];
    let (made, (counter, read)) = func.build(loc, |b| {
        let far = b.binary(BinaryOp::Add, step, step);
        (b.binary(BinaryOp::Add, body.args[0], far), b.binary(BinaryOp::Sub, one, write))
    });
    ops.extend(made);
    let to = slots(func, write, &mut ops);
    ops.extend(copies.iter().zip(&args).zip(&to).map(|((c, t), s)| store(*t, *s, c)));
    let next = loads(func, &body, copies, counter, &mut ops);
    let from = slots(func, read, &mut ops);
    let map: HashMap<ValueId, ValueId> = copies.iter().map(|c| c.buffer).zip(from).collect();
    let gone: HashSet<usize> = copies.iter().flat_map(|c| c.ops).collect();
    let kept = std::mem::take(&mut body.ops).into_iter().enumerate();
    body.ops = kept.filter(|(i, _)| !gone.contains(i)).map(|(_, op)| op).collect();
    body.replace_all(&map);
    body.ops.splice(0..0, ops);
    body.args.push(write);
    body.yields.push(read);
    op.operands.push(one);
    op.results.push(func.fresh(Type::scalar(Elem::I32)));
    finish(func, out, op, body, (tiles, args, next), types)
}

/// The loop with its copies so started, each stored behind the products of the turn before, in one buffer.
pub(super) fn stored_behind(func: &mut Func, mut op: Op, copies: &[Copy]) -> Vec<Op> {
    let loc = op.loc;
    let Some(mut body) = op.regions.pop() else { return vec![op] };
    let (lo, step) = (op.operands[0], op.operands[2]);
    let mut out: Vec<Op> = copies.iter().map(|c| body.ops[c.ops[1]].clone()).collect();
    let first = loads(func, &body, copies, lo, &mut out);
    out.extend(copies.iter().zip(&first).map(|(c, t)| store(*t, c.buffer, c)));
    let (made, (next, far)) = func.build(loc, |b| {
        let twice = b.binary(BinaryOp::Add, step, step);
        (b.binary(BinaryOp::Add, lo, step), twice)
    });
    out.extend(made);
    let tiles = loads(func, &body, copies, next, &mut out);
    let types: Vec<Type> = tiles.iter().map(|t| func.ty(*t).clone()).collect();
    let args: Vec<ValueId> = types.iter().map(|t| func.fresh(t.clone())).collect();
    let mut behind: Vec<Op> = copies.iter().zip(&args).map(|(c, t)| store(*t, c.buffer, c)).collect();
    let (made, counter) = func.build(loc, |b| b.binary(BinaryOp::Add, body.args[0], far));
    behind.extend(made);
    let next = loads(func, &body, copies, counter, &mut behind);
    let gone: HashSet<usize> = copies.iter().flat_map(|c| c.ops).collect();
    let kept = std::mem::take(&mut body.ops).into_iter().enumerate();
    body.ops = kept.filter(|(i, _)| !gone.contains(i)).map(|(_, op)| op).chain(behind).collect();
    finish(func, out, op, body, (tiles, args, next), types)
}

/// Carries the loaded tiles from turn to turn.
fn finish(
    func: &mut Func,
    mut out: Vec<Op>,
    mut op: Op,
    mut body: Block,
    (tiles, args, next): (Vec<ValueId>, Vec<ValueId>, Vec<ValueId>),
    types: Vec<Type>,
) -> Vec<Op> {
    op.operands.extend(tiles);
    body.args.extend(args);
    body.yields.extend(next);
    op.results.extend(types.into_iter().map(|t| func.fresh(t)));
    op.regions.push(body);
    debug_assert!(matches!(op.kind, Kind::Tile(OpKind::For { .. })));
    out.push(op);
    out
}
