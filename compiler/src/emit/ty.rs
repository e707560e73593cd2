//! Types and values of the emitted text.

use std::fmt;

/// Kind of a scalar or of a vector's lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum K {
    I1,
    I8,
    I16,
    I32,
    I64,
    F16,
    BF16,
    F32,
    /// Intermediate results only: no tile has this element type.
    F64,
    /// An address of the generic space.
    Ptr,
    /// An address of global memory (address space 1).
    Global,
    /// An address of a block's shared memory (address space 3).
    Shared,
    /// A descriptor of global memory (address space 8).
    Resource,
}

impl K {
    /// Bytes in memory (`I1` is stored as one byte by the callers).
    pub fn bytes(self) -> usize {
        match self {
            K::I1 | K::I8 => 1,
            K::I16 | K::F16 | K::BF16 => 2,
            K::I32 | K::F32 => 4,
            K::I64 | K::F64 | K::Ptr | K::Global => 8,
            K::Shared => 4,
            K::Resource => 16,
        }
    }

    /// Whether it is a floating-point kind.
    pub fn is_float(self) -> bool {
        matches!(self, K::F16 | K::BF16 | K::F32 | K::F64)
    }

    /// The integer kind of the same width.
    pub fn int(self) -> K {
        match self {
            K::F16 | K::BF16 => K::I16,
            K::F32 => K::I32,
            K::F64 | K::Ptr | K::Global => K::I64,
            K::Shared => K::I32,
            k => k,
        }
    }
}

impl fmt::Display for K {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            K::I1 => "i1",
            K::I8 => "i8",
            K::I16 => "i16",
            K::I32 => "i32",
            K::I64 => "i64",
            K::F16 => "f16",
            K::BF16 => "bf16",
            K::F32 => "f32",
            K::F64 => "f64",
            K::Ptr => "!llvm.ptr",
            K::Global => "!llvm.ptr<1>",
            K::Shared => "!llvm.ptr<3>",
            K::Resource => "!llvm.ptr<8>",
        })
    }
}

/// A scalar (`lanes` = 0) or vector type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ty {
    /// Kind of the element.
    pub k: K,
    /// Number of lanes; 0 for a scalar.
    pub lanes: u16,
}

impl Ty {
    /// A scalar type.
    pub const fn scalar(k: K) -> Ty {
        Ty { k, lanes: 0 }
    }

    /// A vector type.
    pub const fn vector(k: K, lanes: usize) -> Ty {
        Ty { k, lanes: lanes as u16 }
    }

    /// The type of addresses' offsets and of loop counters.
    pub const fn i64() -> Ty {
        Ty::scalar(K::I64)
    }

    /// Same lanes, other kind.
    pub const fn with(self, k: K) -> Ty {
        Ty { k, lanes: self.lanes }
    }

    /// Whether it is a vector.
    pub fn is_vector(self) -> bool {
        self.lanes > 0
    }
}

impl fmt::Display for Ty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.lanes == 0 { self.k.fmt(f) } else { write!(f, "vector<{}x{}>", self.lanes, self.k) }
    }
}

/// An SSA value of the emitted text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct V {
    /// Number.
    pub id: u32,
    /// 1 + the index in an operation of several results; 0 for an operation's only result.
    pub part: u16,
    /// Depth of the scope that defines it.
    pub level: u16,
    /// Type.
    pub ty: Ty,
}

impl fmt::Display for V {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.id;
        if self.part == 0 { write!(f, "%v{id}") } else { write!(f, "%v{id}_r#{}", self.part - 1) }
    }
}
