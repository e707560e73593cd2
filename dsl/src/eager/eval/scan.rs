//! Inclusive scans by a named operation. A float prefix is kept in `f64`, so each answer is rounded once.

use super::Fibres;
use super::binary::int_op;
use super::fold::ordered;
use super::reduce::{binary_of, float_answer, float_start, float_step};
use crate::eager::value::{Data, Value};
use crate::ir::ReduceOp;

pub(super) fn scan(x: &Value, axis: usize, op: ReduceOp, reverse: bool) -> Result<Value, String> {
    let (elem, f) = (x.elem(), Fibres::new(x.shape(), axis)?);
    let bad = || format!("`{}` scan of {}", op.name(), x.ty());
    let data = match x.data() {
        Data::Float(v) => {
            let step = float_step(op).ok_or_else(bad)?;
            let mut out = v.clone();
            for s in f.starts() {
                let mut acc = float_start(op);
                for i in ordered(f, s, reverse) {
                    let next = acc.map_or(f64::from(v[i]), |a| step(a, v[i].into()));
                    out[i] = float_answer(op, elem, next);
                    acc = Some(next);
                }
            }
            Data::Float(out)
        }
        Data::Int(v) => {
            let mut out = v.clone();
            for s in f.starts() {
                for w in ordered(f, s, reverse).windows(2) {
                    out[w[1]] = int_op(binary_of(op), elem, out[w[0]], v[w[1]])?;
                }
            }
            Data::Int(out)
        }
        Data::Bool(_) => return Err(bad()),
    };
    Value::new(x.ty().clone(), data)
}
