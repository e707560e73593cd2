//! The chips, as rows: where their machine code differs in meaning.

/// A chip whose code can be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chip {
    /// `gfx942` and so on.
    pub name: &'static str,
    /// Lanes of a wave.
    pub lanes: u32,
    /// Most bytes of LDS of a work group.
    pub lds: u32,
    /// 8-bit floats are those with one zero and one NaN, not OCP's.
    pub(crate) fnuz: bool,
    /// Registers of accumulators and of vectors are parts of one file, shared out by the kernel descriptor.
    pub(crate) accumulators: bool,
    /// A 16-bit result leaves the other half of its register alone.
    pub(crate) keeps_halves: bool,
    /// Stores are waited for by a counter of their own (`vscnt`).
    pub(crate) counts_stores: bool,
    /// `v_cmpx` writes only EXEC.
    pub(crate) lone_cmpx: bool,
    /// The machine number in the header's flags.
    pub(crate) machine: u32,
}

/// CDNA 2, 3 and 4, RDNA 3; numbers of `EF_AMDGPU_MACH` from LLVM's AMDGPU usage guide.
pub(crate) const CHIPS: [Chip; 4] = [
    Chip { lds: 65_536, fnuz: true, machine: 0x3f, ..cdna("gfx90a") },
    Chip { lds: 65_536, fnuz: true, machine: 0x4c, ..cdna("gfx942") },
    Chip { lds: 163_840, fnuz: false, machine: 0x4f, ..cdna("gfx950") },
    Chip {
        name: "gfx1100",
        lanes: 32,
        lds: 65_536,
        fnuz: false,
        accumulators: false,
        keeps_halves: true,
        counts_stores: true,
        lone_cmpx: true,
        machine: 0x41,
    },
];

const fn cdna(name: &'static str) -> Chip {
    Chip {
        name,
        lanes: 64,
        lds: 0,
        fnuz: false,
        accumulators: true,
        keeps_halves: false,
        counts_stores: false,
        lone_cmpx: false,
        machine: 0,
    }
}

impl Chip {
    /// The chip of that name.
    pub fn find(name: &str) -> Option<&'static Chip> {
        CHIPS.iter().find(|chip| chip.name == name)
    }

    /// All of them.
    pub fn all() -> &'static [Chip] {
        &CHIPS
    }
}
