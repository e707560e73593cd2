//! The GPUs that the backend knows, one per row.

use kcc_compiler::gpu::Facts;

/// One row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chip {
    /// Name after `nvidia:` and `sim:`; LLVM's and `ptxas`' name, too.
    pub name: &'static str,
    /// Compute capability, times ten.
    pub capability: u32,
    /// Shared memory of a block in KiB, at most.
    pub shared_kib: u32,
    /// Whether it has what only the architecture with an `a` has: `wgmma`, `setmaxnreg`.
    pub wide_mma: bool,
    /// For `kcc targets`.
    pub summary: &'static str,
}

/// Rows. CUDA C++ Programming Guide, "Technical Specifications per Compute Capability".
pub const CHIPS: &[Chip] = &[
    Chip {
        name: "sm_80",
        capability: 80,
        shared_kib: 163,
        wide_mma: false,
        summary: "A100: mma.sync, cp.async",
    },
    Chip {
        name: "sm_86",
        capability: 86,
        shared_kib: 99,
        wide_mma: false,
        summary: "A10, A40, RTX 30: mma.sync, cp.async",
    },
    Chip {
        name: "sm_89",
        capability: 89,
        shared_kib: 99,
        wide_mma: false,
        summary: "L4, L40, RTX 40: mma.sync with 8-bit floats, cp.async",
    },
    Chip {
        name: "sm_90a",
        capability: 90,
        shared_kib: 227,
        wide_mma: true,
        summary: "H100, H200: wgmma, TMA, clusters",
    },
    Chip {
        name: "sm_100a",
        capability: 100,
        shared_kib: 227,
        wide_mma: false,
        summary: "B200, through mma.sync and TMA",
    },
];

/// The row of that name.
pub fn find(name: &str) -> Option<&'static Chip> {
    CHIPS.iter().find(|c| c.name == name)
}

impl Chip {
    /// What the compiler asks for.
    pub fn facts(&self) -> Facts {
        Facts {
            arch: self.name.into(),
            lanes: 32,
            max_threads: 1024,
            shared_bytes: self.shared_kib * 1024,
            banks: 32,
            registers: 255,
            registers_per_sm: 65_536,
            async_copy: true,
            direct_copy: 0,
            bulk_copy: self.capability >= 90,
            twin_operands: false,
            pairs_f32: false,
            wide_mma: self.wide_mma,
            schedulers: 0,
            clusters: self.capability >= 90,
            max_access: 16,
            matrix_loads: true,
        }
    }
}
