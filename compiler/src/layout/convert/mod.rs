//! Moves a tile from one layout to another: nothing, register moves, shuffles, or a trip through shared memory.
//!
//! Both layouts map places to elements, `from` = A and `to` = B; the place to take an element from is D = A⁻¹·B. D is
//! found bit by bit, each bit of the receiver with the nearest source:
//!
//! ```text
//!   same lane and warp, other register     D changes registers only    registers
//!   same warp, other lane                  D changes lanes, too        shuffles
//!   other warp                             no such D                   shared memory
//! ```
//!
//! Replication helps: where A holds an element in several lanes, the receiver takes its own copy.

mod apply;
mod exchange;
mod staging;

pub use apply::{Registers, apply_conversion};
pub use exchange::{Exchange, Moves, Round};
pub use staging::{Repetition, Staging};

use super::banks::Banks;
use super::error::LayoutError;
use super::linear::{Dim, Linear, Position};
use super::matrix::Span;

/// What a chip offers to conversions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Abilities {
    /// Bytes that one shuffle moves per lane; 0 where lanes cannot read each other's registers.
    pub shuffle_bytes: u32,
    /// More shuffles than this are left to shared memory.
    pub most_shuffles: u32,
    /// Shared memory that a conversion may use, in bytes.
    pub shared_bytes: u32,
    /// The banks of shared memory.
    pub banks: Banks,
}

/// How a tile gets into another layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conversion {
    /// The registers are the result as they are.
    Nothing,
    /// Register `r` of the result is register `source_of[r]`; no lane differs.
    Registers {
        /// Source register of each register of the result.
        source_of: Vec<u32>,
    },
    /// Rounds of shuffles within warps; without [`Exchange::crosses_lanes`], of selects alone.
    Shuffles {
        /// The rounds; their result has no register twice.
        exchange: Box<Exchange>,
        /// Register `r` of the result is register `copy_of[r]` of the exchange's.
        copy_of: Vec<u32>,
    },
    /// Stores, a barrier, loads.
    Shared {
        /// Where; its result has no register twice.
        staging: Box<Staging>,
        /// Register `r` of the result is register `copy_of[r]` of the staging's.
        copy_of: Vec<u32>,
    },
}

impl Conversion {
    /// Bytes of shared memory in use.
    pub fn shared_bytes(&self) -> u32 {
        match self {
            Self::Shared { staging, .. } => staging.bytes(),
            _ => 0,
        }
    }
}

/// The cheapest way from one layout to another of the same tile.
pub fn plan_conversion(
    from: &Linear,
    to: &Linear,
    element_bytes: u32,
    abilities: &Abilities,
) -> Result<Conversion, LayoutError> {
    check(from, to)?;
    if from == to {
        return Ok(Conversion::Nothing);
    }
    let dense = to.dense();
    if let Some(sources) = sources(from, &dense.layout) {
        let exchange = Exchange::new(from, &sources, element_bytes, abilities.shuffle_bytes);
        if let Some(exchange) = exchange {
            if let Some(permutation) = exchange.as_permutation() {
                let source_of: Vec<u32> =
                    dense.new_of_old.iter().map(|&register| permutation[register as usize]).collect();
                let same = source_of.iter().zip(0..).all(|(&source, register)| source == register);
                return Ok(match same && source_of.len() as u32 == from.registers() {
                    true => Conversion::Nothing,
                    false => Conversion::Registers { source_of },
                });
            }
            let words = element_bytes.div_ceil(abilities.shuffle_bytes.max(1)).max(1);
            let shuffles = exchange.rounds.len() as u32 * words;
            if !exchange.crosses_lanes()
                || (abilities.shuffle_bytes > 0 && shuffles <= abilities.most_shuffles)
            {
                return Ok(Conversion::Shuffles { exchange: Box::new(exchange), copy_of: dense.new_of_old });
            }
        }
    }
    let staging = Staging::new(from, &dense.layout, element_bytes, abilities)?;
    Ok(Conversion::Shared { staging: Box::new(staging), copy_of: dense.new_of_old })
}

fn check(from: &Linear, to: &Linear) -> Result<(), LayoutError> {
    if from.extents() != to.extents() {
        let message = format!("no conversion between tiles {:?} and {:?}", from.extents(), to.extents());
        return Err(LayoutError::new(message));
    }
    for dim in [Dim::Lane, Dim::Warp] {
        if from.bits(dim) != to.bits(dim) {
            let (a, b, name) = (from.size(dim), to.size(dim), dim.name());
            return Err(LayoutError::new(format!("no conversion from {a} to {b} values of `{name}`")));
        }
    }
    if from.basis(Dim::Block) != to.basis(Dim::Block) || from.bits(Dim::Offset) + to.bits(Dim::Offset) > 0 {
        return Err(LayoutError::new("conversions stay within a block and between distributed layouts"));
    }
    let own = Span::of([Dim::Register, Dim::Lane, Dim::Warp].iter().flat_map(|&dim| packed(from, dim)));
    let needed = [Dim::Register, Dim::Lane, Dim::Warp].iter().flat_map(|&dim| packed(to, dim));
    match needed.into_iter().all(|vector| own.contains(vector)) {
        true => Ok(()),
        false => Err(LayoutError::new(format!("the layout {from} lacks elements of {to}"))),
    }
}

/// The moves of an input as numbers.
fn packed(layout: &Linear, dim: Dim) -> Vec<u64> {
    layout.basis(dim).iter().map(|&vector| layout.pack(vector)).collect()
}

/// Per bit of the receiver's registers, lanes and warps: the place to take the element from, in the same warp. Warp
/// bits are left out of the places: the warp stays.
struct Sources {
    register: Vec<Position>,
    lane: Vec<Position>,
    warp: Vec<Position>,
}

fn sources(from: &Linear, to: &Linear) -> Option<Sources> {
    let registers = packed(from, Dim::Register);
    let lanes = packed(from, Dim::Lane);
    let warps = packed(from, Dim::Warp);
    let count = registers.len();
    let near = Span::of(registers.iter().copied());
    let far = Span::of(registers.iter().chain(&lanes).copied());
    let place = |combination: u64| {
        let register = combination & ((1 << count) - 1);
        Position::new(register as u32, (combination >> count) as u32, 0)
    };
    let take = |vector: u64, own_lane: Option<usize>| {
        // A copy in the own lane first; its number is that of the bit in question, if it is a lane's.
        let own = own_lane.map_or(0, |bit| lanes[bit]);
        let lane = own_lane.map_or(0, |bit| 1 << bit);
        match near.solve(vector ^ own) {
            Some(combination) => Some(place(combination) ^ Position::new(0, lane, 0)),
            None => far.solve(vector).map(place),
        }
    };
    let all = |dim: Dim| packed(to, dim).into_iter().enumerate();
    Some(Sources {
        register: all(Dim::Register).map(|(_, vector)| take(vector, None)).collect::<Option<_>>()?,
        lane: all(Dim::Lane).map(|(bit, vector)| take(vector, Some(bit))).collect::<Option<_>>()?,
        warp: all(Dim::Warp).map(|(bit, vector)| take(vector ^ warps[bit], None)).collect::<Option<_>>()?,
    })
}
