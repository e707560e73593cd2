//! Sign analysis: which uniform integers are surely no less than 0, so that a bound can be moved from every element to the
//! tile.
//!
//! ```text
//! offset ≥ 0:   offset + x < dim   ⟺   x < (offset < dim ? dim - offset : 0)     for 0 ≤ x, without wrapping
//! ```

use super::{Block, Func, Kind, Op};
use kcc_dsl::ir::{BinaryOp, Const, OpKind, ValueId};
use std::collections::{HashMap, HashSet};

/// Distances up to this may be added: a sum that wraps is then further below 0 than any tile is long.
const MOST: i64 = 1 << 30;

/// The values.
#[derive(Clone, Debug, Default)]
pub struct Nonnegative {
    found: HashSet<ValueId>,
    constants: HashMap<ValueId, i64>,
    /// Quotients by a constant, which may be multiplied by as much again.
    quotients: HashMap<ValueId, i64>,
}

impl Nonnegative {
    /// Analyses a function.
    pub fn of(func: &Func) -> Nonnegative {
        let mut n = Nonnegative::default();
        n.block(&func.body);
        n
    }

    /// Whether the value is no less than 0, or so far below it that adding a coordinate within a tile does not lead back.
    pub fn holds(&self, v: ValueId) -> bool {
        self.found.contains(&v)
    }

    fn block(&mut self, block: &Block) {
        for op in &block.ops {
            if self.op(op) {
                self.found.extend(&op.results);
            }
            op.regions.iter().for_each(|r| self.block(r));
        }
    }

    fn op(&mut self, op: &Op) -> bool {
        let holds = |i: usize| op.operands.get(i).is_some_and(|v| self.found.contains(v));
        let constant = |i: usize| op.operands.get(i).and_then(|v| self.constants.get(v)).copied();
        match &op.kind {
            Kind::Tile(OpKind::Constant(Const::Int(c))) => {
                self.constants.insert(op.results[0], *c);
                *c >= 0
            }
            Kind::Tile(OpKind::ProgramId(_) | OpKind::NumPrograms(_) | OpKind::Dim(_)) => true,
            Kind::Tile(OpKind::For { .. }) => {
                // A counter is less than the bound, so that it does not wrap.
                if let (true, Some(1..), Some(body)) = (holds(0), constant(2), op.regions.first()) {
                    self.found.extend(body.args.first());
                }
                false
            }
            Kind::Tile(OpKind::Binary(b)) => match b {
                BinaryOp::Max => holds(0) || holds(1),
                BinaryOp::Min => holds(0) && holds(1),
                BinaryOp::Div if holds(0) && constant(1).is_some_and(|c| c > 0) => {
                    self.quotients.insert(op.results[0], constant(1).unwrap_or(1));
                    true
                }
                BinaryOp::Mul => {
                    let divided = op.operands.first().and_then(|v| self.quotients.get(v));
                    matches!((divided, constant(1)), (Some(by), Some(c)) if c > 0 && c <= *by)
                }
                BinaryOp::Add => {
                    let near = |i: usize| constant(i).is_some_and(|c| (0..=MOST).contains(&c));
                    holds(0) && near(1) || holds(1) && near(0)
                }
                _ => false,
            },
            _ => false,
        }
    }
}
