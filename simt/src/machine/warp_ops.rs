//! Operations among the lanes of a warp.

use super::Run;
use super::arith::signed;
use super::step::{Flow, Slice};
use super::warp::lanes;
use crate::error::FaultKind;
use crate::program::{Inst, RedOp, Shuffle, Slot, Vote};

impl Slice<'_, '_, '_> {
    /// The masks that the group's lanes name, once the group has all lanes of each; `None` while some are elsewhere.
    pub(super) fn converge(&mut self, mask_slot: Option<Slot>, inst: &Inst) -> Run<Option<Vec<u64>>> {
        let here = self.mask();
        let mut parts = Vec::new();
        let Some(slot) = mask_slot else {
            // Aligned instructions want the whole warp.
            if here == self.warp.lanes {
                return Ok(Some(vec![here]));
            }
            let gone = self.warp.lanes & !self.warp.live;
            if gone != 0 {
                let message = format!(
                    "the whole warp must execute this, but {} have returned",
                    super::describe_lanes(gone)
                );
                return self.fail(FaultKind::Collective, message, inst, here);
            }
            return Ok(None);
        };
        self.defined(slot, here, "a mask of lanes", inst)?;
        let mut rest = here;
        while rest != 0 {
            let lane = rest.trailing_zeros() as usize;
            let wanted = self.warp.get(slot, lane) & self.warp.lanes;
            let same = lanes(here).filter(|&other| self.warp.get(slot, other) & self.warp.lanes == wanted);
            let named = same.fold(0, |mask, lane| mask | 1u64 << lane);
            let strangers = named & !wanted;
            if strangers != 0 {
                let message = format!(
                    "the mask {wanted:#x} does not name {}, which execute this",
                    super::describe_lanes(strangers)
                );
                return self.fail(FaultKind::Collective, message, inst, strangers);
            }
            let missing = wanted & !named;
            if missing & !self.warp.live != 0 {
                let message = format!(
                    "the mask {wanted:#x} names {}, which have returned",
                    super::describe_lanes(missing & !self.warp.live)
                );
                return self.fail(FaultKind::Collective, message, inst, here);
            }
            if missing & here != 0 {
                let message = "lanes that are here together name different masks that overlap";
                return self.fail(FaultKind::Collective, message, inst, here);
            }
            if missing != 0 {
                return Ok(None);
            }
            parts.push(wanted);
            rest &= !named;
        }
        Ok(Some(parts))
    }

    pub(super) fn shuffle(&mut self, mode: Shuffle, src: &[Slot], dst: &[Slot], inst: &Inst) -> Run<Flow> {
        let Some(parts) = self.converge(src.get(3).copied(), inst)? else { return Ok(Flow::Block) };
        let here = self.mask();
        self.defined(src[1], here, "the lane of a shuffle", inst)?;
        let width = self.warp.width;
        let mut values = [0u64; 64];
        let mut valid = [0u64; 64];
        let mut poison = 0;
        for part in parts {
            for lane in lanes(part) {
                // PTX ISA, shfl.sync: bval = b[4:0], cval = c[4:0], segment mask = c[12:8].
                let (b, c) =
                    (self.warp.get(src[1], lane) as usize & 31, self.warp.get(src[2], lane) as usize);
                let (clamp, segment) = (c & 31, c >> 8 & 31);
                let most = lane & segment | clamp & !segment & 31;
                let least = lane & segment;
                let (from, inside) = match mode {
                    Shuffle::Up => {
                        let from = lane as isize - b as isize;
                        (from, from >= most as isize)
                    }
                    Shuffle::Down => ((lane + b) as isize, lane + b <= most),
                    Shuffle::Bfly => ((lane ^ b) as isize, lane ^ b <= most),
                    Shuffle::Idx => {
                        let from = least | b & !segment & 31;
                        (from as isize, from <= most)
                    }
                };
                let from = if inside { from as usize } else { lane };
                if from >= width || part >> from & 1 == 0 {
                    let message = format!("lane {lane} reads lane {from}, which does not take part");
                    return self.fail(FaultKind::Collective, message, inst, 1 << lane);
                }
                values[lane] = self.warp.get(src[0], from);
                valid[lane] = u64::from(inside);
                poison |= (self.warp.poison[src[0] as usize] >> from & 1) << lane;
            }
        }
        self.warp.write(dst[0], here, &values[..width], poison);
        if let Some(&slot) = dst.get(1) {
            self.warp.write(slot, here, &valid[..width], 0);
        }
        Ok(Flow::Next)
    }

    pub(super) fn vote(&mut self, vote: Vote, src: &[Slot], dst: &[Slot], inst: &Inst) -> Run<Flow> {
        let Some(parts) = self.converge(src.get(1).copied(), inst)? else { return Ok(Flow::Block) };
        let here = self.mask();
        self.defined(src[0], here, "the operand of a vote", inst)?;
        for part in parts {
            let set = lanes(part).filter(|&lane| self.warp.get(src[0], lane) & 1 != 0);
            let set = set.fold(0u64, |mask, lane| mask | 1 << lane);
            let value = match vote {
                Vote::All => u64::from(set == part),
                Vote::Any => u64::from(set != 0),
                Vote::Uni => u64::from(set == part || set == 0),
                Vote::Ballot => set,
            };
            self.broadcast(dst, part, value);
        }
        Ok(Flow::Next)
    }

    fn broadcast(&mut self, dst: &[Slot], mask: u64, value: u64) {
        if let Some(&slot) = dst.first() {
            let values = [value; 64];
            self.warp.write(slot, mask, &values[..self.warp.width], 0);
        }
    }

    pub(super) fn redux(
        &mut self,
        op: RedOp,
        is_signed: bool,
        src: &[Slot],
        dst: &[Slot],
        inst: &Inst,
    ) -> Run<Flow> {
        let Some(parts) = self.converge(src.get(1).copied(), inst)? else { return Ok(Flow::Block) };
        let here = self.mask();
        self.defined(src[0], here, "the operand of a reduction", inst)?;
        for part in parts {
            let mut values = lanes(part).map(|lane| self.warp.get(src[0], lane) & 0xffff_ffff);
            let first = values.next().unwrap_or(0);
            let value = values.fold(first, |a, b| {
                let less = if is_signed { signed(a, 32) < signed(b, 32) } else { a < b };
                match op {
                    RedOp::Add => a.wrapping_add(b) & 0xffff_ffff,
                    RedOp::And => a & b,
                    RedOp::Or => a | b,
                    RedOp::Xor => a ^ b,
                    RedOp::Max | RedOp::UMax => {
                        if less {
                            b
                        } else {
                            a
                        }
                    }
                    _ => {
                        if less {
                            a
                        } else {
                            b
                        }
                    }
                }
            });
            self.broadcast(dst, part, value);
        }
        Ok(Flow::Next)
    }

    pub(super) fn match_any(&mut self, src: &[Slot], dst: &[Slot], inst: &Inst) -> Run<Flow> {
        let Some(parts) = self.converge(src.first().copied(), inst)? else { return Ok(Flow::Block) };
        let here = self.mask();
        self.defined(src[1], here, "the operand of a match", inst)?;
        let mut out = [0u64; 64];
        for part in parts {
            for lane in lanes(part) {
                let mine = self.warp.get(src[1], lane);
                let equal = lanes(part).filter(|&other| self.warp.get(src[1], other) == mine);
                out[lane] = equal.fold(0, |mask, lane| mask | 1 << lane);
            }
        }
        let width = self.warp.width;
        self.warp.write(dst[0], here, &out[..width], 0);
        Ok(Flow::Next)
    }

    /// Which lane is elected is left open by the manual; the hardware takes the lowest.
    pub(super) fn elect(&mut self, src: &[Slot], dst: &[Slot], inst: &Inst) -> Run<Flow> {
        let Some(parts) = self.converge(src.first().copied(), inst)? else { return Ok(Flow::Block) };
        for part in parts {
            self.broadcast(dst, part, 0);
            self.broadcast(dst, 1 << part.trailing_zeros(), 1);
        }
        Ok(Flow::Next)
    }

    pub(super) fn warp_sync(&mut self, src: &[Slot], inst: &Inst) -> Run<Flow> {
        if self.converge(src.first().copied(), inst)?.is_none() {
            return Ok(Flow::Block);
        }
        self.warp.release();
        self.warp.lanes_since = self.warp.own_count();
        self.warp.copies_shared = self.warp.known.seen.get(self.warp.copy_agent);
        Ok(Flow::Next)
    }

    pub(super) fn map_address(&mut self, from: u8, src: &[Slot], dst: &[Slot], inst: &Inst) -> Run<Flow> {
        let mask = self.mask();
        self.defined(src[0], mask, "an address", inst)?;
        self.defined(src[1], mask, "a rank", inst)?;
        let blocks = self.cluster.ctas.len() as u64;
        let mut out = [0u64; 64];
        for lane in lanes(mask) {
            let rank = self.warp.get(src[1], lane);
            if rank >= blocks {
                let message = format!("rank {rank} in a cluster of {blocks} blocks");
                return self.fail(FaultKind::OutOfBounds, message, inst, 1 << lane);
            }
            let address = self.warp.get(src[0], lane);
            let shared = super::access::cast_space(address, from, 7);
            out[lane] = super::access::cast_space(super::access::map_to_rank(shared, rank), 7, from);
        }
        let width = self.warp.width;
        self.warp.write(dst[0], mask, &out[..width], 0);
        Ok(Flow::Next)
    }
}
