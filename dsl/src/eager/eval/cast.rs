//! Conversion of values and of bits.

use crate::eager::round::{self, Lane};
use crate::eager::value::{Data, Value};
use crate::ir::Elem;

pub(super) fn cast(x: &Value, to: Elem) -> Result<Value, String> {
    if x.elem() == to {
        return Ok(x.clone());
    }
    let mut data = Data::with_capacity(to, x.len());
    for i in 0..x.len() {
        if let Some(lane) = x.data().get(i) {
            data.push(lane_to(lane, to));
        }
    }
    Value::new(x.ty().with_elem(to), data)
}

fn lane_to(lane: Lane, to: Elem) -> Lane {
    match (lane, to) {
        (Lane::Float(x), Elem::Bool) => Lane::Bool(x != 0.0),
        (Lane::Int(x), Elem::Bool) => Lane::Bool(x != 0),
        (Lane::Bool(x), Elem::Bool) => Lane::Bool(x),
        (Lane::Float(x), to) if to.is_float() => Lane::Float(round::round(to, x)),
        (Lane::Int(x), to) if to.is_float() => Lane::Float(round::round_int(to, x)),
        (Lane::Bool(x), to) if to.is_float() => Lane::Float(x.into()),
        // Rust's `as` truncates, saturates, and makes NaN 0; i64 holds the range of every other type.
        (Lane::Float(x), to) => {
            let (lo, hi) = round::int_range(to);
            Lane::Int((x as i64).clamp(lo, hi))
        }
        (Lane::Int(x), to) => Lane::Int(round::wrap(to, x)),
        (Lane::Bool(x), _) => Lane::Int(x.into()),
    }
}

pub(super) fn bitcast(x: &Value, to: Elem) -> Result<Value, String> {
    if x.elem().bytes() != to.bytes() || (x.elem() == Elem::Bool) != (to == Elem::Bool) {
        return Err(format!("`bitcast` of {} to {to}", x.ty()));
    }
    let mut data = Data::with_capacity(to, x.len());
    for i in 0..x.len() {
        if let Some(lane) = x.data().get(i) {
            data.push(round::from_bits(to, round::to_bits(x.elem(), lane)));
        }
    }
    Value::new(x.ty().with_elem(to), data)
}
