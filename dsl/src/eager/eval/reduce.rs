//! Reductions by a named operation: float sums and products in `f64`, rounded once.

use super::binary::{float_max, float_min, int_op};
use super::{Fibres, without};
use crate::eager::round::{self, Lane};
use crate::eager::value::{Data, Value};
use crate::ir::{BinaryOp, Elem, ReduceOp, TileType};

/// A running reduction or scan of floats; `f64` between, so that each answer is rounded once.
pub(super) fn float_step(op: ReduceOp) -> Option<fn(f64, f64) -> f64> {
    Some(match op {
        ReduceOp::Sum => |a, x| a + x,
        ReduceOp::Prod => |a, x| a * x,
        ReduceOp::Min => |a, x| f64::from(float_min(a as f32, x as f32)),
        ReduceOp::Max => |a, x| f64::from(float_max(a as f32, x as f32)),
        ReduceOp::And | ReduceOp::Or | ReduceOp::Xor => return None,
    })
}

/// Where a minimum or maximum starts: at the identity, which is what NaNs alone leave.
pub(super) fn float_start(op: ReduceOp) -> Option<f64> {
    match op {
        ReduceOp::Min => Some(f64::INFINITY),
        ReduceOp::Max => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

/// Rounds an answer; minima and maxima are elements already and stay as they are (f8 infinities included).
pub(super) fn float_answer(op: ReduceOp, elem: Elem, x: f64) -> f32 {
    match op {
        ReduceOp::Min | ReduceOp::Max => x as f32,
        _ => round::round_wide(elem, x),
    }
}

/// The element-wise operation of a reduction of integers or masks.
pub(super) fn binary_of(op: ReduceOp) -> BinaryOp {
    match op {
        ReduceOp::Sum => BinaryOp::Add,
        ReduceOp::Prod => BinaryOp::Mul,
        ReduceOp::Min => BinaryOp::Min,
        ReduceOp::Max => BinaryOp::Max,
        ReduceOp::And => BinaryOp::And,
        ReduceOp::Or => BinaryOp::Or,
        ReduceOp::Xor => BinaryOp::Xor,
    }
}

/// The value that changes nothing; what a reduction of no element gives.
fn identity(op: ReduceOp, elem: Elem) -> Lane {
    let (lo, hi) = round::int_range(elem);
    match (op, elem) {
        (ReduceOp::And, Elem::Bool) => Lane::Bool(true),
        (_, Elem::Bool) => Lane::Bool(false),
        (ReduceOp::Prod, e) if e.is_float() => Lane::Float(1.0),
        (ReduceOp::Min, e) if e.is_float() => Lane::Float(f32::INFINITY),
        (ReduceOp::Max, e) if e.is_float() => Lane::Float(f32::NEG_INFINITY),
        (_, e) if e.is_float() => Lane::Float(0.0),
        (ReduceOp::Prod, _) => Lane::Int(1),
        (ReduceOp::Min, _) => Lane::Int(hi),
        (ReduceOp::Max, _) => Lane::Int(lo),
        (ReduceOp::And, e) => Lane::Int(round::wrap(e, -1)),
        _ => Lane::Int(0),
    }
}

pub(super) fn reduce(x: &Value, axis: usize, op: ReduceOp) -> Result<Value, String> {
    let (elem, f) = (x.elem(), Fibres::new(x.shape(), axis)?);
    let bad = || format!("`{}` reduction of {}", op.name(), x.ty());
    let ty = TileType::new(elem, &without(x.shape(), axis));
    if f.n == 0 {
        return Ok(Value::repeat(ty, identity(op, elem)));
    }
    let data = match x.data() {
        Data::Float(v) => {
            let step = float_step(op).ok_or_else(bad)?;
            let start = float_start(op);
            let fold = |s| {
                let values = start.into_iter().chain(f.places(s).map(|i| f64::from(v[i])));
                values.reduce(step).unwrap_or(0.0)
            };
            Data::Float(f.starts().map(|s| float_answer(op, elem, fold(s))).collect())
        }
        Data::Int(v) => {
            let op = binary_of(op);
            let mut out = Vec::new();
            for s in f.starts() {
                let mut acc = v[s];
                for i in f.places(s).skip(1) {
                    acc = int_op(op, elem, acc, v[i])?;
                }
                out.push(acc);
            }
            Data::Int(out)
        }
        Data::Bool(v) => {
            let step: fn(bool, bool) -> bool = match op {
                ReduceOp::And => |a, b| a & b,
                ReduceOp::Or => |a, b| a | b,
                ReduceOp::Xor => |a, b| a ^ b,
                _ => return Err(bad()),
            };
            Data::Bool(f.starts().map(|s| f.places(s).map(|i| v[i]).reduce(step).unwrap_or(false)).collect())
        }
    };
    Value::new(ty, data)
}

pub(super) fn arg_reduce(x: &Value, axis: usize, max: bool) -> Result<Value, String> {
    /// Index of the first element that no other beats.
    fn first<T: Copy>(v: impl Iterator<Item = T>, beats: impl Fn(T, T) -> bool) -> i64 {
        let mut best: Option<(i64, T)> = None;
        for (i, x) in v.enumerate() {
            if best.is_none_or(|(_, b)| beats(x, b)) {
                best = Some((i as i64, x));
            }
        }
        best.map_or(0, |(i, _)| i)
    }
    let f = Fibres::new(x.shape(), axis)?;
    let indices: Vec<i64> = match x.data() {
        Data::Float(v) => {
            let beats = |a: f32, b: f32| if max { a > b } else { a < b };
            let number_beats = |a: f32, b: f32| beats(a, b) || (b.is_nan() && !a.is_nan());
            f.starts().map(|s| first(f.places(s).map(|i| v[i]), number_beats)).collect()
        }
        Data::Int(v) => {
            let beats = |a: i64, b: i64| if max { a > b } else { a < b };
            f.starts().map(|s| first(f.places(s).map(|i| v[i]), beats)).collect()
        }
        Data::Bool(_) => return Err(format!("`arg_reduce` of {}", x.ty())),
    };
    Value::ints(Elem::I32, &without(x.shape(), axis), &indices)
}
