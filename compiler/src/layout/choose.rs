//! Picks the layout of a shared buffer from the layouts that write and read it.
//!
//! The candidates are dense buffers in each order of the axes, panels with a row swizzle, and the XOR swizzles of
//! 4, 8 and 16-byte chunks; the count of cycles decides, and the simplest of equals wins. Padding is the last resort.

use super::banks::Banks;
use super::error::LayoutError;
use super::linear::Linear;
use super::shared::{Padding, Shared, Swizzle};

/// One way in which a buffer is written or read.
#[derive(Clone, Copy, Debug)]
pub struct Use<'a> {
    /// Which lane moves which element. For instructions that take one row address per lane, the layout in which each
    /// lane holds its row in registers.
    pub layout: &'a Linear,
    /// The widest access of one lane, in bytes.
    pub most_bytes: u32,
    /// How often the buffer is moved so, relative to its other uses.
    pub weight: u32,
}

/// What a buffer must be apart from cheap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Anything.
    Any,
    /// No gaps: the buffer is read as a whole by something else.
    Dense,
    /// Panels ([`Shared::panels`]) along the given axis: a bulk copy or a matrix unit touches it.
    Panels {
        /// The fastest axis.
        inner: usize,
    },
}

/// A buffer, and what its uses cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The buffer.
    pub shared: Shared,
    /// Cycles over all uses, by weight.
    pub cycles: u64,
}

/// The cheapest buffer for a tile of `extents` (rounded up to powers of two).
pub fn choose(
    extents: &[u32],
    element_bytes: u32,
    uses: &[Use],
    demand: Demand,
    banks: &Banks,
) -> Result<Choice, LayoutError> {
    let mut best: Option<Choice> = None;
    let mut consider = |shared: Shared| -> Result<bool, LayoutError> {
        let mut cycles = 0;
        let mut least = 0;
        for one in uses {
            let traffic = banks.traffic(&shared, one.layout, one.most_bytes)?;
            cycles += u64::from(traffic.cycles) * u64::from(one.weight.max(1));
            least += lower_bound(one, element_bytes, banks);
        }
        if best.as_ref().is_none_or(|found| cycles < found.cycles) {
            best = Some(Choice { shared, cycles });
        }
        Ok(cycles <= least)
    };
    for shared in candidates(extents, element_bytes, demand, banks)? {
        if consider(shared)? {
            break;
        }
    }
    best.ok_or_else(|| LayoutError::new(format!("no shared buffer for {extents:?} satisfies {demand:?}")))
}

/// Cycles that no buffer beats: every lane's bytes at the full width of the banks, at the widest access.
fn lower_bound(one: &Use, element_bytes: u32, banks: &Banks) -> u64 {
    let most = (one.most_bytes.min(banks.widest()) / element_bytes).max(1).min(one.layout.registers());
    let served = 1u32 << banks.together(most * element_bytes).len();
    let phases = (one.layout.lanes() / served).max(1) * (one.layout.registers() / most) * one.layout.warps();
    u64::from(phases) * u64::from(one.weight.max(1))
}

fn candidates(
    extents: &[u32],
    element_bytes: u32,
    demand: Demand,
    banks: &Banks,
) -> Result<Vec<Shared>, LayoutError> {
    let rank = extents.len();
    let orders = orders(rank, extents);
    let mut found = Vec::new();
    if let Demand::Panels { inner } = demand {
        let order: Vec<usize> =
            std::iter::once(inner).chain((0..rank).rev().filter(|&axis| axis != inner)).collect();
        // A tile with short rows has no wide panels.
        found.extend(
            [128, 64, 32, 16]
                .map(|row| Shared::panels(extents, &order, element_bytes, row))
                .into_iter()
                .flatten(),
        );
        return Ok(found);
    }
    for order in &orders {
        found.push(Shared::plain(extents, order, element_bytes)?);
    }
    for order in &orders {
        found.extend(
            [128, 64, 32].map(|row| Shared::panels(extents, order, element_bytes, row)).into_iter().flatten(),
        );
    }
    let line = (banks.count * banks.bytes).ilog2();
    for order in &orders {
        let plain = Shared::plain(extents, order, element_bytes)?;
        let row = order.first().map_or(1, |&axis| plain.layout().extents()[axis]) * element_bytes;
        let row = row.ilog2();
        for base in (banks.bytes.ilog2()..=banks.widest().ilog2()).rev() {
            for bits in 1..=line - base {
                let shift = row.max(line) - base;
                found.extend(plain.clone().with_swizzle(Swizzle { bits, base, shift: shift.max(bits) }));
            }
        }
    }
    if demand == Demand::Any {
        for order in &orders {
            let plain = Shared::plain(extents, order, element_bytes)?;
            let row = order.first().map_or(1, |&axis| plain.layout().extents()[axis]);
            for by in [banks.widest(), banks.bytes].map(|bytes| (bytes / element_bytes).max(1)) {
                found.push(Shared::padded(extents, order, element_bytes, Padding { every: row, by })?);
            }
        }
    }
    Ok(found)
}

/// Orders of the axes with each axis fastest once, the row-major one first; axes of extent 1 are not worth one.
fn orders(rank: usize, extents: &[u32]) -> Vec<Vec<usize>> {
    let with_inner = |inner: usize| -> Vec<usize> {
        std::iter::once(inner).chain((0..rank).rev().filter(|&axis| axis != inner)).collect()
    };
    let mut orders: Vec<Vec<usize>> =
        (0..rank).rev().filter(|&axis| extents[axis] > 1).map(with_inner).collect();
    if orders.is_empty() {
        orders.push((0..rank).rev().collect());
    }
    orders
}
