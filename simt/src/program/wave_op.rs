//! Instructions that only chips with waves in lockstep have. Operands are slots in the order that each case gives.

use super::inst::{Access, MmaType, RedOp};
use crate::narrow::Narrow;

#[derive(Clone, Debug)]
pub(crate) enum WaveOp {
    /// The raw bits of `s_waitcnt`; what they mean is up to the chip.
    WaitCount(u32),
    /// A barrier with the fences around it: `rocdl.barrier`.
    FencedBarrier,
    /// Lanes of the wave see each other's memory accesses.
    WaveBarrier,

    /// Old value, source.
    Dpp {
        control: u32,
        rows: u8,
        banks: u8,
        zero: bool,
    },
    /// Byte index, value: lane `index / 4` is read (or written).
    BPermute,
    Permute,
    /// Value.
    Swizzle(u16),
    /// Old value, source, low and high half of the selectors.
    PermLane16 {
        cross: bool,
        zero: bool,
    },
    /// First, second; results the same. The distance is 16 or 32 lanes.
    SwapRows(u8),
    /// Value(s).
    ReadFirstLane,
    /// Value, lane.
    ReadLane,
    /// Value, lane, old.
    WriteLane,
    Ballot,
    /// Mask, base; `true` for the upper 32 lanes.
    MaskCount(bool),

    /// Base pointer, stride, bytes, flags; the result has two words.
    MakeBuffer,
    /// Resource (two words), offset of the lane, offset of the wave; the address slot comes last.
    BufferLoad(Buffer),
    /// The same, then the values; the address slot comes last.
    BufferStore(Buffer),
    /// The same as a store, without the second half.
    BufferAtomic {
        op: RedOp,
        buffer: Buffer,
    },

    /// Destination in LDS, address in global memory.
    DirectGlobal {
        bytes: u8,
        offset: i32,
    },
    /// Destination in LDS, resource, offset of the lane, offset of the wave.
    DirectBuffer {
        bytes: u8,
        offset: i32,
    },
    /// Address in LDS; elements of so many bits change places within sixteen lanes.
    ReadTransposed(u8),

    Matrix(Matrix),

    /// One f32 to `fp8` (or `bf8`) by the chip's format; value, second value, old word. Writes the upper half if `high`.
    ToFp8 {
        wide_exponent: bool,
        high: bool,
    },
    /// Word; byte `first`, and the next if two results are asked for.
    FromFp8 {
        wide_exponent: bool,
        first: u8,
    },
    /// gfx950: old word, two values, scale.
    ToScaled(Scaled),
    /// Word, scale; two results.
    FromScaled(Scaled),
}

impl WaveOp {
    /// The fewest sources and results that the instruction takes: a module's text may have fewer.
    pub(crate) fn arity(&self) -> (usize, usize) {
        match self {
            WaveOp::WaitCount(_) | WaveOp::FencedBarrier | WaveOp::WaveBarrier => (0, 0),
            WaveOp::Dpp { .. } | WaveOp::BPermute | WaveOp::Permute | WaveOp::ReadLane => (2, 1),
            WaveOp::MaskCount(_) => (2, 1),
            WaveOp::Swizzle(_) | WaveOp::ReadFirstLane | WaveOp::Ballot | WaveOp::ReadTransposed(_) => (1, 1),
            WaveOp::PermLane16 { .. } | WaveOp::ToScaled(_) => (4, 1),
            WaveOp::SwapRows(_) | WaveOp::FromScaled(_) => (2, 2),
            WaveOp::WriteLane | WaveOp::ToFp8 { .. } => (3, 1),
            WaveOp::FromFp8 { .. } => (1, 1),
            WaveOp::MakeBuffer => (4, 2),
            WaveOp::BufferLoad(buffer) => (5, buffer.whole.pieces.len()),
            WaveOp::BufferStore(buffer) | WaveOp::BufferAtomic { buffer, .. } => {
                (5 + buffer.whole.pieces.len(), 0)
            }
            WaveOp::DirectGlobal { .. } => (2, 0),
            WaveOp::DirectBuffer { .. } => (5, 0),
            // Checked when the module is loaded.
            WaveOp::Matrix(_) => (0, 0),
        }
    }
}

/// A conversion with a scale (a power of two in an f32).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scaled {
    pub(crate) narrow: Narrow,
    /// The type of the wide side.
    pub(crate) wide: crate::text::Scalar,
    /// The first of the two narrow elements, counted in the word.
    pub(crate) first: u8,
}

/// An access through a resource descriptor.
#[derive(Clone, Debug)]
pub(crate) struct Buffer {
    /// All of it at once.
    pub(crate) whole: Access,
    /// Its 32-bit words, for lanes where only some are in bounds: byte offset, access, first value, values.
    pub(crate) words: Box<[(u32, Access, usize, usize)]>,
}

/// Types of the operands of matrix instructions, in addition to those of [`MmaType`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MatrixType {
    F16,
    BF16,
    F32,
    /// f32 of which ten bits of mantissa count.
    XF32,
    S8,
    U8,
    S4,
    U4,
    /// By the chip's formats; `true` for five bits of exponent.
    Fp8(bool),
    Narrow(Narrow),
}

impl MatrixType {
    pub(crate) fn bits(self) -> u32 {
        match self {
            MatrixType::F16 | MatrixType::BF16 => 16,
            MatrixType::F32 | MatrixType::XF32 => 32,
            MatrixType::S8 | MatrixType::U8 | MatrixType::Fp8(_) => 8,
            MatrixType::S4 | MatrixType::U4 => 4,
            MatrixType::Narrow(narrow) => narrow.bits(),
        }
    }
}

/// MFMA or WMMA. Sources: registers of A, of B, of C, then the two scales if there are any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Matrix {
    pub(crate) m: u16,
    pub(crate) n: u16,
    pub(crate) k: u16,
    pub(crate) blocks: u16,
    pub(crate) a: MatrixType,
    pub(crate) b: MatrixType,
    /// F32, S32, F16 or BF16.
    pub(crate) d: MmaType,
    /// Slots of A and of B, and bits in a slot of each.
    pub(crate) a_slots: (u16, u8),
    pub(crate) b_slots: (u16, u8),
    pub(crate) wmma: bool,
    /// WMMA with results of 16 bits: whether they are the upper halves.
    pub(crate) upper: bool,
    /// Which byte of a lane's scale word holds A's and B's scale.
    pub(crate) scales: Option<(u8, u8)>,
    /// Exists from CDNA3, or CDNA4, or not on CDNA4.
    pub(crate) since: Since,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Since {
    Cdna2,
    Cdna3,
    Cdna4,
    /// Gone with CDNA3.
    OnlyCdna2,
    /// Gone with CDNA4.
    OnlyCdna3,
    Rdna3,
}
