//! Layouts of shared memory: which element of a tile lies at which offset.
//!
//! Rows of 64 bytes, chunks of 16; the 64-byte XOR swizzle `Swizzle { bits: 2, base: 4, shift: 3 }`, where digit `c` at
//! a chunk of memory is the chunk of the row that lies there:
//!
//! ```text
//!   plain     row 0 1   0123 0123        swizzled   row 0 1   0123 0123
//!             row 2 3   0123 0123                   row 2 3   1032 1032
//!             row 4 5   0123 0123                   row 4 5   2301 2301
//! ```
//!
//! A column of chunks now touches every bank group once per 8 rows, and a swizzle is still linear over F2.

use super::build::rounded;
use super::error::LayoutError;
use super::linear::{Coord, Dim, Linear};
use super::matrix::Span;

/// XOR of address bits: the bits `[base + shift, base + shift + bits)` are added to the bits `[base, base + bits)`.
/// Addresses are in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Swizzle {
    /// How many bits.
    pub bits: u32,
    /// The lowest bit that changes; bytes below stay together.
    pub base: u32,
    /// Distance to the bits that are added, at least `bits`.
    pub shift: u32,
}

impl Swizzle {
    /// The swizzle of bulk copies and matrix units for rows of 32, 64 or 128 bytes in 16-byte chunks; rows of 16
    /// bytes have none.
    pub fn of_row(bytes: u32) -> Option<Self> {
        let bits = bytes.checked_div(16)?.checked_ilog2()?;
        matches!(bytes, 16 | 32 | 64 | 128).then_some(Self { bits, base: 4, shift: 3 })
    }

    /// The swizzled address. Its own inverse.
    pub fn apply(self, address: u64) -> u64 {
        let mask = (1 << self.bits) - 1;
        address ^ (address >> (self.base + self.shift) & mask) << self.base
    }
}

/// Elements that are left out between runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Padding {
    /// Length of a run, a power of two, in elements.
    pub every: u32,
    /// Elements left out after each run.
    pub by: u32,
}

/// A tile in shared memory.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Shared {
    layout: Linear,
    element_bytes: u32,
    padding: Option<Padding>,
}

impl Shared {
    /// Elements in the order of `layout`, which maps [`Dim::Offset`] one to one onto the tile.
    pub fn new(layout: Linear, element_bytes: u32) -> Result<Self, LayoutError> {
        if layout.bits(Dim::Offset) != layout.tile_bits() || !layout.is_surjective() {
            return Err(LayoutError::new(format!("{layout} does not place each element of a buffer once")));
        }
        if !element_bytes.is_power_of_two() || element_bytes > 16 {
            return Err(LayoutError::new(format!("elements of {element_bytes} bytes in shared memory")));
        }
        Ok(Self { layout, element_bytes, padding: None })
    }

    /// Dense, the fastest axis of `order` first; extents are rounded up to powers of two.
    pub fn plain(extents: &[u32], order: &[usize], element_bytes: u32) -> Result<Self, LayoutError> {
        Self::new(Linear::identity(Dim::Offset, &rounded(extents)?, order)?, element_bytes)
    }

    /// Dense with swizzled addresses. Swizzles that would split an element, or reach past the buffer, are errors.
    pub fn swizzled(
        extents: &[u32],
        order: &[usize],
        element_bytes: u32,
        swizzle: Swizzle,
    ) -> Result<Self, LayoutError> {
        Self::plain(extents, order, element_bytes)?.with_swizzle(swizzle)
    }

    /// Panels of rows, as bulk copies fill and matrix units read them: the fastest axis is cut into panels of
    /// `row_bytes` (16, 32, 64 or 128); a panel holds all rows of the other axes; addresses have the swizzle of the
    /// row. A tile with shorter rows is no such layout.
    pub fn panels(
        extents: &[u32],
        order: &[usize],
        element_bytes: u32,
        row_bytes: u32,
    ) -> Result<Self, LayoutError> {
        let plain = Self::plain(extents, order, element_bytes)?;
        let swizzle = Swizzle::of_row(row_bytes)
            .ok_or_else(|| LayoutError::new(format!("no panels with rows of {row_bytes} bytes")))?;
        let row = (row_bytes / element_bytes).checked_ilog2().unwrap_or(0) as usize;
        let inner = order.first().map_or(0, |&axis| plain.layout.extents()[axis].trailing_zeros()) as usize;
        if row > inner || row_bytes < element_bytes {
            return Err(LayoutError::new(format!("rows of {extents:?} are shorter than {row_bytes} bytes")));
        }
        let mut basis = plain.layout.basis(Dim::Offset).to_vec();
        basis[row..].rotate_left(inner - row);
        Self::new(plain.layout.with_basis(Dim::Offset, basis), element_bytes)?.with_swizzle(swizzle)
    }

    /// Dense with gaps.
    pub fn padded(
        extents: &[u32],
        order: &[usize],
        element_bytes: u32,
        padding: Padding,
    ) -> Result<Self, LayoutError> {
        if !padding.every.is_power_of_two() {
            return Err(LayoutError::new(format!(
                "padding after runs of {}, no power of two",
                padding.every
            )));
        }
        Ok(Self { padding: Some(padding), ..Self::plain(extents, order, element_bytes)? })
    }

    /// The same buffer with swizzled addresses; bits past the end of the buffer are taken as 0.
    pub fn with_swizzle(self, swizzle: Swizzle) -> Result<Self, LayoutError> {
        let element = self.element_bytes.trailing_zeros();
        if swizzle.bits > swizzle.shift || (swizzle.bits > 0 && swizzle.base < element) {
            let bytes = self.element_bytes;
            return Err(LayoutError::new(format!("{swizzle:?} does not suit elements of {bytes} bytes")));
        }
        let plain = self.layout.basis(Dim::Offset).to_vec();
        // Offset o holds what offset swizzle(o) held, as a swizzle undoes itself.
        let basis = (0..plain.len() as u64)
            .map(|bit| {
                let moved = swizzle.apply(1 << (bit + u64::from(element))) >> element;
                super::matrix::bits(moved)
                    .filter_map(|b| plain.get(b as usize))
                    .fold([0; 3], |acc, &v| super::linear::xor(acc, v))
            })
            .collect();
        Ok(Self { layout: self.layout.with_basis(Dim::Offset, basis), ..self })
    }

    /// From offsets (in elements, before padding) to coordinates.
    pub fn layout(&self) -> &Linear {
        &self.layout
    }

    /// Bytes of an element.
    pub fn element_bytes(&self) -> u32 {
        self.element_bytes
    }

    /// The gaps, if any.
    pub fn padding(&self) -> Option<Padding> {
        self.padding
    }

    /// Size of the buffer in bytes, gaps included.
    pub fn bytes(&self) -> u32 {
        (self.gapped(self.layout.elements() - 1) + 1) * self.element_bytes
    }

    /// An offset of the layout as one of the buffer: gaps are added. Elements.
    pub fn gapped(&self, offset: u32) -> u32 {
        self.padding.map_or(offset, |padding| offset + offset / padding.every * padding.by)
    }

    /// The offset of an element in the buffer, in elements.
    pub fn offset_of(&self, element: Coord) -> Option<u32> {
        self.layout.inverse().at(element).map(|place| self.gapped(place.offset))
    }

    /// For each place of a distributed layout, the offset of its element, before gaps.
    pub fn offsets(&self, layout: &Linear) -> Result<Linear, LayoutError> {
        layout.offsets_in(&self.layout)
    }

    /// How the registers of a distributed layout reach the buffer in accesses of at most `most_bytes` per lane.
    pub fn access(&self, layout: &Linear, most_bytes: u32) -> Result<Access, LayoutError> {
        let mut most = (most_bytes / self.element_bytes).max(1);
        if let Some(padding) = self.padding {
            let aligned = padding.every | padding.by;
            most = most.min(1 << aligned.trailing_zeros());
        }
        Ok(Access::new(self.offsets(layout)?, most))
    }

    /// The row length in bytes and the fastest axis, when the buffer is what [`Shared::panels`] makes: then bulk
    /// copies can fill it and matrix units read it in place.
    pub fn as_panels(&self) -> Option<(u32, usize)> {
        if self.padding.is_some() {
            return None;
        }
        let rank = self.layout.rank();
        let orders = (0..rank).map(|inner| {
            // The fastest axis, then the others from the last to the first.
            std::iter::once(inner)
                .chain((0..rank).rev().filter(move |&axis| axis != inner))
                .collect::<Vec<_>>()
        });
        orders.flat_map(|order| [128, 64, 32, 16].map(|row| (row, order.clone()))).find_map(|(row, order)| {
            let panels = Self::panels(self.layout.extents(), &order, self.element_bytes, row).ok()?;
            (panels == *self).then_some((row, order[0]))
        })
    }
}

/// Memory accesses of a distributed layout: which registers move together, and where.
///
/// Group `g` is the registers `groups[g] ^ within[0]`, `groups[g] ^ within[1]`, …; in every lane they lie at
/// neighbouring offsets, the first at `offsets` of register `groups[g]`, a multiple of their number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// From places to offsets in elements; rank 1.
    pub offsets: Linear,
    /// Registers of a vector in memory order, relative to the first.
    pub within: Vec<u32>,
    /// The first register of each vector.
    pub groups: Vec<u32>,
}

impl Access {
    /// Vectors of at most `most` elements (a power of two) for given offsets. Registers need not be in memory order.
    pub fn new(offsets: Linear, most: u32) -> Self {
        let registers = Span::of(offsets.basis(Dim::Register).iter().map(|v| u64::from(v[0])));
        let outer = [Dim::Lane, Dim::Warp, Dim::Block].map(|dim| offsets.basis(dim));
        let others = outer.into_iter().flatten().fold(0, |mask, v| mask | v[0]);
        let mut within = vec![0u32];
        while (within.len() as u32) < most && others as usize & within.len() == 0 {
            let Some(register) = registers.solve(within.len() as u64) else { break };
            within.extend_from_within(..);
            let half = within.len() / 2;
            within[half..].iter_mut().for_each(|r| *r ^= register as u32);
        }
        let low = within.len() as u32 - 1;
        let starts = |&register: &u32| offsets.part(Dim::Register, register)[0] & low == 0;
        let groups = (0..offsets.registers()).filter(starts).collect();
        Self { offsets, within, groups }
    }

    /// Elements per access and lane.
    pub fn vector(&self) -> u32 {
        self.within.len() as u32
    }
}
