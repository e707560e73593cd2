//! `<`, `<=`, `>`, `>=`, `==`, `!=`: between host values a `bool`, with a tile on either side a mask.

use crate::elem::{Elem, Literal, bf16, f16};
use crate::ir::{CmpOp, OpKind};
use crate::shape::Shape;
use crate::stage::{constant, emit1};
use crate::tile::literal_const;
use crate::tile::{Col, Combine, Row, Staged, Tile};
use std::cmp::PartialOrd;

/// What a comparison can have on its right.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be compared with `{R}`",
    label = "no comparison between these",
    note = "element types and shapes must match: convert with `.to::<..>()`, and lay a vector along an axis with `.col()` or `.row()`"
)]
pub trait Compare<R> {
    /// `bool`, or a mask.
    type Output;
    /// Compares.
    #[track_caller]
    fn compare(self, r: R, op: CmpOp) -> Self::Output;
}

/// A comparison in plain Rust.
fn host<A: PartialOrd<B> + ?Sized, B: ?Sized>(a: &A, b: &B, op: CmpOp) -> bool {
    match op {
        CmpOp::Lt => a < b,
        CmpOp::Le => a <= b,
        CmpOp::Gt => a > b,
        CmpOp::Ge => a >= b,
        CmpOp::Eq => a == b,
        CmpOp::Ne => a != b,
    }
}

macro_rules! hosts {
    ($($t:ty),*) => {$(
        impl Compare<$t> for $t {
            type Output = bool;
            fn compare(self, r: $t, op: CmpOp) -> bool {
                host(&self, &r, op)
            }
        }
    )*};
}
hosts!(usize, isize, u8, u16, u32, u64, u128, i8, i16, i32, i64, i128, f32, f64, f16, bf16, bool, char);
hosts!(crate::ir::Elem, crate::elem::F8E4M3, crate::elem::F8E5M2, std::cmp::Ordering, String);

impl<'a, A: PartialOrd<B> + ?Sized, B: ?Sized> Compare<&'a B> for &'a A {
    type Output = bool;
    fn compare(self, r: &'a B, op: CmpOp) -> bool {
        host(self, r, op)
    }
}
impl<A: PartialOrd> Compare<Option<A>> for Option<A> {
    type Output = bool;
    fn compare(self, r: Option<A>, op: CmpOp) -> bool {
        host(&self, &r, op)
    }
}

fn swapped(op: CmpOp) -> CmpOp {
    match op {
        CmpOp::Lt => CmpOp::Gt,
        CmpOp::Le => CmpOp::Ge,
        CmpOp::Gt => CmpOp::Lt,
        CmpOp::Ge => CmpOp::Le,
        CmpOp::Eq | CmpOp::Ne => op,
    }
}

#[track_caller]
fn combined<A: Combine<R>, R>(a: A, r: R, op: CmpOp) -> A::Mask {
    let (a, b) = a.align(r);
    A::Mask::from_value(emit1(OpKind::Compare(op), &[a, b], A::Mask::value_type()))
}

impl<T: Elem, U: Elem, S: Shape, R: Shape> Compare<Tile<U, R>> for Tile<T, S>
where
    Self: Combine<Tile<U, R>>,
{
    type Output = <Self as Combine<Tile<U, R>>>::Mask;
    #[track_caller]
    fn compare(self, r: Tile<U, R>, op: CmpOp) -> Self::Output {
        combined(self, r, op)
    }
}

impl<T: Elem, S: Shape, L: Literal<T>> Compare<L> for Tile<T, S> {
    type Output = Tile<bool, S>;
    #[track_caller]
    fn compare(self, r: L, op: CmpOp) -> Tile<bool, S> {
        let r: Tile<T, S> = Tile::from_id(constant::<T, S>(literal_const::<T, L>(r)));
        combined(self, r, op)
    }
}

macro_rules! with_oriented {
    ($($side:ident),*) => {$(
        impl<T: Elem, U: Elem, S: Shape, const N: usize> Compare<$side<U, N>> for Tile<T, S>
        where
            Self: Combine<$side<U, N>>,
        {
            type Output = <Self as Combine<$side<U, N>>>::Mask;
            #[track_caller]
            fn compare(self, r: $side<U, N>, op: CmpOp) -> Self::Output {
                combined(self, r, op)
            }
        }
        impl<T: Elem, U: Elem, S: Shape, const N: usize> Compare<Tile<U, S>> for $side<T, N>
        where
            Self: Combine<Tile<U, S>>,
        {
            type Output = <Self as Combine<Tile<U, S>>>::Mask;
            #[track_caller]
            fn compare(self, r: Tile<U, S>, op: CmpOp) -> Self::Output {
                combined(self, r, op)
            }
        }
        impl<T: Elem, L: Literal<T>, const N: usize> Compare<L> for $side<T, N> {
            type Output = $side<bool, N>;
            #[track_caller]
            fn compare(self, r: L, op: CmpOp) -> $side<bool, N> {
                $side::new(self.vector().compare(r, op))
            }
        }
    )*};
}
with_oriented!(Col, Row);

macro_rules! oriented_pairs {
    ($($a:ident $b:ident),*) => {$(
        impl<T: Elem, U: Elem, const M: usize, const N: usize> Compare<$b<U, N>> for $a<T, M>
        where
            Self: Combine<$b<U, N>>,
        {
            type Output = <Self as Combine<$b<U, N>>>::Mask;
            #[track_caller]
            fn compare(self, r: $b<U, N>, op: CmpOp) -> Self::Output {
                combined(self, r, op)
            }
        }
    )*};
}
oriented_pairs!(Col Row, Row Col, Col Col, Row Row);

macro_rules! host_left {
    ($($t:ty),*) => {$(
        impl<T: Elem, S: Shape> Compare<Tile<T, S>> for $t
        where
            $t: Literal<T>,
        {
            type Output = Tile<bool, S>;
            #[track_caller]
            fn compare(self, r: Tile<T, S>, op: CmpOp) -> Tile<bool, S> {
                r.compare(self, swapped(op))
            }
        }
        host_left!(@ $t, Col);
        host_left!(@ $t, Row);
    )*};
    (@ $t:ty, $side:ident) => {
        impl<T: Elem, const N: usize> Compare<$side<T, N>> for $t
        where
            $t: Literal<T>,
        {
            type Output = $side<bool, N>;
            #[track_caller]
            fn compare(self, r: $side<T, N>, op: CmpOp) -> $side<bool, N> {
                r.compare(self, swapped(op))
            }
        }
    };
}
host_left!(usize, i32, f32, f16, bf16);

macro_rules! functions {
    ($($f:ident $op:ident $doc:literal),*) => {$(
        #[doc = $doc]
        #[track_caller]
        pub fn $f<A: Compare<B>, B>(a: A, b: B) -> A::Output {
            a.compare(b, CmpOp::$op)
        }
    )*};
}
functions!(lt Lt "`a < b`", le Le "`a <= b`", gt Gt "`a > b`", ge Ge "`a >= b`", eq Eq "`a == b`", ne Ne "`a != b`");
