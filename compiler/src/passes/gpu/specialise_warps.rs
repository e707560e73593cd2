//! Gives the filling of rings to warps of their own, so that copies run ahead of those who use them.
//!
//! ```text
//!                            warps 0 … c-1                  warp c
//! wait empty; load K         wait full; products            wait empty; load K
//! wait full;  products   →   arrive empty                   wait empty; load V
//! arrive empty               …                              …
//! ```
//! Each role is a slice of the program: what it has to do, the control flow around that, and what those compute from. The
//! barriers of `load_bulk` keep the roles apart; nothing else passes between them.

use super::GpuPass;
use crate::error::Error;
use crate::gpu::{Facts, GpuOptions, GpuTarget};
use crate::ktg::{Block, Effect, Func, GpuOp, Kind, Op, effect};
use crate::layout::{Dim, Linear};
use kcc_dsl::ir::{LocId, OpKind, ValueId};
use std::collections::{HashMap, HashSet};

/// The pass.
pub const PASS: GpuPass = GpuPass { name: "specialise_warps", run };

/// Registers of a thread that only starts copies: the fewest that can be asked for.
const FEW: u32 = 24;
/// The most that threads of groups ask for.
const MANY: u32 = 240;
/// Steps in which registers are handed out.
const STEP: u32 = 8;

fn run(func: &mut Func, target: &dyn GpuTarget, options: &GpuOptions) -> Result<(), Error> {
    if target.bulk().is_none() || options.number("specialise")? == Some(0) {
        return Ok(());
    }
    let (mut fills, mut empties) = (false, HashSet::new());
    func.walk(&mut |op| match &op.kind {
        Kind::Gpu(GpuOp::BulkLoad { .. }) => fills = true,
        Kind::Gpu(GpuOp::BarrierArrive) => drop(empties.insert(op.operands[0])),
        _ => {}
    });
    // Without a ring that goes round there is nothing to run ahead of.
    if !fills || empties.is_empty() {
        return Ok(());
    }
    let consumers = func.warps;
    let groups = consumers / 4;
    // Registers change hands between groups of four warps; with one group of consumers there are enough for all.
    let producers = if groups > 1 { 4 } else { 1 };
    let threads = (consumers + producers) * target.facts().lanes;
    if threads > target.facts().max_threads {
        return Ok(());
    }
    let at_first = at_first(target.facts(), threads, func.max_registers);
    let registers = if groups > 1 { handed_over(at_first, groups) } else { vec![0, 0] };
    let body = std::mem::take(&mut func.body);
    let (mut outer, rest): (Vec<Op>, Vec<Op>) = body.ops.into_iter().partition(|op| {
        matches!(op.kind, Kind::Gpu(GpuOp::AllocShared { .. } | GpuOp::AllocBarriers { .. }))
    });
    let filling = |op: &Op| match &op.kind {
        Kind::Gpu(GpuOp::BulkLoad { .. } | GpuOp::BarrierExpect { .. }) => true,
        Kind::Gpu(GpuOp::BarrierWait) => empties.contains(&op.operands[0]),
        _ => false,
    };
    let whole = Block { args: Vec::new(), ops: rest, yields: Vec::new() };
    let copy = func.clone_block(&whole, &mut HashMap::new());
    let filler = slice(copy, &filling);
    if !simple(func, &filler, &filling) {
        outer.extend(whole.ops);
        func.body = Block { args: Vec::new(), ops: outer, yields: body.yields };
        return Ok(());
    }
    let using = |op: &Op| effect(&op.kind) == Effect::Side && !filling(op);
    let regions = vec![slice(whole, &using), filler];
    outer.push(Op {
        kind: Kind::Gpu(GpuOp::WarpSpecialize { warps: vec![consumers, producers], registers }),
        operands: Vec::new(),
        results: Vec::new(),
        regions,
        loc: LocId::default(),
    });
    func.body = Block { args: Vec::new(), ops: outer, yields: body.yields };
    func.warps = consumers + producers;
    func.count("producer_warps", u64::from(producers));
    Ok(())
}

/// Registers that each thread of a block starts with.
fn at_first(facts: &Facts, threads: u32, most: Option<u32>) -> u32 {
    let all = (facts.registers_per_sm / threads).min(facts.registers);
    all.min(most.unwrap_or(all)) / STEP * STEP
}

/// What so many groups of consumers and one of producers ask for; zeros where nothing changes hands. A block has no more in all
/// than it started with: who asks for more waits forever. (PTX ISA, setmaxnreg: the pool of the block.)
fn handed_over(at_first: u32, groups: u32) -> Vec<u32> {
    let more = ((at_first * (groups + 1)).saturating_sub(FEW) / groups / STEP * STEP).min(MANY);
    if more > at_first { vec![more, FEW] } else { vec![0, 0] }
}

/// Whether a few threads can do this part: what it computes is uniform, and nothing happens twice.
fn simple(func: &Func, block: &Block, filling: &dyn Fn(&Op) -> bool) -> bool {
    let mut simple = true;
    block.walk(&mut |op| {
        let uniform = op.results.iter().all(|r| func.ty(*r).layout().is_none_or(|l| everywhere(l)));
        simple &= uniform && (effect(&op.kind) != Effect::Side || filling(op));
    });
    simple
}

/// Whether each thread holds the whole tile, as it does a single number that was read from memory.
fn everywhere(layout: &Linear) -> bool {
    [Dim::Lane, Dim::Warp].iter().all(|dim| layout.basis(*dim).iter().all(|moves| *moves == [0; 3]))
}

/// The part of a block that the roots need.
fn slice(mut block: Block, root: &dyn Fn(&Op) -> bool) -> Block {
    let mut live = HashSet::new();
    loop {
        let before = live.len();
        mark(&block, root, &mut live);
        if live.len() == before {
            break;
        }
    }
    prune(&mut block, root, &live);
    block
}

fn holds_root(op: &Op, root: &dyn Fn(&Op) -> bool) -> bool {
    let mut found = root(op);
    op.regions.iter().for_each(|r| r.walk(&mut |o| found |= root(o)));
    found
}

fn needed(op: &Op, root: &dyn Fn(&Op) -> bool, live: &HashSet<ValueId>) -> bool {
    holds_root(op, root) || op.results.iter().any(|r| live.contains(r))
}

fn mark(block: &Block, root: &dyn Fn(&Op) -> bool, live: &mut HashSet<ValueId>) {
    for op in block.ops.iter().rev() {
        if !needed(op, root, live) {
            continue;
        }
        match &op.kind {
            Kind::Tile(OpKind::For { .. }) => {
                live.extend(&op.operands[..3]);
                let body = &op.regions[0];
                for (i, result) in op.results.iter().enumerate() {
                    if live.contains(result) || live.contains(&body.args[i + 1]) {
                        live.extend([op.operands[i + 3], body.yields[i]]);
                    }
                }
                mark(body, root, live);
            }
            Kind::Tile(OpKind::If) => {
                live.extend(&op.operands);
                for r in &op.regions {
                    let wanted = op.results.iter().zip(&r.yields).filter(|(v, _)| live.contains(v));
                    let wanted: Vec<ValueId> = wanted.map(|(_, y)| *y).collect();
                    live.extend(wanted);
                    mark(r, root, live);
                }
            }
            _ => {
                live.extend(&op.operands);
                for r in &op.regions {
                    live.extend(&r.yields);
                    mark(r, root, live);
                }
            }
        }
    }
}

fn prune(block: &mut Block, root: &dyn Fn(&Op) -> bool, live: &HashSet<ValueId>) {
    block.ops.retain(|op| needed(op, root, live));
    for op in &mut block.ops {
        let carried = match &op.kind {
            Kind::Tile(OpKind::For { .. }) => {
                let args = &op.regions[0].args[1..];
                let is = |(r, a): (&ValueId, &ValueId)| live.contains(r) || live.contains(a);
                Some(op.results.iter().zip(args).map(is).collect::<Vec<bool>>())
            }
            Kind::Tile(OpKind::If) => Some(op.results.iter().map(|r| live.contains(r)).collect()),
            _ => None,
        };
        if let Some(keep) = carried {
            let is_for = matches!(op.kind, Kind::Tile(OpKind::For { .. }));
            keep_only(&mut op.results, 0, &keep);
            if is_for {
                keep_only(&mut op.operands, 3, &keep);
            }
            for r in &mut op.regions {
                keep_only(&mut r.yields, 0, &keep);
                if is_for {
                    keep_only(&mut r.args, 1, &keep);
                }
            }
        }
        let opaque = !matches!(op.kind, Kind::Tile(OpKind::For { .. } | OpKind::If));
        for r in &mut op.regions {
            // The body of a combining function or of a `while` stays whole.
            if !opaque {
                prune(r, root, live);
            }
        }
    }
}

/// Drops what does not stay, after the first `from`.
fn keep_only(list: &mut Vec<ValueId>, from: usize, keep: &[bool]) {
    let mut i = 0;
    list.retain(|_| {
        i += 1;
        i <= from || keep.get(i - 1 - from).copied().unwrap_or(true)
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_that_change_hands_were_there_before() {
        assert_eq!(handed_over(168, 2), [240, 24]);
        assert_eq!(handed_over(96, 4), [112, 24]);
        // 128 each: no more than that in all.
        assert_eq!(handed_over(128, 2), [176, 24]);
        assert_eq!(handed_over(24, 2), [0, 0]);
        for groups in 2..8 {
            for at_first in (0..=248).step_by(8) {
                let asked = handed_over(at_first, groups);
                assert!(asked[0] * groups + asked[1] <= at_first * (groups + 1), "{at_first} {groups}");
            }
        }
    }
}
