//! Moves what a loop computes anew each time, with the same result, in front of it: pure operations, and loads from
//! views that the kernel never writes.
//!
//! ```text
//! for i { q = load x[row]; use(q, i) }      →      q = load x[row]; for i { use(q, i) }
//! ```

use super::read_only::movable;
use super::{Level, Pass};
use crate::error::Error;
use crate::mlir::handle::{Block, Op, Value, top, walk};
use melior::Context;
use melior::ir::Module;
use std::collections::HashSet;

/// The pass.
pub const PASS: Pass = Pass { name: "hoist", on: Level::Kt, run };

fn run(_: &Context, module: &mut Module) -> Result<(), Error> {
    for function in top(module) {
        for b in function.blocks() {
            block(b);
        }
    }
    Ok(())
}

/// Inner loops first: what leaves one may leave the next.
fn block(b: Block) {
    for op in b.ops() {
        for inner in op.blocks() {
            block(inner);
        }
        if matches!(op.name(), "scf.for" | "scf.while") {
            hoist(op);
        }
    }
}

fn hoist(the_loop: Op) {
    let mut inside: HashSet<Value> = HashSet::new();
    let blocks = the_loop.blocks();
    inside.extend(blocks.iter().flat_map(|b| b.args()));
    walk(&blocks, &mut |op| {
        inside.extend(op.results());
        inside.extend(op.blocks().into_iter().flat_map(Block::args));
    });
    for op in blocks.into_iter().flat_map(Block::ops) {
        if movable(op) && !op.operands().iter().any(|v| inside.contains(v)) {
            op.move_before(the_loop);
            for v in op.results() {
                inside.remove(&v);
            }
        }
    }
}
