//! What an operation does besides computing its results.
//!
//! Asynchronous work is ordered by the order of the list alone: everything that starts, closes or awaits it stays where
//! it is relative to everything else with an effect.

use super::{GpuOp, Kind};
use kcc_dsl::ir::OpKind;

/// Effect of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// None: may be moved, merged and dropped.
    Pure,
    /// Reads global memory: may be dropped; may be moved where nothing writes.
    Read,
    /// Reads shared memory: may be dropped; may not pass barriers, waits and writes of shared memory.
    ReadShared,
    /// Makes shared memory: dropped when nobody uses it, never merged.
    Alloc,
    /// Anything else: must stay, in order.
    Side,
    /// Has the effects of what its regions hold.
    Regions,
}

/// The effect of an operation.
pub fn effect(kind: &Kind) -> Effect {
    match kind {
        Kind::Tile(OpKind::For { .. } | OpKind::While | OpKind::If) => Effect::Regions,
        Kind::Tile(k) if k.has_side_effect() => Effect::Side,
        Kind::Tile(k) if k.reads_memory() => Effect::Read,
        Kind::Tile(_) => Effect::Pure,
        Kind::Gpu(g) => match g {
            GpuOp::ConvertLayout
            | GpuOp::Slot
            | GpuOp::BlockIndex
            | GpuOp::BlockCount
            | GpuOp::SharedTranspose { .. }
            | GpuOp::SharedSlice { .. } => Effect::Pure,
            GpuOp::AllocShared { .. } => Effect::Alloc,
            GpuOp::LoadShared => Effect::ReadShared,
            // Reads its operands from shared memory, if they lie there.
            GpuOp::Mma { .. } => Effect::ReadShared,
            _ => Effect::Side,
        },
    }
}
