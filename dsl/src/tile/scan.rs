//! Inclusive scans along an axis: element `i` of the result combines the elements `0..=i`.

use super::reduce::{Reduction, one, two};
use super::{Scalar, Tile, same};
use crate::elem::{Elem, Num};
use crate::ir::{OpKind, ReduceOp};
use crate::shape::{BlockShape, Shape};
use crate::stage::control::{fold, scalar_type};
use crate::stage::tile_type;

/// Scans along the last axis.
impl<T: Num, S: BlockShape> Tile<T, S> {
    /// Running sum along the last axis.
    #[track_caller]
    pub fn cumsum(self) -> Self {
        last(self, ReduceOp::Sum, false)
    }
    /// Running product along the last axis.
    #[track_caller]
    pub fn cumprod(self) -> Self {
        last(self, ReduceOp::Prod, false)
    }
    /// Running maximum along the last axis.
    #[track_caller]
    pub fn cummax(self) -> Self {
        last(self, ReduceOp::Max, false)
    }
    /// Running minimum along the last axis.
    #[track_caller]
    pub fn cummin(self) -> Self {
        last(self, ReduceOp::Min, false)
    }
    /// Running sum along the last axis, from its end: element `i` is the sum of the elements `i..`.
    #[track_caller]
    pub fn cumsum_reverse(self) -> Self {
        last(self, ReduceOp::Sum, true)
    }
}

#[track_caller]
fn last<T: Elem, S: Shape>(t: Tile<T, S>, op: ReduceOp, reverse: bool) -> Tile<T, S> {
    let axis = S::DIMS.len().saturating_sub(1) as u8;
    same(OpKind::Scan { axis, op, reverse }, &[t.id()])
}

/// Scans along a numbered axis.
impl<T: Num, S: Shape> Tile<T, S> {
    /// Running sum along an axis.
    #[track_caller]
    pub fn cumsum_axis<const AXIS: u8>(self) -> Self
    where
        S: Reduction<AXIS>,
    {
        same(OpKind::Scan { axis: AXIS, op: ReduceOp::Sum, reverse: false }, &[self.id()])
    }
    /// Running product along an axis.
    #[track_caller]
    pub fn cumprod_axis<const AXIS: u8>(self) -> Self
    where
        S: Reduction<AXIS>,
    {
        same(OpKind::Scan { axis: AXIS, op: ReduceOp::Prod, reverse: false }, &[self.id()])
    }
    /// Running maximum along an axis.
    #[track_caller]
    pub fn cummax_axis<const AXIS: u8>(self) -> Self
    where
        S: Reduction<AXIS>,
    {
        same(OpKind::Scan { axis: AXIS, op: ReduceOp::Max, reverse: false }, &[self.id()])
    }
}

impl<T: Elem, S: BlockShape> Tile<T, S> {
    /// Running combination along the last axis by an associative closure of two scalars.
    #[track_caller]
    pub fn scan_with(self, f: impl FnMut(Scalar<T>, Scalar<T>) -> Scalar<T>) -> Self {
        let axis = S::DIMS.len().saturating_sub(1) as u8;
        let kind = OpKind::ScanWith { axis, reverse: false };
        Tile::from_id(fold(kind, &[self.id()], &[tile_type::<T, S>()], &[scalar_type::<T>()], one(f))[0])
    }

    /// [`Tile::scan_with`] along any axis, in either direction.
    #[track_caller]
    pub fn scan_axis_with<const AXIS: u8>(
        self,
        reverse: bool,
        f: impl FnMut(Scalar<T>, Scalar<T>) -> Scalar<T>,
    ) -> Self
    where
        S: Reduction<AXIS>,
    {
        let kind = OpKind::ScanWith { axis: AXIS, reverse };
        Tile::from_id(fold(kind, &[self.id()], &[tile_type::<T, S>()], &[scalar_type::<T>()], one(f))[0])
    }

    /// [`Tile::scan_with`] over pairs, as a linear recurrence needs.
    #[track_caller]
    pub fn scan_pairs_with<U: Elem>(
        self,
        other: Tile<U, S>,
        f: impl FnMut((Scalar<T>, Scalar<U>), (Scalar<T>, Scalar<U>)) -> (Scalar<T>, Scalar<U>),
    ) -> (Self, Tile<U, S>) {
        let axis = S::DIMS.len().saturating_sub(1) as u8;
        let kind = OpKind::ScanWith { axis, reverse: false };
        let results = [tile_type::<T, S>(), tile_type::<U, S>()];
        let scalars = [scalar_type::<T>(), scalar_type::<U>()];
        let ids = fold(kind, &[self.id(), other.id()], &results, &scalars, two(f));
        (Tile::from_id(ids[0]), Tile::from_id(ids[1]))
    }
}
