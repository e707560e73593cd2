//! Operations that move elements and compute nothing.

use crate::eager::value::Value;
use crate::ir::TileType;

/// Row-major strides of a shape.
fn strides(shape: &[usize]) -> Vec<usize> {
    let mut s = vec![1; shape.len()];
    for i in (1..shape.len()).rev() {
        s[i - 1] = s[i] * shape[i];
    }
    s
}

/// The place `start + Σ index[i] * strides[i]` of each index of `shape`, in row-major order.
fn walk(shape: &[usize], strides: &[usize], start: usize) -> Vec<usize> {
    let mut places = vec![start];
    for (&extent, &stride) in shape.iter().zip(strides) {
        places = places.iter().flat_map(|&p| (0..extent).map(move |i| p + i * stride)).collect();
    }
    places
}

pub(super) fn broadcast(x: &Value, axes: &[u8], ty: &TileType) -> Result<Value, String> {
    let bad = || format!("`broadcast` of {} along axes {axes:?} to {ty}", x.ty());
    if axes.len() != x.shape().len() || !axes.windows(2).all(|w| w[0] < w[1]) {
        return Err(bad());
    }
    let own = strides(x.shape());
    let mut steps = vec![0; ty.rank()];
    for (i, &axis) in axes.iter().enumerate() {
        let axis = usize::from(axis);
        match (x.shape()[i], ty.shape.get(axis)) {
            (1, Some(_)) => {}
            (n, Some(&m)) if n == m => steps[axis] = own[i],
            _ => return Err(bad()),
        }
    }
    Value::new(ty.clone(), x.data().take(walk(&ty.shape, &steps, 0).into_iter()))
}

pub(super) fn transpose(x: &Value, perm: &[u8]) -> Result<Value, String> {
    let mut sorted: Vec<usize> = perm.iter().map(|&p| p.into()).collect();
    let order = sorted.clone();
    sorted.sort_unstable();
    if !sorted.iter().copied().eq(0..x.shape().len()) {
        return Err(format!("`transpose` of {} by {perm:?}", x.ty()));
    }
    let own = strides(x.shape());
    let shape: Vec<usize> = order.iter().map(|&p| x.shape()[p]).collect();
    let steps: Vec<usize> = order.iter().map(|&p| own[p]).collect();
    Value::new(TileType::new(x.elem(), &shape), x.data().take(walk(&shape, &steps, 0).into_iter()))
}

pub(super) fn slice(x: &Value, offsets: &[usize], ty: &TileType) -> Result<Value, String> {
    let inside = |i: usize| offsets[i].checked_add(ty.shape[i]).is_some_and(|end| end <= x.shape()[i]);
    let rank = x.shape().len();
    if offsets.len() != rank || ty.rank() != rank || !(0..rank).all(inside) {
        return Err(format!("`slice` of {} at {offsets:?} to {ty}", x.ty()));
    }
    let own = strides(x.shape());
    let start = offsets.iter().zip(&own).map(|(o, s)| o * s).sum();
    Value::new(ty.clone(), x.data().take(walk(&ty.shape, &own, start).into_iter()))
}

/// The elements of `a` and `b`, of one element type, one after another: places in `b` follow those in `a`.
fn both(a: &Value, b: &Value, places: impl Iterator<Item = usize>, shape: &[usize]) -> Result<Value, String> {
    if a.elem() != b.elem() {
        return Err(format!("{} together with {}", a.ty(), b.ty()));
    }
    let mut all = a.data().clone();
    (0..b.len()).filter_map(|i| b.data().get(i)).for_each(|lane| all.push(lane));
    Value::new(TileType::new(a.elem(), shape), all.take(places))
}

pub(super) fn join(a: &Value, b: &Value) -> Result<Value, String> {
    let n = a.len();
    let shape: Vec<usize> = a.shape().iter().copied().chain([2]).collect();
    both(a, b, (0..n).flat_map(|i| [i, n + i]), &shape)
}

pub(super) fn split(x: &Value) -> Result<Vec<Value>, String> {
    let Some((2, shape)) = x.shape().split_last() else {
        return Err(format!("`split` of {}, whose last axis is not 2", x.ty()));
    };
    let ty = TileType::new(x.elem(), shape);
    (0..2).map(|k| Value::new(ty.clone(), x.data().take((k..x.len()).step_by(2)))).collect()
}

pub(super) fn concat(a: &Value, b: &Value, axis: usize) -> Result<Value, String> {
    let bad = || format!("`concat` of {} and {} along axis {axis}", a.ty(), b.ty());
    if axis >= a.shape().len() || super::without(a.shape(), axis) != super::without(b.shape(), axis) {
        return Err(bad());
    }
    let mut shape = a.shape().to_vec();
    shape[axis] += b.shape()[axis];
    let outer: usize = shape[..axis].iter().product();
    let (x, y) = (a.len() / outer.max(1), b.len() / outer.max(1));
    let n = a.len();
    let places = (0..outer).flat_map(move |o| (o * x..(o + 1) * x).chain(n + o * y..n + (o + 1) * y));
    both(a, b, places, &shape)
}
