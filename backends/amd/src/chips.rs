//! The GPUs that the backend knows: one row each, asked for what it has and never for its name.

use kcc_compiler::gpu::Facts;

/// Matrix instructions of a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Matrix {
    /// WMMA of RDNA3, 32 lanes.
    Wmma,
    /// MFMA of CDNA2.
    Cdna2,
    /// With 8-bit integers of twice the depth, xf32, and 8-bit floats in formats that are not the DSL's.
    Cdna3,
    /// With 16-bit floats of twice the depth, and 8-bit floats in OCP's formats.
    Cdna4,
}

/// How lanes reach those of other rows of 16 without the data share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// Only by way of the data share's crossbar.
    Crossbar,
    /// Rows and halves of a wave trade places (`v_permlane16_swap`, `v_permlane32_swap`).
    Swap,
    /// A row reads its neighbour (`v_permlanex16`), lanes of a row read any other by exclusive or (`row_xmask`).
    Cross,
}

/// A word in data format 32 and number format float, which raw accesses ignore but for 0 (CDNA3 ISA guide, table "Buffer
/// resource descriptor").
const CDNA_WORD: u32 = 7 << 12 | 4 << 15;

/// Format 32_FLOAT, resource level 1, and bounds checked by bytes (RDNA3 ISA guide, "Buffer resource descriptor",
/// `OOB_SELECT` 3).
const RDNA_WORD: u32 = 0x27 << 12 | 1 << 24 | 3 << 28;

/// One row.
#[derive(Debug, PartialEq, Eq)]
pub struct Chip {
    /// LLVM's name, which follows `amd:` or `sim:`.
    pub name: &'static str,
    /// Lanes of a wave.
    pub lanes: u32,
    /// LDS of a workgroup in KiB.
    pub lds_kib: u32,
    /// Banks of LDS.
    pub banks: u32,
    /// Vector registers of a lane, accumulation registers included.
    pub registers: u32,
    /// 32-bit vector registers of a compute unit.
    pub file: u32,
    /// Matrix instructions.
    pub matrix: Matrix,
    /// Last word of the descriptor of a raw buffer.
    pub buffer_word: u32,
    /// Two `f32` become bf16 by one instruction (`v_cvt_pk_bf16_f32`).
    pub packs_bf16: bool,
    /// One instruction computes on two `f32` (`v_pk_fma_f32`, `v_pk_mul_f32`, `v_pk_add_f32`).
    pub pairs_f32: bool,
    /// LDS gives columns of what lies in rows (`ds_read_b64_tr_b16`).
    pub column_loads: bool,
    /// How lanes of different rows exchange words.
    pub rows: Rows,
    /// Bytes that a lane copies to LDS without registers by one instruction, in a layout of any swizzle of 16 bytes; 0 where it takes
    /// less, which is not made use of.
    pub direct_copy: u32,
    /// SIMD units of a compute unit, each with its part of a workgroup's waves, where the pace of products is a matter of who of two waves
    /// computes and who reads; 0 elsewhere.
    pub simds: u32,
    /// What `kcc targets` says.
    pub summary: &'static str,
}

/// Sizes: ISA guides of MI200, MI300, MI350 and RDNA3, "Kernel state" and "Data share operations".
pub const CHIPS: &[Chip] = &[
    Chip {
        name: "gfx90a",
        lanes: 64,
        lds_kib: 64,
        banks: 32,
        registers: 512,
        file: 131_072,
        matrix: Matrix::Cdna2,
        buffer_word: CDNA_WORD,
        packs_bf16: false,
        pairs_f32: true,
        column_loads: false,
        rows: Rows::Crossbar,
        direct_copy: 0,
        simds: 4,
        summary: "MI210, MI250: MFMA",
    },
    Chip {
        name: "gfx942",
        lanes: 64,
        lds_kib: 64,
        banks: 32,
        registers: 512,
        file: 131_072,
        matrix: Matrix::Cdna3,
        buffer_word: CDNA_WORD,
        packs_bf16: false,
        pairs_f32: true,
        column_loads: false,
        rows: Rows::Crossbar,
        direct_copy: 0,
        simds: 4,
        summary: "MI300, MI325: MFMA",
    },
    Chip {
        name: "gfx950",
        lanes: 64,
        lds_kib: 160,
        banks: 64,
        registers: 512,
        file: 131_072,
        matrix: Matrix::Cdna4,
        buffer_word: CDNA_WORD,
        packs_bf16: true,
        pairs_f32: true,
        column_loads: true,
        rows: Rows::Swap,
        direct_copy: 16,
        simds: 4,
        summary: "MI350, MI355: MFMA with 8-bit floats",
    },
    Chip {
        name: "gfx1100",
        lanes: 32,
        lds_kib: 64,
        banks: 32,
        registers: 256,
        file: 98_304,
        matrix: Matrix::Wmma,
        buffer_word: RDNA_WORD,
        packs_bf16: false,
        pairs_f32: false,
        column_loads: false,
        rows: Rows::Cross,
        direct_copy: 0,
        simds: 0,
        summary: "RX 7900: WMMA, waves of 32",
    },
];

impl Chip {
    /// The row with that name.
    pub fn named(name: &str) -> Option<&'static Chip> {
        CHIPS.iter().find(|chip| chip.name == name)
    }

    /// The row in the compiler's words.
    pub(crate) fn facts(&self) -> Facts {
        Facts {
            arch: self.name.to_owned(),
            lanes: self.lanes,
            shared_bytes: self.lds_kib << 10,
            banks: self.banks,
            registers: self.registers,
            registers_per_sm: self.file,
            max_access: 16,
            max_threads: 1024,
            matrix_loads: false,
            async_copy: false,
            direct_copy: self.direct_copy,
            wide_mma: false,
            schedulers: self.simds,
            clusters: false,
            bulk_copy: false,
            twin_operands: self.matrix == Matrix::Wmma,
            pairs_f32: self.pairs_f32,
        }
    }
}
