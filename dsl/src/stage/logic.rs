//! `&&` and `||`: short-circuit between host values, element by element between masks.

use super::constant;
use crate::ir::{BinaryOp, Const, OpKind};
use crate::shape::Shape;
use crate::stage::emit1;
use crate::tile::{Col, Combine, Row, Staged, Tile};

/// What `&&` and `||` can have on their right.
#[diagnostic::on_unimplemented(
    message = "`{Self}` and `{B}` cannot be joined by `&&` or `||`",
    label = "both sides must be `bool` or masks of matching shapes",
    note = "a comparison such as `x > 0` gives a mask; lay a vector along an axis with `.col()` or `.row()`"
)]
pub trait Logic<B> {
    /// `bool`, or a mask.
    type Output;
    /// `self && b()` if `and`, else `self || b()`.
    #[track_caller]
    fn logic(self, b: impl FnOnce() -> B, and: bool) -> Self::Output;
}

impl Logic<bool> for bool {
    type Output = bool;
    fn logic(self, b: impl FnOnce() -> bool, and: bool) -> bool {
        if and { self && b() } else { self || b() }
    }
}

#[diagnostic::do_not_recommend]
impl<S: Shape> Logic<Tile<bool, S>> for bool {
    type Output = Tile<bool, S>;
    #[track_caller]
    fn logic(self, b: impl FnOnce() -> Tile<bool, S>, and: bool) -> Tile<bool, S> {
        if self == and { b() } else { Tile::from_id(constant::<bool, S>(Const::Bool(self))) }
    }
}

#[diagnostic::do_not_recommend]
impl<S: Shape> Logic<bool> for Tile<bool, S> {
    type Output = Tile<bool, S>;
    #[track_caller]
    fn logic(self, b: impl FnOnce() -> bool, and: bool) -> Tile<bool, S> {
        let b = b();
        if b == and { self } else { Tile::from_id(constant::<bool, S>(Const::Bool(b))) }
    }
}

macro_rules! masks {
    ($([$($p:tt)*] $a:ty, $b:ty;)*) => {$(
        #[diagnostic::do_not_recommend]
        impl<$($p)*> Logic<$b> for $a
        where
            $a: Combine<$b>,
        {
            type Output = <$a as Combine<$b>>::Output;
            #[track_caller]
            fn logic(self, b: impl FnOnce() -> $b, and: bool) -> Self::Output {
                let (a, b) = self.align(b());
                let op = if and { BinaryOp::And } else { BinaryOp::Or };
                let ty = <Self::Output as Staged>::value_type();
                <Self::Output as Staged>::from_value(emit1(OpKind::Binary(op), &[a, b], ty))
            }
        }
    )*};
}
masks! {
    [S: Shape, R: Shape] Tile<bool, S>, Tile<bool, R>;
    [S: Shape, const N: usize] Tile<bool, S>, Col<bool, N>;
    [S: Shape, const N: usize] Tile<bool, S>, Row<bool, N>;
    [S: Shape, const N: usize] Col<bool, N>, Tile<bool, S>;
    [S: Shape, const N: usize] Row<bool, N>, Tile<bool, S>;
    [const M: usize, const N: usize] Col<bool, M>, Row<bool, N>;
    [const M: usize, const N: usize] Row<bool, M>, Col<bool, N>;
    [const M: usize, const N: usize] Col<bool, M>, Col<bool, N>;
    [const M: usize, const N: usize] Row<bool, M>, Row<bool, N>;
}

/// `a && b`
#[track_caller]
pub fn and<A: Logic<B>, B>(a: A, b: impl FnOnce() -> B) -> A::Output {
    a.logic(b, true)
}

/// `a || b`
#[track_caller]
pub fn or<A: Logic<B>, B>(a: A, b: impl FnOnce() -> B) -> A::Output {
    a.logic(b, false)
}
