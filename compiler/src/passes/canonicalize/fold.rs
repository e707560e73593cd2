//! Element-wise operations on constants, computed by the interpreter that eager mode uses: the same rounding.

use super::{Node, Rewriter};
use kcc_dsl::eager::Value;
use kcc_dsl::eager::eval::eval;
use kcc_dsl::eager::round;
use kcc_dsl::ir::{Const, OpKind, TileType, Type};

pub(super) fn fold(r: &mut Rewriter, node: &Node) -> Option<Const> {
    let uniform = matches!(node.kind, OpKind::Broadcast { .. } | OpKind::Reshape | OpKind::Slice { .. })
        || matches!(node.kind, OpKind::Transpose { .. });
    if uniform {
        return r.constant(*node.operands.first()?);
    }
    if !node.kind.is_elementwise() {
        return None;
    }
    // Every element is equal, so one stands for all.
    let mut scalars = Vec::new();
    for (v, ty) in node.operands.iter().zip(&node.types) {
        let c = r.constant(*v)?;
        let lane = round::from_bits(ty.elem(), crate::dialect::constant::bits(ty.elem(), c)?);
        scalars.push(Value::scalar(ty.elem(), lane));
    }
    let refs: Vec<&Value> = scalars.iter().collect();
    let elem = node.result.elem();
    let out = eval(&node.kind, &refs, &[TileType::scalar(elem)]).ok()?;
    let lane = out.first()?.data().get(0)?;
    Some(crate::dialect::constant::from_bits(elem, round::to_bits(elem, lane)))
}

/// The scalar type with a tile's element type.
pub(super) fn scalar_of(t: &Type) -> Type {
    Type::Tile(TileType::scalar(t.elem()))
}
