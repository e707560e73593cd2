//! The layout type: where each input bit moves in the tile.

use super::error::LayoutError;
use super::matrix::{Matrix, Span, bits};
use std::ops::BitXor;

/// Coordinates of an element, axis 0 first; axes past the rank are 0.
pub type Coord = [u32; 3];

/// What a layout's inputs number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dim {
    /// Registers of one lane, one element each.
    Register,
    /// Lanes of one warp.
    Lane,
    /// Warps of one block.
    Warp,
    /// Blocks of one cluster.
    Block,
    /// Elements of a shared buffer, in memory order. Used by layouts of memory, which have no other inputs.
    Offset,
}

impl Dim {
    /// All of them, in the order that bits are flattened in.
    pub const ALL: [Dim; 5] = [Dim::Register, Dim::Lane, Dim::Warp, Dim::Block, Dim::Offset];
}

/// One value of each input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// Register of a lane.
    pub register: u32,
    /// Lane of a warp.
    pub lane: u32,
    /// Warp of a block.
    pub warp: u32,
    /// Block of a cluster.
    pub block: u32,
    /// Element of a shared buffer.
    pub offset: u32,
}

impl Position {
    /// A place in one block.
    pub fn new(register: u32, lane: u32, warp: u32) -> Self {
        Self { register, lane, warp, ..Self::default() }
    }

    /// An element of a buffer.
    pub fn offset(offset: u32) -> Self {
        Self { offset, ..Self::default() }
    }

    /// The value of one input.
    pub fn get(&self, dim: Dim) -> u32 {
        match dim {
            Dim::Register => self.register,
            Dim::Lane => self.lane,
            Dim::Warp => self.warp,
            Dim::Block => self.block,
            Dim::Offset => self.offset,
        }
    }

    /// The same with one input changed.
    pub fn with(mut self, dim: Dim, value: u32) -> Self {
        *match dim {
            Dim::Register => &mut self.register,
            Dim::Lane => &mut self.lane,
            Dim::Warp => &mut self.warp,
            Dim::Block => &mut self.block,
            Dim::Offset => &mut self.offset,
        } = value;
        self
    }
}

impl BitXor for Position {
    type Output = Self;
    fn bitxor(self, other: Self) -> Self {
        Dim::ALL.iter().fold(self, |p, &dim| p.with(dim, self.get(dim) ^ other.get(dim)))
    }
}

/// A linear map over F2 from register, lane, warp and block numbers (or from offsets in a shared buffer) to the
/// coordinates of a tile.
///
/// `layout.at(r, l, w)` is the XOR of the basis vectors of the set bits of `r`, `l` and `w`. A zero basis vector is
/// replication: both values of that bit hold the same element. Equality is equality of maps, bit for bit.
///
/// ```
/// use kcc_compiler::layout::Linear;
/// let layout: Linear = "reg=[0,1;1,0] lane=[0,2;0,4] shape=2x8".parse()?;
/// assert_eq!(layout.at(0b10, 3, 0), [1, 6, 0]); // register 2 of lane 3: row 1, column 6
/// assert_eq!(layout.to_string(), "reg=[0,1;1,0] lane=[0,2;0,4] shape=2x8");
/// # Ok::<(), kcc_compiler::layout::LayoutError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Linear {
    rank: usize,
    /// Powers of two; 1 past the rank.
    extents: Coord,
    /// By `Dim as usize`: the move of each bit, lowest bit first.
    bases: [Vec<Coord>; 5],
}

/// The largest extent of an axis, and the largest number of values of an input.
pub const MAX_EXTENT: u32 = 1 << 24;

impl Linear {
    /// A layout of a tile with the given extents (each a power of two, at most three of them) from its basis
    /// vectors, lowest bit first; an input that is not named has one value.
    pub fn new<'a>(
        extents: &[u32],
        bases: impl IntoIterator<Item = (Dim, &'a [Coord])>,
    ) -> Result<Self, LayoutError> {
        let mut layout = Self::constant(extents)?;
        for (dim, vectors) in bases {
            for &vector in vectors {
                layout.push(dim, vector)?;
            }
        }
        Ok(layout)
    }

    /// The layout without inputs.
    pub(super) fn constant(extents: &[u32]) -> Result<Self, LayoutError> {
        if extents.len() > 3 {
            return Err(LayoutError::new(format!("a tile has at most 3 axes, not {}", extents.len())));
        }
        let mut all = [1; 3];
        for (slot, &extent) in all.iter_mut().zip(extents) {
            if !extent.is_power_of_two() || extent > MAX_EXTENT {
                let limit = format!("the extent {extent} of a layout is no power of two up to 2^24");
                return Err(LayoutError::new(limit));
            }
            *slot = extent;
        }
        Ok(Self { rank: extents.len(), extents: all, bases: Default::default() })
    }

    /// Appends the next bit of an input.
    pub(super) fn push(&mut self, dim: Dim, vector: Coord) -> Result<(), LayoutError> {
        if (0..3).any(|axis| vector[axis] >= self.extents[axis]) {
            return Err(LayoutError::new(format!("the basis vector {vector:?} leaves the tile {self}")));
        }
        if self.bits(dim) >= 24 {
            return Err(LayoutError::new("an input of a layout has at most 24 bits"));
        }
        self.bases[dim as usize].push(vector);
        Ok(())
    }

    /// Number of axes of the tile.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// Extents of the tile, each a power of two.
    pub fn extents(&self) -> &[u32] {
        &self.extents[..self.rank]
    }

    /// The moves of an input's bits, lowest bit first.
    pub fn basis(&self, dim: Dim) -> &[Coord] {
        &self.bases[dim as usize]
    }

    /// Number of bits of an input.
    pub fn bits(&self, dim: Dim) -> u32 {
        self.bases[dim as usize].len() as u32
    }

    /// Number of values of an input, 1 when the layout does not use it.
    pub fn size(&self, dim: Dim) -> u32 {
        1 << self.bits(dim)
    }

    /// Registers of each lane: elements per thread, replicated ones included.
    pub fn registers(&self) -> u32 {
        self.size(Dim::Register)
    }

    /// Lanes of each warp.
    pub fn lanes(&self) -> u32 {
        self.size(Dim::Lane)
    }

    /// Warps of each block.
    pub fn warps(&self) -> u32 {
        self.size(Dim::Warp)
    }

    /// Elements of the tile.
    pub fn elements(&self) -> u32 {
        1 << self.tile_bits()
    }

    /// The element at a place of the block.
    pub fn at(&self, register: u32, lane: u32, warp: u32) -> Coord {
        self.apply(Position::new(register, lane, warp))
    }

    /// The element at a place.
    pub fn apply(&self, position: Position) -> Coord {
        Dim::ALL.iter().fold([0; 3], |acc, &dim| xor(acc, self.part(dim, position.get(dim))))
    }

    /// What one input adds (by XOR) to the coordinates.
    pub fn part(&self, dim: Dim, value: u32) -> Coord {
        let basis = self.basis(dim);
        bits(u64::from(value)).filter_map(|bit| basis.get(bit as usize)).fold([0; 3], |acc, &v| xor(acc, v))
    }

    /// All places, registers fastest, then lanes, warps, blocks, offsets.
    pub fn positions(&self) -> impl Iterator<Item = Position> + use<> {
        let counts = Dim::ALL.map(|dim| self.bits(dim));
        (0..1u64 << counts.iter().sum::<u32>()).map(move |flat| {
            let mut rest = flat;
            Dim::ALL.iter().zip(counts).fold(Position::default(), |position, (&dim, count)| {
                let value = rest & ((1 << count) - 1);
                rest >>= count;
                position.with(dim, value as u32)
            })
        })
    }

    /// Bits of an input that move nowhere: both values of such a bit hold the same elements.
    pub fn free(&self, dim: Dim) -> u32 {
        self.basis(dim).iter().enumerate().fold(0, |mask, (bit, v)| mask | u32::from(*v == [0; 3]) << bit)
    }

    /// Bits of an input that may be held at 0 without losing an element. Over the places where all redundant bits of
    /// all inputs are 0, each element occurs exactly once: a store needs only those places. The free bits are among
    /// them; lanes are kept before warps, then registers, then blocks.
    pub fn redundant(&self, dim: Dim) -> u32 {
        let mut span = Span::default();
        for input in [Dim::Lane, Dim::Warp, Dim::Register, Dim::Block, Dim::Offset] {
            let mut mask = 0;
            for (bit, &vector) in self.basis(input).iter().enumerate() {
                mask |= u32::from(!span.insert(self.pack(vector), 0)) << bit;
            }
            if input == dim {
                return mask;
            }
        }
        0
    }

    /// Whether every element of the tile has a place.
    pub fn is_surjective(&self) -> bool {
        self.matrix().rank() == self.tile_bits()
    }

    /// Whether no element has two places.
    pub fn is_injective(&self) -> bool {
        self.matrix().kernel().is_empty()
    }

    /// Bits that number the tile's elements.
    pub(super) fn tile_bits(&self) -> u32 {
        self.extents.iter().map(|extent| extent.trailing_zeros()).sum()
    }

    /// Coordinates as one row-major number.
    pub(super) fn pack(&self, coord: Coord) -> u64 {
        (0..3).fold(0, |flat, axis| flat << self.extents[axis].trailing_zeros() | u64::from(coord[axis]))
    }

    /// A row-major number as coordinates.
    pub(super) fn unpack(&self, mut flat: u64) -> Coord {
        let mut coord = [0; 3];
        for axis in (0..3).rev() {
            coord[axis] = (flat & u64::from(self.extents[axis] - 1)) as u32;
            flat >>= self.extents[axis].trailing_zeros();
        }
        coord
    }

    /// The map from flattened inputs (in the order of [`Dim::ALL`], low bits first) to row-major element numbers.
    pub fn matrix(&self) -> Matrix {
        let columns = self.bases.iter().flatten().map(|&vector| self.pack(vector)).collect();
        Matrix { columns, rows: self.tile_bits() }
    }

    /// Flattened input bits as a place.
    pub(super) fn position(&self, mut flat: u64) -> Position {
        Dim::ALL.iter().fold(Position::default(), |position, &dim| {
            let value = flat & u64::from(self.size(dim) - 1);
            flat >>= self.bits(dim);
            position.with(dim, value as u32)
        })
    }

    /// The same inputs into other coordinates: `new` gives each basis vector's image.
    pub(super) fn map_to(
        &self,
        extents: &[u32],
        mut new: impl FnMut(Coord) -> Coord,
    ) -> Result<Self, LayoutError> {
        let mut layout = Self::constant(extents)?;
        for dim in Dim::ALL {
            for &vector in self.basis(dim) {
                layout.push(dim, new(vector))?;
            }
        }
        Ok(layout)
    }

    /// The same with one input's bits replaced.
    pub(super) fn with_basis(&self, dim: Dim, basis: Vec<Coord>) -> Self {
        let mut layout = self.clone();
        layout.bases[dim as usize] = basis;
        layout
    }
}

/// The sum of two moves.
pub fn xor(a: Coord, b: Coord) -> Coord {
    [a[0] ^ b[0], a[1] ^ b[1], a[2] ^ b[2]]
}
