//! What the runtime and the compiler say to each other: a request to compile a kernel, and the answer.
//!
//! It lives here because both sides depend on this crate and neither may depend on the other: the runtime links
//! no LLVM, and the compiler may run as a child process. Every type is plain data (serde).

pub mod frame;
pub mod gpu;
pub mod host;
pub mod npu;
pub mod panel;

use crate::ir::{Kernel, Loc, ParamKind};
pub use gpu::{GpuArg, GpuMeta, GridMap, TensorMap};
pub use npu::{NpuBlocks, NpuMeta};
pub use panel::{Panel, PanelForm};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is known of one argument when the kernel is compiled; code may rely on it, so a launch must check it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArgSpec {
    /// For a view: the axis whose stride is 1, if one is (the last such axis). `None`: no axis is known to be
    /// contiguous; slower code that reads every stride. Ignored for scalars.
    pub unit_axis: Option<u8>,
    /// GPUs only, as all that follow. Log2 of the bytes to which the address of element (0, …, 0) is aligned, at
    /// most [`gpu::MAX_ALIGN`]; 0 also where nothing is known.
    pub align: u8,
    /// Log2 of a number of bytes that divides every stride but the unit axis', at most [`gpu::MAX_ALIGN`]. Axes of
    /// one element do not count.
    pub stride_align: u8,
    /// Log2 of a number of bytes that divides the extent of the unit axis, at most [`gpu::MAX_ALIGN`].
    pub dim_align: u8,
    /// Whether every element lies less than 2^31 bytes from element (0, …, 0), so that 32-bit offsets do.
    pub fits_i32: bool,
    /// Whether a tensor map can describe the view: a unit axis, 16-byte aligned, other strides positive multiples of 16 bytes,
    /// rank 1 to 5, no axis empty.
    pub tma: bool,
}

impl ArgSpec {
    /// What holds of a parameter's argument whose last axis is contiguous, if nothing else is known.
    pub fn dense(kind: ParamKind) -> ArgSpec {
        let unit_axis = match kind {
            ParamKind::View { rank, .. } => rank.checked_sub(1).map(|a| a as u8),
            ParamKind::Scalar(_) => None,
        };
        ArgSpec { unit_axis, ..ArgSpec::default() }
    }
}

/// A request to compile one kernel for one target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CompileRequest {
    /// The recorded kernel.
    pub kernel: Kernel,
    /// Target name: `cpu:native`, `cpu:x86-64-v3`, `cpu:x86-64-v4`, `cpu:znver4`, `nvidia:sm_90a`, `sim:sm_90a`,
    /// `sim:ascend910b`, …
    pub target: String,
    /// One entry per parameter.
    pub args: Vec<ArgSpec>,
    /// Options by name (`stages`, `warps`, backend-specific knobs); part of the cache key.
    pub options: BTreeMap<String, String>,
}

/// What a compiled CPU kernel needs at launch. The object exports one function under [`Artifact::symbol`]:
///
/// ```text
/// extern "C" fn(args: *const i64, grid: *const i64 /* 3 */, begin: i64, end: i64, scratch: *mut u8) -> i64
/// ```
///
/// `args` holds, per parameter in order: for a view of rank R, `1 + 2R` slots: address of element (0, …, 0), the R
/// dims, the R strides (in elements); for a scalar, one slot with its bits in the low bytes. Behind them follow, for each of
/// [`CpuMeta::panels`], three slots: zeros, or, if the parameter's memory never changes, the address of one 64-bit word per panel
/// (zero before the first launch), the address of the panels, and the bytes from one to the next ([`PanelForm::room`]). A word is 1
/// while a thread packs its panel, and 2 once it can be read by all. The function runs the programs
/// `begin..end` of the linear order that the kernel itself chose over `grid[0] * grid[1] * grid[2]` programs, and
/// returns 0, or `1 + i` when assertion `i` failed (the rest of the range is then not run). `scratch` is aligned to
/// 64 bytes, [`CpuMeta::scratch_bytes`] long, private to the calling thread, and starts with a header of
/// [`SCRATCH_HEADER`] bytes that the caller sets at the start of every launch: slot 0 the print callback
/// (`extern "C" fn(context: *mut c_void, print: i64, data: *const u8)`), slot 1 its context, all else zero; the
/// rest may hold anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CpuMeta {
    /// Size of a thread's scratch memory, header included.
    pub scratch_bytes: u64,
    /// Whether neighbours in the linear order share much work (packed operands), so that a thread should get
    /// ranges of neighbours; otherwise ranges may be cut anywhere.
    pub contiguous: bool,
    /// The grid axes along which they share it, the first of the linear order: one after another, as many programs as these axes have
    /// together make a group, and what two groups share is not worth a thought. Empty: not known.
    #[serde(default)]
    pub sharing: Vec<u8>,
    /// Message and place of each assertion.
    pub asserts: Vec<(String, Loc)>,
    /// Format string and operand types of each print; `data` holds the operands one after another, each
    /// row-major and aligned to 64 bytes.
    pub prints: Vec<(String, Vec<crate::ir::TileType>)>,
    /// Packed operands that later launches can find again.
    #[serde(default)]
    pub panels: Vec<Panel>,
}

/// Bytes at the start of a thread's scratch memory that the caller initialises at every launch.
pub const SCRATCH_HEADER: u64 = 512;

/// The compiled form of a kernel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Artifact {
    /// Target it was compiled for, with `native` resolved.
    pub target: String,
    /// Exported symbol.
    pub symbol: String,
    /// CPU: an ELF relocatable object without undefined symbols other than `memcpy`, `memset`, `memmove`. GPU: PTX text or a
    /// cubin; for a simulated GPU (`sim:sm_90a`), the lowered module in MLIR's generic form. NPU: AscendC source; for a
    /// simulated one (`sim:ascend910b`), the program of its cores as text.
    pub bytes: Vec<u8>,
    /// Launch facts on a CPU.
    pub cpu: CpuMeta,
    /// Launch facts on a GPU.
    pub gpu: Option<GpuMeta>,
    /// Launch facts on an NPU.
    pub npu: Option<NpuMeta>,
    /// Time per stage, in order, in microseconds.
    pub timings: Vec<(String, u64)>,
}

/// How bad a diagnostic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Severity {
    Warning,
    Error,
    /// A broken invariant of the compiler: to be reported.
    Bug,
}

/// One message about the author's source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// How bad.
    pub severity: Severity,
    /// Where in the author's source (or in an IR file).
    pub loc: Option<Loc>,
    /// The fact.
    pub message: String,
    /// The remedy.
    pub help: Option<String>,
}

/// Answer to a [`CompileRequest`].
pub type CompileResult = Result<Artifact, Vec<Diagnostic>>;
