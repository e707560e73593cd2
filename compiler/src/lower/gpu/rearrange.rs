//! Tiles in another layout, the way that the layouts' algebra finds cheapest: renamed registers, selects and shuffles
//! within warps, or shared memory in an order without bank conflicts.
//!
//! ```text
//! shuffle   word of registers ─ select by lane ─ shuffle ─ select by lane ─ registers     a round per word
//! memory    vectors │ barrier │ vectors                                                   a run per part that fits
//! ```
//!
//! Tiles whose extents are no powers of two go another way ([`super::convert`]): there, elements outside read as zero.

use super::{Lower, Val};
use crate::emit::{Emit, Ty, V};
use crate::error::{Error, bug};
use crate::gpu::{Facts, Shuffle};
use crate::ktg::{Func, GpuOp, Kind, Op};
use crate::layout::convert::{Exchange, Moves, Staging};
use crate::layout::{Abilities, Banks, Conversion, Dim, Linear, plan_conversion};
use kcc_dsl::ir::{Elem, OpKind};
use std::collections::{BTreeMap, HashMap};

/// More shuffles than this are slower than memory, and more code.
const MOST_SHUFFLES: u32 = 32;
/// Shared memory that a conversion takes if it can do with so little, in bytes: the rest is for the kernel's buffers.
const MODEST_BYTES: u32 = 32 << 10;

/// How an operation with one operand that moves elements is done; `None` where it is not for this module.
pub(super) fn plan(func: &Func, op: &Op, facts: &Facts) -> Option<Conversion> {
    let (from, to) = (func.ty(*op.operands.first()?), func.ty(*op.results.first()?));
    let (own, result) = (from.tile()?, to.tile()?);
    let (have, want) = (from.layout()?, to.layout()?);
    let whole = |shape: &[usize]| shape.iter().all(|extent| extent.is_power_of_two());
    let counts = from.registers() == have.registers() as usize && to.registers() == want.registers() as usize;
    if !whole(&own.shape) || !whole(&result.shape) || !func.warps.is_power_of_two() || !counts {
        return None;
    }
    let have: Linear = match &op.kind {
        Kind::Gpu(GpuOp::ConvertLayout) => (**have).clone(),
        Kind::Tile(OpKind::Transpose { perm }) => {
            have.transpose(&perm.iter().map(|axis| usize::from(*axis)).collect::<Vec<_>>()).ok()?
        }
        Kind::Tile(OpKind::Reshape) => have.reshape(want.extents()).ok()?,
        _ => return None,
    };
    // Lanes and warps that a layout does not name repeat what the others hold.
    let all = |layout: &Linear| {
        let lanes = facts.lanes.ilog2().checked_sub(layout.bits(Dim::Lane))?;
        let warps = func.warps.ilog2().checked_sub(layout.bits(Dim::Warp))?;
        layout.replicated(Dim::Lane, lanes).ok()?.replicated(Dim::Warp, warps).ok()
    };
    let (have, want) = (all(&have)?, all(want)?);
    let within = |shared_bytes: u32| {
        let banks = Banks::neighbours(facts.banks, 4, facts.lanes);
        let abilities = Abilities { shuffle_bytes: 4, most_shuffles: MOST_SHUFFLES, shared_bytes, banks };
        plan_conversion(&have, &want, own.elem.bytes() as u32, &abilities).ok()
    };
    within(MODEST_BYTES.min(facts.shared_bytes)).or_else(|| within(facts.shared_bytes))
}

impl Lower<'_> {
    /// Does what [`plan`] says; false where it says nothing.
    pub(super) fn rearrange(&mut self, op: &Op) -> Result<bool, Error> {
        let Some(conversion) = plan(self.func, op, self.target.facts()) else { return Ok(false) };
        let (from, to) = (op.operands[0], op.results[0]);
        let elem = self.elem(from)?;
        let raws = self.memory_form(from)?;
        let moved = match &conversion {
            Conversion::Nothing => raws,
            Conversion::Registers { source_of } => pick(&raws, source_of)?,
            Conversion::Shuffles { exchange, copy_of } => {
                pick(&self.exchanged(exchange, elem, &raws)?, copy_of)?
            }
            Conversion::Shared { staging, copy_of } => {
                self.check_scratch(op, staging.bytes() as usize)?;
                pick(&self.staged(staging, elem, &raws)?, copy_of)?
            }
        };
        let regs = moved.into_iter().map(|raw| self.e.from_mem(raw, elem)).collect();
        self.set(to, Val::Regs(regs));
        Ok(true)
    }

    /// Registers (in memory form) after the rounds of an exchange.
    fn exchanged(&mut self, exchange: &Exchange, elem: Elem, raws: &[V]) -> Result<Vec<V>, Error> {
        let offered = self.conditions(&exchange.send);
        let placed = self.conditions(&exchange.place);
        let butterfly = exchange.keeps_lanes();
        let reader = match butterfly {
            true => None,
            false => Some(self.linear(&exchange.lane)?),
        };
        let mut words = HashMap::new();
        let mut received = HashMap::new();
        for round in &exchange.rounds {
            let make =
                |lower: &mut Self, register: u32| lower.word(elem, raws, register, &exchange.send_within);
            let word = self.chosen(&offered, &mut words, &make, offered.len(), round.send)?;
            let word = match reader {
                None if round.lane == 0 => word,
                None => self.shuffle(Shuffle::Xor, word, round.lane),
                Some(lane) => {
                    let constant = self.i32(i64::from(round.lane));
                    let lane = if round.lane == 0 { lane } else { self.e.op2("arith.xori", lane, constant) };
                    self.shuffle_by(Shuffle::Index, word, lane)
                }
            };
            received.insert(round.place, word);
        }
        let parts = exchange.place_within.len();
        let mut placing = HashMap::new();
        let mut result = vec![None; exchange.rounds.len() * parts];
        for round in &exchange.rounds {
            let make = |_: &mut Self, register: u32| {
                received
                    .get(&register)
                    .copied()
                    .ok_or_else(|| bug("a round of an exchange that is not there"))
            };
            let word = self.chosen(&placed, &mut placing, &make, placed.len(), round.place)?;
            for (index, within) in exchange.place_within.iter().enumerate() {
                let part = match parts {
                    1 => self.e.bits(word, Emit::mem(elem)),
                    _ => self.e.unpack_word(elem, word, index),
                };
                *slot(&mut result, round.place ^ within)? = Some(part);
            }
        }
        complete(result)
    }

    /// Some registers of a lane as what one shuffle moves.
    fn word(&mut self, elem: Elem, raws: &[V], register: u32, within: &[u32]) -> Result<V, Error> {
        let mut parts = pick(raws, &within.iter().map(|w| register ^ w).collect::<Vec<_>>())?;
        if let [one] = parts[..] {
            return Ok(self.e.bits(one, one.ty.k.int()));
        }
        while parts.len() * elem.bytes() < 4 {
            parts.extend_from_within(..);
        }
        Ok(self.e.word(&parts))
    }

    /// Conditions under which a register's number changes, each by its move.
    fn conditions(&mut self, moves: &Moves) -> Vec<(u32, V)> {
        let mut by_move: BTreeMap<u32, Vec<(V, u32)>> = BTreeMap::new();
        for (of, moves) in [(self.lane, &moves.lane), (self.warp, &moves.warp)] {
            for (change, bit) in moves.iter().zip(0..).filter(|(change, _)| **change != 0) {
                by_move.entry(*change).or_default().push((of, bit));
            }
        }
        let mut found = Vec::new();
        for (change, bits) in by_move {
            let mut sum: Option<V> = None;
            for (of, bit) in bits {
                let by = self.i32(i64::from(bit));
                let low = if bit == 0 { of } else { self.e.op2("arith.shrui", of, by) };
                sum = Some(match sum {
                    None => low,
                    Some(s) => self.e.op2("arith.xori", s, low),
                });
            }
            if let Some(sum) = sum {
                let one = self.i32(1);
                let bit = self.e.op2("arith.andi", sum, one);
                let zero = self.i32(0);
                found.push((change, self.e.cmpi("ne", bit, zero)));
            }
        }
        found
    }

    /// The value of register `register` plus the moves of the first `depth` conditions that hold.
    fn chosen(
        &mut self,
        conditions: &[(u32, V)],
        known: &mut HashMap<(usize, u32), V>,
        make: &dyn Fn(&mut Self, u32) -> Result<V, Error>,
        depth: usize,
        register: u32,
    ) -> Result<V, Error> {
        if let Some(v) = known.get(&(depth, register)) {
            return Ok(*v);
        }
        let v = match depth.checked_sub(1) {
            None => make(self, register)?,
            Some(rest) => {
                let (change, condition) = conditions[rest];
                let stay = self.chosen(conditions, known, make, rest, register)?;
                let go = self.chosen(conditions, known, make, rest, register ^ change)?;
                self.e.select(condition, go, stay)
            }
        };
        known.insert((depth, register), v);
        Ok(v)
    }

    /// A number that depends linearly on lane and warp.
    fn linear(&mut self, moves: &Moves) -> Result<V, Error> {
        let coords = |moves: &[u32]| moves.iter().map(|m| [*m, 0, 0]).collect::<Vec<_>>();
        let (lanes, warps) = (coords(&moves.lane), coords(&moves.warp));
        let bases = [(Dim::Lane, &lanes[..]), (Dim::Warp, &warps[..])];
        let number = Linear::new(&[self.target.facts().lanes], bases).map_err(|e| bug(e.to_string()))?;
        Ok(self.places(&number, 1)?.own)
    }

    /// Registers (in memory form) after a trip through scratch memory.
    fn staged(&mut self, staging: &Staging, elem: Elem, raws: &[V]) -> Result<Vec<V>, Error> {
        let (store, load) = (&staging.store, &staging.load);
        let base = self.take_scratch();
        let writer = self.zero_bits(&[(self.lane, staging.idle_lanes), (self.warp, staging.idle_warps)]);
        let to = self.places(&store.offsets, staging.element_bytes)?;
        let from = self.places(&load.offsets, staging.element_bytes)?;
        let lanes = if load.within.len() > 1 { load.within.len() as u16 } else { 0 };
        let mut result = vec![None; load.offsets.registers() as usize];
        for (run, repetition) in staging.repetitions.iter().enumerate() {
            if run > 0 {
                self.sync_scratch();
            }
            let mut vectors = Vec::new();
            for group in &repetition.stores {
                let parts = pick(raws, &store.within.iter().map(|w| group ^ w).collect::<Vec<_>>())?;
                vectors.push((*group, parts));
            }
            self.when(writer, |l| {
                for (group, parts) in &vectors {
                    let value = if parts.len() > 1 { l.e.vector(parts) } else { parts[0] };
                    let p = l.shared_place(base, &to, *group);
                    l.target.store_shared(&mut l.e, value, p);
                }
            });
            self.sync_scratch();
            for group in &repetition.loads {
                let p = self.shared_place(base, &from, *group);
                let read = self.target.load_shared(&mut self.e, p, Ty { k: Emit::mem(elem), lanes });
                for (index, within) in load.within.iter().enumerate() {
                    let part = if lanes > 0 { self.e.extract(read, index) } else { read };
                    *slot(&mut result, group ^ within)? = Some(part);
                }
            }
        }
        complete(result)
    }

    /// Holds where none of the masked bits is set; `None` where that is everywhere.
    fn zero_bits(&mut self, masks: &[(V, u32)]) -> Option<V> {
        let mut all = None;
        for (of, mask) in masks.iter().filter(|(_, mask)| *mask != 0) {
            let m = self.i32(i64::from(*mask));
            let bits = self.e.op2("arith.andi", *of, m);
            let zero = self.i32(0);
            let holds = self.e.cmpi("eq", bits, zero);
            all = Some(self.both(all, holds));
        }
        all
    }
}

fn pick(registers: &[V], which: &[u32]) -> Result<Vec<V>, Error> {
    let found = which.iter().map(|r| registers.get(*r as usize).copied()).collect::<Option<_>>();
    found.ok_or_else(|| bug("a conversion names a register that is not there"))
}

fn slot(registers: &mut [Option<V>], which: u32) -> Result<&mut Option<V>, Error> {
    registers.get_mut(which as usize).ok_or_else(|| bug("a conversion fills a register that is not there"))
}

fn complete(registers: Vec<Option<V>>) -> Result<Vec<V>, Error> {
    registers.into_iter().collect::<Option<_>>().ok_or_else(|| bug("a conversion leaves a register empty"))
}
