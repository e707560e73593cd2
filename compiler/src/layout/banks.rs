//! What an access to shared memory costs: how often lanes that are served together need one bank.
//!
//! ```text
//!   32 banks of 4 bytes; lane l reads 4 bytes at 128·l : every lane needs bank 0, 32 cycles
//!                                     at   4·l : one lane per bank,             1 cycle
//! ```

use super::error::LayoutError;
use super::linear::{Dim, Linear};
use super::matrix::Span;
use super::shared::{Access, Shared};
use std::collections::HashSet;

/// Which lanes are served together when each accesses so many bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phase {
    /// Bytes per lane, a power of two.
    pub access_bytes: u32,
    /// Lane numbers whose XOR combinations (with any lane) are served together: `[1, 2, 4]` serves lanes 0–7, then
    /// 8–15, and so on; `[1, 2, 12, 20]` lanes 0–3, 12–15, 20–23 and 24–27 first.
    pub together: Vec<u32>,
}

/// The banks of shared memory; a row of data about a chip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Banks {
    /// How many, a power of two.
    pub count: u32,
    /// Bytes that a bank gives per cycle, a power of two.
    pub bytes: u32,
    /// By access width; a narrower access than the first is served like the first.
    pub phases: Vec<Phase>,
}

impl Banks {
    /// Banks that serve as many neighbouring lanes together as their width allows: of 32 banks of 4 bytes, 32 lanes
    /// of 4 bytes, 16 of 8, 8 of 16.
    pub fn neighbours(count: u32, bytes: u32, lanes: u32) -> Self {
        let phase = |access_bytes: u32| {
            let served = (count * bytes / access_bytes.max(1)).clamp(1, lanes.max(1));
            let together = (0..served.ilog2()).map(|bit| 1 << bit).collect();
            Phase { access_bytes, together }
        };
        Self { count, bytes, phases: [bytes, 2 * bytes, 4 * bytes].map(phase).to_vec() }
    }

    /// The widest access of one lane.
    pub fn widest(&self) -> u32 {
        self.phases.iter().map(|phase| phase.access_bytes).max().unwrap_or(self.bytes)
    }

    /// Lane vectors that are served together at an access width.
    pub fn together(&self, access_bytes: u32) -> &[u32] {
        let fitting = self.phases.iter().filter(|phase| phase.access_bytes >= access_bytes);
        fitting.min_by_key(|phase| phase.access_bytes).map_or(&[], |phase| &phase.together)
    }
}

/// What moving all elements of a layout costs, in one block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Accesses: instructions times warps.
    pub accesses: u32,
    /// Groups of lanes served together, over all accesses: the cycles if no two lanes collided.
    pub phases: u32,
    /// Cycles; a phase takes as many as there are different words of one bank.
    pub cycles: u32,
}

impl Traffic {
    /// Cycles lost to collisions.
    pub fn conflicts(&self) -> u32 {
        self.cycles - self.phases
    }
}

impl Banks {
    /// Counts by enumerating every lane of every access; `access` must be of `shared`.
    pub fn count(&self, shared: &Shared, access: &Access) -> Traffic {
        let mut traffic = Traffic::default();
        let width = access.vector() * shared.element_bytes();
        let together = Span::of(self.together(width).iter().map(|&lane| u64::from(lane)));
        let lanes = access.offsets.lanes();
        let word_of = |register: u32, lane: u32, warp: u32| {
            let offset = shared.gapped(access.offsets.at(register, lane, warp)[0]) * shared.element_bytes();
            offset / self.bytes
        };
        let words_per_lane = (width / self.bytes).max(1);
        for warp in 0..access.offsets.warps() {
            for &group in &access.groups {
                traffic.accesses += 1;
                // A phase is a coset; its least lane stands for it.
                let firsts = (0..lanes).filter(|&lane| together.reduce(u64::from(lane)).0 == u64::from(lane));
                for first in firsts {
                    let members = (0..lanes).filter(|&l| together.contains(u64::from(l ^ first)));
                    let words: HashSet<u32> = members
                        .flat_map(|lane| {
                            let word = word_of(group, lane, warp);
                            word..word + words_per_lane
                        })
                        .collect();
                    let mut load = vec![0; self.count as usize];
                    words.iter().for_each(|word| load[(word % self.count) as usize] += 1);
                    traffic.phases += 1;
                    traffic.cycles += load.into_iter().max().unwrap_or(0).max(1);
                }
            }
        }
        traffic
    }

    /// The same by algebra, for buffers without gaps: all phases cost the same, namely 2 to the power by which the
    /// words of a phase outrank its banks.
    pub fn count_linear(&self, element_bytes: u32, access: &Access) -> Traffic {
        let width = access.vector() * element_bytes;
        let together = self.together(width);
        let words = |lane: u32| {
            u64::from(access.offsets.part(Dim::Lane, lane)[0]) * u64::from(element_bytes)
                / u64::from(self.bytes)
        };
        let within = (width / self.bytes).max(1).ilog2();
        let lanes = access.offsets.lanes();
        let vectors: Vec<u64> = together
            .iter()
            .filter(|&&lane| lane < lanes)
            .map(|&lane| words(lane))
            .chain((0..within).map(|bit| 1 << bit))
            .collect();
        let all = Span::of(vectors.iter().copied()).dimension();
        let banks = Span::of(vectors.iter().map(|word| word % u64::from(self.count))).dimension();
        let accesses = access.groups.len() as u32 * access.offsets.warps();
        let served =
            Span::of(together.iter().map(|&l| u64::from(l)).filter(|&l| l < u64::from(lanes))).dimension();
        let phases = accesses * (lanes >> served);
        Traffic { accesses, phases, cycles: phases << (all - banks) }
    }

    /// What moving `layout` to or from `shared` costs in accesses of at most `most_bytes` per lane.
    pub fn traffic(&self, shared: &Shared, layout: &Linear, most_bytes: u32) -> Result<Traffic, LayoutError> {
        let access = shared.access(layout, most_bytes.min(self.widest()))?;
        Ok(match shared.padding() {
            None => self.count_linear(shared.element_bytes(), &access),
            Some(_) => self.count(shared, &access),
        })
    }
}
