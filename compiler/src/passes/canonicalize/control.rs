//! Branches whose condition is known, and loops that never run.

use super::Rewriter;
use crate::mlir::handle::{Op, Value};
use kcc_dsl::ir::Const;

/// Replaces an operation's results and erases it.
fn replace(op: Op, values: &[Value]) {
    for (old, new) in op.results().into_iter().zip(values) {
        old.replace_all_uses(*new);
    }
    op.erase();
}

/// `if true { a } else { b }` is `a`.
pub(super) fn branch(r: &mut Rewriter, op: Op) -> bool {
    let Some(Const::Bool(holds)) = op.operands().first().and_then(|v| r.constant(*v)) else { return false };
    let regions = op.regions();
    let Some(chosen) = regions.get(usize::from(!holds)) else { return false };
    let ops = chosen.first().map(|b| b.ops()).unwrap_or_default();
    let Some((end, ops)) = ops.split_last() else {
        replace(op, &[]); // an `if` without `else`, not taken
        return true;
    };
    for o in ops {
        o.move_before(op);
    }
    replace(op, &end.operands());
    true
}

/// A loop from `lo` to `hi <= lo` gives its initial values.
pub(super) fn empty_loop(r: &mut Rewriter, op: Op) -> bool {
    let operands = op.operands();
    let [lo, hi, _, carried @ ..] = &operands[..] else { return false };
    let (Some(Const::Int(lo)), Some(Const::Int(hi))) = (r.constant(*lo), r.constant(*hi)) else {
        return false;
    };
    if lo < hi {
        return false;
    }
    replace(op, carried);
    true
}
