//! Chains of shape operations, and arithmetic on scalars that were repeated to tiles.

use super::fold::scalar_of;
use super::{Node, Rewrite, Rewriter};
use crate::error::Error;
use crate::mlir::build;
use crate::mlir::handle::{Op, Value};
use kcc_dsl::ir::{OpKind, Type};

pub(super) fn simplify(r: &mut Rewriter, n: &Node, at: Op) -> Result<Option<Rewrite>, Error> {
    if n.kind.is_elementwise() {
        return on_scalars(r, n, at);
    }
    Ok(chain(r, n))
}

fn chain(r: &mut Rewriter, n: &Node) -> Option<Rewrite> {
    let x = *n.operands.first()?;
    let movement = matches!(
        n.kind,
        OpKind::Broadcast { .. } | OpKind::Reshape | OpKind::Slice { .. } | OpKind::Transpose { .. }
    );
    if !movement {
        return None;
    }
    let same_type = n.types.first()? == &n.result;
    match &n.kind {
        OpKind::Transpose { perm } if perm.iter().enumerate().all(|(i, p)| i == usize::from(*p)) => {
            return Some(Rewrite::Value(x));
        }
        OpKind::Transpose { .. } => {}
        _ if same_type => return Some(Rewrite::Value(x)),
        _ => {}
    }
    let inner = r.node_of(x)?;
    let y = *inner.operands.first()?;
    // A repeated scalar is the same in any shape.
    if matches!(&inner.kind, OpKind::Broadcast { axes } if axes.is_empty()) {
        return Some(Rewrite::Make(OpKind::Broadcast { axes: Vec::new() }, vec![y]));
    }
    let kind = match (&n.kind, &inner.kind) {
        (OpKind::Broadcast { axes: outer }, OpKind::Broadcast { axes: inner }) => {
            let axes: Option<Vec<u8>> = inner.iter().map(|a| outer.get(usize::from(*a)).copied()).collect();
            OpKind::Broadcast { axes: axes? }
        }
        (OpKind::Reshape, OpKind::Reshape) => OpKind::Reshape,
        (OpKind::Transpose { perm: outer }, OpKind::Transpose { perm: inner }) => {
            let perm: Option<Vec<u8>> = outer.iter().map(|a| inner.get(usize::from(*a)).copied()).collect();
            OpKind::Transpose { perm: perm? }
        }
        (OpKind::Slice { offsets: outer }, OpKind::Slice { offsets: inner }) => {
            let offsets: Option<Vec<usize>> =
                outer.iter().zip(inner).map(|(a, b)| a.checked_add(*b)).collect();
            OpKind::Slice { offsets: offsets? }
        }
        _ => return None,
    };
    Some(Rewrite::Make(kind, vec![y]))
}

/// `repeat(a) op repeat(b)` is `repeat(a op b)`: one operation instead of one per element.
fn on_scalars(r: &mut Rewriter, n: &Node, at: Op) -> Result<Option<Rewrite>, Error> {
    let tile = matches!(&n.result, Type::Tile(t) if t.rank() > 0);
    if !tile {
        return Ok(None);
    }
    enum Scalar {
        Is(Value),
        Constant(kcc_dsl::ir::Const),
    }
    let mut scalars = Vec::new();
    let mut repeated = false;
    for v in &n.operands {
        if let Some(c) = r.constant(*v) {
            scalars.push(Scalar::Constant(c));
            continue;
        }
        match r.node_of(*v) {
            Some(Node { kind: OpKind::Broadcast { axes }, operands, .. })
                if axes.is_empty() && operands.len() == 1 =>
            {
                repeated = true;
                scalars.push(Scalar::Is(operands[0]));
            }
            _ => return Ok(None),
        }
    }
    if !repeated {
        return Ok(None);
    }
    let mut operands = Vec::new();
    for (s, ty) in scalars.into_iter().zip(&n.types) {
        operands.push(match s {
            Scalar::Is(v) => v,
            Scalar::Constant(c) => {
                build::before(r.context, at, &OpKind::Constant(c), &[], None, &scalar_of(ty))?
            }
        });
    }
    let from = match n.kind {
        OpKind::Select => n.types.get(1),
        _ => n.types.first(),
    };
    let scalar = build::before(
        r.context,
        at,
        &n.kind,
        &operands,
        from.map(scalar_of).as_ref(),
        &scalar_of(&n.result),
    )?;
    Ok(Some(Rewrite::Make(OpKind::Broadcast { axes: Vec::new() }, vec![scalar])))
}

/// `split(join(a, b))` is `a, b`.
pub(super) fn split(op: Op) -> bool {
    let joined = op.operands().first().and_then(|v| v.definition()).filter(|j| j.name() == "kt.join");
    let Some(joined) = joined else { return false };
    if !op.is_used() {
        return false;
    }
    for (old, new) in op.results().into_iter().zip(joined.operands()) {
        old.replace_all_uses(new);
    }
    op.erase();
    true
}
