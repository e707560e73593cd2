//! A conversion's trip through shared memory, by an order of the buffer in which neither side collides.
//!
//! The tile's bits are handed out to the bits of a buffer's address, from the lowest:
//!
//! ```text
//!   vector       elements that both sides hold in registers of one lane: one access moves them
//!   bank         so many bits that a line of all banks is full
//!   segment      lines; two lanes collide when they differ in the segment and agree in the bank
//!   repetition   bits that no lane and no warp decides: as many runs with a buffer that much smaller
//! ```
//!
//! Let P and Q be what the lanes served together reach, vectors included, on storing and on loading. Lanes collide if
//! some difference of them is a segment: so segments must meet neither P nor Q. A complement of P+Q does that; where
//! that is too small, sums p+q of a part of P outside of Q with one of Q outside of P do. P and Q of equal size
//! leave room enough, hence no collisions at all where both sides use full lines.

use super::{Abilities, packed};
use crate::layout::banks::Banks;
use crate::layout::error::LayoutError;
use crate::layout::linear::{Coord, Dim, Linear};
use crate::layout::matrix::{Span, bits};
use crate::layout::shared::Access;

/// The accesses of one run through the buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repetition {
    /// Groups of [`Staging::store`] that are stored.
    pub stores: Vec<u32>,
    /// Groups of [`Staging::load`] that are loaded.
    pub loads: Vec<u32>,
}

/// Stores to a buffer and loads from it. Each repetition stores, waits for the others, and loads; between two
/// repetitions there is a barrier, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staging {
    /// How registers of the source layout are stored.
    pub store: Access,
    /// How registers of the target layout are loaded.
    pub load: Access,
    /// The runs.
    pub repetitions: Vec<Repetition>,
    /// Size of the buffer in elements.
    pub elements: u32,
    /// Bytes of an element.
    pub element_bytes: u32,
    /// Lanes with one of these bits hold copies and do not store.
    pub idle_lanes: u32,
    /// Warps with one of these bits hold copies and do not store.
    pub idle_warps: u32,
    /// No warp reads what another stored: barriers of the warp suffice.
    pub within_warps: bool,
}

impl Staging {
    /// Size of the buffer.
    pub fn bytes(&self) -> u32 {
        self.elements * self.element_bytes
    }

    /// Barriers inside: one per repetition and one between any two.
    pub fn barriers(&self) -> u32 {
        2 * self.repetitions.len() as u32 - 1
    }

    /// `to` has no redundant registers.
    pub(super) fn new(
        from: &Linear,
        to: &Linear,
        element_bytes: u32,
        abilities: &Abilities,
    ) -> Result<Self, LayoutError> {
        if !element_bytes.is_power_of_two() || element_bytes > 16 {
            return Err(LayoutError::new(format!("no conversion of elements of {element_bytes} bytes")));
        }
        let owners = Owners::new(from);
        let sides = Sides::new(&owners.layout, to);
        let banks = &abilities.banks;
        let widest = (banks.widest() / element_bytes).max(1).ilog2() as usize;
        let common = Span::of(sides.from_registers.iter().copied())
            .intersection(&Span::of(sides.to_registers.iter().copied()));
        let mut best: Option<((u32, u32), Self)> = None;
        let mut failure = LayoutError::new("no order of a conversion's buffer");
        // Vectors of both sides, then those that only one side has: wide accesses there may outweigh collisions on
        // the other side, so every length is tried.
        for extra in [&sides.from_registers, &sides.to_registers] {
            let mut vector = common.clone();
            let mut span = Span::of(vector.iter().copied());
            vector.extend(span.extend_by(extra.iter().copied()));
            for length in 0..=vector.len().min(widest) {
                let order = match order(&sides, &vector[..length], element_bytes, abilities) {
                    Ok(order) => order,
                    Err(error) => {
                        failure = error;
                        continue;
                    }
                };
                let staging = Self::of_order(from, to, &owners, &order, element_bytes)?;
                let cost = staging.cost(banks);
                if best.as_ref().is_none_or(|(least, _)| cost < *least) {
                    best = Some((cost, staging));
                }
            }
        }
        best.map(|(_, staging)| staging).ok_or(failure)
    }

    fn of_order(
        from: &Linear,
        to: &Linear,
        owners: &Owners,
        order: &Order,
        element_bytes: u32,
    ) -> Result<Self, LayoutError> {
        let address = Span::of(order.address.iter().copied());
        let elements = 1u32 << (order.address.len() - order.repeated);
        // Offsets over all repetitions; their top bits are the number of the repetition.
        let offsets = |layout: &Linear| -> Result<Linear, LayoutError> {
            let total = [elements << order.repeated];
            let missing = || LayoutError::new(format!("a conversion's buffer lacks elements of {layout}"));
            let mut complete = true;
            let offsets = layout.map_to(&total, |vector| {
                let offset = address.solve(layout.pack(vector));
                complete &= offset.is_some();
                [offset.unwrap_or(0) as u32, 0, 0]
            })?;
            if complete { Ok(offsets) } else { Err(missing()) }
        };
        let most = 1 << order.vector;
        // Blocks hold tiles of their own, each in its own buffer.
        let unblocked = |layout: &Linear| layout.with_basis(Dim::Block, Vec::new());
        let (owned, loaded) = (offsets(&unblocked(&owners.layout))?, offsets(&unblocked(to))?);
        let mut store = Access::new(owned, most);
        store
            .within
            .iter_mut()
            .chain(&mut store.groups)
            .for_each(|register| *register = owners.spread(*register));
        store.offsets = offsets(&unblocked(from))?;
        let mut load = Access::new(loaded, most);
        let part =
            |access: &Access, register: u32| access.offsets.part(Dim::Register, register)[0] / elements;
        let repetitions = (0..1 << order.repeated)
            .map(|number| {
                let groups = |access: &Access| {
                    access.groups.iter().copied().filter(|&g| part(access, g) == number).collect::<Vec<_>>()
                };
                Repetition { stores: groups(&store), loads: groups(&load) }
            })
            .collect();
        for access in [&mut store, &mut load] {
            access.offsets =
                access.offsets.map_to(&[elements], |[offset, ..]| [offset & (elements - 1), 0, 0])?;
        }
        let within_warps = super::sources(&owners.layout, to).is_some() && owners.idle_warps == 0;
        let (idle_lanes, idle_warps) = (owners.idle_lanes, owners.idle_warps);
        Ok(Self { store, load, repetitions, elements, element_bytes, idle_lanes, idle_warps, within_warps })
    }

    /// Cycles of all accesses of one block, then the number of accesses.
    fn cost(&self, banks: &Banks) -> (u32, u32) {
        let [store, load] =
            [&self.store, &self.load].map(|access| banks.count_linear(self.element_bytes, access));
        (store.cycles + load.cycles, store.accesses + load.accesses)
    }
}

/// The source layout without copies.
struct Owners {
    /// Redundant register bits are dropped, redundant lane and warp bits move nowhere.
    layout: Linear,
    /// The register bits that are left.
    kept: Vec<u32>,
    idle_lanes: u32,
    idle_warps: u32,
}

impl Owners {
    fn new(from: &Linear) -> Self {
        let redundant = from.redundant(Dim::Register);
        let kept: Vec<u32> = (0..from.bits(Dim::Register)).filter(|bit| redundant >> bit & 1 == 0).collect();
        let registers = kept.iter().map(|&bit| from.basis(Dim::Register)[bit as usize]).collect();
        let still = |dim: Dim, mask: u32| -> Vec<Coord> {
            let bits = from.basis(dim).iter().zip(0..);
            bits.map(|(&vector, bit)| if mask >> bit & 1 == 1 { [0; 3] } else { vector }).collect()
        };
        let (idle_lanes, idle_warps) = (from.redundant(Dim::Lane), from.redundant(Dim::Warp));
        let layout = from
            .with_basis(Dim::Register, registers)
            .with_basis(Dim::Lane, still(Dim::Lane, idle_lanes))
            .with_basis(Dim::Warp, still(Dim::Warp, idle_warps));
        Self { layout, kept, idle_lanes, idle_warps }
    }

    /// A register of the layout without copies as one of the source.
    fn spread(&self, register: u32) -> u32 {
        bits(u64::from(register)).fold(0, |acc, bit| acc | 1 << self.kept[bit as usize])
    }
}

/// Both ends of a conversion as vectors of tile bits.
struct Sides {
    from: Linear,
    to: Linear,
    from_registers: Vec<u64>,
    to_registers: Vec<u64>,
    /// What lanes and warps of either side decide.
    threads: Vec<u64>,
}

impl Sides {
    fn new(from: &Linear, to: &Linear) -> Self {
        let threads =
            [from, to].into_iter().flat_map(|side| [Dim::Lane, Dim::Warp].map(|dim| packed(side, dim)));
        Self {
            from: from.clone(),
            to: to.clone(),
            from_registers: packed(from, Dim::Register),
            to_registers: packed(to, Dim::Register),
            threads: threads.flatten().collect(),
        }
    }
}

/// Tile bits per address bit.
struct Order {
    /// The element number that each address bit moves by, lowest first.
    address: Vec<u64>,
    /// How many of the lowest are a vector.
    vector: usize,
    /// How many of the highest number repetitions.
    repeated: usize,
}

fn order(
    sides: &Sides,
    vector: &[u64],
    element_bytes: u32,
    abilities: &Abilities,
) -> Result<Order, LayoutError> {
    let banks = &abilities.banks;
    let all: Vec<u64> = sides.threads.iter().chain(&sides.from_registers).copied().collect();
    let total = Span::of(all.iter().copied()).dimension() as usize;

    // What the lanes of one phase reach: the width of an access is that of the vectors which the side has.
    let phase = |side: &Linear, registers: &[u64]| {
        let own = Span::of(registers.iter().copied());
        let held = vector.iter().take_while(|&&v| own.contains(v)).count();
        let together = banks.together(element_bytes << held);
        together.iter().map(|&lane| side.pack(side.part(Dim::Lane, lane))).collect::<Vec<u64>>()
    };
    let (stored, loaded) = (phase(&sides.from, &sides.from_registers), phase(&sides.to, &sides.to_registers));

    // Fill a word of a bank: lanes that share words on both sides are best.
    let mut low = vector.to_vec();
    let mut span = Span::of(low.iter().copied());
    let word = (banks.bytes / element_bytes).max(1).ilog2() as usize;
    let both = Span::of(stored.iter().copied()).intersection(&Span::of(loaded.iter().copied()));
    for candidate in both.iter().chain(&stored).chain(&loaded).chain(&sides.threads) {
        if low.len() < word.min(total) && span.insert(*candidate, 0) {
            low.push(*candidate);
        }
    }

    // Repetitions: what neither threads nor vectors decide.
    let limit = (abilities.shared_bytes / element_bytes).checked_ilog2().unwrap_or(0) as usize;
    let mut kept = Span::of(low.iter().chain(&sides.threads).copied());
    let excess = total.saturating_sub(limit);
    let repeated: Vec<u64> = {
        let mut free = kept.clone();
        let mut candidates = free.extend_by(all.iter().copied());
        if candidates.len() < excess {
            let least = element_bytes << (total - candidates.len());
            let given = abilities.shared_bytes;
            let message =
                format!("a layout conversion needs {least} bytes of shared memory, {given} are given");
            return Err(LayoutError::new(message));
        }
        candidates.split_off(candidates.len() - excess)
    };
    // The rest of the tile is a complement of the repetitions that holds all threads and vectors.
    let mut rest = kept.clone();
    repeated.iter().for_each(|&vector| {
        rest.insert(vector, 0);
    });
    let others = rest.extend_by(all.iter().copied());
    others.iter().for_each(|&vector| {
        kept.insert(vector, 0);
    });
    let space: Vec<u64> = low.iter().chain(&sides.threads).chain(&others).copied().collect();
    let size = total - repeated.len();

    // Segments.
    let line = (banks.count * banks.bytes / element_bytes).max(1).ilog2() as usize;
    let wanted = size.saturating_sub(line.max(low.len()));
    let segments = segments(&low, &stored, &loaded, &space, wanted);

    // Banks: what is left.
    let mut span = Span::of(low.iter().chain(&segments).copied());
    let bank = span.extend_by(stored.iter().chain(&loaded).chain(&space).copied());
    let vector = vector.len();
    let address = low.into_iter().chain(bank).chain(segments).chain(repeated.iter().copied()).collect();
    Ok(Order { address, vector, repeated: repeated.len() })
}

/// Vectors that meet neither what stores nor what loads reach together, as far as there are any.
fn segments(low: &[u64], stored: &[u64], loaded: &[u64], space: &[u64], wanted: usize) -> Vec<u64> {
    let reach = |lanes: &[u64]| Span::of(low.iter().chain(lanes).copied());
    let (p, q) = (reach(stored), reach(loaded));
    let mut sum = p.clone();
    q.vectors().for_each(|vector| {
        sum.insert(vector, 0);
    });
    let mut found = sum.extend_by(space.iter().copied());
    // Parts of one side outside of the other, in pairs; then those without a partner, which do collide.
    let meet = p.intersection(&q);
    let outside = |of: &Span| {
        let mut span = Span::of(meet.iter().copied());
        span.extend_by(of.vectors())
    };
    let (only_p, only_q) = (outside(&p), outside(&q));
    found.extend(only_p.iter().zip(&only_q).map(|(a, b)| a ^ b));
    let pairs = only_p.len().min(only_q.len());
    found.extend(only_p[pairs..].iter().chain(&only_q[pairs..]));
    found.extend(meet.iter().copied());
    let mut span = Span::of(low.iter().copied());
    let mut independent = span.extend_by(found);
    independent.truncate(wanted);
    independent
}
