//! Reductions and scans by the author's closure: elements meet in order, from the first of a fibre to the last.
//!
//! The closure is run by whoever owns control (the native function, or the interpreter of a region), so a fold is
//! a machine with two moves: [`Fold::next`] hands out what is to be combined, [`Fold::put`] takes the answer.

use super::{Fibres, without};
use crate::eager::value::{Data, Value};
use crate::ir::{OpKind, TileType};
use std::rc::Rc;

/// A reduction or scan by a closure, under way.
pub(crate) struct Fold {
    tiles: Vec<Rc<Value>>,
    types: Vec<TileType>,
    out: Vec<Data>,
    /// Places of all fibres, one fibre after another, each in the order in which its elements meet.
    places: Vec<usize>,
    /// Elements of a fibre.
    n: usize,
    scan: bool,
    /// How many of `places` are done.
    done: usize,
    acc: Vec<Value>,
}

impl Fold {
    /// Starts a `reduce_with` or `scan_with` over tiles of one shape.
    pub(crate) fn new(kind: &OpKind, tiles: Vec<Rc<Value>>) -> Result<Fold, String> {
        let (axis, scan, reverse) = match kind {
            OpKind::ReduceWith { axis } => (usize::from(*axis), false, false),
            OpKind::ScanWith { axis, reverse } => (usize::from(*axis), true, *reverse),
            _ => return Err(format!("`{}` has no closure", kind.name())),
        };
        let shape = tiles.first().ok_or("a reduction of no tile")?.shape().to_vec();
        if tiles.iter().any(|t| t.shape() != shape) {
            return Err("tiles of different shapes are reduced together".into());
        }
        let f = Fibres::new(&shape, axis)?;
        if f.n == 0 {
            return Err("a reduction of no element by a closure".into());
        }
        let types: Vec<TileType> = match scan {
            true => tiles.iter().map(|t| t.ty().clone()).collect(),
            false => tiles.iter().map(|t| TileType::new(t.elem(), &without(&shape, axis))).collect(),
        };
        // Every element is overwritten; the first of each tile stands in until then.
        let blank = |(t, ty): (&Rc<Value>, &TileType)| t.data().take((0..ty.len()).map(|_| 0));
        let out = tiles.iter().zip(&types).map(blank).collect();
        let places = f.starts().flat_map(|s| ordered(f, s, reverse)).collect();
        Ok(Fold { tiles, types, out, places, n: f.n, scan, done: 0, acc: Vec::new() })
    }

    /// The scalars `(acc1, …, acck, x1, …, xk)` to combine next; `None` when all is combined.
    pub(crate) fn next(&mut self) -> Option<Vec<Value>> {
        loop {
            let x = scalars(&self.tiles, *self.places.get(self.done)?);
            if !self.done.is_multiple_of(self.n) {
                return Some([self.acc.clone(), x].concat());
            }
            self.advance(x);
        }
    }

    /// What the closure made of [`Fold::next`].
    pub(crate) fn put(&mut self, combined: Vec<Value>) -> Result<(), String> {
        if !combined.iter().map(Value::ty).eq(self.acc.iter().map(Value::ty)) {
            return Err("the closure of a reduction gives other types than it takes".into());
        }
        self.advance(combined);
        Ok(())
    }

    /// The results.
    pub(crate) fn finish(self) -> Result<Vec<Value>, String> {
        self.types.into_iter().zip(self.out).map(|(ty, data)| Value::new(ty, data)).collect()
    }

    fn advance(&mut self, acc: Vec<Value>) {
        let at = if self.scan { self.places[self.done] } else { self.done / self.n };
        for (out, v) in self.out.iter_mut().zip(&acc) {
            match (out, v.data()) {
                (Data::Float(to), Data::Float(x)) => to[at] = x[0],
                (Data::Int(to), Data::Int(x)) => to[at] = x[0],
                (Data::Bool(to), Data::Bool(x)) => to[at] = x[0],
                _ => {}
            }
        }
        self.acc = acc;
        self.done += 1;
    }
}

fn scalars(tiles: &[Rc<Value>], place: usize) -> Vec<Value> {
    let lane = |v: &Rc<Value>| v.data().get(place).map(|lane| Value::scalar(v.elem(), lane));
    tiles.iter().filter_map(lane).collect()
}

/// The places of a fibre in the direction of a scan.
pub(super) fn ordered(f: Fibres, start: usize, reverse: bool) -> Vec<usize> {
    let mut places: Vec<usize> = f.places(start).collect();
    if reverse {
        places.reverse();
    }
    places
}
