//! Which thread copies what of a block, a few neighbouring elements at a time.

use crate::error::{Error, bug};
use crate::ktg::SharedType;
use crate::layout::{Blocked, Dim, Linear};
use crate::passes::gpu::assign_layouts::axis_of;

/// Who copies what: pieces along the unit axis to neighbouring threads, then the other axes.
pub(crate) fn pieces(
    ty: &SharedType,
    unit: usize,
    vector: u32,
    lanes: u32,
    warps: u32,
) -> Result<Linear, Error> {
    let extents = ty.layout.extents().to_vec();
    let rank = extents.len();
    let mut order = vec![unit];
    order.extend((0..rank).rev().filter(|a| *a != unit));
    let mut per_thread = vec![1; rank];
    per_thread[unit] = vector;
    let mut cells: Vec<u32> = extents.iter().zip(&per_thread).map(|(e, v)| e / v).collect();
    let mut spread = |count: u32| {
        let (mut grid, mut rest) = (vec![1; rank], count);
        for &axis in &order {
            let own = rest.min(cells[axis]);
            grid[axis] = own;
            cells[axis] /= own;
            rest /= own;
        }
        // More threads than pieces: some copy what others copy, and are told not to.
        grid[order[rank - 1]] *= rest;
        grid
    };
    let (threads, groups) = (spread(lanes), spread(warps));
    let nest =
        Blocked { size_per_thread: &per_thread, threads_per_warp: &threads, warps: &groups, order: &order };
    let layout = Linear::blocked(&extents, nest).map_err(|e| bug(e.to_string()))?;
    debug_assert!(layout.basis(Dim::Lane).len() as u32 == lanes.trailing_zeros());
    Ok(layout)
}

/// The layout of the indices of a block's rows in which each thread has those of its pieces.
///
/// # Errors
/// A bug: a buffer that no layout can hold.
pub fn rows_layout(ty: &SharedType, bytes: u32, lanes: u32, warps: u32) -> Result<Linear, Error> {
    axis_of(&pieces(ty, 1, bytes / ty.elem.bytes() as u32, lanes, warps)?, 0, ty.shape[0])
}
