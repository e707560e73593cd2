//! Gives right operands of other than 16 bits the orientation that the cube core takes.
//!
//! ```text
//! dot(a, b)   ─▶   dot(a, transpose(transpose(b)))
//! ```
//! Fractals of 8 and of 32 bits cannot be transposed on their way to the operands' memory: vector cores transpose the tile once,
//! and the second transposition is how it is read. A tile that is a transposition already, or lies column by column in memory, is
//! as it should be.

use super::assign_cores;
use kcc_dsl::exchange::ArgSpec;
use kcc_dsl::ir::{Block, Kernel, Op, OpKind, TileType, Type, ValueId};
use std::collections::HashSet;

pub(super) fn run(kernel: &Kernel, args: &[ArgSpec]) -> Kernel {
    if !assign_cores::has_product(&kernel.body) {
        return kernel.clone();
    }
    let mut fine = assign_cores::columns(kernel, args);
    kernel.walk(&mut |op| match &op.kind {
        OpKind::Transpose { perm } if perm[..] == [1, 0] || perm[..] == [0, 2, 1] => {
            fine.extend(&op.results);
        }
        _ => {}
    });
    let mut kernel = kernel.clone();
    let Kernel { values, body, .. } = &mut kernel;
    block(body, values, &fine);
    kernel
}

fn block(b: &mut Block, values: &mut Vec<Type>, fine: &HashSet<ValueId>) {
    for mut op in std::mem::take(&mut b.ops) {
        for r in &mut op.regions {
            block(r, values, fine);
        }
        if let (OpKind::Dot { .. }, Some(right)) = (&op.kind, op.operands.get(1).copied())
            && let Some(t) = values[right.0 as usize].tile().cloned()
            && t.elem.bytes() != 2
            && !fine.contains(&right)
        {
            let mut shape = t.shape.clone();
            let r = shape.len();
            shape.swap(r - 2, r - 1);
            let perm: Vec<u8> = if r == 2 { vec![1, 0] } else { vec![0, 2, 1] };
            let mut from = right;
            for ty in [TileType::new(t.elem, &shape), t] {
                let to = ValueId(values.len() as u32);
                values.push(Type::Tile(ty));
                b.ops.push(Op {
                    kind: OpKind::Transpose { perm: perm.clone() },
                    operands: vec![from],
                    results: vec![to],
                    regions: Vec::new(),
                    loc: op.loc,
                });
                from = to;
            }
            op.operands[1] = from;
        }
        b.ops.push(op);
    }
}
