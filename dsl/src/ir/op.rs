//! The operations of the tile IR, and what each takes and gives.
//!
//! Tiles are values; memory is reached through views only. Offsets and indices are in elements, scalars
//! of type `i32` (address arithmetic is 64-bit).

use super::types::Const;
use serde::{Deserialize, Serialize};

/// Element-wise operation of one operand; result type = operand type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum UnaryOp {
    Neg,
    /// Bitwise complement of integers, negation of `bool`.
    Not,
    Abs,
    Exp,
    Exp2,
    Log,
    Log2,
    Sin,
    Cos,
    Tanh,
    Erf,
    Sqrt,
    Rsqrt,
    Floor,
    Ceil,
    /// Round half to even.
    Round,
}

/// Element-wise operation of two operands of one type; result type = operand type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum BinaryOp {
    /// Integers wrap.
    Add,
    Sub,
    Mul,
    /// Integers: truncating; division by zero gives 0, `MIN / -1` wraps. Floats: IEEE.
    Div,
    /// Integers: sign of the dividend; remainder by zero gives 0. Floats: C `fmod`.
    Rem,
    /// Integers and `bool`.
    And,
    Or,
    Xor,
    /// Shift amounts are taken modulo the width.
    Shl,
    /// Arithmetic for signed types, logical for unsigned types.
    Shr,
    /// IEEE 754-2019 minimumNumber: a NaN operand loses.
    Min,
    /// IEEE 754-2019 maximumNumber: a NaN operand loses.
    Max,
    /// IEEE 754-2019 minimum: NaN propagates. Floats only.
    MinNan,
    /// IEEE 754-2019 maximum: NaN propagates. Floats only.
    MaxNan,
    /// High half of the double-width product. Integers only.
    MulHi,
}

/// Comparison; result is `bool` of the operands' shape. Floats: ordered, except `Ne` (unordered: NaN ≠ NaN).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum CmpOp {
    Lt,
    Le,
    Gt,
    Ge,
    Eq,
    Ne,
}

/// Associative operation of a reduction or scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum ReduceOp {
    Sum,
    Prod,
    /// As [`BinaryOp::Min`] / [`BinaryOp::Max`], folded from the identity (+inf / -inf, for integers the largest /
    /// smallest value): NaN elements are ignored, and NaNs alone give the identity.
    Min,
    Max,
    And,
    Or,
    Xor,
}

/// Read-modify-write operation of an atomic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum AtomicOp {
    Add,
    Min,
    Max,
    And,
    Or,
    Xor,
    Xchg,
}

/// Memory ordering of an atomic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Ordering {
    Relaxed,
    Acquire,
    Release,
    AcqRel,
}

/// Who an atomic is visible to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Scope {
    Block,
    Device,
    System,
}

/// Precision of a `dot` whose operands are `f32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Precision {
    /// IEEE f32 products.
    Full,
    /// Operands may be rounded to TF32 (10 mantissa bits) where the target has that.
    Tf32,
}

/// What to do with cached lines; a hint, never a change of meaning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Cache {
    /// The target's default.
    #[default]
    Default,
    /// Used once: do not keep (non-temporal, evict first).
    Stream,
    /// Used again soon: keep (evict last).
    Keep,
}

/// Element type of the operands of `dot_scaled`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum ScaledFormat {
    F8E4M3,
    F8E5M2,
}

/// What an operation does. Operand lists are written `(a, b)`; `S` is any tile shape.
///
/// Every operation has its operands in [`super::Op::operands`] in the order given here and its results in
/// [`super::Op::results`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum OpKind {
    // ---- program -----------------------------------------------------------------------------------
    /// `() -> i32`: this program's index along grid axis 0, 1 or 2.
    ProgramId(u8),
    /// `() -> i32`: number of programs along grid axis 0, 1 or 2.
    NumPrograms(u8),

    // ---- make --------------------------------------------------------------------------------------
    /// `() -> T[S]`: every element the same constant.
    Constant(Const),
    /// `() -> i32[N]`: 0, 1, …, N-1.
    Arange,

    // ---- element-wise ------------------------------------------------------------------------------
    /// `(T[S]) -> T[S]`
    Unary(UnaryOp),
    /// `(T[S], T[S]) -> T[S]`
    Binary(BinaryOp),
    /// `(T[S], T[S]) -> bool[S]`
    Compare(CmpOp),
    /// `(bool[S], T[S], T[S]) -> T[S]`: first where the mask holds, else second.
    Select,
    /// `(T[S], T[S], T[S]) -> T[S]`: `a * b + c` with one rounding for floats.
    Fma,
    /// `(T[S]) -> U[S]`: value conversion. Float to float: round to nearest even (f8: saturate to the largest
    /// finite value, NaN stays NaN, infinity saturates in f8e4m3 and f8e5m2). Float to int: truncate, saturate,
    /// NaN to 0. Int to int: wrap. To bool: `!= 0`. From bool: 0 or 1.
    Cast,
    /// `(T[S]) -> U[S]`: same bits, same width.
    Bitcast,

    // ---- shape -------------------------------------------------------------------------------------
    /// `(T[A]) -> T[B]`: axis `i` of the operand becomes axis `axes[i]` of the result (same extent, or extent 1
    /// in the operand); the other axes repeat. `axes` is increasing.
    Broadcast {
        /// Result axis of each operand axis.
        axes: Vec<u8>,
    },
    /// `(T[A]) -> T[B]`: same number of elements in row-major order.
    Reshape,
    /// `(T[A]) -> T[B]`: axis `i` of the result is axis `perm[i]` of the operand.
    Transpose {
        /// Operand axis of each result axis.
        perm: Vec<u8>,
    },
    /// `(T[S], T[S]) -> T[S, 2]`: stack along a new last axis.
    Join,
    /// `(T[S, 2]) -> (T[S], T[S])`
    Split,
    /// `(T[A]) -> T[B]`: the block of the result's shape that starts at these constant offsets.
    Slice {
        /// First element along each axis.
        offsets: Vec<usize>,
    },
    /// `(T[A], T[B]) -> T[C]`: concatenation along `axis`.
    Concat {
        /// The axis whose extents add up.
        axis: u8,
    },

    // ---- memory ------------------------------------------------------------------------------------
    /// `(view) -> i32`: extent of an axis.
    Dim(u8),
    /// `(view<T, R>, i32 × k) -> view<T, R-k>`: fixes the first k axes. An index outside the axis gives a view
    /// with every dim 0.
    At,
    /// `(view<T, R>, i32 × R) -> T[S]`, rank of S = R: the block at these offsets; elements outside the view read
    /// as `padding`.
    Load {
        /// What elements outside the view read as.
        padding: Const,
        /// Cache hint.
        cache: Cache,
    },
    /// `(view<T, R>, i32 × R, T[S]) -> ()`: writes the block; elements outside the view are not written.
    Store {
        /// Cache hint.
        cache: Cache,
    },
    /// `(view<T, 2>, i32[M] rows, i32 col) -> T[M, N]`: row `i` is `view[rows[i], col..col+N]`; a row or column
    /// outside the view reads as `padding`.
    LoadRows {
        /// What elements outside the view read as.
        padding: Const,
        /// Cache hint.
        cache: Cache,
    },
    /// `(view<T, 2>, i32[M] rows, i32 col, T[M, N]) -> ()`: rows outside the view are not written.
    StoreRows {
        /// Cache hint.
        cache: Cache,
    },
    /// `(view<T, R>, i32[S] × R, bool[S] mask, T[S] other) -> T[S]`: one element per index; `other` where the mask
    /// is false or the index is outside the view.
    Gather,
    /// `(view<T, R>, i32[S] × R, bool[S] mask, T[S] value) -> ()`: not written where the mask is false or the index
    /// is outside. Two lanes that name one element: one of the values.
    Scatter,
    /// `(view<T, R>, i32[S] × R, bool[S] mask, T[S] value) -> T[S]`: the value before; 0 where not done.
    Atomic {
        /// Operation.
        op: AtomicOp,
        /// Memory ordering.
        ordering: Ordering,
        /// Visibility.
        scope: Scope,
    },
    /// `(view<T, R>, i32[S] × R, bool[S] mask, T[S] expected, T[S] new) -> T[S]`: the value before; integers only.
    AtomicCas {
        /// Memory ordering.
        ordering: Ordering,
        /// Visibility.
        scope: Scope,
    },

    // ---- reduce, scan, sort ------------------------------------------------------------------------
    /// `(T[S]) -> T[S without axis]`
    Reduce {
        /// Axis that goes away.
        axis: u8,
        /// Operation.
        op: ReduceOp,
    },
    /// `(T[S]) -> i32[S without axis]`: index of the largest (`max`) or smallest element; the lowest index wins a
    /// tie; NaN never wins unless all are NaN (then 0).
    ArgReduce {
        /// Axis that goes away.
        axis: u8,
        /// Largest if true, smallest if false.
        max: bool,
    },
    /// `(T1[S], …, Tk[S]) -> (T1[S'], …)`: any associative closure; region 0 takes 2k scalars
    /// `(acc1.., x1..)` and yields k scalars.
    ReduceWith {
        /// Axis that goes away.
        axis: u8,
    },
    /// `(T[S]) -> T[S]`: inclusive scan.
    Scan {
        /// Axis along which it runs.
        axis: u8,
        /// Operation.
        op: ReduceOp,
        /// From the last element to the first.
        reverse: bool,
    },
    /// Like [`OpKind::ReduceWith`], an inclusive scan: `(T1[S], …) -> (T1[S], …)`.
    ScanWith {
        /// Axis along which it runs.
        axis: u8,
        /// From the last element to the first.
        reverse: bool,
    },
    /// `(T[S]) -> (T[S], i32[S])`: sorted along the last axis and the index of each element; stable; NaN last.
    Sort {
        /// Largest first.
        descending: bool,
    },
    /// `(T[S]) -> (T[.., k], i32[.., k])`: the k largest along the last axis, largest first; ties by lower index.
    TopK {
        /// How many.
        k: usize,
    },
    /// `(i32[N]) -> i32[bins]`: count of each value; values outside `0..bins` are not counted.
    Histogram {
        /// Number of bins.
        bins: usize,
    },

    // ---- dot ---------------------------------------------------------------------------------------
    /// `(T[M, K], T[K, N], A[M, N]) -> A[M, N]`, or with a leading batch axis on all: `acc + a · b`.
    /// A is f32 for float operands, i32 for i8.
    Dot {
        /// For f32 operands.
        precision: Precision,
    },
    /// `(u8[M, K], u8[M, K/32], u8[K, N], u8[K/32, N], f32[M, N]) -> f32[M, N]`: block-scaled; scales are E8M0
    /// (2^(s-127), 255 = NaN), one per 32 elements along K. Operands hold the bits of their 8-bit format.
    DotScaled {
        /// Format of `a`.
        a: ScaledFormat,
        /// Format of `b`.
        b: ScaledFormat,
    },

    // ---- control -----------------------------------------------------------------------------------
    /// `(i32 lo, i32 hi, i32 step, carried…) -> carried…`: region 0 takes `(i32 iv, carried…)`, yields carried.
    /// `step` > 0. Carried values are tiles.
    For {
        /// Software-pipelining stages asked for by the author (0: the target's choice).
        stages: u8,
    },
    /// `(carried…) -> carried…`: region 0 takes carried, yields `(bool, carried…)`; while it holds, region 1
    /// takes and yields carried.
    While,
    /// `(bool, ) -> results…`: region 0 if it holds, else region 1; both take nothing and yield the results.
    If,

    // ---- debug, hints ------------------------------------------------------------------------------
    /// `(bool) -> ()`: the author promises that it holds.
    Assume,
    /// `(bool[S]) -> ()`: stops the launch with `message` if an element is false.
    Assert {
        /// Shown with the source line.
        message: String,
    },
    /// `(tiles…) -> ()`: prints `format`, each `{}` replaced by the next operand.
    Print {
        /// Format string.
        format: String,
    },
}

impl OpKind {
    /// Whether the operation writes memory, stops the program or prints: it must stay, in order.
    pub fn has_side_effect(&self) -> bool {
        matches!(
            self,
            OpKind::Store { .. }
                | OpKind::StoreRows { .. }
                | OpKind::Scatter
                | OpKind::Atomic { .. }
                | OpKind::AtomicCas { .. }
                | OpKind::Assume
                | OpKind::Assert { .. }
                | OpKind::Print { .. }
        )
    }

    /// Whether the operation reads memory.
    pub fn reads_memory(&self) -> bool {
        matches!(
            self,
            OpKind::Load { .. }
                | OpKind::LoadRows { .. }
                | OpKind::Gather
                | OpKind::Atomic { .. }
                | OpKind::AtomicCas { .. }
        )
    }

    /// Whether each element of the result depends on the operands' elements at the same place alone; all have one shape.
    pub fn is_elementwise(&self) -> bool {
        matches!(
            self,
            OpKind::Unary(_)
                | OpKind::Binary(_)
                | OpKind::Compare(_)
                | OpKind::Select
                | OpKind::Fma
                | OpKind::Cast
                | OpKind::Bitcast
        )
    }

    /// Number of regions.
    pub fn regions(&self) -> usize {
        match self {
            OpKind::For { .. } | OpKind::ReduceWith { .. } | OpKind::ScanWith { .. } => 1,
            OpKind::While | OpKind::If => 2,
            _ => 0,
        }
    }

    /// The name users and dumps see.
    pub fn name(&self) -> &'static str {
        match self {
            OpKind::ProgramId(_) => "program_id",
            OpKind::NumPrograms(_) => "num_programs",
            OpKind::Constant(_) => "constant",
            OpKind::Arange => "arange",
            OpKind::Unary(u) => u.name(),
            OpKind::Binary(b) => b.name(),
            OpKind::Compare(c) => c.name(),
            OpKind::Select => "select",
            OpKind::Fma => "fma",
            OpKind::Cast => "cast",
            OpKind::Bitcast => "bitcast",
            OpKind::Broadcast { .. } => "broadcast",
            OpKind::Reshape => "reshape",
            OpKind::Transpose { .. } => "transpose",
            OpKind::Join => "join",
            OpKind::Split => "split",
            OpKind::Slice { .. } => "slice",
            OpKind::Concat { .. } => "concat",
            OpKind::Dim(_) => "dim",
            OpKind::At => "at",
            OpKind::Load { .. } => "load",
            OpKind::Store { .. } => "store",
            OpKind::LoadRows { .. } => "load_rows",
            OpKind::StoreRows { .. } => "store_rows",
            OpKind::Gather => "gather",
            OpKind::Scatter => "scatter",
            OpKind::Atomic { .. } => "atomic",
            OpKind::AtomicCas { .. } => "atomic_cas",
            OpKind::Reduce { .. } => "reduce",
            OpKind::ArgReduce { .. } => "arg_reduce",
            OpKind::ReduceWith { .. } => "reduce_with",
            OpKind::Scan { .. } => "scan",
            OpKind::ScanWith { .. } => "scan_with",
            OpKind::Sort { .. } => "sort",
            OpKind::TopK { .. } => "top_k",
            OpKind::Histogram { .. } => "histogram",
            OpKind::Dot { .. } => "dot",
            OpKind::DotScaled { .. } => "dot_scaled",
            OpKind::For { .. } => "for",
            OpKind::While => "while",
            OpKind::If => "if",
            OpKind::Assume => "assume",
            OpKind::Assert { .. } => "assert",
            OpKind::Print { .. } => "print",
        }
    }
}

macro_rules! names {
    ($t:ident { $($v:ident = $n:literal),* $(,)? }) => {
        impl $t {
            /// Every variant, in declaration order.
            pub const ALL: &'static [$t] = &[$($t::$v),*];
            /// The name users and dumps see.
            pub fn name(self) -> &'static str { match self { $($t::$v => $n),* } }
            /// The variant of that name.
            pub fn parse(name: &str) -> Option<Self> { match name { $($n => Some($t::$v),)* _ => None } }
        }
    };
}
names!(UnaryOp { Neg = "neg", Not = "not", Abs = "abs", Exp = "exp", Exp2 = "exp2", Log = "log", Log2 = "log2",
    Sin = "sin", Cos = "cos", Tanh = "tanh", Erf = "erf", Sqrt = "sqrt", Rsqrt = "rsqrt", Floor = "floor",
    Ceil = "ceil", Round = "round" });
names!(BinaryOp { Add = "add", Sub = "sub", Mul = "mul", Div = "div", Rem = "rem", And = "and", Or = "or", Xor = "xor",
    Shl = "shl", Shr = "shr", Min = "min", Max = "max", MinNan = "min_nan", MaxNan = "max_nan", MulHi = "mul_hi" });
names!(CmpOp { Lt = "lt", Le = "le", Gt = "gt", Ge = "ge", Eq = "eq", Ne = "ne" });
names!(ReduceOp { Sum = "sum", Prod = "prod", Min = "min", Max = "max", And = "and", Or = "or", Xor = "xor" });
names!(AtomicOp { Add = "add", Min = "min", Max = "max", And = "and", Or = "or", Xor = "xor", Xchg = "xchg" });
names!(Ordering { Relaxed = "relaxed", Acquire = "acquire", Release = "release", AcqRel = "acq_rel" });
names!(Scope { Block = "block", Device = "device", System = "system" });
names!(Precision { Full = "full", Tf32 = "tf32" });
names!(Cache { Default = "default", Stream = "stream", Keep = "keep" });
names!(ScaledFormat { F8E4M3 = "f8e4m3", F8E5M2 = "f8e5m2" });
