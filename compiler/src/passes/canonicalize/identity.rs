//! Algebra that holds for every value of the type, NaN, infinities and -0 included.

use super::{Node, Rewrite, Rewriter};
use crate::dialect::constant::{bits, from_bits};
use kcc_dsl::ir::{BinaryOp, CmpOp, Const, Elem, OpKind, UnaryOp};

pub(super) fn simplify(r: &mut Rewriter, n: &Node) -> Option<Rewrite> {
    match &n.kind {
        OpKind::Unary(op) => unary(r, n, *op),
        OpKind::Binary(op) => binary(r, n, *op),
        OpKind::Compare(op) => compare(n, *op),
        OpKind::Select => select(r, n),
        OpKind::Cast | OpKind::Bitcast => conversion(r, n),
        _ => None,
    }
}

fn unary(r: &mut Rewriter, n: &Node, op: UnaryOp) -> Option<Rewrite> {
    let inner = r.node_of(*n.operands.first()?)?;
    let OpKind::Unary(before) = inner.kind else { return None };
    let x = *inner.operands.first()?;
    match (op, before) {
        (UnaryOp::Neg, UnaryOp::Neg) | (UnaryOp::Not, UnaryOp::Not) => Some(Rewrite::Value(x)),
        (UnaryOp::Abs, UnaryOp::Abs) => n.operands.first().copied().map(Rewrite::Value),
        (UnaryOp::Abs, UnaryOp::Neg) if n.result.elem().is_float() => {
            Some(Rewrite::Make(OpKind::Unary(UnaryOp::Abs), vec![x]))
        }
        _ => None,
    }
}

/// Operand 0 or 1 alone is the result when the other one is this constant.
fn neutral(op: BinaryOp, elem: Elem) -> Option<(Const, bool)> {
    let float = elem.is_float();
    let all_ones = if elem == Elem::Bool { Const::Bool(true) } else { Const::Int(-1) };
    let zero = if elem == Elem::Bool { Const::Bool(false) } else { Const::Int(0) };
    // The second says whether it works on either side.
    Some(match op {
        // -0 + x = x for every x; 0 + -0 = 0.
        BinaryOp::Add => (if float { Const::float(-0.0) } else { zero }, true),
        BinaryOp::Sub => (if float { Const::float(0.0) } else { zero }, false),
        BinaryOp::Mul => (if float { Const::float(1.0) } else { Const::Int(1) }, true),
        BinaryOp::Div => (if float { Const::float(1.0) } else { Const::Int(1) }, false),
        BinaryOp::And => (all_ones, true),
        BinaryOp::Or | BinaryOp::Xor => (zero, true),
        BinaryOp::Shl | BinaryOp::Shr => (zero, false),
        _ => return None,
    })
}

fn binary(r: &mut Rewriter, n: &Node, op: BinaryOp) -> Option<Rewrite> {
    let [a, b] = n.operands[..] else { return None };
    let elem = n.result.elem();
    let is = |c: Option<Const>, want: Const| c.and_then(|c| bits(elem, c)) == bits(elem, want) && c.is_some();
    let (ca, cb) = (r.constant(a), r.constant(b));
    if let Some((c, either)) = neutral(op, elem) {
        if is(cb, c) {
            return Some(Rewrite::Value(a));
        }
        if either && is(ca, c) {
            return Some(Rewrite::Value(b));
        }
    }
    if elem.is_float() {
        let same =
            a == b && matches!(op, BinaryOp::MinNan | BinaryOp::MaxNan | BinaryOp::Min | BinaryOp::Max);
        return same.then_some(Rewrite::Value(a));
    }
    let zero = from_bits(elem, 0);
    let absorbing = match op {
        BinaryOp::Mul | BinaryOp::And => is(ca, zero) || is(cb, zero),
        BinaryOp::Div | BinaryOp::Rem => is(cb, zero),
        BinaryOp::Sub | BinaryOp::Xor => a == b,
        _ => false,
    };
    if absorbing {
        return Some(Rewrite::Constant(zero));
    }
    let same = a == b && matches!(op, BinaryOp::And | BinaryOp::Or | BinaryOp::Min | BinaryOp::Max);
    same.then_some(Rewrite::Value(a))
}

fn compare(n: &Node, op: CmpOp) -> Option<Rewrite> {
    let [a, b] = n.operands[..] else { return None };
    if a != b || n.types.first()?.elem().is_float() {
        return None; // NaN differs from itself
    }
    Some(Rewrite::Constant(Const::Bool(matches!(op, CmpOp::Eq | CmpOp::Le | CmpOp::Ge))))
}

fn select(r: &mut Rewriter, n: &Node) -> Option<Rewrite> {
    let [mask, a, b] = n.operands[..] else { return None };
    if a == b {
        return Some(Rewrite::Value(a));
    }
    match r.constant(mask) {
        Some(Const::Bool(true)) => return Some(Rewrite::Value(a)),
        Some(Const::Bool(false)) => return Some(Rewrite::Value(b)),
        _ => {}
    }
    let choice = (r.constant(a), r.constant(b));
    (choice == (Some(Const::Bool(true)), Some(Const::Bool(false)))).then_some(Rewrite::Value(mask))
}

/// Significand bits, exponent of the smallest step, and exponent above the largest value of a type.
fn reach(elem: Elem) -> (i32, i32, i32) {
    match elem {
        Elem::Bool => (1, 0, 1),
        Elem::I8 => (7, 0, 7),
        Elem::U8 => (8, 0, 8),
        Elem::I16 => (15, 0, 15),
        Elem::I32 => (31, 0, 31),
        Elem::U32 => (32, 0, 32),
        Elem::I64 => (63, 0, 63),
        Elem::F8E4M3 => (4, -9, 9),
        Elem::F8E5M2 => (3, -16, 16),
        Elem::F16 => (11, -24, 16),
        Elem::BF16 => (8, -133, 128),
        Elem::F32 => (24, -149, 128),
    }
}

/// Whether every value of `a`, NaN and infinities included, is a value of `b`.
fn lossless(a: Elem, b: Elem) -> bool {
    // The least integer, -2^e, needs one significand bit and so fits any float that reaches 2^e. The only float
    // without infinities, f8e4m3, reaches less far than every other.
    let ((digits_a, step_a, top_a), (digits_b, step_b, top_b)) = (reach(a), reach(b));
    let sign = !a.is_signed() && !a.is_float() || b.is_signed() || b.is_float();
    let kind = b != Elem::Bool && (!a.is_float() || b.is_float());
    a == b || (kind && sign && digits_a <= digits_b && step_a >= step_b && top_a <= top_b)
}

fn conversion(r: &mut Rewriter, n: &Node) -> Option<Rewrite> {
    let x = *n.operands.first()?;
    if n.types.first()? == &n.result {
        return Some(Rewrite::Value(x));
    }
    let inner = r.node_of(x)?;
    let source = inner.types.first()?;
    let y = *inner.operands.first()?;
    match (&n.kind, &inner.kind) {
        (OpKind::Bitcast, OpKind::Bitcast) if source == &n.result => Some(Rewrite::Value(y)),
        (OpKind::Bitcast, OpKind::Bitcast) => Some(Rewrite::Make(OpKind::Bitcast, vec![y])),
        (OpKind::Cast, OpKind::Cast) if lossless(source.elem(), n.types.first()?.elem()) => {
            match source == &n.result {
                // Conversion to f8 saturates: an infinity does not come back.
                true if source.elem() == Elem::F8E5M2 => None,
                true => Some(Rewrite::Value(y)),
                false => Some(Rewrite::Make(OpKind::Cast, vec![y])),
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kcc_dsl::eager::round::{from_bits, to_bits};
    use kcc_dsl::eager::{Value, eval::eval};
    use kcc_dsl::ir::TileType;

    /// Every value of the types of 8 and 16 bits, by trying them all.
    #[test]
    fn lossless_conversions_give_every_value_back() {
        let small =
            [Elem::Bool, Elem::I8, Elem::U8, Elem::I16, Elem::F8E4M3, Elem::F8E5M2, Elem::F16, Elem::BF16];
        for a in small {
            for b in Elem::ALL {
                let cast =
                    |v: &Value, to| eval(&OpKind::Cast, &[v], &[TileType::scalar(to)]).unwrap().remove(0);
                let values = 0..1u64 << if a == Elem::Bool { 1 } else { 8 * a.bytes() };
                let kept = values.into_iter().all(|bits| {
                    let v = Value::scalar(a, from_bits(a, bits));
                    if a == Elem::F8E5M2 && v.as_floats().is_ok_and(|f| f[0].is_infinite()) {
                        return true; // see `conversion`
                    }
                    let back = cast(&cast(&v, b), a);
                    let nan = |v: &Value| v.as_floats().is_ok_and(|f| f[0].is_nan());
                    (nan(&v) && nan(&back))
                        || to_bits(a, v.data().get(0).unwrap()) == to_bits(a, back.data().get(0).unwrap())
                });
                // What wraps around and back (i8 through u8) gives every value back but is no conversion of values.
                let wraps = a.is_signed() && !b.is_signed() && !b.is_float();
                let wraps = wraps || (a.is_int() && b.is_int() && a.bytes() == b.bytes());
                assert!(kept || !lossless(a, b), "{a} to {b} loses values");
                assert!(!kept || wraps || lossless(a, b) || b == Elem::Bool, "{a} to {b} is lossless");
            }
        }
        assert!(
            !lossless(Elem::I32, Elem::F32)
                && lossless(Elem::I16, Elem::F32)
                && !lossless(Elem::U32, Elem::I32)
        );
    }
}
