//! Types of values at the GPU level.

use crate::layout::Linear;
use kcc_dsl::ir::{Elem, TileType};
use std::fmt;
use std::sync::Arc;

/// A layout, shared by the values that have it.
pub type Layout = Arc<Linear>;

/// A ring of buffers in shared memory; a single buffer is a ring of one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SharedType {
    /// Element type, in its memory form.
    pub elem: Elem,
    /// Extents of one buffer.
    pub shape: Vec<usize>,
    /// Buffers of the ring, one after another.
    pub stages: u32,
    /// Which element lies at which offset of a buffer (offsets count elements): powers of two, XOR-swizzled or not.
    pub layout: Layout,
}

impl SharedType {
    /// Bytes of one buffer of the ring.
    pub fn buffer_bytes(&self) -> u32 {
        self.layout.elements() * self.elem.bytes() as u32
    }

    /// Bytes of the ring.
    pub fn bytes(&self) -> u32 {
        self.buffer_bytes() * self.stages
    }

    /// The type of one buffer of this ring.
    pub fn slot(&self) -> SharedType {
        SharedType { stages: 1, ..self.clone() }
    }
}

/// The type of a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// A tile, spread over the threads of the block; each thread holds what its layout says. Extents that are no powers of two
    /// are padded to the next one; what lies in the padding is unspecified. A tile of rank 0 has no layout: each
    /// thread holds it, and all hold the same (it is uniform). Before `assign_layouts` no tile has a layout.
    Tile {
        /// Element type and shape.
        tile: TileType,
        /// Who holds what.
        layout: Option<Layout>,
    },
    /// A window on global memory.
    View {
        /// Element type in memory.
        elem: Elem,
        /// Number of axes.
        rank: usize,
    },
    /// Buffers in shared memory.
    Shared(SharedType),
    /// Barriers in shared memory that count arrivals and bytes.
    Barriers {
        /// How many.
        count: u32,
    },
}

impl Type {
    /// A tile without layout: a scalar, or any tile before layouts are assigned.
    pub fn bare(tile: TileType) -> Type {
        Type::Tile { tile, layout: None }
    }

    /// A uniform scalar.
    pub fn scalar(elem: Elem) -> Type {
        Type::bare(TileType::scalar(elem))
    }

    /// A tile with a layout.
    pub fn laid_out(tile: TileType, layout: Layout) -> Type {
        Type::Tile { tile, layout: Some(layout) }
    }

    /// The tile type, if it is a tile.
    pub fn tile(&self) -> Option<&TileType> {
        match self {
            Type::Tile { tile, .. } => Some(tile),
            _ => None,
        }
    }

    /// The tile's layout, if it has one.
    pub fn layout(&self) -> Option<&Layout> {
        match self {
            Type::Tile { layout, .. } => layout.as_ref(),
            _ => None,
        }
    }

    /// The shared buffers, if it is some.
    pub fn shared(&self) -> Option<&SharedType> {
        match self {
            Type::Shared(s) => Some(s),
            _ => None,
        }
    }

    /// Element type of a tile, view or shared buffer.
    pub fn elem(&self) -> Option<Elem> {
        match self {
            Type::Tile { tile, .. } => Some(tile.elem),
            Type::View { elem, .. } => Some(*elem),
            Type::Shared(s) => Some(s.elem),
            Type::Barriers { .. } => None,
        }
    }

    /// Registers of a thread that hold it: one per register of its layout, 1 for a scalar, 0 for what is no tile.
    pub fn registers(&self) -> usize {
        match self {
            Type::Tile { layout: Some(l), .. } => l.registers() as usize,
            Type::Tile { layout: None, .. } => 1,
            _ => 0,
        }
    }

    /// The type as the tile IR knows it, for tiles and views.
    pub fn plain(&self) -> Option<kcc_dsl::ir::Type> {
        match self {
            Type::Tile { tile, .. } => Some(kcc_dsl::ir::Type::Tile(tile.clone())),
            Type::View { elem, rank } => Some(kcc_dsl::ir::Type::View { elem: *elem, rank: *rank }),
            _ => None,
        }
    }
}

impl From<&kcc_dsl::ir::Type> for Type {
    fn from(t: &kcc_dsl::ir::Type) -> Type {
        match t {
            kcc_dsl::ir::Type::Tile(tile) => Type::bare(tile.clone()),
            kcc_dsl::ir::Type::View { elem, rank } => Type::View { elem: *elem, rank: *rank },
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Tile { tile, layout: None } => write!(f, "{tile}"),
            Type::Tile { tile, layout: Some(l) } => write!(f, "{tile} in {l}"),
            Type::View { elem, rank } => write!(f, "view<{elem}, {rank}>"),
            Type::Shared(s) => {
                write!(f, "shared {} × {} in {}", s.stages, TileType::new(s.elem, &s.shape), s.layout)
            }
            Type::Barriers { count } => write!(f, "{count} barriers"),
        }
    }
}
