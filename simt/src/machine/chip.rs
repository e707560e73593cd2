//! The chips: what a launch may ask for, and which instructions exist.

/// A row of the table of chips.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chip {
    /// `sm_90a` and so on.
    pub name: &'static str,
    /// Lanes of a warp.
    pub warp: u32,
    /// Most bytes of shared memory of a block.
    pub shared: u64,
    /// Most threads of a block.
    pub threads: u32,
    /// Most blocks of a cluster; 1 where there are none.
    pub cluster: u32,
    /// Tensor maps, `mbarrier` transactions, `cp.async.bulk`, `stmatrix`, `elect`.
    pub bulk: bool,
    /// `wgmma`.
    pub wgmma: bool,
    /// fp8 matrix operands and conversions.
    pub fp8: bool,
}

/// CUDA C++ Programming Guide, table of technical specifications per compute capability.
const CHIPS: [Chip; 4] = [
    Chip {
        name: "sm_80",
        warp: 32,
        shared: 163 << 10,
        threads: 1024,
        cluster: 1,
        bulk: false,
        wgmma: false,
        fp8: false,
    },
    Chip {
        name: "sm_89",
        warp: 32,
        shared: 99 << 10,
        threads: 1024,
        cluster: 1,
        bulk: false,
        wgmma: false,
        fp8: true,
    },
    Chip {
        name: "sm_90a",
        warp: 32,
        shared: 227 << 10,
        threads: 1024,
        cluster: 16,
        bulk: true,
        wgmma: true,
        fp8: true,
    },
    Chip {
        name: "sm_100a",
        warp: 32,
        shared: 227 << 10,
        threads: 1024,
        cluster: 16,
        bulk: true,
        wgmma: false,
        fp8: true,
    },
];

impl Chip {
    /// The chip of that name.
    pub fn find(name: &str) -> Option<&'static Chip> {
        CHIPS.iter().find(|chip| chip.name == name)
    }

    /// Every chip, oldest first.
    pub fn all() -> &'static [Chip] {
        &CHIPS
    }
}
