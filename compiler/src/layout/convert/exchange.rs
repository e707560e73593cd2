//! Rounds of shuffles. In a round every lane offers one word and reads the word of one lane.
//!
//! What a lane must offer depends on who reads it; the sender knows that only if the readers' map of lanes can be
//! undone. A transpose of registers and lanes shows the trouble and the way out: lane `l` wants register `l` of lane
//! `r` as its register `r`.
//!
//! ```text
//!   all take register r at once    every lane reads lane r           one sender, all registers: stuck
//!   lane l takes register r ^ l    lane l reads lane r ^ l,          each lane is read once: the sender s knows that
//!                                  which offers its register l       its reader is s ^ r
//! ```
//!
//! So in round `t` lane `l` fills register `t ^ place(l)`, with `place` linear and chosen such that the map of lanes
//! loses nothing but replication.

use super::Sources;
use crate::layout::linear::{Dim, Linear, Position};
use crate::layout::matrix::{Span, bits};

/// A number that depends linearly on lane and warp: the XOR of the moves of their set bits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moves {
    /// Per bit of the lane, lowest first.
    pub lane: Vec<u32>,
    /// Per bit of the warp, lowest first.
    pub warp: Vec<u32>,
}

impl Moves {
    /// The number at a lane and warp.
    pub fn of(&self, lane: u32, warp: u32) -> u32 {
        let sum = |moves: &[u32], value: u32| {
            bits(u64::from(value)).filter_map(|bit| moves.get(bit as usize)).fold(0, |acc, m| acc ^ m)
        };
        sum(&self.lane, lane) ^ sum(&self.warp, warp)
    }

    /// Whether the number is 0 everywhere.
    pub fn is_zero(&self) -> bool {
        self.lane.iter().chain(&self.warp).all(|&m| m == 0)
    }
}

/// The constants of a round, added (XOR) to the [`Exchange`]'s moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Round {
    /// The register that is offered.
    pub send: u32,
    /// The lane that is read.
    pub lane: u32,
    /// The register that is filled.
    pub place: u32,
}

/// An exchange of registers within each warp. In a round, lane `l` of warp `w`
///
/// - offers the word of registers `round.send ^ send.of(l, w) ^ send_within[i]`, for each `i`;
/// - reads the word of lane `round.lane ^ lane.of(l, w)`;
/// - puts element `i` of it into register `round.place ^ place.of(l, w) ^ place_within[i]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// The register offered, by the sender's lane and warp: a select among few registers.
    pub send: Moves,
    /// The lane read, by the reader's lane and warp.
    pub lane: Moves,
    /// The register filled, by the reader's lane and warp: a select after all rounds.
    pub place: Moves,
    /// Registers of a word at the sender, in the word's order.
    pub send_within: Vec<u32>,
    /// Registers of a word at the reader, in the word's order.
    pub place_within: Vec<u32>,
    /// The rounds; together they fill every register once.
    pub rounds: Vec<Round>,
}

impl Exchange {
    /// `None` when readers of one lane want different registers of it in every order of registers.
    pub(super) fn new(from: &Linear, sources: &Sources, element_bytes: u32, word_bytes: u32) -> Option<Self> {
        let place = places(sources)?;
        // What lane bit `i` takes, its change of register included.
        let source_of = |register: u32| gather(&sources.register, register);
        let receive: Vec<Position> =
            sources.lane.iter().zip(&place).map(|(&own, &moved)| own ^ source_of(moved)).collect();
        // From a lane to the readers that it has, for the register that they want.
        let mut readers = Span::of(receive.iter().map(|source| u64::from(source.lane)));
        for bit in 0..from.bits(Dim::Lane) {
            readers.insert(1 << bit, 0);
        }
        let wanted = |lane: u32| {
            let reader = readers.solve(u64::from(lane)).unwrap_or(0);
            gather(&receive, reader as u32).register
        };
        let packed = packed_bits(sources, &place, element_bytes, word_bytes);
        let within = |image: &dyn Fn(u32) -> u32| {
            packed.iter().fold(vec![0], |mut within, &bit| {
                let shifted: Vec<u32> = within.iter().map(|register| register ^ image(bit)).collect();
                within.extend(shifted);
                within
            })
        };
        let mask = packed.iter().fold(0, |mask, bit| mask | 1u32 << bit);
        let rounds = (0..1u32 << sources.register.len())
            .filter(|register| register & mask == 0)
            .map(|register| {
                let source = source_of(register);
                Round { send: source.register ^ wanted(source.lane), lane: source.lane, place: register }
            })
            .collect();
        let lanes = 0..from.bits(Dim::Lane);
        Some(Self {
            send: Moves {
                lane: lanes.map(|bit| wanted(1 << bit)).collect(),
                warp: sources.warp.iter().map(|own| own.register ^ wanted(own.lane)).collect(),
            },
            lane: Moves {
                lane: receive.iter().map(|source| source.lane).collect(),
                warp: sources.warp.iter().map(|source| source.lane).collect(),
            },
            send_within: within(&|bit| sources.register[bit as usize].register),
            place_within: within(&|bit| 1 << bit),
            place: Moves { warp: vec![0; sources.warp.len()], lane: place },
            rounds,
        })
    }

    /// Whether some lane reads another: else no shuffle is needed, only selects.
    pub fn crosses_lanes(&self) -> bool {
        !self.keeps_lanes() || self.rounds.iter().any(|round| round.lane != 0)
    }

    /// Whether the lane read is the reader's own number with some bits flipped, the same ones in every lane of a
    /// round: a butterfly.
    pub fn keeps_lanes(&self) -> bool {
        let own = self.lane.lane.iter().zip(0..).all(|(&lane, bit)| lane == 1 << bit);
        own && self.lane.warp.iter().all(|&lane| lane == 0)
    }

    /// The source of each register, when it is the same lane and the same register everywhere.
    pub(super) fn as_permutation(&self) -> Option<Vec<u32>> {
        if self.crosses_lanes() || !self.send.is_zero() || !self.place.is_zero() {
            return None;
        }
        let mut source_of = vec![0; self.rounds.len() * self.place_within.len()];
        for round in &self.rounds {
            for (from, to) in self.send_within.iter().zip(&self.place_within) {
                *source_of.get_mut((round.place ^ to) as usize)? = round.send ^ from;
            }
        }
        Some(source_of)
    }
}

fn gather(images: &[Position], value: u32) -> Position {
    bits(u64::from(value))
        .filter_map(|bit| images.get(bit as usize))
        .fold(Position::default(), |acc, &image| acc ^ image)
}

/// Per lane bit, the change of the filled register by which every sender knows its readers.
fn places(sources: &Sources) -> Option<Vec<u32>> {
    let mut place = vec![0; sources.lane.len()];
    let mut span = Span::default();
    let mut dependent = Vec::new();
    for (bit, source) in sources.lane.iter().enumerate() {
        if !span.insert(u64::from(source.lane), 1 << bit) {
            dependent.push(bit);
        }
    }
    for bit in dependent {
        let own = sources.lane[bit];
        let same_lane = span.solve(u64::from(own.lane))? as u32;
        let clash = bits(u64::from(same_lane)).fold(own.register, |acc, other| {
            let moved = gather(&sources.register, place[other as usize]);
            acc ^ (sources.lane[other as usize] ^ moved).register
        });
        if clash == 0 {
            continue; // Readers of one lane want one register: replication.
        }
        let apart = sources.register.iter().position(|source| !span.contains(u64::from(source.lane)))?;
        place[bit] = 1 << apart;
        span.insert(u64::from(own.lane ^ sources.register[apart].lane), 1 << bit);
    }
    Some(place)
}

/// Register bits of the reader that travel in one word: their elements come from one lane.
fn packed_bits(sources: &Sources, place: &[u32], element_bytes: u32, word_bytes: u32) -> Vec<u32> {
    let most = (word_bytes / element_bytes.max(1)).max(1).ilog2() as usize;
    let moved = place.iter().fold(0, |mask, m| mask | m);
    let fits = |(_, source): &(u32, &Position)| source.lane == 0;
    let candidates = (0..).zip(&sources.register).filter(fits).map(|(bit, _)| bit);
    candidates.filter(|bit| moved >> bit & 1 == 0).take(most).collect()
}
