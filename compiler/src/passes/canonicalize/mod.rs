//! Brings operations into their simplest form, without changing a bit of any result.
//!
//! ```text
//! fold      2 * 3 → 6, by the interpreter that eager mode uses
//! identity  x + 0 → x, select(true, a, b) → a, cast(cast(x)) → x where the first loses nothing
//! shape     transpose of transpose, reshape of reshape; arithmetic on repeated scalars → on scalars
//! control   if true { a } else { b } → a; a loop that never runs → its initial values
//! ```

mod control;
mod fold;
mod identity;
mod shape;

use super::{Level, Pass};
use crate::error::Error;
use crate::mlir::build;
use crate::mlir::handle::{Block, Op, Ty, Value, top};
use crate::read;
use kcc_dsl::ir::{Const, OpKind, Type};
use melior::Context;
use melior::ir::Module;
use std::collections::HashMap;

/// The pass.
pub const PASS: Pass = Pass { name: "canonicalize", on: Level::Kt, run };

/// Each round uses what the one before made; kernels settle in two or three.
const ROUNDS: usize = 8;

fn run(context: &Context, module: &mut Module) -> Result<(), Error> {
    let mut r = Rewriter { context, types: HashMap::new() };
    for _ in 0..ROUNDS {
        let mut changed = false;
        for function in top(module) {
            for b in function.blocks() {
                changed |= r.block(b)?;
            }
        }
        if !changed {
            break;
        }
    }
    Ok(())
}

/// An operation with one result and without regions, as the rules see it.
struct Node {
    kind: OpKind,
    operands: Vec<Value>,
    types: Vec<Type>,
    result: Type,
}

/// What to replace an operation's only result with.
enum Rewrite {
    /// A value that there is.
    Value(Value),
    /// A constant of the result's type.
    Constant(Const),
    /// A new operation of the same result type.
    Make(OpKind, Vec<Value>),
}

struct Rewriter<'c> {
    context: &'c Context,
    types: HashMap<Ty, Option<Type>>,
}

impl Rewriter<'_> {
    fn ty(&mut self, v: Value) -> Option<Type> {
        let ty = v.ty();
        self.types.entry(ty).or_insert_with(|| build::type_of(ty)).clone()
    }

    /// The operation that computes a value, if the rules can look at it.
    fn node_of(&mut self, v: Value) -> Option<Node> {
        v.definition().and_then(|op| self.node(op))
    }

    fn node(&mut self, op: Op) -> Option<Node> {
        let result = op.result()?;
        if !op.blocks().is_empty() {
            return None;
        }
        let operands = op.operands();
        let types: Vec<Type> = operands.iter().map(|v| self.ty(*v)).collect::<Option<_>>()?;
        let result = self.ty(result)?;
        let kind = read::plain_kind(op, &types, std::slice::from_ref(&result))?;
        Some(Node { kind, operands, types, result })
    }

    fn constant(&mut self, v: Value) -> Option<Const> {
        let op = v.definition()?;
        if !matches!(op.name(), "arith.constant" | "kt.constant") {
            return None;
        }
        match self.node(op)?.kind {
            OpKind::Constant(c) => Some(c),
            _ => None,
        }
    }

    fn block(&mut self, b: Block) -> Result<bool, Error> {
        let mut changed = false;
        for op in b.ops() {
            for inner in op.blocks() {
                changed |= self.block(inner)?;
            }
            changed |= self.op(op)?;
        }
        Ok(changed)
    }

    fn op(&mut self, op: Op) -> Result<bool, Error> {
        match op.name() {
            "scf.if" => return Ok(control::branch(self, op)),
            "scf.for" => return Ok(control::empty_loop(self, op)),
            "kt.split" => return Ok(shape::split(op)),
            _ => {}
        }
        let Some(result) = op.result().filter(|v| v.is_used()) else { return Ok(false) };
        let Some(node) = self.node(op) else { return Ok(false) };
        let rewrite = match fold::fold(self, &node) {
            Some(c) => Some(Rewrite::Constant(c)),
            None => match identity::simplify(self, &node) {
                Some(r) => Some(r),
                None => shape::simplify(self, &node, op)?,
            },
        };
        let new = match rewrite {
            None => return Ok(false),
            Some(Rewrite::Value(v)) => v,
            Some(Rewrite::Constant(c)) => {
                build::before(self.context, op, &OpKind::Constant(c), &[], None, &node.result)?
            }
            Some(Rewrite::Make(kind, operands)) => {
                let from = operands.first().and_then(|v| self.ty(*v));
                build::before(self.context, op, &kind, &operands, from.as_ref(), &node.result)?
            }
        };
        result.replace_all_uses(new);
        op.erase();
        Ok(true)
    }
}
