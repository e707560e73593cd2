//! Element-wise mathematics.
//!
//! Error bounds are for f32 against the exact value, on every target; f16, bf16 and the 8-bit floats are computed in
//! f32 and rounded once. Subnormal results may be flushed to zero where a bound is given in units in the last place
//! (ulp).

use super::arithmetic::{binary, lift};
use super::{Combine, Matrix, Tile, same, unary};
use crate::elem::{Float, Literal, Num};
use crate::ir::{BinaryOp, CmpOp, OpKind, UnaryOp};
use crate::shape::Shape;
use crate::stage::compare::Compare;

macro_rules! unary_methods {
    ($($(#[$doc:meta])* $f:ident $op:ident;)*) => {
        impl<T: Float, S: Shape> Tile<T, S> {
            $($(#[$doc])*
            #[track_caller]
            pub fn $f(self) -> Self {
                unary(UnaryOp::$op, self)
            })*
        }
    };
}
unary_methods! {
    /// e to the power of each element. ≤ 4 ulp.
    exp Exp;
    /// 2 to the power of each element. ≤ 4 ulp.
    exp2 Exp2;
    /// Natural logarithm. ≤ 4 ulp; of 0: minus infinity; of a negative number: NaN.
    log Log;
    /// Logarithm to base 2. ≤ 4 ulp; of 0: minus infinity; of a negative number: NaN.
    log2 Log2;
    /// Sine of an angle in radians. Error ≤ 2⁻²² for angles up to 10⁴ in magnitude.
    sin Sin;
    /// Cosine of an angle in radians. Error ≤ 2⁻²² for angles up to 10⁴ in magnitude.
    cos Cos;
    /// Hyperbolic tangent. ≤ 4 ulp.
    tanh Tanh;
    /// Error function. ≤ 4 ulp.
    erf Erf;
    /// Square root, correctly rounded.
    sqrt Sqrt;
    /// One over the square root. ≤ 4 ulp.
    rsqrt Rsqrt;
    /// The largest integer not above. Exact.
    floor Floor;
    /// The smallest integer not below. Exact.
    ceil Ceil;
    /// The nearest integer, half to even. Exact.
    round Round;
}

impl<T: Num, S: Shape> Tile<T, S> {
    /// Magnitude. Exact; of the smallest signed integer: itself.
    #[track_caller]
    pub fn abs(self) -> Self {
        unary(UnaryOp::Abs, self)
    }

    /// The larger of two elements; a NaN loses (IEEE 754-2019 maximumNumber). `o` is a tile, a scalar, a
    /// vector along an axis, or a host value.
    #[track_caller]
    pub fn max<R>(self, o: R) -> <Self as Combine<R>>::Output
    where
        Self: Combine<R>,
    {
        binary(BinaryOp::Max, self, o)
    }

    /// The smaller of two elements; a NaN loses (IEEE 754-2019 minimumNumber).
    #[track_caller]
    pub fn min<R>(self, o: R) -> <Self as Combine<R>>::Output
    where
        Self: Combine<R>,
    {
        binary(BinaryOp::Min, self, o)
    }

    /// The element, or `lo` if it is smaller, or `hi` if it is larger; NaN gives `lo`.
    #[track_caller]
    pub fn clamp(self, lo: impl Literal<T>, hi: impl Literal<T>) -> Self {
        let raised: Self = binary(BinaryOp::Max, self, lift::<T, S, _>(lo));
        binary(BinaryOp::Min, raised, lift::<T, S, _>(hi))
    }
}

impl<T: Float, S: Shape> Tile<T, S> {
    /// The larger of two elements; a NaN wins (IEEE 754-2019 maximum).
    #[track_caller]
    pub fn max_nan<R>(self, o: R) -> <Self as Combine<R>>::Output
    where
        Self: Combine<R>,
    {
        binary(BinaryOp::MaxNan, self, o)
    }

    /// The smaller of two elements; a NaN wins (IEEE 754-2019 minimum).
    #[track_caller]
    pub fn min_nan<R>(self, o: R) -> <Self as Combine<R>>::Output
    where
        Self: Combine<R>,
    {
        binary(BinaryOp::MinNan, self, o)
    }

    /// `self * b + c`, rounded once.
    #[track_caller]
    pub fn fma(self, b: Self, c: Self) -> Self {
        fma(self, b, c)
    }

    /// `1 / (1 + exp(-x))`. ≤ 8 ulp.
    #[track_caller]
    pub fn sigmoid(self) -> Self {
        let one = lift::<T, S, _>(1);
        let e = unary(UnaryOp::Exp, unary(UnaryOp::Neg, self));
        binary(BinaryOp::Div, one, binary(BinaryOp::Add, one, e))
    }
}

impl<T: Float, const M: usize, const N: usize> Matrix<T, M, N> {
    /// Softmax of each row: `exp(x - max) / sum`. Relative error ≤ (N + 16) · 2⁻²⁴ in f32 over normal results.
    #[track_caller]
    pub fn softmax_rows(self) -> Self {
        let e = unary(UnaryOp::Exp, binary(BinaryOp::Sub, self, self.max_rows().col()));
        binary(BinaryOp::Div, e, e.sum_rows().col())
    }
}

/// `a * b + c`, rounded once.
#[track_caller]
pub fn fma<T: Float, S: Shape>(a: Tile<T, S>, b: Tile<T, S>, c: Tile<T, S>) -> Tile<T, S> {
    same(OpKind::Fma, &[a.id(), b.id(), c.id()])
}

macro_rules! comparisons {
    ($($(#[$doc:meta])* $f:ident $op:ident;)*) => {
        /// Comparisons, for functions without `#[kernel]` or `#[function]`; in those write `<`, `==`, ….
        impl<T: crate::elem::Elem, S: Shape> Tile<T, S> {
            $($(#[$doc])*
            #[track_caller]
            pub fn $f<R>(self, r: R) -> <Self as Compare<R>>::Output
            where
                Self: Compare<R>,
            {
                self.compare(r, CmpOp::$op)
            })*
        }
    };
}
comparisons! {
    /// `self < r`
    lt_ Lt;
    /// `self <= r`
    le_ Le;
    /// `self > r`
    gt_ Gt;
    /// `self >= r`
    ge_ Ge;
    /// `self == r`
    eq_ Eq;
    /// `self != r`
    ne_ Ne;
}
