//! Copies between memories, and products.

use super::instr::instructions;
use super::place::{Global, Local, Val};
use super::vals::Vals;
use super::vector::Fill;
use kcc_dsl::ir::Elem;
use serde::{Deserialize, Serialize};

/// What a copy to global memory does with what is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Atomic {
    /// Replaces it.
    #[default]
    None,
    Add,
    Max,
    Min,
}

/// What becomes of an accumulator on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Quant {
    /// As it is: `f32` or `i32`.
    None,
    /// `f32` rounded to `f16`, nearest even, saturating to the largest finite value.
    F16,
    /// `f32` rounded to `bf16`, nearest even.
    Bf16,
}

instructions! {
    /// `DataCopyPad`, global memory to unified buffer: `blocks` pieces of `bytes` bytes. Each piece starts at a multiple of 32 bytes
    /// and fills up to one: with the padding's value if there is padding, else with anything.
    CopyIn => Mte2 {
        /// First piece, aligned to 32 bytes.
        dst: Local,
        /// First byte of the first piece.
        src: Global,
        /// What is copied; the padding's value is of this type.
        elem: Elem,
        /// Pieces, 1 to 4095.
        blocks: Val,
        /// Bytes of a piece, 1 to 2097151.
        bytes: Val,
        /// Bytes between the end of a piece and the start of the next, in global memory.
        src_gap: Val,
        /// 32-byte blocks between pieces in the buffer.
        dst_gap: Val,
        /// What to add at either side of each piece.
        pad: Option<Fill>,
    }
    /// `DataCopyPad`, unified buffer to global memory.
    CopyOut => Mte3 {
        /// First byte of the first piece.
        dst: Global,
        /// First piece, aligned to 32 bytes.
        src: Local,
        /// What is copied (matters when atomic).
        elem: Elem,
        /// Pieces, 1 to 4095.
        blocks: Val,
        /// Bytes of a piece, 1 to 2097151.
        bytes: Val,
        /// 32-byte blocks between pieces in the buffer.
        src_gap: Val,
        /// Bytes between pieces in global memory.
        dst_gap: Val,
        /// What it does with the values there.
        atomic: Atomic,
    }
    /// `DataCopy`, global memory to first-level buffer, 32-byte blocks.
    CopyL1 => Mte2 {
        /// Aligned to 32 bytes.
        dst: Local,
        /// First byte.
        src: Global,
        /// Pieces, 1 to 4095.
        blocks: Val,
        /// 32-byte blocks of a piece, 1 to 65535.
        length: Val,
        /// 32-byte blocks between pieces in global memory.
        src_gap: Val,
        /// 32-byte blocks between pieces in the buffer.
        dst_gap: Val,
    }
    /// `DataCopy` with `Nd2NzParams`: row-major matrices of global memory become columns of fractals. The last fractal column is
    /// filled with zeros up to 32 bytes; rows are not filled.
    NdToNz => Mte2 {
        /// Aligned to 32 bytes.
        dst: Local,
        /// First byte.
        src: Global,
        /// Element type.
        elem: Elem,
        /// Matrices, 0 to 4095.
        matrices: Val,
        /// Rows of a matrix, 0 to 16384.
        rows: Val,
        /// Columns of a matrix, 0 to 65535.
        columns: Val,
        /// Elements between matrices in global memory, 0 to 65535.
        src_matrix: Val,
        /// Elements between rows in global memory, 1 to 65535.
        src_row: Val,
        /// 32-byte blocks between fractal columns in the buffer, 1 to 16384.
        dst_column: Val,
        /// 32-byte blocks between rows in the buffer, 1 to 16384.
        dst_row: Val,
        /// Elements between matrices in the buffer, 1 to 65535.
        dst_matrix: Val,
    }
    /// `InitConstValue` on the first-level buffer: pieces of 32-byte blocks of one value.
    FillL1 => Mte2 {
        /// Aligned to 32 bytes.
        dst: Local,
        /// Element type, 2 or 4 bytes.
        elem: Elem,
        /// Pieces, 1 to 32767.
        times: Val,
        /// 32-byte blocks of a piece, 1 to 32767.
        blocks: Val,
        /// 32-byte blocks between pieces, 0 to 32767.
        gap: Val,
        /// The value's bits.
        value: Val,
    }
    /// `LoadData` with `LoadData2DParams` into the left or the right operand's memory, as the buffer
    /// lies, a fractal at a time.
    LoadData => Mte1 {
        /// Aligned to 512 bytes.
        dst: Local,
        /// Aligned to 32 bytes.
        src: Local,
        /// Element type.
        elem: Elem,
        /// First fractal, in fractals from `src`, 0 to 65535.
        start: Val,
        /// Fractals, 1 to 255.
        times: Val,
        /// Fractals from one to the next in the source, 0 to 65535.
        src_stride: Val,
        /// Fractals between one's end and the next in the destination, 0 to 65535.
        dst_gap: Val,
        /// Transposes each fractal (16-bit types only).
        transpose: bool,
    }
    /// `Mmad`: `dst[m, n] (+)= a[m, k] · b[k, n]`.
    Mmad => M {
        /// Accumulators (Nz), aligned to 1024 bytes.
        dst: Local,
        /// Left operand (Zz), aligned to 512 bytes.
        a: Local,
        /// Right operand (Zn), aligned to 512 bytes.
        b: Local,
        /// Type of the operands: `f16`, `bf16`, `f32` (accumulates `f32`) or `i8` (accumulates `i32`).
        elem: Elem,
        /// Rows, 2 to 4095: one row would be taken as a vector, laid out differently.
        m: Val,
        /// Columns, 1 to 4095.
        n: Val,
        /// Depth, 1 to 4095.
        k: Val,
        /// Starts from zero instead of what `dst` holds.
        init: bool,
    }
    /// `Fixpipe`: accumulators to rows of global memory.
    Fixpipe => Fix {
        /// First byte.
        dst: Global,
        /// Accumulators (Nz), aligned to 64 bytes.
        src: Local,
        /// Type of the accumulators: `f32` or `i32`.
        elem: Elem,
        /// Rows, 1 to 8192.
        m: Val,
        /// Columns, 1 to 4095.
        n: Val,
        /// Rows between fractal columns in the source, a multiple of 16, to 65535.
        src_stride: Val,
        /// Elements between rows in global memory, 1 to 65535.
        dst_stride: Val,
        /// Conversion on the way.
        quant: Quant,
        /// Negative values become 0.
        relu: bool,
        /// What it does with the values there.
        atomic: Atomic,
    }
}
