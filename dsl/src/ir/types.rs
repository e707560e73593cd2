//! Element types, tile types and view types of the tile IR.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The element type of a tile or a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Elem {
    Bool,
    I8,
    I16,
    I32,
    I64,
    U8,
    U32,
    /// OCP 8-bit float, 4 exponent and 3 mantissa bits, no infinity, NaN = S.1111.111.
    F8E4M3,
    /// OCP 8-bit float, 5 exponent and 2 mantissa bits, IEEE-like infinities and NaN.
    F8E5M2,
    F16,
    BF16,
    F32,
}

impl Elem {
    /// Every element type, in declaration order.
    pub const ALL: [Elem; 12] = [
        Elem::Bool,
        Elem::I8,
        Elem::I16,
        Elem::I32,
        Elem::I64,
        Elem::U8,
        Elem::U32,
        Elem::F8E4M3,
        Elem::F8E5M2,
        Elem::F16,
        Elem::BF16,
        Elem::F32,
    ];

    /// The name that users see and that dumps print: `f32`, `bf16`, `f8e4m3`, `bool`, …
    pub fn name(self) -> &'static str {
        match self {
            Elem::Bool => "bool",
            Elem::I8 => "i8",
            Elem::I16 => "i16",
            Elem::I32 => "i32",
            Elem::I64 => "i64",
            Elem::U8 => "u8",
            Elem::U32 => "u32",
            Elem::F8E4M3 => "f8e4m3",
            Elem::F8E5M2 => "f8e5m2",
            Elem::F16 => "f16",
            Elem::BF16 => "bf16",
            Elem::F32 => "f32",
        }
    }

    /// The element type of that name.
    pub fn parse(name: &str) -> Option<Elem> {
        Elem::ALL.into_iter().find(|e| e.name() == name)
    }

    /// Size in memory, in bytes (`bool` is one byte, 0 or 1).
    pub const fn bytes(self) -> usize {
        match self {
            Elem::Bool | Elem::I8 | Elem::U8 | Elem::F8E4M3 | Elem::F8E5M2 => 1,
            Elem::I16 | Elem::F16 | Elem::BF16 => 2,
            Elem::I32 | Elem::U32 | Elem::F32 => 4,
            Elem::I64 => 8,
        }
    }

    /// Whether it is a floating-point type.
    pub fn is_float(self) -> bool {
        matches!(self, Elem::F8E4M3 | Elem::F8E5M2 | Elem::F16 | Elem::BF16 | Elem::F32)
    }

    /// Whether it is an integer type (`bool` is not).
    pub fn is_int(self) -> bool {
        !self.is_float() && self != Elem::Bool
    }

    /// Whether it is a signed integer type.
    pub fn is_signed(self) -> bool {
        matches!(self, Elem::I8 | Elem::I16 | Elem::I32 | Elem::I64)
    }
}

impl fmt::Display for Elem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The type of a tile: element type and static shape, rank 0 to 3, row-major in meaning.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TileType {
    /// Element type.
    pub elem: Elem,
    /// Extent of each axis; empty for a scalar.
    pub shape: Vec<usize>,
}

impl TileType {
    /// A tile type.
    pub fn new(elem: Elem, shape: &[usize]) -> Self {
        TileType { elem, shape: shape.to_vec() }
    }

    /// A rank-0 tile type.
    pub fn scalar(elem: Elem) -> Self {
        TileType { elem, shape: Vec::new() }
    }

    /// Number of axes.
    pub fn rank(&self) -> usize {
        self.shape.len()
    }

    /// Number of elements (1 for a scalar).
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether the tile has no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same shape with another element type.
    pub fn with_elem(&self, elem: Elem) -> Self {
        TileType { elem, shape: self.shape.clone() }
    }
}

impl fmt::Display for TileType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.shape.is_empty() {
            return write!(f, "{}", self.elem);
        }
        let dims: Vec<String> = self.shape.iter().map(usize::to_string).collect();
        write!(f, "{}[{}]", self.elem, dims.join(", "))
    }
}

/// The type of a value of the IR.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Type {
    /// A tile of known shape.
    Tile(TileType),
    /// A window on memory with run-time dims and strides (in elements).
    View {
        /// Element type in memory.
        elem: Elem,
        /// Number of axes.
        rank: usize,
    },
}

impl Type {
    /// The tile type, if this is one.
    pub fn tile(&self) -> Option<&TileType> {
        match self {
            Type::Tile(t) => Some(t),
            Type::View { .. } => None,
        }
    }

    /// Element type of the tile or view.
    pub fn elem(&self) -> Elem {
        match self {
            Type::Tile(t) => t.elem,
            Type::View { elem, .. } => *elem,
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Tile(t) => t.fmt(f),
            Type::View { elem, rank } => write!(f, "view<{elem}, {rank}>"),
        }
    }
}

/// A constant element, by its bits in its element type (floats: IEEE bits; integers: two's complement).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Const {
    /// A float constant, held as the bits of the `f32` of equal value; rounded to the element type when used.
    Float(u32),
    /// An integer constant; wrapped to the element type when used.
    Int(i64),
    /// A truth value.
    Bool(bool),
}

impl Const {
    /// A float constant.
    pub fn float(v: f32) -> Self {
        Const::Float(v.to_bits())
    }

    /// The value as `f32`, for a float constant.
    pub fn as_f32(self) -> Option<f32> {
        match self {
            Const::Float(b) => Some(f32::from_bits(b)),
            _ => None,
        }
    }
}
