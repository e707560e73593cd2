//! Comparison and selection.

use crate::eager::value::{Data, Value};
use crate::ir::CmpOp;

pub(super) fn compare(op: CmpOp, a: &Value, b: &Value) -> Result<Value, String> {
    let bad = || format!("`{}` of {} and {}", op.name(), a.ty(), b.ty());
    if a.ty() != b.ty() {
        return Err(bad());
    }
    fn all<T: PartialOrd + Copy>(op: CmpOp, a: &[T], b: &[T]) -> Vec<bool> {
        // The operators of Rust's floats are IEEE's: ordered, but for `!=`.
        let f: fn(&T, &T) -> bool = match op {
            CmpOp::Lt => |a, b| a < b,
            CmpOp::Le => |a, b| a <= b,
            CmpOp::Gt => |a, b| a > b,
            CmpOp::Ge => |a, b| a >= b,
            CmpOp::Eq => |a, b| a == b,
            CmpOp::Ne => |a, b| a != b,
        };
        a.iter().zip(b).map(|(a, b)| f(a, b)).collect()
    }
    let mask = match (a.data(), b.data()) {
        (Data::Float(x), Data::Float(y)) => all(op, x, y),
        (Data::Int(x), Data::Int(y)) => all(op, x, y),
        (Data::Bool(x), Data::Bool(y)) if matches!(op, CmpOp::Eq | CmpOp::Ne) => all(op, x, y),
        _ => return Err(bad()),
    };
    Value::bools(a.shape(), &mask)
}

pub(super) fn select(mask: &Value, a: &Value, b: &Value) -> Result<Value, String> {
    let m = mask.as_bools()?;
    if a.ty() != b.ty() || mask.shape() != a.shape() {
        return Err(format!("`select` by {} of {} and {}", mask.ty(), a.ty(), b.ty()));
    }
    fn pick<T: Copy>(m: &[bool], a: &[T], b: &[T]) -> Vec<T> {
        m.iter().zip(a.iter().zip(b)).map(|(&m, (&a, &b))| if m { a } else { b }).collect()
    }
    let data = match (a.data(), b.data()) {
        (Data::Float(a), Data::Float(b)) => Data::Float(pick(m, a, b)),
        (Data::Int(a), Data::Int(b)) => Data::Int(pick(m, a, b)),
        (Data::Bool(a), Data::Bool(b)) => Data::Bool(pick(m, a, b)),
        _ => return Err(format!("`select` of {} and {}", a.ty(), b.ty())),
    };
    Value::new(a.ty().clone(), data)
}
