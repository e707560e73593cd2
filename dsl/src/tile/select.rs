//! Choosing element by element.

use super::arithmetic::lift;
use super::{Tile, same};
use crate::elem::{Elem, Literal};
use crate::ir::OpKind;
use crate::shape::Shape;

/// `a` where the mask holds, else `b`.
#[track_caller]
pub fn select<T: Elem, S: Shape>(mask: Tile<bool, S>, a: Tile<T, S>, b: Tile<T, S>) -> Tile<T, S> {
    same(OpKind::Select, &[mask.id(), a.id(), b.id()])
}

/// `a`, with the host value `v` wherever the mask holds.
#[track_caller]
pub fn fill_where<T: Elem, S: Shape>(mask: Tile<bool, S>, a: Tile<T, S>, v: impl Literal<T>) -> Tile<T, S> {
    let v = lift::<T, S, _>(v);
    same(OpKind::Select, &[mask.id(), v.id(), a.id()])
}
