//! Drops what nobody uses: operations without side effects, loops and branches around nothing, values that a loop
//! carries for itself alone, functions that no reduction names.

mod carried;

use super::{Level, Pass};
use crate::dialect::KERNEL;
use crate::dialect::effects::{Effect, effect, ends};
use crate::error::Error;
use crate::mlir::handle::{Attr, Block, Op, top, walk};
use melior::Context;
use melior::ir::Module;
use std::collections::HashSet;

/// The pass.
pub const PASS: Pass = Pass { name: "dce", on: Level::Kt, run };

fn run(_: &Context, module: &mut Module) -> Result<(), Error> {
    for function in top(module) {
        for b in function.blocks() {
            block(b)?;
        }
    }
    functions(module);
    Ok(())
}

/// Last operation first, so that what a dead operation used is seen to be dead too.
fn block(b: Block) -> Result<(), Error> {
    for op in b.ops().into_iter().rev() {
        if op.name() == "scf.for" {
            carried::settle(op);
        }
        for inner in op.blocks() {
            block(inner)?;
        }
        if !op.is_used() && droppable(op) {
            op.erase();
        } else if op.name() == "scf.for" {
            carried::shrink(op)?;
        }
    }
    Ok(())
}

fn droppable(op: Op) -> bool {
    match effect(op.name()) {
        Effect::Pure | Effect::Read => true,
        Effect::Side | Effect::Terminator => false,
        Effect::Regions => {
            let inner = op.blocks().into_iter().flat_map(Block::ops);
            ends(op.name())
                && inner.into_iter().all(|o| effect(o.name()) == Effect::Terminator || droppable(o))
        }
    }
}

fn functions(module: &Module) {
    loop {
        let all = top(module);
        let mut named = HashSet::new();
        for function in &all {
            walk(&function.blocks(), &mut |op| named.extend(op.attr("combine").and_then(Attr::symbol)));
        }
        let dead = all.into_iter().find(|f| {
            let name = f.attr("sym_name").and_then(Attr::str).unwrap_or_default();
            f.name() == "func.func" && f.attr(KERNEL).is_none() && !named.contains(name)
        });
        match dead {
            Some(function) => function.erase(),
            None => return,
        }
    }
}
