//! Writes a kernel as loops over scratch memory and views, following the plan.
//!
//! ```text
//! function   entry, arguments, order of programs
//! block      steps of a block in order          control   for, while, if
//! nest       loops over the elements of a shape  dot       register blocks
//! eval       one element (or vector of elements) of a tile
//! contract   products over a run-time K          tiles     the same on AMX
//! panel      their operand in lanes, packed      kept      packed for all launches
//! memory     views, addresses, masks             buffers   scratch memory
//! pairs      tiles that products alone read       reuse     packed blocks that later programs find again
//! unpaired   bf16 that few rows read               serial    operations done element by element (scans, histogram, …)
//! sort       sort, top_k
//! ```

mod atomic;
mod block;
mod buffers;
mod contract;
mod control;
mod dot;
mod eval;
mod function;
mod kept;
mod memory;
mod nest;
mod pack;
mod pairs;
mod panel;
mod reuse;
mod rowwise;
mod scalar;
mod serial;
mod sort;
mod stream;
mod tile_dots;
mod tiles;
mod unpaired;

pub use function::{Output, lower};

use crate::plan::Facts;
use crate::plan::contract::Contract;
use buffers::Buffer;
use kcc_compiler::emit::{Emit, Ix, V};
use kcc_dsl::exchange::Panel;
use kcc_dsl::ir::{LocId, Op, ValueId};
use memory::View;
use std::collections::HashMap;

/// Why a kernel cannot be lowered for this target.
#[derive(Clone, Debug)]
pub struct Unsupported {
    /// Where the author wrote it.
    pub loc: LocId,
    /// The fact.
    pub message: String,
    /// The remedy.
    pub help: String,
}

/// The lowering's result.
pub type Result<T> = std::result::Result<T, Unsupported>;

/// A coordinate along one axis: an index, or `lanes` consecutive indices that start there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Coord {
    /// First (or only) index.
    pub ix: Ix,
    /// Whether it stands for consecutive indices in vector lanes.
    pub lane: bool,
}

impl Coord {
    fn at(ix: impl Into<Ix>) -> Coord {
        Coord { ix: ix.into(), lane: false }
    }

    fn lanes(ix: impl Into<Ix>) -> Coord {
        Coord { ix: ix.into(), lane: true }
    }
}

/// A distance in memory, in elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stride {
    /// Known.
    Known(i64),
    /// Known at launch.
    Value(V),
}

type Point = Vec<Coord>;

struct Lower<'k> {
    e: Emit,
    isa: crate::isa::Isa,
    f: &'k Facts<'k>,
    lanes: &'k [u8],
    scalars: HashMap<ValueId, V>,
    views: HashMap<ValueId, View>,
    buffers: HashMap<ValueId, Buffer>,
    /// Scratch memory of a carried tile in which its next value is computed in place.
    shared: HashMap<ValueId, Buffer>,
    /// Operands that were made ready before a loop: how they take part, and their axis along M or N.
    prepared: HashMap<(ValueId, dot::Role, usize), dot::Source>,
    /// Elements already computed, per scope.
    memo: Vec<HashMap<(ValueId, Point), V>>,
    /// Whether operations state their place in the author's source.
    lines: bool,
    /// Packed panels that programs may find again.
    panels: u64,
    /// Blocks that programs may find again, and the scratch memory of their tags.
    reused: HashMap<reuse::Form, reuse::Blocks>,
    cleared: Vec<(i64, i64)>,
    /// Panels of memory that never changes, in the order of their slots behind the parameters'.
    kept: Vec<Panel>,
    /// The contractions of this block in their order, and the panel behind that of the first.
    products: Vec<Contract<'k>>,
    behind_first: Option<V>,
    /// The arguments, and how many of their slots are the parameters'.
    argv: V,
    parameter_slots: i64,
    /// Whether matrix tiles have their size all the time.
    tiles_ready: bool,
    scratch: V,
    scratch_bytes: i64,
    /// Whether loads and stores must check bounds.
    masked: bool,
    /// Whether whole vectors are stored past the caches.
    streaming: bool,
    /// The grid axis along which programs follow each other.
    fastest: usize,
    /// The fastest grid axis that a packed panel depends on: where the next panel is.
    panel_axis: Option<usize>,
    /// Loads whose next program's data this nest asks for.
    ahead: std::collections::HashSet<ValueId>,
    /// A load whose next data, this far on, its copy asks for, in every so many rows.
    ahead_by: Option<(ValueId, V, i64)>,
    /// Loads may not be written further out than this scope.
    floor: u16,
    assertions: Vec<(String, LocId)>,
    prints: Vec<(String, Vec<kcc_dsl::ir::TileType>)>,
}

impl Lower<'_> {
    /// From now on, what is written comes from this operation.
    fn says(&mut self, op: &Op) {
        if self.lines {
            self.e.set_place(Some(self.f.kernel.loc(op.loc)));
        }
    }

    fn w(&self) -> usize {
        self.isa.lanes
    }

    /// Vectors that an iteration of an element-wise loop handles. Code with bounds checks runs rarely and is long: there
    /// one is enough, and takes less time to compile.
    fn vectors_at_once(&self) -> usize {
        if self.masked { 1 } else { 4 }
    }

    /// A coordinate as i64 lanes: consecutive indices, or one index in every lane.
    fn ix_lanes(&mut self, c: Coord, lanes: usize) -> V {
        let v = self.e.ix(c.ix);
        if !c.lane || v.ty.is_vector() {
            return self.e.splat(v, lanes);
        }
        let iota = self.e.iota(kcc_compiler::emit::K::I64, lanes);
        self.e.op2("arith.addi", v, iota)
    }

    /// Forgets what was computed in scopes that are closed.
    fn settle(&mut self) {
        self.memo.truncate(self.e.level() as usize + 1);
    }

    fn remember(&mut self, v: ValueId, pt: &[Coord], x: V) {
        let level = x.level as usize;
        if self.memo.len() <= level {
            self.memo.resize_with(level + 1, HashMap::new);
        }
        self.memo[level].insert((v, pt.to_vec()), x);
    }

    fn recall(&self, v: ValueId, pt: &[Coord]) -> Option<V> {
        let key = (v, pt.to_vec());
        self.memo.iter().rev().find_map(|m| m.get(&key).copied())
    }
}
