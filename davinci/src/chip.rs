//! Chips as rows: memories, limits, and what the cost model charges.

use crate::ir::Space;

/// One chip.
#[derive(Clone, Debug, PartialEq)]
pub struct Chip {
    /// Name in targets: `ascend910b`.
    pub name: &'static str,
    /// Architecture of the cores in the vendor's words.
    pub arch: &'static str,
    /// Groups of one cube core and two vector cores.
    pub groups: u32,
    /// Vector cores of a group.
    pub vectors: u32,
    /// Bytes of the unified buffer that a kernel may use.
    pub ub: u32,
    /// Bytes of the first-level buffer that a kernel may use.
    pub l1: u32,
    /// Bytes of the left operand's memory.
    pub l0a: u32,
    /// Bytes of the right operand's memory.
    pub l0b: u32,
    /// Bytes of the accumulators.
    pub l0c: u32,
    /// Event numbers for each pair of pipes that a kernel may use: `0..events`.
    pub events: i64,
    /// Flags between cores: `0..flags`.
    pub flags: u8,
    /// Largest value of a flag between cores.
    pub flag_limit: u32,
    /// Costs.
    pub cost: Cost,
}

/// What the cost model charges. Sources: the clock, the width of the cube unit, of L1 → L0 and of the memory's bandwidth are
/// the vendor's figures; latencies are estimates, which is why a result is called simulated and never measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Cost {
    /// Cycles a second, in GHz.
    pub clock: f64,
    /// Bytes a second of global memory over all cores, in GB/s.
    pub memory: f64,
    /// Bytes a second of the second-level cache over all cores, in GB/s. An estimate: attention at the published rate, with its
    /// scores through the cache, needs 5800.
    pub cache: f64,
    /// Bytes a cycle that one core moves from or to the second-level cache. An estimate.
    pub port: u64,
    /// Cycles from a copy's start to its first byte.
    pub copy_latency: u64,
    /// Bytes a cycle from L1 to the left operand.
    pub l0a: u64,
    /// Bytes a cycle from L1 to the right operand.
    pub l0b: u64,
    /// Bytes a cycle out of the accumulators.
    pub fixpipe: u64,
    /// Cycles before a vector instruction's first repeat.
    pub vector_start: u64,
    /// Cycles of a scalar statement.
    pub scalar: u64,
    /// Cycles of a scalar load.
    pub scalar_load: u64,
    /// Cycles before a product's first fractal.
    pub product_start: u64,
}

const A2_COST: Cost = Cost {
    clock: 1.85,
    memory: 1600.0,
    cache: 7000.0,
    port: 128,
    copy_latency: 600,
    l0a: 256,
    l0b: 128,
    fixpipe: 128,
    vector_start: 16,
    scalar: 1,
    scalar_load: 40,
    product_start: 20,
};

/// A chip of arch 2201. The last 256 bytes of L1 are the system's, and of the unified buffer's 192 KB the last eight: the vendor's
/// library keeps scalars and masks there while a `Select` or a `Compare` runs.
const fn a2(name: &'static str, groups: u32) -> Chip {
    Chip {
        name,
        arch: "dav-2201",
        groups,
        vectors: 2,
        ub: 184 << 10,
        l1: (512 << 10) - 256,
        l0a: 64 << 10,
        l0b: 64 << 10,
        l0c: 128 << 10,
        events: 6,
        flags: 11,
        flag_limit: 15,
        cost: A2_COST,
    }
}

/// The chips known.
pub const CHIPS: [Chip; 4] =
    [a2("ascend910b", 24), a2("ascend910b4", 20), a2("ascend910c", 24), a2("ascend910c4", 20)];

impl Chip {
    /// The chip of that name.
    pub fn find(name: &str) -> Option<&'static Chip> {
        static ROWS: [Chip; 4] = CHIPS;
        ROWS.iter().find(|c| c.name == name)
    }

    /// Bytes of a memory that a kernel may use.
    pub fn capacity(&self, space: Space) -> u32 {
        match space {
            Space::Ub => self.ub,
            Space::L1 => self.l1,
            Space::L0a => self.l0a,
            Space::L0b => self.l0b,
            Space::L0c => self.l0c,
        }
    }

    /// Alignment of a buffer in a memory, in bytes.
    pub fn alignment(space: Space) -> u32 {
        match space {
            Space::Ub | Space::L1 => 32,
            Space::L0a | Space::L0b => 512,
            Space::L0c => 1024,
        }
    }
}
