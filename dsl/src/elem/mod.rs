//! Element types of tiles: which Rust types they are, and what arithmetic each has.
//!
//! ```text
//! Elem ─┬─ bool                                   masks
//!       └─ Num ─┬─ Int    i8 i16 i32 i64 u8 u32
//!               └─ Float  f32 f16 bf16 F8E4M3 F8E5M2
//! ```

pub mod f8;
mod literal;

pub use f8::{F8E4M3, F8E5M2};
pub use half::{bf16, f16};
pub use literal::Literal;

use crate::ir;

mod sealed {
    pub trait Sealed {}
}
pub(crate) use sealed::Sealed;

/// A type that a tile or a view may hold.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an element type",
    label = "not an element type",
    note = "element types are f32, f16, bf16, F8E4M3, F8E5M2, i8, i16, i32, i64, u8, u32 and bool"
)]
pub trait Elem: Copy + Send + Sync + PartialEq + std::fmt::Debug + Sealed + 'static {
    /// The element type in the tile IR.
    const ELEM: ir::Elem;

    /// The value as a constant of the tile IR.
    fn to_const(self) -> ir::Const;

    /// The value's bits, in the low bytes.
    fn to_bits64(self) -> u64;

    /// The value with these bits (the low bytes count).
    fn from_bits64(bits: u64) -> Self;
}

/// A type with arithmetic: every element type but `bool`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no arithmetic",
    label = "this operation needs numbers",
    note = "a mask becomes numbers with `.to::<f32>()` (0 or 1); a kernel's type parameter needs the bound `T: Float`, `T: Int` or `T: Num`"
)]
pub trait Num: Elem {
    /// What products of this type are accumulated in by `dot`: f32 for floats, i32 for integers.
    type Acc: Num;

    /// The value nearest to `v`.
    fn from_f32(v: f32) -> Self;

    /// The `f32` nearest to the value: exact for every floating-point type.
    fn to_f32(self) -> f32;
}

/// A floating-point type.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a floating-point type",
    label = "this operation needs a floating-point tile",
    note = "convert with `.to::<f32>()`; a kernel's type parameter needs the bound `T: Float`"
)]
pub trait Float: Num<Acc = f32> + DotElem {}

/// An integer type: arithmetic and bitwise operations.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an integer type",
    label = "this operation needs an integer tile",
    note = "convert with `.to::<i32>()`, or reinterpret the bits with `.bitcast::<i32>()`"
)]
pub trait Int: Num<Acc = i32> + Bits {}

/// A type with bitwise operations: integers and `bool`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no bitwise operations",
    label = "`&`, `|`, `^`, `!` need integers or masks",
    note = "reinterpret the bits of a float with `.bitcast::<i32>()`"
)]
pub trait Bits: Elem {}

/// Types that `dot` multiplies.
#[diagnostic::on_unimplemented(
    message = "`dot` has no `{Self}` operands",
    label = "not a type that `dot` multiplies",
    note = "`dot` multiplies f32, f16, bf16, F8E4M3, F8E5M2 (sums in f32) and i8 (sums in i32)"
)]
pub trait DotElem: Num {}

macro_rules! ints {
    ($($t:ty = $e:ident),*) => {$(
        impl Sealed for $t {}
        #[diagnostic::do_not_recommend]
        impl Elem for $t {
            const ELEM: ir::Elem = ir::Elem::$e;
            fn to_const(self) -> ir::Const {
                ir::Const::Int(self as i64)
            }
            fn to_bits64(self) -> u64 {
                self as i64 as u64
            }
            fn from_bits64(bits: u64) -> Self {
                bits as $t
            }
        }
        #[diagnostic::do_not_recommend]
        impl Num for $t {
            type Acc = i32;
            fn from_f32(v: f32) -> Self {
                v as $t
            }
            fn to_f32(self) -> f32 {
                self as f32
            }
        }
        #[diagnostic::do_not_recommend]
        impl Int for $t {}
        #[diagnostic::do_not_recommend]
        impl Bits for $t {}
    )*};
}
ints!(i8 = I8, i16 = I16, i32 = I32, i64 = I64, u8 = U8, u32 = U32);

macro_rules! floats {
    ($($t:ty = $e:ident, |$v:ident| $to:expr, |$f:ident| $from:expr, $bits:ty;)*) => {$(
        impl Sealed for $t {}
        #[diagnostic::do_not_recommend]
        impl Elem for $t {
            const ELEM: ir::Elem = ir::Elem::$e;
            fn to_const(self) -> ir::Const {
                let $v = self;
                ir::Const::float($to)
            }
            fn to_bits64(self) -> u64 {
                self.to_bits().into()
            }
            fn from_bits64(bits: u64) -> Self {
                <$t>::from_bits(bits as $bits)
            }
        }
        #[diagnostic::do_not_recommend]
        impl Num for $t {
            type Acc = f32;
            fn from_f32($f: f32) -> Self {
                $from
            }
            fn to_f32(self) -> f32 {
                let $v = self;
                $to
            }
        }
        #[diagnostic::do_not_recommend]
        impl Float for $t {}
        #[diagnostic::do_not_recommend]
        impl DotElem for $t {}
    )*};
}
floats! {
    f32 = F32, |v| v, |f| f, u32;
    f16 = F16, |v| v.to_f32(), |f| f16::from_f32(f), u16;
    bf16 = BF16, |v| v.to_f32(), |f| bf16::from_f32(f), u16;
    F8E4M3 = F8E4M3, |v| v.to_f32(), |f| F8E4M3::from_f32(f), u8;
    F8E5M2 = F8E5M2, |v| v.to_f32(), |f| F8E5M2::from_f32(f), u8;
}

#[diagnostic::do_not_recommend]
impl DotElem for i8 {}

impl Sealed for bool {}
#[diagnostic::do_not_recommend]
impl Elem for bool {
    const ELEM: ir::Elem = ir::Elem::Bool;
    fn to_const(self) -> ir::Const {
        ir::Const::Bool(self)
    }
    fn to_bits64(self) -> u64 {
        self.into()
    }
    fn from_bits64(bits: u64) -> Self {
        bits & 0xff != 0
    }
}
#[diagnostic::do_not_recommend]
impl Bits for bool {}
