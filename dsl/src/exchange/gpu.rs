//! What a launch of a compiled GPU kernel must know, and how the kernel finds its arguments.
//!
//! ```text
//! parameters of the code, in order:
//!   per kernel parameter    view of rank R    u64 address of element (0, …, 0) · R × i64 dims · R × i64 strides
//!                           scalar            bool, i8, u8, i16 widened to i32 (by sign, u8 and bool by zero)
//!                                             i32, u32, f32 · i64 · f8, f16, bf16 as their bits in an i32
//!   i32 gx, gy, gz          programs per axis; the hardware's grid may differ ([`GridMap`])
//!   u64 status              address of the status buffer, 0 if the kernel neither asserts nor prints
//!   per entry of tensor_maps  128 bytes by value, aligned to 64 (`__grid_constant__`)
//! ```
//! Strides count elements. Every dim and stride is passed, known or not, so that the order depends on nothing.
//!
//! The status buffer ([`STATUS_BYTES`] and more, zero at the start but for the capacity):
//!
//! ```text
//! u32 failed      0, or 1 + index of the first assertion that failed (compare and swap from 0)
//! u32 used        bytes of records asked for so far (atomic add); may exceed the capacity
//! u32 capacity    bytes of records that fit
//! … 64            records, each a multiple of 64 bytes; one that ends past the capacity is not written
//!   record: u32 print index · u32 bytes of the record · i32 program x, y, z · … 64
//!           operands one after another, row-major, each aligned to 64 bytes
//! ```

use super::ArgSpec;
use crate::ir::{Elem, Loc, TileType};
use serde::{Deserialize, Serialize};

/// Bytes of the status buffer before its records.
pub const STATUS_BYTES: u64 = 64;

/// Bytes of a print record before its operands.
pub const RECORD_HEADER: u64 = 64;

/// Largest count of blocks along the second and third axis of a hardware grid.
pub const MAX_GRID_YZ: i64 = 65_535;

/// Launch facts of a GPU kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GpuMeta {
    /// Architecture that the code needs: `sm_90a`.
    pub arch: String,
    /// Lanes of a warp.
    pub warp: u32,
    /// Threads of a block, along one axis.
    pub threads: u32,
    /// Blocks of a cluster, per axis; all 1 without clusters.
    pub cluster: [u32; 3],
    /// Dynamic shared memory of a block, in bytes (static shared memory is none).
    pub shared_bytes: u64,
    /// Registers that a thread may use, if the code was compiled with a limit.
    pub max_registers: Option<u32>,
    /// PTX version of the text, major and minor: a driver must know it to load text.
    pub ptx: (u8, u8),
    /// Arguments in order, one per kernel parameter.
    pub args: Vec<GpuArg>,
    /// How programs map to blocks.
    pub grid: GridMap,
    /// Global scratch memory that a launch needs, in bytes.
    pub workspace_bytes: u64,
    /// Message and place of each assertion.
    pub asserts: Vec<(String, Loc)>,
    /// Format string and operand types of each print.
    pub prints: Vec<(String, Vec<TileType>)>,
    /// Recipes of the tensor maps, in the order of the code's parameters.
    pub tensor_maps: Vec<TensorMap>,
    /// Figures that the compiler states for tests and reports (`mma_per_step`, `stages`, …).
    pub counters: Vec<(String, u64)>,
}

impl GpuMeta {
    /// Whether a launch needs a status buffer.
    pub fn wants_status(&self) -> bool {
        !self.asserts.is_empty() || !self.prints.is_empty()
    }
}

/// How one kernel parameter is passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum GpuArg {
    /// Address, dims and strides.
    View {
        /// Number of axes.
        rank: u8,
        /// Element type.
        elem: Elem,
    },
    /// One value.
    Scalar(Elem),
}

/// How programs map to hardware blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum GridMap {
    /// One block per program, axis by axis. With clusters the grid is rounded up to whole ones; programs beyond its end write
    /// nothing. Where `gy` or `gz`, rounded up, exceeds [`MAX_GRID_YZ`], the hardware's grid is that of
    /// [`GridMap::Linear`] instead: the code tests the same condition on its parameters.
    #[default]
    Direct,
    /// One block per program, always `(gx * gy * gz, 1, 1)` (each rounded up to whole clusters); x runs fastest.
    Linear,
    /// As many blocks as run at once, along x, at most one per program; each takes the linear programs
    /// `block, block + blocks, …`.
    Persistent {
        /// Blocks that run at once on one multiprocessor.
        blocks_per_sm: u32,
    },
}

/// How the runtime makes one tensor map (a TMA descriptor) at launch, from the view's address, dims and strides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TensorMap {
    /// Index of the kernel parameter, a view.
    pub param: u32,
    /// Element type; must be the view's.
    pub elem: Elem,
    /// Axes of the view, innermost first: the first one has stride 1. One to five, each axis of the view once.
    pub axes: Vec<u8>,
    /// Elements of the box per axis of `axes`, 1 to 256; leading batch axes have 1.
    pub box_dims: Vec<u32>,
    /// Swizzle of shared memory in bytes: 0 (none), 32, 64, 128.
    pub swizzle: u32,
    /// Size of promoted reads into L2 in bytes: 0 (none), 64, 128, 256.
    pub l2_promotion: u32,
}

/// Alignments are tracked up to `1 << MAX_ALIGN` bytes: what one access moves, and what TMA asks for.
pub const MAX_ALIGN: u8 = 4;

/// Bytes that code may reach with 32-bit offsets.
const NEAR: i128 = 1 << 31;

impl ArgSpec {
    /// What a GPU compiler may rely on, of a view with element (0, …, 0) at `address`; strides count elements.
    pub fn for_gpu(address: u64, elem: Elem, dims: &[i64], strides: &[i64]) -> ArgSpec {
        let bytes = elem.bytes() as i128;
        let log2 = |n: i128| n.trailing_zeros().min(u32::from(MAX_ALIGN)) as u8;
        let unit_axis = strides.iter().rposition(|&s| s == 1);
        let mut others = 0i128;
        let mut reach = 0i128;
        let mut boxable = unit_axis.is_some() && dims.len() <= 5;
        for (axis, (&dim, &stride)) in dims.iter().zip(strides).enumerate() {
            reach += (i128::from(dim) - 1).max(0) * i128::from(stride).abs();
            boxable &= (1..=1 << 32).contains(&dim);
            // An axis of one element has no second address, so its stride limits nothing.
            if Some(axis) != unit_axis && dim > 1 {
                let step = i128::from(stride) * bytes;
                others |= step;
                boxable &= step > 0 && step % 16 == 0 && step < 1 << 40;
            }
        }
        let align = log2(i128::from(address));
        ArgSpec {
            unit_axis: unit_axis.map(|a| a as u8),
            align,
            stride_align: log2(others),
            dim_align: unit_axis.map_or(0, |a| log2(i128::from(dims[a]) * bytes)),
            fits_i32: reach * bytes + bytes <= NEAR,
            tma: boxable && align >= 4,
        }
    }

    /// The best that a contiguous view of a rank can be: everything aligned, small enough for 32-bit offsets.
    pub fn ideal(rank: usize) -> ArgSpec {
        ArgSpec {
            unit_axis: rank.checked_sub(1).map(|a| a as u8),
            align: MAX_ALIGN,
            stride_align: MAX_ALIGN,
            dim_align: MAX_ALIGN,
            fits_i32: true,
            tma: (1..=5).contains(&rank),
        }
    }

    /// Whether code that relies on `self` runs right on an argument of which `given` holds.
    pub fn allows(&self, given: &ArgSpec) -> bool {
        (self.unit_axis.is_none() || self.unit_axis == given.unit_axis)
            && self.align <= given.align
            && self.stride_align <= given.stride_align
            && self.dim_align <= given.dim_align
            && self.fits_i32 <= given.fits_i32
            && self.tma <= given.tma
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(address: u64, dims: &[i64], strides: &[i64]) -> ArgSpec {
        ArgSpec::for_gpu(address, Elem::F16, dims, strides)
    }

    #[test]
    fn a_contiguous_aligned_view_is_ideal() {
        assert_eq!(of(1 << 20, &[64, 128], &[128, 1]), ArgSpec::ideal(2));
        // One row: its stride says nothing.
        assert_eq!(of(1 << 20, &[1, 128], &[3, 1]), ArgSpec::ideal(2));
        assert_eq!(of(1 << 20, &[128], &[1]), ArgSpec::ideal(1));
    }

    #[test]
    fn alignment_follows_address_strides_and_extent() {
        let s = of(256 + 4, &[64, 128], &[132, 1]);
        assert_eq!((s.align, s.stride_align, s.dim_align, s.tma), (2, 3, 4, false));
        let s = of(256, &[64, 31], &[128, 1]);
        assert_eq!((s.align, s.stride_align, s.dim_align, s.tma), (4, 4, 1, true));
        assert_eq!(of(256, &[64, 128], &[1, 64]).unit_axis, Some(0));
    }

    #[test]
    fn what_a_tensor_map_cannot_say_is_not_offered() {
        assert!(!of(256, &[64, 128], &[-128, 1]).tma, "negative stride");
        assert!(!of(256, &[64, 128], &[0, 1]).tma, "stride 0");
        assert!(!of(256, &[64, 128], &[129, 1]).tma, "stride of 258 bytes");
        assert!(!of(256, &[64, 128], &[256, 2]).tma, "no unit axis");
        assert!(!of(256, &[0, 128], &[128, 1]).tma, "empty");
        assert!(!of(256, &[2; 6], &[512, 256, 128, 64, 32, 1]).tma, "rank 6");
        assert!(!of(256, &[2, 8], &[1 << 39, 1]).tma, "stride of 2^40 bytes");
    }

    #[test]
    fn offsets_fit_32_bits_up_to_two_gibibytes() {
        assert!(of(256, &[1 << 15, 1 << 15], &[1 << 15, 1]).fits_i32);
        assert!(!of(256, &[(1 << 15) + 1, 1 << 15], &[1 << 15, 1]).fits_i32);
        assert!(!of(256, &[1 << 15, (1 << 15) + 1], &[-(1 << 15) - 1, 1]).fits_i32);
    }

    #[test]
    fn code_for_less_runs_on_more() {
        let (best, least) = (ArgSpec::ideal(2), ArgSpec::default());
        assert!(least.allows(&best) && best.allows(&best) && !best.allows(&least));
        assert!(!ArgSpec { align: 1, ..least.clone() }.allows(&least));
    }
}
