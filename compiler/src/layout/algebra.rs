//! Composition, inverse and division.
//!
//! ```text
//!   place in A ──A──▶ element ◀──B── place in B          A.places_in(B): place in A ─▶ place in B
//!   A = T ⊕ Q  (T repeated in the cells of Q)            A.divide_left(T) = Q,  A.divide_right(Q) = T
//! ```

use super::error::LayoutError;
use super::linear::{Coord, Dim, Linear, Position};
use super::matrix::{Span, bits};

/// A linear map from places to places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Map {
    /// By `Dim as usize`: where each input bit goes, lowest first.
    bases: [Vec<Position>; 5],
}

impl Map {
    /// The map in which every place of a layout stays.
    pub fn identity(layout: &Linear) -> Self {
        let bases = Dim::ALL.map(|dim| {
            (0..layout.bits(dim)).map(|bit| Position::default().with(dim, 1 << bit)).collect::<Vec<_>>()
        });
        Self { bases }
    }

    /// A map from the images of each input's bits.
    pub fn new(image: impl FnMut(Dim) -> Vec<Position>) -> Self {
        Self { bases: Dim::ALL.map(image) }
    }

    /// Where the bits of an input go.
    pub fn basis(&self, dim: Dim) -> &[Position] {
        &self.bases[dim as usize]
    }

    /// Where a place goes.
    pub fn apply(&self, position: Position) -> Position {
        Dim::ALL.iter().fold(Position::default(), |acc, &dim| {
            let basis = self.basis(dim);
            bits(u64::from(position.get(dim)))
                .filter_map(|bit| basis.get(bit as usize))
                .fold(acc, |acc, &image| acc ^ image)
        })
    }

    /// This map after `first`.
    pub fn after(&self, first: &Map) -> Map {
        Map::new(|dim| first.basis(dim).iter().map(|&image| self.apply(image)).collect())
    }
}

/// Answers at which place an element lies.
#[derive(Clone, Debug)]
pub struct Inverse<'a> {
    layout: &'a Linear,
    span: Span,
}

impl Inverse<'_> {
    /// The place of an element with the lowest bits: registers are preferred to lanes, lanes to warps.
    pub fn at(&self, element: Coord) -> Option<Position> {
        self.span.solve(self.layout.pack(element)).map(|flat| self.layout.position(flat))
    }
}

impl Linear {
    /// The inverse on the image; among the places of one element, a linear choice.
    pub fn inverse(&self) -> Inverse<'_> {
        Inverse { layout: self, span: Span::of(self.matrix().columns) }
    }

    /// For every place of `self`, the place in `other` that holds the same element: the inverse of `other` after
    /// `self`. An error when `other` lacks an element, or the tiles differ.
    pub fn places_in(&self, other: &Linear) -> Result<Map, LayoutError> {
        if self.extents() != other.extents() {
            return Err(LayoutError::new(format!(
                "tiles {:?} and {:?} differ",
                self.extents(),
                other.extents()
            )));
        }
        let inverse = other.inverse();
        let mut bases: [Vec<Position>; 5] = Default::default();
        for dim in Dim::ALL {
            let places: Option<Vec<_>> = self.basis(dim).iter().map(|&vector| inverse.at(vector)).collect();
            let lacks = || LayoutError::new(format!("the layout {other} lacks elements of {self}"));
            bases[dim as usize] = places.ok_or_else(lacks)?;
        }
        Ok(Map { bases })
    }

    /// For every place of `self`, the offset in elements of its element in a buffer of layout `memory`: a layout of
    /// rank 1, so that [`Linear::index`] and the other questions apply to it.
    pub fn offsets_in(&self, memory: &Linear) -> Result<Linear, LayoutError> {
        let map = self.places_in(memory)?;
        let mut offsets = Linear::constant(&[memory.size(Dim::Offset)])?;
        for dim in Dim::ALL {
            for place in map.basis(dim) {
                offsets.push(dim, [place.offset, 0, 0])?;
            }
        }
        Ok(offsets)
    }

    /// The layout in which the place `p` holds what `map.apply(p)` held.
    pub fn after(&self, map: &Map) -> Linear {
        Dim::ALL.iter().fold(self.clone(), |layout, &dim| {
            layout.with_basis(dim, map.basis(dim).iter().map(|&image| self.apply(image)).collect())
        })
    }

    /// The `outer` of which `self == tile.product(&outer)?`, if there is one.
    pub fn divide_left(&self, tile: &Linear) -> Option<Linear> {
        if self.rank() != tile.rank() {
            return None;
        }
        let cells: Option<Vec<u32>> =
            self.extents().iter().zip(tile.extents()).map(|(a, b)| (a >= b).then(|| a / b)).collect();
        let mut outer = Linear::constant(&cells?).ok()?;
        for dim in Dim::ALL {
            let (inner, rest) = self.basis(dim).split_at_checked(tile.bits(dim) as usize)?;
            if inner != tile.basis(dim) {
                return None;
            }
            for &vector in rest {
                let mut scaled = vector;
                for (coordinate, extent) in scaled.iter_mut().zip(tile.extents()) {
                    if *coordinate % extent != 0 {
                        return None;
                    }
                    *coordinate /= extent;
                }
                outer.push(dim, scaled).ok()?;
            }
        }
        Some(outer)
    }

    /// The `tile` of which `self == tile.product(outer)?`, if there is one.
    pub fn divide_right(&self, outer: &Linear) -> Option<Linear> {
        if self.rank() != outer.rank() {
            return None;
        }
        let extents: Option<Vec<u32>> =
            self.extents().iter().zip(outer.extents()).map(|(a, b)| (a >= b).then(|| a / b)).collect();
        let mut tile = Linear::constant(&extents?).ok()?;
        for dim in Dim::ALL {
            let inner = self.bits(dim).checked_sub(outer.bits(dim))? as usize;
            for &vector in &self.basis(dim)[..inner] {
                tile.push(dim, vector).ok()?;
            }
        }
        (tile.product(outer).ok()? == *self).then_some(tile)
    }
}
