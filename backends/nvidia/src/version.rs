//! The lowest version of PTX that knows what a kernel uses: the older the text, the older the drivers that read it.
//!
//! ```text
//! sm_90a: 8.0 ─ mma of 8-bit floats: 8.4 ─ TMA into the block's own shared memory: 8.6
//! ```

use crate::chips::Chip;

/// Versions are major and minor.
type Version = (u8, u8);

/// The newest version that is written.
pub const NEWEST: Version = (8, 6);

/// The first version that knows a target. (PTX ISA, "PTX Module Directives: .target", target ISA notes.)
const TARGETS: &[(u32, Version)] = &[(80, (7, 0)), (86, (7, 1)), (89, (7, 8)), (90, (8, 0)), (100, (8, 6))];

/// What stands in the lowered module, the version of PTX that knows it, and where its manual says so.
const USES: &[(&str, Version, &str)] = &[
    (".shared.global [", (7, 5), "cp.async: operand ignore-src"),
    (".e4m3.", (8, 4), "mma: .e4m3 and .e5m2 on sm_89"),
    (".e5m2.", (8, 4), "mma: .e4m3 and .e5m2 on sm_89"),
    ("isCTAOnly", (8, 6), "cp.async.bulk.tensor: .shared::cta as destination"),
    ("mbarrier.try_wait", (7, 8), "mbarrier.try_wait"),
    ("cluster", (7, 8), "barrier.cluster, mapa, .shared::cluster"),
    ("nvvm.wgmma", (8, 0), "wgmma"),
    ("setmaxregister", (8, 0), "setmaxnreg"),
    ("fence.proxy", (8, 0), "fence.proxy.async"),
];

/// The lowest version for a lowered module.
pub fn lowest(chip: &Chip, module: &str) -> Version {
    let base = TARGETS.iter().find(|(c, _)| *c >= chip.capability).map_or(NEWEST, |(_, v)| *v);
    USES.iter().filter(|(what, ..)| module.contains(what)).map(|(_, v, _)| *v).fold(base, Version::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chips::find;

    #[test]
    fn a_version_follows_from_the_chip_and_from_what_is_used() {
        let of = |chip, text| lowest(find(chip).unwrap(), text);
        assert_eq!(of("sm_80", "nvvm.mma.sync"), (7, 0));
        assert_eq!(of("sm_80", "cp.async.cg.shared.global [$0], [$1], 16, $2;"), (7, 5));
        assert_eq!(of("sm_86", ""), (7, 1));
        assert_eq!(of("sm_89", ""), (7, 8));
        assert_eq!(of("sm_89", "llvm.nvvm.mma.m16n8k32.row.col.f32.e4m3.e4m3.f32"), (8, 4));
        assert_eq!(of("sm_90a", "nvvm.wgmma.commit.group"), (8, 0));
        assert_eq!(of("sm_90a", "{isCTAOnly = true}"), (8, 6));
        assert_eq!(of("sm_100a", ""), NEWEST);
    }
}
