//! Tests of eager mode, by family: element-wise operations, the rest of the pure ones, memory, detections, control.

mod control;
mod convert;
mod detect;
mod elementwise;
mod memory;
mod native;
mod reduction;
mod shapes;

use super::eval::eval;
use super::{EagerArg, EagerBuffer, EagerError, Options, Report, Value, interpret};
use crate::ir::{Builder, Elem, OpKind, TileType};

const INF: f32 = f32::INFINITY;
const NAN: f32 = f32::NAN;

fn floats(elem: Elem, v: &[f32]) -> Value {
    Value::floats(elem, &[v.len()], v).unwrap()
}

fn f32s(v: &[f32]) -> Value {
    floats(Elem::F32, v)
}

fn ints(elem: Elem, v: &[i64]) -> Value {
    Value::ints(elem, &[v.len()], v).unwrap()
}

fn matrix(shape: [usize; 2], v: &[f32]) -> Value {
    Value::floats(Elem::F32, &shape, v).unwrap()
}

fn try_op(kind: OpKind, operands: &[&Value], ty: TileType) -> Result<Value, String> {
    eval(&kind, operands, &[ty]).map(|mut v| v.remove(0))
}

fn op(kind: OpKind, operands: &[&Value], ty: TileType) -> Value {
    try_op(kind, operands, ty).unwrap()
}

/// An element-wise operation.
fn map(kind: OpKind, operands: &[&Value]) -> Value {
    let ty = operands[operands.len() - 1].ty().clone();
    op(kind, operands, ty)
}

/// Equal bits, except that every NaN equals every other.
#[track_caller]
fn assert_floats(v: &Value, expected: &[f32]) {
    let got = v.as_floats().unwrap();
    let same = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
    assert!(got.len() == expected.len() && got.iter().zip(expected).all(same), "{got:?} != {expected:?}");
}

#[track_caller]
fn assert_ints(v: &Value, expected: &[i64]) {
    assert_eq!(v.as_ints().unwrap(), expected);
}

/// Runs what `build` builds over a grid, with one dense rank-1 view per buffer (the last is written).
fn launch(
    build: impl FnOnce(&mut Builder, &[crate::ir::ValueId]),
    grid: [u32; 3],
    buffers: &mut Vec<EagerBuffer>,
    options: &mut Options,
) -> Result<Report, EagerError> {
    let mut b = Builder::new("test");
    let n = buffers.len();
    let views: Vec<_> = (0..n)
        .map(|i| match i + 1 == n {
            true => b.view_mut("out", buffers[i].elem(), 1),
            false => b.view(["x", "y", "z"][i], buffers[i].elem(), 1),
        })
        .collect();
    build(&mut b, &views);
    let args: Vec<EagerArg> =
        buffers.iter().enumerate().map(|(i, x)| EagerArg::dense(i, &[x.len() as i64], i + 1 == n)).collect();
    interpret(&b.finish().unwrap(), grid, buffers, &args, options)
}
