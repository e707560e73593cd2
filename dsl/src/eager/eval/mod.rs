//! The meaning of every operation that touches neither memory nor control flow, as a pure function on values.
//!
//! Reference quality: transcendental functions, sums, products and dots are computed in `f64` and rounded once to
//! the operation's own element type, so what a backend's result differs by is the backend's error, not ours.
//! Element-wise operations round after each operation in their own type, as the IR says.

mod binary;
mod cast;
mod compare;
mod dot;
mod fold;
mod reduce;
mod scan;
mod shape;
mod sort;
mod unary;

pub(crate) use binary::lane as binary_lane;
pub(crate) use fold::Fold;

use super::value::{Data, Value, constant};
use crate::ir::{OpKind, TileType};

/// Evaluates one operation. `results` are the types of its results. Errors say what is wrong with the operation:
/// it is ill-typed, or it is not a pure operation on tiles.
pub fn eval(kind: &OpKind, operands: &[&Value], results: &[TileType]) -> Result<Vec<Value>, String> {
    let ty = || results.first().ok_or_else(|| format!("`{}` has no result", kind.name()));
    let arg = |i: usize| -> Result<&Value, String> {
        operands.get(i).copied().ok_or_else(|| format!("`{}` lacks operand {i}", kind.name()))
    };
    let one = |v: Result<Value, String>| v.map(|v| vec![v]);
    match kind {
        OpKind::Constant(c) => {
            let ty = ty()?;
            Ok(vec![Value::repeat(ty.clone(), constant(ty.elem, *c)?)])
        }
        OpKind::Arange => one(Value::new(ty()?.clone(), Data::Int((0..ty()?.len() as i64).collect()))),
        OpKind::Unary(op) => one(unary::eval(*op, arg(0)?)),
        OpKind::Binary(op) => one(binary::eval(*op, arg(0)?, arg(1)?)),
        OpKind::Compare(op) => one(compare::compare(*op, arg(0)?, arg(1)?)),
        OpKind::Select => one(compare::select(arg(0)?, arg(1)?, arg(2)?)),
        OpKind::Fma => one(binary::fma(arg(0)?, arg(1)?, arg(2)?)),
        OpKind::Cast => one(cast::cast(arg(0)?, ty()?.elem)),
        OpKind::Bitcast => one(cast::bitcast(arg(0)?, ty()?.elem)),
        OpKind::Broadcast { axes } => one(shape::broadcast(arg(0)?, axes, ty()?)),
        OpKind::Reshape => one(Value::new(ty()?.clone(), arg(0)?.data().clone())),
        OpKind::Transpose { perm } => one(shape::transpose(arg(0)?, perm)),
        OpKind::Join => one(shape::join(arg(0)?, arg(1)?)),
        OpKind::Split => shape::split(arg(0)?),
        OpKind::Slice { offsets } => one(shape::slice(arg(0)?, offsets, ty()?)),
        OpKind::Concat { axis } => one(shape::concat(arg(0)?, arg(1)?, (*axis).into())),
        OpKind::Reduce { axis, op } => one(reduce::reduce(arg(0)?, (*axis).into(), *op)),
        OpKind::ArgReduce { axis, max } => one(reduce::arg_reduce(arg(0)?, (*axis).into(), *max)),
        OpKind::Scan { axis, op, reverse } => one(scan::scan(arg(0)?, (*axis).into(), *op, *reverse)),
        OpKind::Sort { descending } => sort::sort(arg(0)?, *descending),
        OpKind::TopK { k } => sort::top_k(arg(0)?, *k),
        OpKind::Histogram { bins } => one(sort::histogram(arg(0)?, *bins)),
        OpKind::Dot { .. } => one(dot::dot(arg(0)?, arg(1)?, arg(2)?)),
        OpKind::DotScaled { a, b } => {
            one(dot::dot_scaled([arg(0)?, arg(1)?, arg(2)?, arg(3)?, arg(4)?], *a, *b))
        }
        _ => Err(format!("`{}` is not a pure operation on tiles", kind.name())),
    }
}

/// The fibres of a shape along one axis: `outer * inner` of them, each of `n` elements.
#[derive(Clone, Copy)]
pub(crate) struct Fibres {
    outer: usize,
    n: usize,
    inner: usize,
}

impl Fibres {
    fn new(shape: &[usize], axis: usize) -> Result<Fibres, String> {
        let n = *shape.get(axis).ok_or_else(|| format!("axis {axis} of a tile of rank {}", shape.len()))?;
        let outer = shape[..axis].iter().product();
        let inner = shape[axis + 1..].iter().product();
        Ok(Fibres { outer, n, inner })
    }

    /// The place of the first element of each fibre, in row-major order of the other axes.
    fn starts(self) -> impl Iterator<Item = usize> {
        (0..self.outer).flat_map(move |o| (0..self.inner).map(move |i| o * self.n * self.inner + i))
    }

    /// The places of the elements of the fibre that starts there.
    fn places(self, start: usize) -> impl DoubleEndedIterator<Item = usize> + ExactSizeIterator {
        (0..self.n).map(move |k| start + k * self.inner)
    }
}

fn without(shape: &[usize], axis: usize) -> Vec<usize> {
    shape.iter().enumerate().filter(|(i, _)| *i != axis).map(|(_, &d)| d).collect()
}
