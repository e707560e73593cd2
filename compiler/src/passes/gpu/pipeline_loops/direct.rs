//! The same by copies of whole warps, on chips that have them: lanes write one after the other, so that each thread's place in the buffer
//! is given, and its place in global memory follows from the buffer's layout.
//!
//! ```text
//! buffer, swizzled    | row 0: c0 c1 c2 c3 | row 1: c1 c0 c3 c2 | …
//! lane                |        0  1  2  3  |        4  5  6  7  |       lane 4 reads chunk 1 of row 1
//! ```

use super::{Copy, Facts, copy_bytes};
use crate::error::{Error, bug};
use crate::ktg::{Func, SharedType};
use crate::layout::{Dim, Linear};

/// Buffers of a ring where nobody asked for a number: one is filled while the other is read. More would wait for nothing: barriers end all
/// of a warp's copies.
pub(super) const STAGES: u32 = 2;

/// The stages with which all copies of a loop can be direct ones: pieces as wide as the instruction's, wholly inside of the view or
/// outside, in views that offsets of 32 bits reach, a whole number for each warp.
pub(super) fn stages(func: &Func, facts: &Facts, copies: &[Copy], stages: u32) -> Option<u32> {
    let bytes = facts.direct;
    let fits = |c: &Copy| {
        let Some(view) = facts.views.get(c.view) else { return false };
        let power = c.ty.shape.iter().all(|e| e.is_power_of_two());
        let whole = 1 << view.spec.dim_align >= bytes;
        let wide = copy_bytes(&facts.views, &facts.div, c.view, &c.offsets, &c.ty) >= bytes;
        let rows = c.ty.bytes().is_multiple_of(bytes * facts.threads);
        // A list of rows is no place that all lanes share.
        let single = c.offsets.iter().all(|o| func.ty(*o).tile().is_none_or(|t| t.rank() == 0));
        power && whole && wide && rows && single && view.spec.fits_i32 && c.zero
    };
    let warps = func.warps.is_power_of_two();
    (bytes > 0 && stages > 1 && warps && !copies.is_empty() && copies.iter().all(fits)).then_some(stages)
}

/// What each thread copies of a buffer: neighbouring lanes, then warps, neighbouring pieces of so many bytes of it.
///
/// # Errors
/// A bug: a buffer of another size.
pub(crate) fn direct_pieces(ty: &SharedType, bytes: u32, lanes: u32, warps: u32) -> Result<Linear, Error> {
    let places = ty.layout.basis(Dim::Offset);
    let vector = (bytes / ty.elem.bytes() as u32).ilog2() as usize;
    let [lanes, warps] = [lanes, warps].map(|n| n.ilog2() as usize);
    if places.len() < vector + lanes + warps {
        return Err(bug("a direct copy of less than a piece a thread"));
    }
    let (own, rest) = places.split_at(vector);
    let (lane, rest) = rest.split_at(lanes);
    let (warp, rest) = rest.split_at(warps);
    let registers = [own, rest].concat();
    let dims = [(Dim::Register, &registers[..]), (Dim::Lane, lane), (Dim::Warp, warp)];
    Linear::new(ty.layout.extents(), dims).map_err(|e| bug(e.to_string()))
}
