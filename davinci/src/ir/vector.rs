//! Vector operations on the unified buffer.

use super::instr::instructions;
use super::place::{Local, Val};
use super::vals::Vals;
use kcc_dsl::ir::Elem;
use serde::{Deserialize, Serialize};

/// Which elements an operation covers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Span {
    /// The first `n` elements of each operand, one after another.
    Count {
        /// Elements, 1 or more.
        n: Val,
    },
    /// `times` repeats of 256 bytes; in each the first `lanes` elements. Where the next block and the next repeat lie is each
    /// operand's [`Stride`].
    Repeat {
        /// Elements of a repeat, 1 to 256 bytes' worth.
        lanes: Val,
        /// Repeats, 1 to 255.
        times: Val,
    },
}

/// Where an operand's blocks lie, in 32-byte blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Stride {
    /// From a block to the next in a repeat.
    pub block: u8,
    /// From a repeat to the next.
    pub repeat: u8,
}

impl Stride {
    /// One after another.
    pub const DENSE: Stride = Stride { block: 1, repeat: 8 };
    /// The same block over and over.
    pub const SAME: Stride = Stride { block: 0, repeat: 0 };
}

/// Padding of a copy: elements at either side of each piece, up to 32 bytes a side.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fill {
    /// Elements before.
    pub left: Val,
    /// Elements behind.
    pub right: Val,
    /// The value's bits.
    pub value: Val,
}

/// Operation of one operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Unary {
    Abs,
    Exp,
    /// Natural logarithm.
    Ln,
    Sqrt,
    Rsqrt,
    /// `1 / x`, approximate.
    Reciprocal,
    Relu,
    /// Bitwise, 16-bit integers.
    Not,
}

/// Operation of two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Binary {
    Add,
    Sub,
    Mul,
    /// Floats.
    Div,
    Max,
    Min,
    /// Bitwise, 16-bit integers.
    And,
    /// Bitwise, 16-bit integers.
    Or,
}

/// Operation with a scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum WithScalar {
    Add,
    Mul,
    Max,
    Min,
    /// Integers.
    ShiftLeft,
    /// Integers; arithmetic for signed types.
    ShiftRight,
}

/// How a conversion rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rounding {
    /// Exact conversions.
    None,
    /// Nearest, ties to even.
    Rint,
    /// Nearest, ties away from zero.
    Round,
    /// Down.
    Floor,
    /// Up.
    Ceil,
    /// Towards zero.
    Trunc,
}

/// Comparison; false with a NaN, but for `Ne`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Compare {
    Lt,
    Le,
    Gt,
    Ge,
    Eq,
    Ne,
}

/// What a reduction computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Reduction {
    Sum,
    Max,
    Min,
}

instructions! {
    /// `dst = op(src)`.
    VUnary => V {
        /// The operation.
        op: Unary,
        /// `f16`, `f32`; `i16` for `Not`; also `i32` for `Relu`.
        elem: Elem,
        /// Result.
        dst: Local,
        /// Operand.
        src: Local,
        /// Elements.
        span: Span,
        /// Blocks of the result.
        dst_stride: Stride,
        /// Blocks of the operand.
        src_stride: Stride,
    }
    /// `dst = op(a, b)`.
    VBinary => V {
        /// The operation.
        op: Binary,
        /// `f16`, `f32`, `i16`, `i32`; `Div` floats only, `And` and `Or` `i16` only.
        elem: Elem,
        /// Result.
        dst: Local,
        /// First operand.
        a: Local,
        /// Second operand.
        b: Local,
        /// Elements.
        span: Span,
        /// Blocks of the result.
        dst_stride: Stride,
        /// Blocks of the first operand.
        a_stride: Stride,
        /// Blocks of the second operand.
        b_stride: Stride,
    }
    /// `dst = op(src, scalar)`.
    VScalar => V {
        /// The operation.
        op: WithScalar,
        /// `f16`, `f32`, `i16`, `i32`; shifts `i16`, `i32`, `u32`.
        elem: Elem,
        /// Result.
        dst: Local,
        /// Operand.
        src: Local,
        /// The scalar's bits: floats as `f32`, rounded to the element type.
        scalar: Val,
        /// Elements.
        span: Span,
        /// Blocks of the result.
        dst_stride: Stride,
        /// Blocks of the operand.
        src_stride: Stride,
    }
    /// `MulAddDst`: `dst = a * b + dst`, with one rounding.
    MulAdd => V {
        /// `f16` or `f32`.
        elem: Elem,
        /// Addend and result.
        dst: Local,
        /// First factor.
        a: Local,
        /// Second factor.
        b: Local,
        /// Elements.
        span: Span,
        /// Blocks of the result.
        dst_stride: Stride,
        /// Blocks of the first factor.
        a_stride: Stride,
        /// Blocks of the second factor.
        b_stride: Stride,
    }
    /// `FusedMulAdd`: `dst = a * dst + b`, with one rounding.
    FusedMulAdd => V {
        /// `f16` or `f32`.
        elem: Elem,
        /// Factor and result.
        dst: Local,
        /// Other factor.
        a: Local,
        /// Addend.
        b: Local,
        /// Elements.
        span: Span,
        /// Blocks of the result.
        dst_stride: Stride,
        /// Blocks of the other factor.
        a_stride: Stride,
        /// Blocks of the addend.
        b_stride: Stride,
    }
    /// Conversion. A repeat has as many elements as 256 bytes hold of the wider type.
    Cast => V {
        /// Type of the result.
        to: Elem,
        /// Type of the operand.
        from: Elem,
        /// Rounding.
        rounding: Rounding,
        /// Result.
        dst: Local,
        /// Operand.
        src: Local,
        /// Elements.
        span: Span,
        /// Blocks of the result.
        dst_stride: Stride,
        /// Blocks of the operand.
        src_stride: Stride,
    }
    /// `Compare`: bit `i` of the result is the truth of element `i`. Whole repeats of 256 bytes.
    CompareTo => V {
        /// The comparison.
        op: Compare,
        /// `f16`, `f32`; `i32` with `Eq` only.
        elem: Elem,
        /// Bits, aligned to 32 bytes.
        dst: Local,
        /// First operand.
        a: Local,
        /// Second operand.
        b: Local,
        /// Elements, whole repeats.
        n: Val,
    }
    /// `CompareScalar`.
    CompareScalar => V {
        /// The comparison.
        op: Compare,
        /// `f16`, `f32`; `i32` with `Eq` only.
        elem: Elem,
        /// Bits, aligned to 32 bytes.
        dst: Local,
        /// First operand.
        a: Local,
        /// Second operand's bits: floats as `f32`.
        scalar: Val,
        /// Elements, whole repeats.
        n: Val,
    }
    /// `Select` of two tensors: `a` where the bit is set, else `b`.
    Select => V {
        /// `f16` or `f32`.
        elem: Elem,
        /// Result.
        dst: Local,
        /// Bits.
        mask: Local,
        /// Where set.
        a: Local,
        /// Elsewhere.
        b: Local,
        /// Elements.
        n: Val,
    }
    /// `Select` of a tensor and a scalar.
    SelectScalar => V {
        /// `f16` or `f32`.
        elem: Elem,
        /// Result.
        dst: Local,
        /// Bits.
        mask: Local,
        /// Where set.
        a: Local,
        /// Elsewhere: bits of an `f32`.
        scalar: Val,
        /// Elements.
        n: Val,
    }
    /// Every element the same.
    Duplicate => V {
        /// 2 or 4 bytes wide.
        elem: Elem,
        /// Result.
        dst: Local,
        /// The value's bits: floats as `f32`.
        scalar: Val,
        /// Elements.
        span: Span,
        /// Blocks of the result.
        dst_stride: Stride,
    }
    /// `WholeReduce…`: each repeat becomes one element. Floats are summed pairwise.
    Reduce => V {
        /// What it computes.
        op: Reduction,
        /// `f16` or `f32`.
        elem: Elem,
        /// Results, one after another.
        dst: Local,
        /// Operand.
        src: Local,
        /// Elements of a repeat.
        lanes: Val,
        /// Repeats, 1 to 255.
        times: Val,
        /// Elements between results, 1 to 255.
        dst_step: u8,
        /// Blocks of the operand.
        src_stride: Stride,
    }
    /// `Brcb`: each of 8 elements of a repeat fills a 32-byte block.
    BlockBroadcast => V {
        /// 2 or 4 bytes wide.
        elem: Elem,
        /// Result, aligned to 32 bytes.
        dst: Local,
        /// Operand: 8 elements a repeat.
        src: Local,
        /// Repeats, 1 to 255.
        times: Val,
        /// Blocks of the result.
        dst_stride: Stride,
    }
    /// `Gather`: element `i` is at byte `base + offsets[i]` of the operand.
    Gather => V {
        /// 2 or 4 bytes wide.
        elem: Elem,
        /// Result.
        dst: Local,
        /// Table.
        src: Local,
        /// Byte offsets, `u32`.
        offsets: Local,
        /// Added to each offset.
        base: Val,
        /// Elements.
        n: Val,
    }
    /// `CreateVecIndex`: `first`, `first + 1`, ….
    Iota => V {
        /// `f16`, `f32`, `i16`, `i32`.
        elem: Elem,
        /// Result.
        dst: Local,
        /// First value: bits; floats as `f32`.
        first: Val,
        /// Elements.
        n: Val,
    }
    /// `Transpose`: a 16 × 16 matrix of 16-bit elements.
    Transpose16 => V {
        /// Result, aligned to 32 bytes.
        dst: Local,
        /// Operand, aligned to 32 bytes.
        src: Local,
    }
    /// `Sort32`: sorts 32 values each repeat, largest first, with their indices: pairs of 8 bytes (value, index).
    Sort32 => V {
        /// `f16` or `f32`.
        elem: Elem,
        /// Pairs.
        dst: Local,
        /// Values.
        values: Local,
        /// Indices, `u32`.
        indices: Local,
        /// Repeats, 1 to 255.
        times: Val,
    }
    /// `MrgSort`: merges up to four sorted lists of pairs that lie one after another, each of `length` pairs.
    MergeSort => V {
        /// `f16` or `f32`.
        elem: Elem,
        /// Pairs.
        dst: Local,
        /// Pairs.
        src: Local,
        /// Lists, 2 to 4.
        lists: u8,
        /// Pairs of a list, 1 to 4095.
        length: Val,
    }
    /// `SetValue`: the scalar unit writes an element of the unified buffer.
    StoreScalar => S {
        /// Element type.
        elem: Elem,
        /// Where.
        dst: Local,
        /// Bits: floats as `f32`.
        value: Val,
    }
}
