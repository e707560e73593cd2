//! Sorting, the largest k, and counting.

use super::Fibres;
use crate::eager::value::{Data, Value};
use crate::ir::{Elem, TileType};
use std::cmp::Ordering;

/// For each fibre along the last axis: its places in sorted order. Stable; NaN last either way.
fn orders(x: &Value, descending: bool) -> Result<Vec<(usize, Vec<usize>)>, String> {
    let last = x.shape().len().checked_sub(1).ok_or("a scalar cannot be sorted")?;
    let f = Fibres::new(x.shape(), last)?;
    fn direct(o: Ordering, descending: bool) -> Ordering {
        if descending { o.reverse() } else { o }
    }
    let float = |a: f32, b: f32| {
        a.partial_cmp(&b).map_or(a.is_nan().cmp(&b.is_nan()), |order| direct(order, descending))
    };
    let sorted = |s| {
        let mut places: Vec<usize> = f.places(s).collect();
        match x.data() {
            Data::Float(v) => places.sort_by(|&a, &b| float(v[a], v[b])),
            Data::Int(v) => places.sort_by(|&a, &b| direct(v[a].cmp(&v[b]), descending)),
            Data::Bool(_) => return Err(format!("{} cannot be sorted", x.ty())),
        }
        Ok((s, places))
    };
    f.starts().map(sorted).collect()
}

pub(super) fn sort(x: &Value, descending: bool) -> Result<Vec<Value>, String> {
    let n = x.shape().last().copied().unwrap_or(1);
    first(x, n, &orders(x, descending)?)
}

pub(super) fn top_k(x: &Value, k: usize) -> Result<Vec<Value>, String> {
    if x.shape().last().is_none_or(|&n| k > n) {
        return Err(format!("`top_k` of {k} elements of {}", x.ty()));
    }
    first(x, k, &orders(x, true)?)
}

fn first(x: &Value, k: usize, orders: &[(usize, Vec<usize>)]) -> Result<Vec<Value>, String> {
    let mut shape = x.shape().to_vec();
    if let Some(last) = shape.last_mut() {
        *last = k;
    }
    let places = orders.iter().flat_map(|(_, o)| o[..k].iter().copied());
    let indices: Vec<i64> =
        orders.iter().flat_map(|(s, o)| o[..k].iter().map(move |&p| (p - s) as i64)).collect();
    let values = Value::new(TileType::new(x.elem(), &shape), x.data().take(places))?;
    Ok(vec![values, Value::ints(Elem::I32, &shape, &indices)?])
}

pub(super) fn histogram(x: &Value, bins: usize) -> Result<Value, String> {
    let mut counts = vec![0i64; bins];
    for &v in x.as_ints()? {
        if let Some(c) = usize::try_from(v).ok().and_then(|v| counts.get_mut(v)) {
            *c += 1;
        }
    }
    Value::ints(Elem::I32, &[bins], &counts)
}
