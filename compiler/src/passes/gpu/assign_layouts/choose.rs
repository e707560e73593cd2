//! Which layout a tile gets where nothing else decides: neighbouring lanes at neighbouring addresses.
//!
//! ```text
//! [4, 256] of f32, 4 elements per access, 4 warps:  lanes along the row until it is covered, warps over the rows
//! ```

use crate::error::{Error, bug};
use crate::layout::{Blocked, Linear};

/// A blocked layout with `elements` neighbours along `axis` in each thread's registers, lanes first along that axis, then
/// along the others from the last to the first; warps the other way round, so that a row stays within a warp if it fits.
///
/// # Errors
/// A tile that no layout can hold.
pub fn blocked(shape: &[usize], axis: usize, elements: u32, lanes: u32, warps: u32) -> Result<Linear, Error> {
    crossed(shape, (axis, axis), elements, lanes, warps)
}

/// Neighbours of a thread along the other axis of [`crossed`], at most: 4 elements of two bytes are 8 bytes.
const ACROSS: u32 = 4;

/// The same, but a thread's accesses are neighbours along `deep`, if that is another axis: turned round in its registers
/// they make vectors along `deep`.
///
/// # Errors
/// A tile that no layout can hold.
pub fn crossed(
    shape: &[usize],
    (axis, deep): (usize, usize),
    elements: u32,
    lanes: u32,
    warps: u32,
) -> Result<Linear, Error> {
    let extents: Vec<u32> = shape.iter().map(|e| (*e as u32).next_power_of_two()).collect();
    let total: u32 = extents.iter().product();
    // Rather all threads with few elements than few with many.
    let elements =
        elements.min((total / (lanes * warps)).max(1)).min(extents.get(axis).copied().unwrap_or(1));
    let mut order: Vec<usize> = (0..shape.len()).rev().collect();
    order.retain(|a| *a != axis);
    order.insert(0, axis);
    let mut size = vec![1; shape.len()];
    let mut threads = vec![1; shape.len()];
    let mut grid = vec![1; shape.len()];
    if let Some(s) = size.get_mut(axis) {
        *s = elements;
    }
    if let (true, Some(s)) = (deep != axis, size.get_mut(deep)) {
        let rest = (total / (lanes * warps * elements)).max(1);
        *s = rest.min(ACROSS).min(extents.get(deep).copied().unwrap_or(1));
    }
    let spread = |counts: &mut [u32], covered: &dyn Fn(usize) -> u32, mut left: u32, order: &[usize]| {
        for &a in order {
            let take = left.min(extents[a] / covered(a).min(extents[a]));
            counts[a] = take;
            left /= take;
        }
        // Nobody needs the rest: it holds what the others hold.
        if let (Some(&a), true) = (order.last(), left > 1) {
            counts[a] *= left;
        }
    };
    spread(&mut threads, &|a| size[a], lanes, &order);
    let outward: Vec<usize> = order.iter().rev().copied().collect();
    spread(&mut grid, &|a| size[a] * threads[a], warps, &outward);
    let nest = Blocked { size_per_thread: &size, threads_per_warp: &threads, warps: &grid, order: &order };
    Linear::blocked(&extents, nest).map_err(|e| bug(format!("a blocked layout of {shape:?}: {e}")))
}
