//! Which values are computed again wherever they are needed instead of being kept in scratch memory.

use super::facts::{Facts, is_reindexing};
use kcc_dsl::ir::{BinaryOp, OpKind, UnaryOp, ValueId};

/// Operations that a value may cost and still be computed twice.
const LIMIT: usize = 6;

/// Cost of computing one element of `v` anew; `None` if it must be kept (memory, transcendental functions, dots).
fn cost(f: &Facts<'_>, v: ValueId, left: usize) -> Option<usize> {
    if f.rank(v) == 0 {
        return Some(0);
    }
    let Some(op) = f.op(v) else { return (f.rank(v) == 1).then_some(1) };
    match &op.kind {
        OpKind::Constant(_) | OpKind::Arange => Some(0),
        OpKind::Broadcast { .. } if f.rank(op.operands[0]) <= 1 => {
            Some(cost(f, op.operands[0], left).unwrap_or(1).min(1))
        }
        // A row that the first pass has brought into the caches: reading it again costs less than keeping what was
        // made of it.
        OpKind::Load { .. } => {
            (f.rank(v) == 1 && !f.is_written(op.operands[0]) && f.unit_axis(op.operands[0]) == Some(0))
                .then_some(1)
        }
        OpKind::Unary(u) if !matches!(u, UnaryOp::Neg | UnaryOp::Not | UnaryOp::Abs) => None,
        OpKind::Binary(BinaryOp::Div | BinaryOp::Rem | BinaryOp::MulHi) => None,
        k if k.is_elementwise() || is_reindexing(k) => {
            let mut sum = usize::from(k.is_elementwise());
            for o in &op.operands {
                sum += cost(f, *o, left.checked_sub(sum)?)?;
            }
            (sum <= left).then_some(sum)
        }
        _ => None,
    }
}

/// Whether `v` is cheap enough to be computed at each use.
pub fn is_cheap(f: &Facts<'_>, v: ValueId) -> bool {
    cost(f, v, LIMIT).is_some()
}
