//! What the operations that change a tile's shape do to its layout. None of them moves data.

use super::build::unit;
use super::error::LayoutError;
use super::linear::{Coord, Dim, Linear};
use super::matrix::{Span, bits};

/// A layout without registers that repeat others of the same lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dense {
    /// The layout.
    pub layout: Linear,
    /// For each register of the old layout, the one that holds its element now.
    pub new_of_old: Vec<u32>,
    /// For each register now, one of the old ones that held its element.
    pub old_of_new: Vec<u32>,
}

impl Linear {
    /// Drops an axis: the layout of a reduction's result, where all places that differed along the axis hold the
    /// same element. Input bits stay; those that moved along the axis alone are free now ([`Linear::free`]).
    pub fn slice(&self, axis: usize) -> Result<Self, LayoutError> {
        self.check_axis(axis)?;
        let mut extents = self.extents().to_vec();
        extents.remove(axis);
        self.map_to(&extents, |vector| without(vector, axis))
    }

    /// Drops registers that hold what another register of the same lane holds.
    pub fn dense(&self) -> Dense {
        let old = self.basis(Dim::Register);
        let mut span = Span::default();
        let mut kept = Vec::new();
        let mut new_bit = Vec::new();
        for &vector in old {
            let packed = self.pack(vector);
            new_bit.push(match span.solve(packed) {
                Some(combination) => combination,
                None => {
                    let label = 1 << kept.len();
                    span.insert(packed, label);
                    kept.push(new_bit.len());
                    label
                }
            });
        }
        let fold =
            |word: u32, image: &dyn Fn(u32) -> u32| bits(u64::from(word)).fold(0, |acc, b| acc ^ image(b));
        Dense {
            layout: self.with_basis(Dim::Register, kept.iter().map(|&bit| old[bit]).collect()),
            new_of_old: (0..1 << old.len()).map(|r| fold(r, &|b| new_bit[b as usize] as u32)).collect(),
            old_of_new: (0..1 << kept.len()).map(|r| fold(r, &|b| 1 << kept[b as usize])).collect(),
        }
    }

    /// Inserts an axis of extent 1 before `axis` (which may be the rank).
    pub fn expand(&self, axis: usize) -> Result<Self, LayoutError> {
        if axis > self.rank() {
            return Err(LayoutError::new(format!(
                "no place {axis} for an axis in a tile of rank {}",
                self.rank()
            )));
        }
        let mut extents = self.extents().to_vec();
        extents.insert(axis, 1);
        self.map_to(&extents, |vector| with(vector, axis, 0))
    }

    /// New axis `i` is the old axis `permutation[i]`.
    pub fn transpose(&self, permutation: &[usize]) -> Result<Self, LayoutError> {
        let mut sorted = permutation.to_vec();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..self.rank()) {
            return Err(LayoutError::new(format!("{permutation:?} permutes no {} axes", self.rank())));
        }
        let extents: Vec<u32> = permutation.iter().map(|&axis| self.extents()[axis]).collect();
        self.map_to(&extents, |vector| {
            let mut moved = [0; 3];
            for (slot, &axis) in moved.iter_mut().zip(permutation) {
                *slot = vector[axis];
            }
            moved
        })
    }

    /// Other extents with as many elements: an element keeps its row-major number. Only for tiles whose own extents
    /// are powers of two; others change their numbers.
    pub fn reshape(&self, extents: &[u32]) -> Result<Self, LayoutError> {
        let target = Self::constant(extents)?;
        if target.tile_bits() != self.tile_bits() {
            return Err(LayoutError::new(format!("no reshape from {:?} to {extents:?}", self.extents())));
        }
        self.map_to(extents, |vector| target.unpack(self.pack(vector)))
    }

    /// Repeats a tile along an axis of extent 1 without moving data: further registers, the highest bits, number
    /// the copies.
    pub fn broadcast(&self, axis: usize, extent: u32) -> Result<Self, LayoutError> {
        self.check_axis(axis)?;
        if self.extents()[axis] != 1 {
            return Err(LayoutError::new(format!(
                "axis {axis} of {:?} has more than 1 element",
                self.extents()
            )));
        }
        let mut extents = self.extents().to_vec();
        extents[axis] = extent;
        let mut layout = self.map_to(&extents, |vector| vector)?;
        for bit in 0..extent.trailing_zeros() {
            layout.push(Dim::Register, unit(axis, 1 << bit))?;
        }
        Ok(layout)
    }

    /// The layout that the operand of a broadcast to `self` along `axis` needs so that no data moves: `axis` has
    /// extent 1, and register `r` of the result is register `new_of_old[r]` of the operand.
    pub fn broadcast_operand(&self, axis: usize) -> Result<Dense, LayoutError> {
        Ok(self.slice(axis)?.expand(axis)?.dense())
    }

    /// Two tiles of this layout side by side along a new last axis: register `2r + i` is register `r` of tile `i`.
    pub fn join(&self) -> Result<Self, LayoutError> {
        let axis = self.rank();
        let mut extents = self.extents().to_vec();
        extents.push(2);
        let joined = self.map_to(&extents, |vector| vector)?;
        let mut registers = vec![unit(axis.min(2), 1)];
        registers.extend_from_slice(joined.basis(Dim::Register));
        Ok(joined.with_basis(Dim::Register, registers))
    }

    /// The inverse of [`Linear::join`]: the layout of either half of a tile whose last axis has extent 2, and the
    /// register bit that tells the halves apart. `None` when the halves lie in different lanes or warps; convert
    /// first.
    pub fn split(&self) -> Option<(Self, u32)> {
        let axis = self.rank().checked_sub(1)?;
        if self.extents()[axis] != 2 {
            return None;
        }
        let registers = self.basis(Dim::Register);
        let bit = registers.iter().position(|&vector| vector == unit(axis, 1))?;
        let mut rest = registers.to_vec();
        rest.remove(bit);
        let half = self.with_basis(Dim::Register, rest);
        let crosses = Dim::ALL.iter().any(|&dim| half.basis(dim).iter().any(|vector| vector[axis] != 0));
        if crosses { None } else { Some((half.slice(axis).ok()?, bit as u32)) }
    }

    pub(super) fn check_axis(&self, axis: usize) -> Result<(), LayoutError> {
        match axis < self.rank() {
            true => Ok(()),
            false => Err(LayoutError::new(format!("a tile of rank {} has no axis {axis}", self.rank()))),
        }
    }
}

fn without(vector: Coord, axis: usize) -> Coord {
    let mut rest = vector.to_vec();
    rest.remove(axis);
    [rest[0], rest[1], 0]
}

fn with(vector: Coord, axis: usize, coordinate: u32) -> Coord {
    let mut all = vector.to_vec();
    all.insert(axis, coordinate);
    [all[0], all[1], all[2]]
}
