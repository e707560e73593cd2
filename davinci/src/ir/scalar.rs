//! What the scalar unit computes: addresses, trip counts, indices.

use super::place::{Global, Local, Val};
use super::vals::Vals;
use kcc_dsl::ir::Elem;
use serde::{Deserialize, Serialize};

/// Operation of two integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum IntOp {
    /// Wraps at 64 bits, as the others do.
    Add,
    Sub,
    Mul,
    /// Towards zero; by zero: 0.
    Div,
    /// Sign of the dividend; by zero: 0.
    Rem,
    Min,
    Max,
    And,
    Or,
    Xor,
    /// Shift amounts are taken modulo 64.
    Shl,
    /// Arithmetic.
    Shr,
    /// 1 or 0, as the other comparisons.
    Lt,
    Le,
    Eq,
    Ne,
}

/// Operation of two `f32`, IEEE, round to nearest even.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum FloatOp {
    Add,
    Sub,
    Mul,
    Div,
    /// minimumNumber: a NaN loses.
    Min,
    /// maximumNumber.
    Max,
    /// 1 or 0; false with a NaN.
    Lt,
    Le,
    Eq,
    /// True with a NaN.
    Ne,
}

/// A computation of the scalar unit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Scalar {
    /// Index of the group of cores (a cube core and its vector cores), or of the vector core in a kernel without products.
    BlockIdx,
    /// Number of blocks launched.
    BlockNum,
    /// Index of the vector core in its group.
    SubIdx,
    /// Programs of the kernel along an axis of the grid.
    Grid { axis: u8 },
    /// A scalar parameter: integers sign- or zero-extended, floats by their bits as `f32`.
    Arg { param: u32 },
    /// Extent of an axis of a view.
    Dim { param: u32, axis: u8 },
    /// Stride of an axis of a view, in elements.
    Stride { param: u32, axis: u8 },
    /// A copy.
    Move { value: Val },
    /// Two integers.
    Int { op: IntOp, a: Val, b: Val },
    /// Two `f32`, by their bits.
    Float { op: FloatOp, a: Val, b: Val },
    /// `a` where `c` is not 0, else `b`.
    Select { c: Val, a: Val, b: Val },
    /// Wraps an integer to the width of a type.
    Wrap { elem: Elem, a: Val },
    /// Integer to `f32`, nearest even.
    ToFloat { a: Val },
    /// `f32` to integer of that type: towards zero, saturating, NaN to 0.
    ToInt { elem: Elem, a: Val },
    /// Rounds an `f32` to a float type and widens it again.
    Round { elem: Elem, a: Val },
    /// Reads an element of global memory.
    LoadGlobal { elem: Elem, src: Global },
    /// Reads an element of the unified buffer.
    LoadLocal { elem: Elem, src: Local },
}

impl Vals for Scalar {
    fn each(&mut self, f: &mut dyn FnMut(&mut Val)) {
        match self {
            Scalar::BlockIdx
            | Scalar::BlockNum
            | Scalar::SubIdx
            | Scalar::Grid { .. }
            | Scalar::Arg { .. }
            | Scalar::Dim { .. }
            | Scalar::Stride { .. } => {}
            Scalar::Move { value } => f(value),
            Scalar::Int { a, b, .. } | Scalar::Float { a, b, .. } => {
                f(a);
                f(b);
            }
            Scalar::Select { c, a, b } => {
                f(c);
                f(a);
                f(b);
            }
            Scalar::Wrap { a, .. }
            | Scalar::ToFloat { a }
            | Scalar::ToInt { a, .. }
            | Scalar::Round { a, .. } => f(a),
            Scalar::LoadGlobal { src, .. } => f(&mut src.offset),
            Scalar::LoadLocal { src, .. } => f(&mut src.offset),
        }
    }

    fn each_local(&mut self, f: &mut dyn FnMut(&mut Local)) {
        if let Scalar::LoadLocal { src, .. } = self {
            f(src);
        }
    }
}
