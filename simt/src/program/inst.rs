//! The instructions of the interpreter.
//!
//! A value of the module is a list of slots, one for each scalar in it; a slot holds one 64-bit word a lane. Taking
//! a struct or a vector apart, or building one, is renaming and costs nothing at run time. An instruction lists the
//! slots that it reads and writes; everything else about it is in [`Op`].

use std::ops::Range;

use crate::float::Fp8;
use crate::text::Scalar;

/// Index of a register, the same for each lane.
pub(crate) type Slot = u32;

#[derive(Clone, Debug)]
pub(crate) struct Inst {
    pub(crate) op: Op,
    pub(crate) src: Range<u32>,
    pub(crate) dst: Range<u32>,
    /// Which operation of the module it comes from.
    pub(crate) site: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bin {
    Add,
    Sub,
    Mul,
    UDiv,
    SDiv,
    URem,
    SRem,
    And,
    Or,
    Xor,
    Shl,
    LShr,
    AShr,
    SMax,
    SMin,
    UMax,
    UMin,
    MulHiU,
    MulHiS,
    FAdd,
    FSub,
    FMul,
    FDiv,
    FRem,
    /// Two f32 to a pair of f16, the first low, rounded towards zero.
    PackHalvesRtz,
    /// NaN when either is.
    Maximum,
    Minimum,
    /// The other one when one is NaN.
    MaxNum,
    MinNum,
    CopySign,
    Pow,
    USubSat,
    UAddSat,
    SAddSat,
    SSubSat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Un {
    FNeg,
    FAbs,
    Sqrt,
    RSqrt,
    Rcp,
    Exp,
    Exp2,
    Log,
    Log2,
    Log10,
    Sin,
    Cos,
    Tanh,
    Floor,
    Ceil,
    Trunc,
    RoundEven,
    Round,
    Abs,
    Ctpop,
    Ctlz,
    Cttz,
    BitReverse,
    ByteSwap,
    Copy,
    /// f32 to tf32 in an i32, ties away from zero, or to even.
    Tf32Away,
    Tf32Even,
    /// One fp8 in the low byte to f16.
    FromFp8(Fp8),
    /// Of an angle in turns.
    SinTurns,
    CosTurns,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ter {
    Fma,
    /// PTX `prmt`, default mode.
    Prmt,
    /// PTX `lop3` with its table.
    Lop3(u8),
    FshL,
    FshR,
    /// `dp4a` style and others may follow.
    Mad,
    /// AMD `v_perm_b32`.
    BytePerm,
    /// AMD `v_med3_f32` and `v_med3_f16`.
    Med3,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cast {
    Trunc,
    ZExt,
    SExt,
    FpTrunc,
    FpExt,
    FpToS,
    FpToU,
    SToFp,
    UToFp,
}

/// What a special register holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Special {
    Tid(u8),
    NTid(u8),
    CtaId(u8),
    NCtaId(u8),
    ClusterId(u8),
    NClusterId(u8),
    ClusterCtaId(u8),
    ClusterNCtaId(u8),
    ClusterCtaRank,
    ClusterNCtaRank,
    LaneId,
    WarpId,
    NWarpId,
    WarpSize,
    SmId,
    NSmId,
    GridId,
    Clock,
    LaneMask(LaneMask),
    /// A register whose value does not matter to a right program (timers, versions).
    Zero,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LaneMask {
    Eq,
    Lt,
    Le,
    Gt,
    Ge,
}

/// One scalar of a memory access: byte offset, type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) offset: u32,
    pub(crate) ty: Scalar,
}

/// Order and scope of an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Plain,
    /// Atomic, orders nothing else.
    Relaxed,
    Acquire,
    Release,
    AcqRel,
}

impl Order {
    pub(crate) fn acquires(self) -> bool {
        matches!(self, Order::Acquire | Order::AcqRel)
    }

    pub(crate) fn releases(self) -> bool {
        matches!(self, Order::Release | Order::AcqRel)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Access {
    pub(crate) space: u8,
    pub(crate) bytes: u32,
    pub(crate) align: u32,
    pub(crate) order: Order,
    pub(crate) pieces: Box<[Piece]>,
}

/// A jump with the values that it carries: `(to, from)`, to be read before any is written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Edge {
    pub(crate) target: u32,
    pub(crate) copies: Box<[(Slot, Slot)]>,
    /// Whether a destination is also a later source, so that the copies need a detour.
    pub(crate) overlaps: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shuffle {
    Bfly,
    Up,
    Down,
    Idx,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vote {
    All,
    Any,
    Uni,
    Ballot,
}

/// Element types of matrix operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MmaType {
    F16,
    BF16,
    TF32,
    F64,
    S8,
    U8,
    E4M3,
    E5M2,
    F32,
    S32,
}

impl MmaType {
    /// Bits of an element in a register or in shared memory.
    pub(crate) fn bits(self) -> u32 {
        match self {
            MmaType::F16 | MmaType::BF16 => 16,
            MmaType::TF32 | MmaType::F32 | MmaType::S32 => 32,
            MmaType::F64 => 64,
            MmaType::S8 | MmaType::U8 | MmaType::E4M3 | MmaType::E5M2 => 8,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mma {
    pub(crate) m: u16,
    pub(crate) n: u16,
    pub(crate) k: u16,
    pub(crate) a: MmaType,
    pub(crate) b: MmaType,
    pub(crate) d: MmaType,
    pub(crate) saturate: bool,
}

/// `wgmma.mma_async`. Sources: accumulators, A (registers or a descriptor), B's descriptor, then scale-d if it is
/// known only at run time.
#[derive(Clone, Debug)]
pub(crate) struct Wgmma {
    pub(crate) shape: Mma,
    pub(crate) a_registers: bool,
    pub(crate) a_transposed: bool,
    pub(crate) b_transposed: bool,
    pub(crate) negate_a: bool,
    pub(crate) negate_b: bool,
    pub(crate) scale_d: ScaleD,
    /// Bytes added to the descriptors' addresses by the surrounding inline PTX.
    pub(crate) acc: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScaleD {
    Zero,
    One,
    /// The last source: accumulate when it is not zero.
    Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrive {
    Plain,
    ExpectTx,
    Drop,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RedOp {
    Add,
    Min,
    Max,
    And,
    Or,
    Xor,
    Inc,
    Dec,
    Xchg,
    Cas,
    UMin,
    UMax,
    Sub,
    Nand,
}

/// What an instruction does. Operands are slots listed in the order that each case gives.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Bin(Bin, Scalar),
    /// `ftz` after the operation, for the approximate ones.
    Un(Un, Scalar, bool),
    Ter(Ter, Scalar),
    /// `llvm.icmp` predicate number.
    ICmp(u8, Scalar),
    /// `llvm.fcmp` predicate number.
    FCmp(u8, Scalar),
    Cast(Cast, Scalar, Scalar),
    /// Condition, then, else.
    Select,
    /// Base, then indices; `base + offset + Σ index × scale` with indices sign-extended from their bits.
    Gep {
        offset: i64,
        terms: Box<[(i64, u8)]>,
    },
    /// A pointer from one address space to another.
    SpaceCast {
        from: u8,
        to: u8,
    },
    Special(Special),
    /// Packs two scalars of 16 (or 8) bits, low first, into one word; and takes one apart.
    Pack {
        bits: u8,
    },
    Unpack {
        bits: u8,
    },
    /// Two f32 (high, low) to fp8 pair in an i16.
    ToFp8(Fp8),
    Load(Access),
    Store(Access),
    /// Address, value(s); result: the old value(s).
    Atomic {
        op: RedOp,
        ty: Scalar,
        space: u8,
        order: Order,
        lanes: u8,
    },
    Fence(Order),
    Jump(Edge),
    Branch {
        yes: Edge,
        no: Edge,
    },
    Switch {
        cases: Box<[(u64, Edge)]>,
        default: Edge,
    },
    Return,
    Trap,
    Nop,

    /// Value, lane or distance, clamp, mask; results: value, and whether the source was in range if asked.
    Shfl {
        mode: Shuffle,
    },
    Vote(Vote),
    /// Value, mask.
    Redux {
        op: RedOp,
        signed: bool,
    },
    /// Mask, value.
    MatchAny,
    Elect,
    WarpSync,
    /// Id, count (absent: all threads), reduction operand.
    Barrier {
        counted: bool,
        has_id: bool,
        arrive_only: bool,
        reduce: Option<RedOp>,
    },
    ClusterArrive {
        releases: bool,
    },
    ClusterWait,
    MapA {
        from: u8,
    },

    /// Accumulator layout and element types are in `Mma`; sources A, B, C in the manual's order.
    Mma(Mma),
    LdMatrix {
        count: u8,
        transposed: bool,
    },
    StMatrix {
        count: u8,
        transposed: bool,
    },

    /// Destination, source, bytes to read (absent: all).
    CpAsync {
        bytes: u8,
        sized: bool,
    },
    CpAsyncCommit,
    CpAsyncWait {
        pending: u32,
    },
    CpAsyncMbarArrive {
        counts: bool,
    },

    MbarInit,
    MbarInval,
    /// Address, count or bytes (absent: 1).
    MbarArrive {
        kind: Arrive,
        counted: bool,
        space: u8,
    },
    MbarExpectTx {
        space: u8,
    },
    /// Address, parity (i32) or state (i64).
    MbarWait {
        state: bool,
        blocks: bool,
        returns: bool,
    },
    FenceMbarInit,
    FenceProxyAsync,

    /// Destination, source, bytes, mbarrier, multicast mask if any.
    BulkLoad {
        space: u8,
        multicast: bool,
    },
    /// Destination (global), source (shared), bytes.
    BulkStore,
    /// Destination, map, coordinates, mbarrier, multicast mask if any, predicate if any.
    TmaLoad {
        rank: u8,
        space: u8,
        multicast: bool,
        predicated: bool,
    },
    /// Map, source, coordinates, predicate if any.
    TmaStore {
        rank: u8,
        reduce: Option<RedOp>,
        predicated: bool,
    },
    BulkCommit,
    BulkWait {
        pending: u32,
        read: bool,
    },

    Wgmma(Box<Wgmma>),
    WgmmaFence,
    WgmmaCommit,
    WgmmaWait {
        pending: u32,
    },
    /// From here on a thread of the warp has so many registers.
    SetMaxRegister {
        registers: u32,
    },

    /// What only chips with waves in lockstep have.
    Wave(Box<super::wave_op::WaveOp>),
}
