//! Element-wise operations of two operands, and `fma`.

use crate::eager::round::{self, Lane};
use crate::eager::value::{Data, Value};
use crate::ir::{BinaryOp, Elem};

/// One element; `None` if the type does not have the operation.
pub(crate) fn lane(op: BinaryOp, elem: Elem, a: Lane, b: Lane) -> Option<Lane> {
    match (a, b) {
        (Lane::Float(a), Lane::Float(b)) => Some(Lane::Float(float_op(op)?(elem, a, b))),
        (Lane::Int(a), Lane::Int(b)) => Some(Lane::Int(int(op, elem, a, b)?)),
        (Lane::Bool(a), Lane::Bool(b)) => Some(Lane::Bool(bool_op(op)?(a, b))),
        _ => None,
    }
}

pub(super) fn eval(op: BinaryOp, a: &Value, b: &Value) -> Result<Value, String> {
    if a.ty() != b.ty() {
        return Err(format!("`{}` of {} and {}", op.name(), a.ty(), b.ty()));
    }
    let elem = a.elem();
    let data = match (a.data(), b.data()) {
        (Data::Float(x), Data::Float(y)) => {
            float_op(op).map(|f| Data::Float(x.iter().zip(y).map(|(&x, &y)| f(elem, x, y)).collect()))
        }
        (Data::Int(x), Data::Int(y)) => {
            let v: Option<Vec<i64>> = x.iter().zip(y).map(|(&x, &y)| int(op, elem, x, y)).collect();
            v.map(Data::Int)
        }
        (Data::Bool(x), Data::Bool(y)) => {
            bool_op(op).map(|f| Data::Bool(x.iter().zip(y).map(|(&x, &y)| f(x, y)).collect()))
        }
        _ => None,
    };
    Value::new(a.ty().clone(), data.ok_or_else(|| format!("`{}` of {}", op.name(), a.ty()))?)
}

pub(super) fn fma(a: &Value, b: &Value, c: &Value) -> Result<Value, String> {
    if a.ty() != b.ty() || a.ty() != c.ty() {
        return Err(format!("`fma` of {}, {} and {}", a.ty(), b.ty(), c.ty()));
    }
    let elem = a.elem();
    let data = match (a.data(), b.data(), c.data()) {
        (Data::Float(a), Data::Float(b), Data::Float(c)) => {
            Data::Float(a.iter().zip(b).zip(c).map(|((&a, &b), &c)| round::fma(elem, a, b, c)).collect())
        }
        (Data::Int(a), Data::Int(b), Data::Int(c)) => {
            let f = |((&a, &b), &c): ((&i64, &i64), &i64)| {
                round::wrap(elem, i64::wrapping_add(i64::wrapping_mul(a, b), c))
            };
            Data::Int(a.iter().zip(b).zip(c).map(f).collect())
        }
        _ => return Err(format!("`fma` of {}", a.ty())),
    };
    Value::new(a.ty().clone(), data)
}

/// minimumNumber / maximumNumber: a NaN loses, and -0 < +0. The result is one of the operands, never rounded.
pub(super) fn float_min(a: f32, b: f32) -> f32 {
    match () {
        _ if a.is_nan() => b,
        _ if b.is_nan() => a,
        _ if a == b => f32::from_bits(a.to_bits() | b.to_bits()),
        _ if a < b => a,
        _ => b,
    }
}

pub(super) fn float_max(a: f32, b: f32) -> f32 {
    -float_min(-a, -b)
}

type FloatOp = fn(Elem, f32, f32) -> f32;

fn float_op(op: BinaryOp) -> Option<FloatOp> {
    // One operation in f32 and a second rounding is exact for each narrower type; see `round`.
    Some(match op {
        BinaryOp::Add => |e, a, b| round::round(e, a + b),
        BinaryOp::Sub => |e, a, b| round::round(e, a - b),
        BinaryOp::Mul => |e, a, b| round::round(e, a * b),
        BinaryOp::Div => |e, a, b| round::round(e, a / b),
        BinaryOp::Rem => |e, a, b| round::round(e, a % b),
        BinaryOp::Min => |_, a, b| float_min(a, b),
        BinaryOp::Max => |_, a, b| float_max(a, b),
        BinaryOp::MinNan => |_, a, b| if a.is_nan() || b.is_nan() { f32::NAN } else { float_min(a, b) },
        BinaryOp::MaxNan => |_, a, b| if a.is_nan() || b.is_nan() { f32::NAN } else { float_max(a, b) },
        _ => return None,
    })
}

fn bool_op(op: BinaryOp) -> Option<fn(bool, bool) -> bool> {
    Some(match op {
        BinaryOp::And => |a, b| a & b,
        BinaryOp::Or => |a, b| a | b,
        BinaryOp::Xor => |a, b| a ^ b,
        _ => return None,
    })
}

fn int(op: BinaryOp, elem: Elem, a: i64, b: i64) -> Option<i64> {
    let width = 8 * elem.bytes() as u32;
    let shift = (b as u64 & u64::from(width - 1)) as u32;
    let r = match op {
        BinaryOp::Add => a.wrapping_add(b),
        BinaryOp::Sub => a.wrapping_sub(b),
        BinaryOp::Mul => a.wrapping_mul(b),
        BinaryOp::Div if b == 0 => 0,
        BinaryOp::Div => a.wrapping_div(b),
        BinaryOp::Rem if b == 0 => 0,
        BinaryOp::Rem => a.wrapping_rem(b),
        BinaryOp::And => a & b,
        BinaryOp::Or => a | b,
        BinaryOp::Xor => a ^ b,
        BinaryOp::Shl => a.wrapping_shl(shift),
        // Unsigned values are held as they are, not sign-extended, so this is logical for them.
        BinaryOp::Shr => a >> shift,
        BinaryOp::Min => a.min(b),
        BinaryOp::Max => a.max(b),
        BinaryOp::MulHi => ((i128::from(a) * i128::from(b)) >> width) as i64,
        BinaryOp::MinNan | BinaryOp::MaxNan => return None,
    };
    Some(round::wrap(elem, r))
}

pub(super) fn int_op(op: BinaryOp, elem: Elem, a: i64, b: i64) -> Result<i64, String> {
    int(op, elem, a, b).ok_or_else(|| format!("`{}` of {elem}", op.name()))
}
