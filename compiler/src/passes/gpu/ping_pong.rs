//! Groups of warps take turns at the products of a loop, so that what one group does between them runs beside the products
//! of the other.
//!
//! ```text
//! group 0   products ─ softmax ──────── products ─ softmax …
//! group 1   softmax ── products ─ softmax ──────── products …
//! ```
//! Without turns both groups would ask for the tensor cores at the same time, and then both leave them idle. The pass
//! looks for loops in which `rotate_mma` has put two products next to each other.

use super::GpuPass;
use crate::error::Error;
use crate::gpu::{GpuOptions, GpuTarget};
use crate::ktg::{Block, Func, GpuOp, Kind, Op};
use kcc_dsl::ir::{LocId, OpKind};

/// The pass.
pub const PASS: GpuPass = GpuPass { name: "ping_pong", run };

/// Warps of a group.
const GROUP: u32 = 4;

fn run(func: &mut Func, target: &dyn GpuTarget, options: &GpuOptions) -> Result<(), Error> {
    let groups = func.warps / GROUP;
    if target.wide().is_none() || groups < 2 || options.number("ping_pong")? == Some(0) {
        return Ok(());
    }
    let mut loops = 0;
    let mut body = std::mem::take(&mut func.body);
    block(&mut body, groups, &mut loops);
    func.body = body;
    if loops > 0 {
        func.count("turns", loops);
    }
    Ok(())
}

fn turn(kind: GpuOp, loc: LocId) -> Op {
    Op { kind: Kind::Gpu(kind), operands: Vec::new(), results: Vec::new(), regions: Vec::new(), loc }
}

fn block(b: &mut Block, groups: u32, loops: &mut u64) {
    let mut done = Vec::with_capacity(b.ops.len());
    for mut op in std::mem::take(&mut b.ops) {
        op.regions.iter_mut().for_each(|r| block(r, groups, loops));
        let span = match op.kind {
            Kind::Tile(OpKind::For { .. }) => op.regions.first().and_then(products),
            _ => None,
        };
        let Some((first, last)) = span else {
            done.push(op);
            continue;
        };
        *loops += 1;
        let loc = op.loc;
        let body = &mut op.regions[0].ops;
        body.insert(last + 1, turn(GpuOp::TurnPass { only: None }, loc));
        body.insert(first, turn(GpuOp::TurnWait { only: None }, loc));
        // The last group lets the first one begin, and the first one takes what the last one passes on at the end.
        done.push(turn(GpuOp::TurnPass { only: Some(groups - 1) }, loc));
        done.push(op);
        done.push(turn(GpuOp::TurnWait { only: Some(0) }, loc));
    }
    b.ops = done;
}

/// From the fence before the first product of a body to the commit behind the last, if there are several and none is
/// waited for in between.
fn products(body: &Block) -> Option<(usize, usize)> {
    let is = |i: &usize, f: fn(&GpuOp) -> bool| matches!(&body.ops[*i].kind, Kind::Gpu(g) if f(g));
    let places: Vec<usize> =
        (0..body.ops.len()).filter(|i| is(i, |g| matches!(g, GpuOp::MmaAsync { .. }))).collect();
    let (&[first, .., last], true) = (places.as_slice(), places.len() > 1) else { return None };
    let waits = (first..last).any(|i| is(&i, |g| matches!(g, GpuOp::MmaWait { .. })));
    let fence = first.checked_sub(1).filter(|i| is(i, |g| matches!(g, GpuOp::MmaFence)))?;
    let commit =
        Some(last + 1).filter(|i| *i < body.ops.len() && is(i, |g| matches!(g, GpuOp::MmaCommit)))?;
    (!waits).then_some((fence, commit))
}
