//! The chips: what a launch may ask for, and which instructions exist.

/// A row of the table of chips.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chip {
    /// `sm_90a`, `gfx942` and so on.
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
    /// What chips with waves in lockstep (AMD's) have beside; `None` for the others.
    pub waves: Option<Waves>,
}

/// Instructions of the chips whose lanes run in lockstep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waves {
    /// The matrix instructions.
    pub matrix: Matrices,
    /// Which fp8 formats the conversions and matrix instructions mean.
    pub fp8: Fp8Formats,
    /// Matrix operands in `xf32`.
    pub xf32: bool,
    /// Matrix instructions take subnormal f16 and bf16 operands as zeros, and give such results as zeros.
    pub flushes_halves: bool,
    /// Most bytes a lane that a direct copy to LDS moves; 0 where there is none.
    pub direct_bytes: u32,
    /// `s_waitcnt` has the fields of gfx9, else those of gfx11.
    pub old_counters: bool,
    /// DPP shifts across the whole wave and row broadcasts, else shared rows and `permlane16`.
    pub wide_dpp: bool,
    /// `permlane16_swap`, `permlane32_swap`, transposed reads of LDS, conversions with a scale.
    pub swaps: bool,
    /// Banks of LDS, 4 bytes each.
    pub banks: usize,
}

/// Families of matrix instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matrices {
    /// MFMA as of CDNA2.
    Cdna2,
    /// MFMA as of CDNA3: 8-bit operands with twice the depth.
    Cdna3,
    /// MFMA as of CDNA4: 16-bit operands with twice the depth, operands with scales.
    Cdna4,
    /// WMMA as of RDNA3.
    Rdna3,
}

/// Which encodings `fp8` and `bf8` name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fp8Formats {
    /// The chip has none.
    None,
    /// Finite, one zero, NaN at 0x80.
    Fnuz,
    /// Those of the Open Compute Project.
    Ocp,
}

/// CUDA C++ Programming Guide, table of technical specifications per compute capability; ISA guides of MI200, MI300, MI350
/// and RDNA3.
const CHIPS: [Chip; 9] = [
    plain("sm_80", 32, 163),
    plain("sm_86", 32, 99),
    Chip { fp8: true, ..plain("sm_89", 32, 99) },
    Chip { wgmma: true, ..with_clusters("sm_90a", 227) },
    with_clusters("sm_100a", 227),
    amd("gfx90a", 64, 64, CDNA2),
    amd(
        "gfx942",
        64,
        64,
        Waves { matrix: Matrices::Cdna3, fp8: Fp8Formats::Fnuz, xf32: true, flushes_halves: false, ..CDNA2 },
    ),
    amd(
        "gfx950",
        64,
        160,
        Waves {
            matrix: Matrices::Cdna4,
            fp8: Fp8Formats::Ocp,
            flushes_halves: false,
            direct_bytes: 16,
            swaps: true,
            banks: 64,
            ..CDNA2
        },
    ),
    amd(
        "gfx1100",
        32,
        64,
        Waves {
            matrix: Matrices::Rdna3,
            flushes_halves: false,
            direct_bytes: 0,
            old_counters: false,
            wide_dpp: false,
            ..CDNA2
        },
    ),
];

const CDNA2: Waves = Waves {
    matrix: Matrices::Cdna2,
    fp8: Fp8Formats::None,
    xf32: false,
    flushes_halves: true,
    direct_bytes: 4,
    old_counters: true,
    wide_dpp: true,
    swaps: false,
    banks: 32,
};

/// What all have: no more than `mma.sync` and `cp.async`, or what [`Waves`] adds.
const fn plain(name: &'static str, warp: u32, shared_kib: u64) -> Chip {
    Chip {
        name,
        warp,
        shared: shared_kib << 10,
        threads: 1024,
        cluster: 1,
        bulk: false,
        wgmma: false,
        fp8: false,
        waves: None,
    }
}

/// Those with TMA and clusters.
const fn with_clusters(name: &'static str, shared_kib: u64) -> Chip {
    Chip { cluster: 16, bulk: true, fp8: true, ..plain(name, 32, shared_kib) }
}

const fn amd(name: &'static str, warp: u32, shared_kib: u64, waves: Waves) -> Chip {
    Chip {
        warp,
        fp8: !matches!(waves.fp8, Fp8Formats::None),
        waves: Some(waves),
        ..plain(name, 32, shared_kib)
    }
}

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
