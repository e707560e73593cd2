//! Chips as rows: what a target's name stands for. Memories, limits and costs of each are a row of [`kcc_davinci::CHIPS`].

use kcc_davinci::Chip as Cores;

/// A chip that kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chip {
    /// Name after `ascend:`, and after `sim:ascend`.
    pub name: &'static str,
    /// Its row of the simulator.
    pub cores: &'static str,
    /// One line for `kcc targets`.
    pub summary: &'static str,
}

/// The chips known. A chip's groups are one cube core with two vector cores each; what the vendor calls 910C has two dies, and is two
/// devices to a program.
pub const CHIPS: [Chip; 4] = [
    Chip { name: "910b", cores: "ascend910b", summary: "arch 2201: 24 cube and 48 vector cores" },
    Chip { name: "910b4", cores: "ascend910b4", summary: "arch 2201: 20 cube and 40 vector cores" },
    Chip { name: "910c", cores: "ascend910c", summary: "arch 2201: a die with 24 cube and 48 vector cores" },
    Chip {
        name: "910c4",
        cores: "ascend910c4",
        summary: "arch 2201: a die with 20 cube and 40 vector cores",
    },
];

impl Chip {
    /// The chip of that name.
    pub fn find(name: &str) -> Option<&'static Chip> {
        static ROWS: [Chip; 4] = CHIPS;
        ROWS.iter().find(|c| c.name == name)
    }

    /// Its cores.
    pub fn cores(&self) -> Option<&'static Cores> {
        Cores::find(self.cores)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_chip_has_cores_and_a_simulator() {
        for chip in CHIPS {
            let cores = chip.cores().unwrap_or_else(|| panic!("{}: no cores", chip.name));
            assert_eq!(cores.name, format!("ascend{}", chip.name));
            assert!(chip.summary.contains(&format!("{} cube", cores.groups)), "{}", chip.name);
        }
        assert_eq!(CHIPS.len(), kcc_davinci::CHIPS.len());
    }
}
