//! Narrow integers are computed in `i32`, since the vector unit has no arithmetic of 8 bits and little of 16.
//!
//! ```text
//! c = a + b   (i8)     ─▶     c = i8(i32(a) + i32(b))       what does not fit is cut off, as in 8 bits
//! ```
//! Single numbers stay: the scalar unit has every width. Bits, moves and conversions stay too.

use kcc_dsl::ir::{BinaryOp, Block, Const, Elem, Kernel, Op, OpKind, TileType, Type, UnaryOp, ValueId};

pub(super) fn run(kernel: &Kernel) -> Kernel {
    let mut kernel = kernel.clone();
    let Kernel { values, body, .. } = &mut kernel;
    block(body, values);
    kernel
}

/// Whether the operation goes by `i32` where it meets tiles of that type.
fn widened(kind: &OpKind, elem: Elem) -> bool {
    use BinaryOp::{Add, And, Max, Min, Mul, Or, Sub, Xor};
    match elem {
        Elem::I8 | Elem::U8 => match kind {
            OpKind::Unary(u) => *u != UnaryOp::Not,
            OpKind::Binary(b) => !matches!(b, And | Or | Xor),
            OpKind::Broadcast { .. } => true,
            k => in_no_narrow_type(k),
        },
        Elem::I16 => match kind {
            OpKind::Binary(b) => !matches!(b, And | Or | Xor | Add | Sub | Mul | Max | Min),
            k => in_no_narrow_type(k),
        },
        _ => false,
    }
}

/// Operations that no narrow type has.
fn in_no_narrow_type(kind: &OpKind) -> bool {
    matches!(
        kind,
        OpKind::Compare(_)
            | OpKind::Select
            | OpKind::Reduce { .. }
            | OpKind::ArgReduce { .. }
            | OpKind::Scan { .. }
            | OpKind::Sort { .. }
            | OpKind::TopK { .. }
    )
}

struct Writer<'a> {
    values: &'a mut Vec<Type>,
    ops: Vec<Op>,
}

impl Writer<'_> {
    fn narrow(&self, v: ValueId) -> Option<TileType> {
        let t = self.values[v.0 as usize].tile()?;
        (t.rank() > 0 && matches!(t.elem, Elem::I8 | Elem::U8 | Elem::I16)).then(|| t.clone())
    }

    fn push(&mut self, like: &Op, kind: OpKind, operands: Vec<ValueId>, ty: TileType) -> ValueId {
        let to = ValueId(self.values.len() as u32);
        self.values.push(Type::Tile(ty));
        self.ops.push(Op { kind, operands, results: vec![to], regions: Vec::new(), loc: like.loc });
        to
    }

    fn op(&mut self, mut op: Op) {
        let all: Vec<ValueId> = op.operands.iter().chain(&op.results).copied().collect();
        let Some(t) = all.iter().find_map(|v| self.narrow(*v)).filter(|t| widened(&op.kind, t.elem)) else {
            self.ops.push(op);
            return;
        };
        let (elem, bits) = (t.elem, 8 * t.elem.bytes() as i64);
        for i in 0..op.operands.len() {
            if let Some(t) = self.narrow(op.operands[i]) {
                op.operands[i] = self.push(&op, OpKind::Cast, vec![op.operands[i]], t.with_elem(Elem::I32));
            }
        }
        let wide = t.with_elem(Elem::I32);
        match op.kind {
            // By as much as the type has bits, from the start again.
            OpKind::Binary(BinaryOp::Shl | BinaryOp::Shr) => {
                let most = self.push(&op, OpKind::Constant(Const::Int(bits - 1)), Vec::new(), wide.clone());
                op.operands[1] =
                    self.push(&op, OpKind::Binary(BinaryOp::And), vec![op.operands[1], most], wide);
            }
            OpKind::Binary(BinaryOp::MulHi) => {
                let operands = std::mem::take(&mut op.operands);
                let product = self.push(&op, OpKind::Binary(BinaryOp::Mul), operands, wide.clone());
                let by = self.push(&op, OpKind::Constant(Const::Int(bits)), Vec::new(), wide);
                (op.kind, op.operands) = (OpKind::Binary(BinaryOp::Shr), vec![product, by]);
            }
            _ => {}
        }
        let mut back = Vec::new();
        for r in &mut op.results {
            // Of a reduced vector one number is left.
            let narrow = self.values[r.0 as usize].tile().filter(|t| t.elem == elem).cloned();
            if let Some(t) = narrow {
                let to = ValueId(self.values.len() as u32);
                self.values.push(Type::Tile(t.with_elem(Elem::I32)));
                back.push((std::mem::replace(r, to), to));
            }
        }
        let loc = op.loc;
        self.ops.push(op);
        for (r, wide) in back {
            let (kind, operands, results) = (OpKind::Cast, vec![wide], vec![r]);
            self.ops.push(Op { kind, operands, results, regions: Vec::new(), loc });
        }
    }
}

fn block(b: &mut Block, values: &mut Vec<Type>) {
    for op in &mut b.ops {
        op.regions.iter_mut().for_each(|r| block(r, values));
    }
    let mut w = Writer { values, ops: Vec::new() };
    for op in std::mem::take(&mut b.ops) {
        w.op(op);
    }
    b.ops = w.ops;
}
