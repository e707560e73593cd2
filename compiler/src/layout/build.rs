//! Makes layouts: from one input, blocked, as products, and from a fragment that an instruction prescribes.
//!
//! ```text
//! blocked 4×16, 2 elements per thread along axis 1, 2×4 threads, 2 warps along axis 0, fastest axis 1:
//!   row 0-1 | warp 0 | L0 L0 L1 L1 L2 L2 L3 L3, then the same again in registers 2, 3
//!   row 2-3 | warp 1 |
//! ```

use super::error::LayoutError;
use super::linear::{Coord, Dim, Linear};

/// How a blocked layout nests; each list has one power of two per axis.
#[derive(Clone, Copy, Debug)]
pub struct Blocked<'a> {
    /// Block of elements that one lane holds in neighbouring registers.
    pub size_per_thread: &'a [u32],
    /// Grid of lanes; the product is the number of lanes of a warp.
    pub threads_per_warp: &'a [u32],
    /// Grid of warps.
    pub warps: &'a [u32],
    /// Axes, the one that varies fastest first.
    pub order: &'a [usize],
}

/// Some warps laid side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WarpsAlong {
    /// The axis, or `None` where these warps hold the same elements.
    pub axis: Option<usize>,
    /// How many, a power of two.
    pub count: u32,
}

impl Linear {
    /// The tile in the order of one input: bits of the fastest axis first. `identity(Dim::Offset, …)` is a plain
    /// buffer; the fastest axis of a row-major one is the last.
    pub fn identity(dim: Dim, extents: &[u32], order: &[usize]) -> Result<Self, LayoutError> {
        let mut layout = Self::constant(extents)?;
        check_order(order, extents.len())?;
        for &axis in order {
            for bit in 0..extents[axis].trailing_zeros() {
                layout.push(dim, unit(axis, 1 << bit))?;
            }
        }
        Ok(layout)
    }

    /// The row-major buffer of a tile; extents are rounded up to powers of two.
    pub fn row_major(extents: &[u32]) -> Result<Self, LayoutError> {
        let order: Vec<usize> = (0..extents.len()).rev().collect();
        Self::identity(Dim::Offset, &rounded(extents)?, &order)
    }

    /// Registers, then lanes, then warps, in blocks; repeated in further registers where the tile is larger than all
    /// of them, and replicated where it is smaller. Extents are rounded up to powers of two.
    pub fn blocked(extents: &[u32], nest: Blocked) -> Result<Self, LayoutError> {
        let mut layout = Self::constant(&vec![1; extents.len()])?;
        let levels = [
            (Dim::Register, nest.size_per_thread),
            (Dim::Lane, nest.threads_per_warp),
            (Dim::Warp, nest.warps),
        ];
        for (dim, counts) in levels {
            if counts.len() != extents.len() {
                let axes = extents.len();
                let message = format!(
                    "a blocked layout of {axes} axes has {} numbers for {}",
                    counts.len(),
                    dim.name()
                );
                return Err(LayoutError::new(message));
            }
            layout = layout.product(&Self::identity(dim, counts, nest.order)?)?;
        }
        layout.fit(extents, nest.order)
    }

    /// `self` in each cell of `outer`: the tile's extents multiply, the bits of `outer` come after those of `self`.
    pub fn product(&self, outer: &Self) -> Result<Self, LayoutError> {
        if self.rank() != outer.rank() {
            return Err(LayoutError::new(format!(
                "no product of layouts of ranks {} and {}",
                self.rank(),
                outer.rank()
            )));
        }
        let inner = self.extents();
        let extents: Vec<u32> =
            inner.iter().zip(outer.extents()).map(|(a, b)| a.saturating_mul(*b)).collect();
        let mut layout = self.map_to(&extents, |vector| vector)?;
        for dim in Dim::ALL {
            for vector in outer.basis(dim) {
                let mut scaled = *vector;
                for (coordinate, extent) in scaled.iter_mut().zip(inner) {
                    *coordinate *= extent;
                }
                layout.push(dim, scaled)?;
            }
        }
        Ok(layout)
    }

    /// The layout of a tile of other extents (rounded up to powers of two): moves that leave the tile become free,
    /// registers among them are dropped; what is missing is added as registers, the fastest axis of `order` first.
    pub fn fit(&self, extents: &[u32], order: &[usize]) -> Result<Self, LayoutError> {
        let extents = rounded(extents)?;
        if extents.len() != self.rank() {
            return Err(LayoutError::new(format!(
                "a layout of rank {} does not fit {extents:?}",
                self.rank()
            )));
        }
        check_order(order, extents.len())?;
        let mut layout = Self::constant(&extents)?;
        for dim in Dim::ALL {
            for &vector in self.basis(dim) {
                let mut kept = vector;
                for (coordinate, extent) in kept.iter_mut().zip(&extents) {
                    *coordinate &= extent - 1;
                }
                let left = kept == [0; 3] && vector != [0; 3];
                if !(left && dim == Dim::Register) {
                    layout.push(dim, kept)?;
                }
            }
        }
        for &axis in order {
            let mut reach = self.extents()[axis];
            while reach < extents[axis] {
                layout.push(Dim::Register, unit(axis, reach))?;
                reach *= 2;
            }
        }
        Ok(layout)
    }

    /// Repeats the fragment of an instruction over a tile: warps are laid beside it in the order given, then
    /// registers cover the rest, the fastest axis of `order` first. Extents are rounded up to powers of two; the tile
    /// must hold the fragment.
    ///
    /// For operands of a product, warps along an axis that the operand lacks are `axis: None`: they replicate.
    pub fn tile_to_shape(
        &self,
        extents: &[u32],
        warps: &[WarpsAlong],
        order: &[usize],
    ) -> Result<Self, LayoutError> {
        let rounded = rounded(extents)?;
        if rounded.len() != self.rank() || rounded.iter().zip(self.extents()).any(|(tile, own)| tile < own) {
            let message = format!("the tile {extents:?} does not hold the fragment {:?}", self.extents());
            return Err(LayoutError::new(message));
        }
        let mut layout = self.clone();
        for group in warps {
            let mut counts = vec![1; self.rank()];
            match group.axis {
                Some(axis) if axis < counts.len() => counts[axis] = group.count,
                Some(axis) => return Err(LayoutError::new(format!("there is no axis {axis} for warps"))),
                None => {}
            }
            if !group.count.is_power_of_two() {
                return Err(LayoutError::new(format!("{} warps are no power of two", group.count)));
            }
            let order: Vec<usize> = (0..counts.len()).collect();
            layout = layout.product(&Self::identity(Dim::Warp, &counts, &order)?)?;
            if group.axis.is_none() {
                for _ in 0..group.count.trailing_zeros() {
                    layout.push(Dim::Warp, [0; 3])?;
                }
            }
        }
        layout.fit(&rounded, order)
    }

    /// The same layout with further warps that hold what the others hold.
    pub fn replicated(&self, dim: Dim, bits: u32) -> Result<Self, LayoutError> {
        let mut layout = self.clone();
        for _ in 0..bits {
            layout.push(dim, [0; 3])?;
        }
        Ok(layout)
    }
}

/// The move along one axis.
pub(super) fn unit(axis: usize, distance: u32) -> Coord {
    let mut vector = [0; 3];
    vector[axis] = distance;
    vector
}

/// Extents as powers of two.
pub(super) fn rounded(extents: &[u32]) -> Result<Vec<u32>, LayoutError> {
    let up = |&extent: &u32| match extent {
        0 => Err(LayoutError::new("a tile has no axis of extent 0")),
        _ => extent
            .checked_next_power_of_two()
            .ok_or_else(|| LayoutError::new("an extent of a tile exceeds 2^31")),
    };
    extents.iter().map(up).collect()
}

fn check_order(order: &[usize], rank: usize) -> Result<(), LayoutError> {
    let mut sorted = order.to_vec();
    sorted.sort_unstable();
    match sorted.iter().copied().eq(0..rank) {
        true => Ok(()),
        false => Err(LayoutError::new(format!("the order {order:?} does not name each of {rank} axes once"))),
    }
}
