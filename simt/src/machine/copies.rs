//! Work under way: what it is, when it lands, and `cp.async`.

use super::access::Target;
use super::cluster::Cluster;
use super::mbarrier::Spot;
use super::memory::At;
use super::race::{ASYNC, AccessInfo, Actor, Knowledge};
use super::step::{Flow, Slice};
use super::warp::lanes;
use super::{Machine, Run, Timing};
use crate::error::FaultKind;
use crate::program::{Inst, RedOp, Slot};
use crate::text::Scalar;

/// A run of bytes between global and shared memory; without a source, zeros (or the map's fill).
#[derive(Clone, Copy)]
pub(crate) struct Piece {
    pub(crate) shared: usize,
    pub(crate) global: Option<At>,
    pub(crate) length: usize,
}

pub(crate) enum Work {
    /// `cp.async` of one instruction: block, pieces.
    Copy {
        cta: usize,
        pieces: Vec<Piece>,
    },
    /// Arrival at an mbarrier once the copies before it are done.
    Arrive {
        spot: Spot,
        count: u32,
        known: Box<Knowledge>,
    },
    /// Global to shared memory, in one block or several; then bytes at an mbarrier in each.
    Load {
        ctas: Vec<usize>,
        pieces: Vec<Piece>,
        fill: u64,
        size: usize,
        mbar: usize,
        bytes: usize,
    },
    /// Shared to global memory, perhaps combining.
    Store {
        cta: usize,
        pieces: Vec<Piece>,
        reduce: Option<(RedOp, Scalar)>,
    },
    Wgmma(Box<super::wgmma::Issued>),
}

pub(crate) struct Pending {
    pub(crate) work: Work,
    /// The warp that issued it, as an index in the cluster.
    pub(crate) warp: usize,
    pub(crate) lane: usize,
    /// Its group, counted from 1, in the order that the lane commits them.
    pub(crate) group: u32,
    pub(crate) site: u32,
}

impl Pending {
    /// Work of one queue lands in order.
    fn queue(&self) -> Option<(usize, bool)> {
        match self.work {
            Work::Copy { .. } | Work::Arrive { .. } => Some((self.warp, false)),
            Work::Wgmma(_) => Some((self.warp, true)),
            _ => None,
        }
    }

    pub(crate) fn is_bulk_store(&self) -> bool {
        matches!(self.work, Work::Store { .. })
    }
}

impl Machine<'_, '_> {
    /// Lets one piece of pending work land, chosen at random among those whose turn it is.
    pub(super) fn land_some(&mut self, cluster: &mut Cluster) -> Run<()> {
        if cluster.pending.is_empty() {
            return Ok(());
        }
        let chosen = self.rng.below(cluster.pending.len());
        let queue = cluster.pending[chosen].queue();
        let first = match queue {
            None => chosen,
            Some(_) => cluster.pending.iter().position(|other| other.queue() == queue).unwrap_or(chosen),
        };
        self.land(cluster, first)
    }

    /// Lands everything that `wanted` names, in order.
    pub(super) fn land_all(&mut self, cluster: &mut Cluster, wanted: impl Fn(&Pending) -> bool) -> Run<()> {
        while let Some(index) = cluster.pending.iter().position(&wanted) {
            self.land(cluster, index)?;
        }
        Ok(())
    }

    fn land(&mut self, cluster: &mut Cluster, index: usize) -> Run<()> {
        let pending = cluster.pending.remove(index);
        self.events += 1;
        match pending.work {
            Work::Copy { cta, pieces } => self.fill_shared(cluster, cta, &pieces, 0, 1),
            Work::Arrive { spot, count, known } => {
                if !self.arrive_later(cluster, spot, count, &known) {
                    let message = "more arrivals at an mbarrier than it wants, by cp.async.mbarrier.arrive";
                    return Err(self.fault(FaultKind::Mbarrier, message, pending.site, String::new()));
                }
            }
            Work::Load { ctas, pieces, fill, size, mbar, bytes } => {
                for cta in ctas {
                    if cluster.ended(cta) {
                        let message = format!("a bulk copy to block {cta} of the cluster, which has ended");
                        return Err(self.fault(FaultKind::Race, message, pending.site, String::new()));
                    }
                    self.fill_shared(cluster, cta, &pieces, fill, size);
                    self.complete_bytes(cluster, (cta, mbar), bytes);
                }
            }
            Work::Store { cta, pieces, reduce } => {
                for piece in &pieces {
                    let Some(at) = piece.global else { continue };
                    let from = &cluster.ctas[cta].shared[piece.shared..piece.shared + piece.length];
                    let Some(to) = self.memory.slice_mut(at, piece.length) else {
                        let message = "a bulk copy to a buffer that the launch gave as read-only";
                        return Err(self.fault(FaultKind::OutOfBounds, message, pending.site, String::new()));
                    };
                    match reduce {
                        None => to.copy_from_slice(from),
                        Some((op, ty)) => {
                            let size = ty.bytes() as usize;
                            for (to, from) in to.chunks_exact_mut(size).zip(from.chunks_exact(size)) {
                                let (old, new) = (super::read_scalar(to, ty), super::read_scalar(from, ty));
                                let value = super::atomic::apply(op, ty, old, new, None);
                                to.copy_from_slice(&value.to_le_bytes()[..size]);
                            }
                        }
                    }
                }
            }
            Work::Wgmma(issued) => self.land_wgmma(cluster, pending.warp, *issued)?,
        }
        Ok(())
    }

    fn fill_shared(&mut self, cluster: &mut Cluster, cta: usize, pieces: &[Piece], fill: u64, size: usize) {
        let block = &mut cluster.ctas[cta];
        for piece in pieces {
            let range = piece.shared..piece.shared + piece.length;
            match piece.global {
                Some(at) => block.shared[range.clone()].copy_from_slice(self.memory.slice(at, piece.length)),
                None => {
                    for (index, byte) in block.shared[range.clone()].iter_mut().enumerate() {
                        *byte = (fill >> (8 * (index % size.clamp(1, 8)))) as u8;
                    }
                }
            }
            block.init[range].fill(true);
        }
    }

    /// What is wrong with ending a cluster now.
    pub(super) fn check_unfinished(&self, cluster: &Cluster) -> Run<()> {
        if let Some(pending) = cluster.pending.iter().find(|pending| pending.is_bulk_store()) {
            let message = "the block ends while a bulk copy still reads its shared memory; wait with \
                           cp.async.bulk.wait_group";
            return Err(self.fault(FaultKind::Race, message, pending.site, String::new()));
        }
        if let Some(pending) =
            cluster.pending.iter().find(|pending| matches!(pending.work, Work::Load { .. }))
        {
            let message =
                "the block ends while a bulk copy still writes its shared memory; nobody waited for it";
            return Err(self.fault(FaultKind::Race, message, pending.site, String::new()));
        }
        Ok(())
    }
}

impl Slice<'_, '_, '_> {
    /// Puts work under way; with early timing it is done at once.
    pub(super) fn start(&mut self, pending: Pending) -> Run<()> {
        self.cluster.pending.push(pending);
        if self.machine.timing == Timing::Early {
            self.with_all_warps(|machine, cluster| machine.land_all(cluster, |_| true))?;
        }
        Ok(())
    }

    /// Runs `body` with this warp back in its cluster.
    pub(super) fn with_all_warps(
        &mut self,
        body: impl FnOnce(&mut Machine<'_, '_>, &mut Cluster) -> Run<()>,
    ) -> Run<()> {
        std::mem::swap(self.warp, &mut self.cluster.warps[self.index]);
        let result = body(self.machine, self.cluster);
        std::mem::swap(self.warp, &mut self.cluster.warps[self.index]);
        result
    }

    /// Checks and records the accesses of an asynchronous operation: as `agent`, with the count `count`, after all
    /// that this warp knows now.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn order_async(
        &mut self,
        agent: u32,
        count: u32,
        flags: u8,
        proxy: bool,
        target: Target,
        length: usize,
        write: bool,
        lane: usize,
        inst: &Inst,
    ) -> Run<()> {
        if !self.machine.options.races {
            return Ok(());
        }
        let info = AccessInfo { agent, count, site: inst.site, flags: flags | ASYNC };
        let own_copies = (self.warp.copy_agent, self.warp.copies_shared);
        let actor =
            Actor { info, known: &self.warp.known, lanes_since: self.warp.lanes_since, own_copies, proxy };
        let lane32 = lane as u32;
        let races = &mut self.machine.races;
        let (result, what) = match target {
            Target::Shared(cta, at) => {
                let cells = &mut self.cluster.ctas[cta].cells[at..at + length];
                let result = if write {
                    races.write(cells, &actor, lane32, |_| false)
                } else {
                    races.read(cells, &actor, lane32)
                };
                (result, format!("shared memory at offset {at}"))
            }
            Target::Global(at) => {
                let result = self.machine.memory.shadow(at, length, |cells, _| {
                    if write {
                        races.write(cells, &actor, lane32, |_| false)
                    } else {
                        races.read(cells, &actor, lane32)
                    }
                });
                (result, format!("global memory, buffer {}, byte {},", at.0, at.1))
            }
            _ => return Ok(()),
        };
        let Err(conflict) = result else { return Ok(()) };
        let who = self.machine.who(self.cluster, self.warp, 1 << lane);
        Err(self.machine.conflict(conflict, &actor, &what, write, who))
    }

    pub(super) fn cp_async(&mut self, bytes: u8, sized: bool, src: &[Slot], inst: &Inst) -> Run<Flow> {
        let mask = self.mask();
        self.defined(src[0], mask, "an address", inst)?;
        let length = usize::from(bytes);
        let agent = self.cluster.agent(self.warp.cta, 1, self.warp.number);
        let mut addresses = [None; 64];
        let mut sectors = Vec::new();
        let mut groups: Vec<(u32, usize, Vec<Piece>)> = Vec::new();
        for lane in lanes(mask) {
            let to = self.warp.get(src[0], lane);
            let Target::Shared(cta, at) = self.locate(3, to, length, u64::from(bytes), lane, inst)? else {
                return self.fail(
                    FaultKind::OutOfBounds,
                    "a copy to other than shared memory",
                    inst,
                    1 << lane,
                );
            };
            self.check_mbarrier(cta, at, length, inst, lane)?;
            addresses[lane] = Some(to);
            let mut read = length;
            if sized {
                self.defined(src[2], 1 << lane, "the size of a copy", inst)?;
                read = self.warp.get(src[2], lane) as usize;
                if read > length {
                    let message = format!("{read} bytes to read in a copy of {length}");
                    return self.fail(FaultKind::OutOfBounds, message, inst, 1 << lane);
                }
            }
            let group = self.warp.copy_groups[lane] + 1;
            let mut pieces = Vec::new();
            if read > 0 {
                self.defined(src[1], 1 << lane, "an address", inst)?;
                let from = self.warp.get(src[1], lane);
                let target = self.locate(1, from, read, u64::from(bytes), lane, inst)?;
                let Target::Global(global) = target else {
                    return self.fail(
                        FaultKind::OutOfBounds,
                        "a copy from other than global memory",
                        inst,
                        1 << lane,
                    );
                };
                sectors.extend(from / 32..=(from + read as u64 - 1) / 32);
                self.order_async(agent, group, 0, false, target, read, false, lane, inst)?;
                pieces.push(Piece { shared: at, global: Some(global), length: read });
            }
            if read < length {
                pieces.push(Piece { shared: at + read, global: None, length: length - read });
            }
            self.order_async(agent, group, 0, false, Target::Shared(cta, at), length, true, lane, inst)?;
            match groups.iter_mut().find(|(other, _, _)| *other == group) {
                Some((_, _, all)) => all.extend(pieces),
                None => groups.push((group, lane, pieces)),
            }
        }
        let cta = self.warp.cta;
        for (group, lane, pieces) in groups {
            let work = Work::Copy { cta, pieces };
            self.start(Pending { work, warp: self.index, lane, group, site: inst.site })?;
        }
        self.count_access(&addresses, sectors, u32::from(bytes), inst);
        Ok(Flow::Pause)
    }

    pub(super) fn cp_async_commit(&mut self) -> Run<Flow> {
        for lane in lanes(self.mask()) {
            self.warp.copy_groups[lane] += 1;
        }
        Ok(Flow::Next)
    }

    pub(super) fn cp_async_wait(&mut self, pending: u32) -> Run<Flow> {
        let done = lanes(self.mask()).map(|lane| self.warp.copy_groups[lane].saturating_sub(pending));
        let done = done.min().unwrap_or(0);
        let index = self.index;
        self.with_all_warps(|machine, cluster| {
            let copy = |work: &Work| matches!(work, Work::Copy { .. } | Work::Arrive { .. });
            machine.land_all(cluster, |p| p.warp == index && p.group <= done && copy(&p.work))
        })?;
        let agent = self.cluster.agent(self.warp.cta, 1, self.warp.number);
        self.warp.known.seen.raise(agent, done);
        Ok(Flow::Pause)
    }

    pub(super) fn cp_async_arrive(&mut self, counts: bool, src: &[Slot], inst: &Inst) -> Run<Flow> {
        let agent = self.cluster.agent(self.warp.cta, 1, self.warp.number);
        for lane in lanes(self.mask()) {
            let spot = self.mbar(3, src[0], lane, inst)?;
            // The copies so far, committed or not, are what the arrival stands for.
            let group = self.warp.copy_groups[lane] + 1;
            self.warp.copy_groups[lane] = group;
            let mut known = self.warp.known.clone();
            known.seen.raise(agent, group);
            if counts {
                // Without `.noinc` the arrival first raises what the phase wants: the two cancel out.
                self.machine.expect_one_more(self.cluster, spot);
            }
            let work = Work::Arrive { spot, count: 1, known: Box::new(known) };
            self.start(Pending { work, warp: self.index, lane, group, site: inst.site })?;
        }
        self.warp.release();
        Ok(Flow::Pause)
    }
}
