//! Rust's operators between tiles, scalars, vectors along an axis, and host values.

use super::{Col, Combine, Row, Staged, Tile, literal_const, unary};
use crate::elem::{Bits, Elem, Literal, Num, bf16, f16};
use crate::ir::{BinaryOp, OpKind, UnaryOp};
use crate::shape::{D1, Shape};
use crate::stage::{constant, emit1};
use std::ops::*;

/// An element-wise operation of two operands that go together.
#[track_caller]
pub(crate) fn binary<A: Combine<B>, B>(op: BinaryOp, a: A, b: B) -> A::Output {
    let (x, y) = a.align(b);
    A::Output::from_value(emit1(OpKind::Binary(op), &[x, y], A::Output::value_type()))
}

/// The host value `v` in a tile's type.
#[track_caller]
pub(crate) fn lift<T: Elem, S: Shape, L: Literal<T>>(v: L) -> Tile<T, S> {
    Tile::from_id(constant::<T, S>(literal_const::<T, L>(v)))
}

macro_rules! with_host_left {
    ($bound:ident $tr:ident $f:ident $op:ident: $($h:ty),*) => {$(
        impl<T: $bound, S: Shape> $tr<Tile<T, S>> for $h
        where
            $h: Literal<T>,
        {
            type Output = Tile<T, S>;
            #[track_caller]
            fn $f(self, r: Tile<T, S>) -> Tile<T, S> {
                binary(BinaryOp::$op, lift::<T, S, $h>(self), r)
            }
        }
        impl<T: $bound, const N: usize> $tr<Col<T, N>> for $h
        where
            $h: Literal<T>,
        {
            type Output = Col<T, N>;
            #[track_caller]
            fn $f(self, r: Col<T, N>) -> Col<T, N> {
                binary(BinaryOp::$op, Col::new(lift::<T, D1<N>, $h>(self)), r)
            }
        }
        impl<T: $bound, const N: usize> $tr<Row<T, N>> for $h
        where
            $h: Literal<T>,
        {
            type Output = Row<T, N>;
            #[track_caller]
            fn $f(self, r: Row<T, N>) -> Row<T, N> {
                binary(BinaryOp::$op, Row::new(lift::<T, D1<N>, $h>(self)), r)
            }
        }
    )*};
}

/// `impl Op<R> for Left`: whatever goes with the left side.
macro_rules! left {
    ($bound:ident $tr:ident $f:ident $op:ident [$($p:tt)*] $a:ty) => {
        impl<T: $bound, R, $($p)*> $tr<R> for $a
        where
            $a: Combine<R>,
        {
            type Output = <$a as Combine<R>>::Output;
            #[track_caller]
            fn $f(self, r: R) -> Self::Output {
                binary(BinaryOp::$op, self, r)
            }
        }
    };
}

macro_rules! operators {
    ($($bound:ident $tr:ident $f:ident $atr:ident $af:ident $op:ident;)*) => {$(
        left!($bound $tr $f $op [S: Shape] Tile<T, S>);
        left!($bound $tr $f $op [const N: usize] Col<T, N>);
        left!($bound $tr $f $op [const N: usize] Row<T, N>);
        impl<T: $bound, S: Shape, R> $atr<R> for Tile<T, S>
        where
            Tile<T, S>: Combine<R, Output = Tile<T, S>>,
        {
            #[track_caller]
            fn $af(&mut self, r: R) {
                *self = binary(BinaryOp::$op, *self, r);
            }
        }
        with_host_left!($bound $tr $f $op: usize, i32);
    )*};
}
operators! {
    Num Add add AddAssign add_assign Add;
    Num Sub sub SubAssign sub_assign Sub;
    Num Mul mul MulAssign mul_assign Mul;
    Num Div div DivAssign div_assign Div;
    Num Rem rem RemAssign rem_assign Rem;
    Bits BitAnd bitand BitAndAssign bitand_assign And;
    Bits BitOr bitor BitOrAssign bitor_assign Or;
    Bits BitXor bitxor BitXorAssign bitxor_assign Xor;
    Bits Shl shl ShlAssign shl_assign Shl;
    Bits Shr shr ShrAssign shr_assign Shr;
}
with_host_left!(Num Add add Add: f32, f16, bf16);
with_host_left!(Num Sub sub Sub: f32, f16, bf16);
with_host_left!(Num Mul mul Mul: f32, f16, bf16);
with_host_left!(Num Div div Div: f32, f16, bf16);
with_host_left!(Num Rem rem Rem: f32, f16, bf16);

impl<T: Num, S: Shape> Neg for Tile<T, S> {
    type Output = Self;
    #[track_caller]
    fn neg(self) -> Self {
        unary(UnaryOp::Neg, self)
    }
}
impl<T: Bits, S: Shape> Not for Tile<T, S> {
    type Output = Self;
    #[track_caller]
    fn not(self) -> Self {
        unary(UnaryOp::Not, self)
    }
}
macro_rules! oriented {
    ($($side:ident),*) => {$(
        impl<T: Num, const N: usize> Neg for $side<T, N> {
            type Output = Self;
            #[track_caller]
            fn neg(self) -> Self {
                unary(UnaryOp::Neg, self)
            }
        }
        impl<T: Bits, const N: usize> Not for $side<T, N> {
            type Output = Self;
            #[track_caller]
            fn not(self) -> Self {
                unary(UnaryOp::Not, self)
            }
        }
    )*};
}
oriented!(Col, Row);

impl<T: Num, S: Shape> Tile<T, S> {
    /// The high half of the double-width product. Integers only.
    #[track_caller]
    pub fn mul_hi(self, o: Self) -> Self
    where
        T: crate::elem::Int,
    {
        binary(BinaryOp::MulHi, self, o)
    }
}

/// `l - r` and the like where `l` is an integer literal: the type of `r` decides what the literal is.
macro_rules! literal_left {
    ($($tr:ident $m:ident $f:ident $op:tt $std:ident;)*) => {$(
        #[doc = concat!("What stands right of an integer literal in `literal ", stringify!($op), " x`.")]
        #[diagnostic::on_unimplemented(
            message = "an integer literal and `{Self}` have no such operation",
            label = "not a number or a tile of numbers"
        )]
        pub trait $tr<L> {
            /// What the operation gives.
            type Output;
            /// The operation.
            #[track_caller]
            fn $m(self, l: L) -> Self::Output;
        }
        impl<T: Elem, S: Shape> $tr<i32> for Tile<T, S>
        where
            i32: $std<Tile<T, S>>,
        {
            type Output = <i32 as $std<Tile<T, S>>>::Output;
            #[track_caller]
            fn $m(self, l: i32) -> Self::Output {
                l $op self
            }
        }
        literal_left!(@side $tr $m $op $std Col Row);
        literal_left!(@host $tr $m $op usize isize u8 u16 u32 u64 u128 i8 i16 i32 i64 i128);
        #[doc = concat!("`l ", stringify!($op), " r`")]
        #[track_caller]
        pub fn $f<L, R: $tr<L>>(l: L, r: R) -> R::Output {
            r.$m(l)
        }
    )*};
    (@side $tr:ident $m:ident $op:tt $std:ident $($side:ident)*) => {$(
        impl<T: Elem, const N: usize> $tr<i32> for $side<T, N>
        where
            i32: $std<$side<T, N>>,
        {
            type Output = <i32 as $std<$side<T, N>>>::Output;
            #[track_caller]
            fn $m(self, l: i32) -> Self::Output {
                l $op self
            }
        }
    )*};
    (@host $tr:ident $m:ident $op:tt $($t:ty)*) => {$(
        impl $tr<$t> for $t {
            type Output = $t;
            fn $m(self, l: $t) -> $t {
                l $op self
            }
        }
    )*};
}

/// Operations whose left operand is an integer literal.
#[doc(hidden)]
pub mod literal {
    use super::*;
    literal_left! {
        RightOfAdd right_of_add add + Add;
        RightOfSub right_of_sub sub - Sub;
        RightOfMul right_of_mul mul * Mul;
        RightOfDiv right_of_div div / Div;
        RightOfRem right_of_rem rem % Rem;
        RightOfAnd right_of_and bitand & BitAnd;
        RightOfOr right_of_or bitor | BitOr;
        RightOfXor right_of_xor bitxor ^ BitXor;
        RightOfShl right_of_shl shl << Shl;
        RightOfShr right_of_shr shr >> Shr;
    }
}
