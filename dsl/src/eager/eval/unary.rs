//! Element-wise operations of one operand.

use crate::eager::round;
use crate::eager::value::{Data, Value};
use crate::ir::{Elem, UnaryOp};

pub(super) fn eval(op: UnaryOp, x: &Value) -> Result<Value, String> {
    let elem = x.elem();
    let none = || Err::<Value, String>(format!("`{}` of {}", op.name(), x.ty()));
    let data = match x.data() {
        Data::Float(_) if op == UnaryOp::Not => return none(),
        Data::Float(v) => Data::Float(v.iter().map(|&x| float(op, elem, x)).collect()),
        Data::Int(v) => {
            let f: fn(i64) -> i64 = match op {
                UnaryOp::Neg => i64::wrapping_neg,
                UnaryOp::Not => |x| !x,
                UnaryOp::Abs => i64::wrapping_abs,
                _ => return none(),
            };
            Data::Int(v.iter().map(|&x| round::wrap(elem, f(x))).collect())
        }
        Data::Bool(v) if op == UnaryOp::Not => Data::Bool(v.iter().map(|x| !x).collect()),
        Data::Bool(_) => return none(),
    };
    Value::new(x.ty().clone(), data)
}

fn float(op: UnaryOp, elem: Elem, x: f32) -> f32 {
    let wide = |f: fn(f64) -> f64| round::round_wide(elem, f(f64::from(x)));
    match op {
        // Exact in every type; in particular they keep an infinity that f8 rounding would saturate.
        UnaryOp::Neg => -x,
        UnaryOp::Abs => x.abs(),
        UnaryOp::Not => x,
        UnaryOp::Exp => wide(f64::exp),
        UnaryOp::Exp2 => wide(f64::exp2),
        UnaryOp::Log => wide(f64::ln),
        UnaryOp::Log2 => wide(f64::log2),
        UnaryOp::Sin => wide(f64::sin),
        UnaryOp::Cos => wide(f64::cos),
        UnaryOp::Tanh => wide(f64::tanh),
        UnaryOp::Erf => wide(libm::erf),
        UnaryOp::Sqrt => wide(f64::sqrt),
        UnaryOp::Rsqrt => wide(|x| 1.0 / x.sqrt()),
        UnaryOp::Floor => round::round(elem, x.floor()),
        UnaryOp::Ceil => round::round(elem, x.ceil()),
        UnaryOp::Round => round::round(elem, x.round_ties_even()),
    }
}
