//! `<`, `<=`, `>`, `>=`, `==`, `!=`: between host values a `bool`, with a tile on either side a mask.

use crate::elem::{Elem, Literal, bf16, f16};
use crate::ir::{CmpOp, OpKind};
use crate::shape::Shape;
use crate::stage::emit1;
use crate::tile::{Col, Combine, Row, Staged, Tile};
use std::cmp::PartialOrd;

/// What a comparison can have on its right.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be compared with `{R}`",
    label = "no comparison between these",
    note = "element types and shapes must match: convert with `.to::<..>()`, and lay a vector along an axis with `.col()` or `.row()`",
    note = "host values of other types: `matches!(value, pattern)`, or compare them in a function without `#[kernel]`"
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

macro_rules! left {
    ($([$($p:tt)*] $a:ty;)*) => {$(
        #[diagnostic::do_not_recommend]
        impl<T: Elem, R, $($p)*> Compare<R> for $a
        where
            $a: Combine<R>,
        {
            type Output = <$a as Combine<R>>::Mask;
            #[track_caller]
            fn compare(self, r: R, op: CmpOp) -> Self::Output {
                let (a, b) = self.align(r);
                let v = emit1(OpKind::Compare(op), &[a, b], <Self::Output as Staged>::value_type());
                <Self::Output as Staged>::from_value(v)
            }
        }
    )*};
}
left! {
    [S: Shape] Tile<T, S>;
    [const N: usize] Col<T, N>;
    [const N: usize] Row<T, N>;
}

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

/// `a < b`
#[track_caller]
pub fn lt<A: Compare<B>, B>(a: A, b: B) -> A::Output {
    a.compare(b, CmpOp::Lt)
}

/// `a <= b`
#[track_caller]
pub fn le<A: Compare<B>, B>(a: A, b: B) -> A::Output {
    a.compare(b, CmpOp::Le)
}

/// `a > b`
#[track_caller]
pub fn gt<A: Compare<B>, B>(a: A, b: B) -> A::Output {
    a.compare(b, CmpOp::Gt)
}

/// `a >= b`
#[track_caller]
pub fn ge<A: Compare<B>, B>(a: A, b: B) -> A::Output {
    a.compare(b, CmpOp::Ge)
}

/// `a == b`
#[track_caller]
pub fn eq<A: Compare<B>, B>(a: A, b: B) -> A::Output {
    a.compare(b, CmpOp::Eq)
}

/// `a != b`
#[track_caller]
pub fn ne<A: Compare<B>, B>(a: A, b: B) -> A::Output {
    a.compare(b, CmpOp::Ne)
}
