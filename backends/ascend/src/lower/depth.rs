//! How many turns the parts of a skewed loop are apart: as many as what lies between them takes.
//!
//! ```text
//! early product ─ out ─▶ in ─ vector cores ─ out ─▶ in ─ late product      `chain` cycles
//! ┆ products of other turns ┆ products of other turns ┆ …                  `turn` cycles each
//! ```
//! That is counted with the costs of the chip's row ([`kcc_davinci::Cost`]). Parts that are too near make one kind of core wait for the other; parts that are
//! too far apart cost slots in the workspace, and turns at both ends in which little is done.

use kcc_davinci::Chip;
use kcc_dsl::ir::{Elem, TileType};

/// Passes of the vector unit over early results until late operands are there, roughly.
const PASSES: u64 = 10;
/// Bytes of a pass's cycle.
const REPEAT: u64 = 256;
/// The least distance, and the greatest: flags count to 15.
const LIMITS: (u64, u64) = (2, 6);

/// Distances in turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Depth {
    /// Early products run ahead of late ones.
    pub ahead: usize,
    /// Tails are behind heads.
    pub behind: usize,
}

impl Default for Depth {
    fn default() -> Depth {
        Depth { ahead: LIMITS.0 as usize, behind: LIMITS.0 as usize }
    }
}

/// What a turn costs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Turn {
    /// Cycles of all its products.
    products: u64,
    /// Bytes of early results and of late operands.
    early: u64,
    late: u64,
}

impl Turn {
    /// A product, by its operands, and by its result if vector cores take it for late operands.
    pub fn product(&mut self, a: &TileType, b: &TileType, early: Option<&TileType>) {
        let up = |n: Option<&usize>, to: usize| n.map_or(1, |n| n.div_ceil(to)) as u64;
        let depth = match a.elem {
            Elem::F32 => 4,
            elem => 32 / elem.bytes(),
        };
        let (m, k) = (a.shape.iter().rev().nth(1), a.shape.last());
        self.products += up(m, 16) * up(b.shape.last(), 16) * up(k, depth);
        self.early += early.map_or(0, bytes);
    }

    /// An operand that vector cores make.
    pub fn operand(&mut self, t: &TileType) {
        self.late += bytes(t);
    }

    /// The distances that hide what lies between a turn's products.
    pub fn depth(self, chip: &Chip) -> Depth {
        let (c, cores) = (&chip.cost, u64::from(chip.vectors.max(1)));
        // Out of the cube core and in again whole, on the other side by each vector core's share.
        let moved = (self.early + self.late) * (cores + 1) / cores / c.port.max(1);
        let chain = 4 * c.copy_latency + moved + PASSES * (self.early / cores).div_ceil(REPEAT);
        // A turn more, since operands are waited for before the products of a turn.
        let turns = (1 + chain.div_ceil(self.products.max(1))).clamp(LIMITS.0, LIMITS.1) as usize;
        // Late results come a turn later than late operands, since those are copied first.
        Depth { ahead: turns, behind: turns + 1 }
    }
}

fn bytes(t: &TileType) -> u64 {
    (t.len() * t.elem.bytes()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tile(elem: Elem, shape: &[usize]) -> TileType {
        TileType { elem, shape: shape.to_vec() }
    }

    fn depth(m: usize, n: usize, scores: Elem) -> usize {
        let (q, k) = (tile(Elem::F16, &[m, 128]), tile(Elem::F16, &[128, n]));
        let (p, v) = (tile(Elem::F16, &[m, n]), tile(Elem::F16, &[n, 128]));
        let mut t = Turn::default();
        t.product(&q, &k, Some(&tile(scores, &[m, n])));
        t.product(&p, &v, None);
        t.operand(&p);
        t.depth(Chip::find("ascend910b").expect("a chip")).ahead
    }

    #[test]
    fn what_takes_less_time_is_further_apart() {
        // 2048 cycles of products, 5216 of what lies between them.
        assert_eq!(depth(128, 256, Elem::F16), 4);
        assert_eq!(depth(256, 512, Elem::F16), 3);
        assert_eq!(depth(64, 256, Elem::F32), 6);
        assert_eq!(depth(16, 16, Elem::F32), 6);
    }
}
