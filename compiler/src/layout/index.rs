//! Coordinates as arithmetic: what a lowering emits to know where a lane's elements are.
//!
//! The part of a coordinate that lanes, warps and blocks decide is computed once; a register adds a constant:
//!
//! ```text
//!   lane bits 2,3,4 move row by 1,2,4, warp bit 0 by 8, register bit 1 by 16
//!   row = ((lane >> 2) & 7) | (warp & 1) << 3      + 16 for registers with bit 1
//! ```
//!
//! A sum instead of an XOR is right where no coordinate bit is moved by both ([`Index::disjoint`]).

use super::build::unit;
use super::error::LayoutError;
use super::linear::{Dim, Linear};
use super::matrix::{Span, bits};

/// Neighbouring bits of an input that move a coordinate by neighbouring powers of two, or one bit that moves it by
/// any constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Which input; never the register.
    pub dim: Dim,
    /// The lowest of the bits.
    pub first: u32,
    /// How many bits.
    pub bits: u32,
    /// The move of the lowest bit; bit `first + i` moves by `constant << i`. A power of two when `bits > 1`.
    pub constant: u32,
}

impl Part {
    /// What this part adds for a value of its input: `((value >> first) & (2^bits - 1)) * constant`.
    pub fn of(&self, value: u32) -> u32 {
        ((value >> self.first) & ((1 << self.bits) - 1)) * self.constant
    }

    /// The coordinate bits that this part can set.
    pub fn reach(&self) -> u32 {
        (0..self.bits).fold(0, |mask, bit| mask | self.constant << bit)
    }
}

/// One coordinate as a function of the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// What lanes, warps, blocks and offsets contribute; the coordinate is the XOR of all.
    pub parts: Vec<Part>,
    /// The moves of the register bits, lowest first.
    pub registers: Vec<u32>,
    /// No coordinate bit is moved by a register and by another input: a register's constant may be *added* to the
    /// rest.
    pub disjoint: bool,
    /// No coordinate bit is moved by two parts: the parts may be added (or'ed) to each other.
    pub parts_disjoint: bool,
}

impl Index {
    /// The constant of a register.
    pub fn register(&self, register: u32) -> u32 {
        bits(u64::from(register)).filter_map(|bit| self.registers.get(bit as usize)).fold(0, |acc, m| acc ^ m)
    }

    /// Coordinate bits that some register moves.
    pub fn register_reach(&self) -> u32 {
        self.registers.iter().fold(0, |mask, m| mask | m)
    }

    /// The coordinate at a lane, warp and block, for register 0.
    pub fn base(&self, lane: u32, warp: u32, block: u32) -> u32 {
        self.parts.iter().fold(0, |acc, part| {
            acc ^ match part.dim {
                Dim::Lane => part.of(lane),
                Dim::Warp => part.of(warp),
                Dim::Block => part.of(block),
                Dim::Register | Dim::Offset => 0,
            }
        })
    }
}

/// Whether a register holds elements of the tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Presence {
    /// In every lane, warp and block.
    Always,
    /// In none: the register need not exist.
    Never,
    /// It depends on the lane, warp or block.
    Depends,
}

/// Which registers of a layout hold elements of a tile whose extents are not the layout's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// Per register and axis: whether the coordinate lies inside.
    pub by_axis: Vec<[Presence; 3]>,
}

impl Coverage {
    /// Over all axes. `Depends` may be said of a register that no lane has, when two axes exclude each other.
    pub fn register(&self, register: u32) -> Presence {
        let axes = self.by_axis.get(register as usize).copied().unwrap_or([Presence::Never; 3]);
        if axes.contains(&Presence::Never) {
            Presence::Never
        } else if axes.contains(&Presence::Depends) {
            Presence::Depends
        } else {
            Presence::Always
        }
    }

    /// The registers that hold an element in some lane, lowest first.
    pub fn live(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.by_axis.len() as u32).filter(|&register| self.register(register) != Presence::Never)
    }
}

impl Linear {
    /// One coordinate as arithmetic.
    pub fn index(&self, axis: usize) -> Result<Index, LayoutError> {
        self.check_axis(axis)?;
        let mut parts: Vec<Part> = Vec::new();
        let mut parts_disjoint = true;
        let mut reach = 0;
        for dim in [Dim::Lane, Dim::Warp, Dim::Block, Dim::Offset] {
            for (bit, vector) in (0..).zip(self.basis(dim)) {
                let constant = vector[axis];
                if constant == 0 {
                    continue;
                }
                parts_disjoint &= reach & constant == 0;
                reach |= constant;
                match parts.last_mut() {
                    Some(last)
                        if last.dim == dim
                            && last.first + last.bits == bit
                            && last.constant.is_power_of_two()
                            && last.constant << last.bits == constant =>
                    {
                        last.bits += 1;
                    }
                    _ => parts.push(Part { dim, first: bit, bits: 1, constant }),
                }
            }
        }
        let registers: Vec<u32> = self.basis(Dim::Register).iter().map(|vector| vector[axis]).collect();
        let disjoint = registers.iter().all(|constant| constant & reach == 0);
        Ok(Index { parts, registers, disjoint, parts_disjoint })
    }

    /// How many neighbouring elements along an axis lie in neighbouring registers, in every lane, starting at a
    /// multiple of that number: registers `n·i .. n·(i+1)` may move as one vector.
    pub fn contiguous(&self, axis: usize) -> u32 {
        if axis >= self.rank() {
            return 1;
        }
        let registers = self.basis(Dim::Register);
        let mut count = registers.iter().zip(0..).take_while(|(v, bit)| **v == unit(axis, 1 << bit)).count();
        let others = |count: usize| {
            let rest = registers[count..].iter();
            let outer = [Dim::Lane, Dim::Warp, Dim::Block, Dim::Offset].map(|dim| self.basis(dim));
            rest.chain(outer.into_iter().flatten()).fold(0, |mask, vector| mask | vector[axis])
        };
        while count > 0 && others(count) & ((1 << count) - 1) != 0 {
            count -= 1;
        }
        1 << count
    }

    /// Which registers hold elements of a tile of the given extents, each at most the layout's.
    pub fn coverage(&self, tile: &[u32]) -> Coverage {
        let spans: Vec<Span> = (0..self.rank())
            .map(|axis| {
                let outer = [Dim::Lane, Dim::Warp, Dim::Block, Dim::Offset].map(|dim| self.basis(dim));
                Span::of(outer.into_iter().flatten().map(|vector| u64::from(vector[axis])))
            })
            .collect();
        let by_axis = (0..self.registers())
            .map(|register| {
                let own = self.part(Dim::Register, register);
                let mut axes = [Presence::Always; 3];
                for (axis, span) in spans.iter().enumerate() {
                    let extent = tile.get(axis).copied().map_or(u64::MAX, u64::from);
                    // The least of a coset is what reduction leaves; the greatest is the complement's least.
                    let least = span.reduce(u64::from(own[axis])).0;
                    let all = u64::from(self.extents()[axis]) - 1;
                    let greatest = all ^ span.reduce(all ^ u64::from(own[axis])).0;
                    axes[axis] = if greatest < extent {
                        Presence::Always
                    } else if least >= extent {
                        Presence::Never
                    } else {
                        Presence::Depends
                    };
                }
                axes
            })
            .collect();
        Coverage { by_axis }
    }
}
