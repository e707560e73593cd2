//! Computes equal things once: an operation equal to one that dominates it takes the other's results.
//!
//! ```text
//! before: a = x + y; if c { b = x + y; use b }      after: a = x + y; if c { use a }
//! ```

use super::read_only::movable;
use super::{Level, Pass};
use crate::error::Error;
use crate::mlir::handle::{Attr, Block, Op, Ty, Value, top};
use melior::Context;
use melior::ir::Module;
use std::collections::HashMap;

/// The pass.
pub const PASS: Pass = Pass { name: "cse", on: Level::Kt, run };

/// What makes two operations equal; attributes and types are interned.
type Key = (&'static str, Vec<Value>, Vec<(&'static str, Attr)>, Vec<Ty>);

fn run(_: &Context, module: &mut Module) -> Result<(), Error> {
    for function in top(module) {
        let mut seen = Vec::new();
        for b in function.blocks() {
            block(b, &mut seen);
        }
    }
    Ok(())
}

fn block(b: Block, seen: &mut Vec<HashMap<Key, Op>>) {
    seen.push(HashMap::new());
    for op in b.ops() {
        if !movable(op) {
            for inner in op.blocks() {
                block(inner, seen);
            }
            continue;
        }
        let types = op.results().into_iter().map(Value::ty).collect();
        let key = (op.name(), op.operands(), op.attrs(), types);
        if let Some(first) = seen.iter().rev().find_map(|scope| scope.get(&key)) {
            for (old, new) in op.results().into_iter().zip(first.results()) {
                old.replace_all_uses(new);
            }
            op.erase();
        } else if let Some(scope) = seen.last_mut() {
            scope.insert(key, op);
        }
    }
    seen.pop();
}
