//! Passes on functions of the GPU level, one file each, all of one shape.
//!
//! ```text
//! import ─ persistent ─ order_programs ─ select_mma ─ … ─ assign_layouts ─ rotate_mma ─ … ─ insert_barriers ─ specialise_warps ─► lower/gpu
//! ```
//! Before `assign_layouts` tiles have no layouts, except for those that a pass has fixed: a product's accumulator and register
//! operands, results of `convert_layout` and `load_shared`. `assign_layouts` keeps what is fixed, chooses the rest around
//! it, and converts where two meet.

pub mod allocate_shared;
pub mod alternate_phases;
pub mod assign_layouts;
pub mod form_clusters;
pub mod insert_barriers;
pub mod load_bulk;
pub mod order_programs;
pub mod persistent;
pub mod ping_pong;
pub mod pipeline_loops;
pub mod prepare_dots;
pub mod rotate_mma;
pub mod select_mma;
pub mod select_wide_mma;
pub mod specialise_warps;
pub mod store_bulk;

use crate::error::Error;
use crate::gpu::{GpuOptions, GpuTarget};
use crate::ktg::Func;

/// A pass on a function of the GPU level.
#[derive(Clone, Copy)]
pub struct GpuPass {
    /// Name in dumps and timings.
    pub name: &'static str,
    /// Changes the function in place.
    pub run: fn(&mut Func, &dyn GpuTarget, &GpuOptions) -> Result<(), Error>,
}

impl std::fmt::Debug for GpuPass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// What every kernel for a GPU goes through, in order.
pub const PASSES: &[GpuPass] = &[
    persistent::PASS,
    order_programs::PASS,
    prepare_dots::PASS,
    select_wide_mma::PASS,
    store_bulk::PASS,
    load_bulk::PASS,
    form_clusters::PASS,
    select_mma::PASS,
    pipeline_loops::PASS,
    assign_layouts::PASS,
    rotate_mma::PASS,
    ping_pong::PASS,
    alternate_phases::PASS,
    allocate_shared::PASS,
    insert_barriers::PASS,
    specialise_warps::PASS,
];
