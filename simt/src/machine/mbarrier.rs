//! `mbarrier` objects: arrivals, transaction counts, phases.
//!
//! The object's state is kept beside shared memory; its eight bytes are opaque, and an ordinary access to them is a
//! fault.

use super::access::Target;
use super::cluster::Cluster;
use super::race::{ATOMIC, Knowledge};
use super::step::{Flow, Slice};
use super::warp::lanes;
use super::{Machine, Run};
use crate::error::FaultKind;
use crate::program::{Arrive, Inst, Slot};

/// A block of the cluster, and an offset in its shared memory.
pub(crate) type Spot = (usize, usize);

pub(crate) struct Mbar {
    /// The agent of the transfers that complete here; their count is the phase plus one.
    pub(crate) agent: u32,
    /// Completed phases.
    pub(crate) phase: u64,
    /// Arrivals of a phase.
    expected: u32,
    /// Arrivals that the current phase still wants.
    wanted: u32,
    /// Bytes announced and not yet transferred, in the current phase.
    bytes: i64,
    gathering: Knowledge,
    completed: Knowledge,
    /// Whether the initialisation was made visible to the async proxy and to other blocks.
    fenced: bool,
    by: u32,
    site: u32,
}

impl Mbar {
    pub(crate) fn describe(&self) -> String {
        format!(
            "phase {}: {} of {} arrivals and {} bytes are missing",
            self.phase, self.wanted, self.expected, self.bytes
        )
    }

    fn settle(&mut self) -> bool {
        let done = self.wanted == 0 && self.bytes == 0;
        if done {
            self.phase += 1;
            self.wanted = self.expected;
            self.completed = self.gathering.clone();
            self.completed.seen.raise(self.agent, self.phase as u32);
        }
        done
    }
}

impl Machine<'_, '_> {
    /// `bytes` of a transfer have arrived.
    pub(super) fn complete_bytes(&mut self, cluster: &mut Cluster, spot: Spot, bytes: usize) {
        if let Some(mbar) = cluster.ctas[spot.0].mbars.get_mut(&spot.1) {
            mbar.bytes -= bytes as i64;
            mbar.settle();
        }
        self.events += 1;
    }

    /// Arrivals that need no warp (of `cp.async.mbarrier.arrive`), with what they release.
    pub(super) fn arrive_later(
        &mut self,
        cluster: &mut Cluster,
        spot: Spot,
        count: u32,
        known: &Knowledge,
    ) -> bool {
        self.events += 1;
        let Some(mbar) = cluster.ctas[spot.0].mbars.get_mut(&spot.1) else { return false };
        if mbar.wanted < count {
            return false;
        }
        mbar.gathering.join(known);
        mbar.wanted -= count;
        mbar.settle();
        true
    }
}

impl Slice<'_, '_, '_> {
    /// A fault when an ordinary access touches an mbarrier.
    pub(super) fn check_mbarrier(
        &self,
        cta: usize,
        at: usize,
        length: usize,
        inst: &Inst,
        lane: usize,
    ) -> Run<()> {
        let mbars = &self.cluster.ctas[cta].mbars;
        if mbars.is_empty() {
            return Ok(());
        }
        match mbars.range(at.saturating_sub(7)..at + length).next() {
            None => Ok(()),
            Some((offset, mbar)) => {
                let message = format!("an ordinary access to the mbarrier at offset {offset}");
                let who = self.machine.who(self.cluster, self.warp, 1 << lane);
                let mut fault = self.machine.fault(FaultKind::Mbarrier, message, inst.site, who);
                fault.places.push(self.machine.place(mbar.site, "its initialisation".into()));
                Err(fault)
            }
        }
    }

    fn spot(&mut self, space: u8, slot: Slot, lane: usize, inst: &Inst) -> Run<Spot> {
        self.defined(slot, 1 << lane, "the address of an mbarrier", inst)?;
        let address = self.warp.get(slot, lane);
        match self.locate(space, address, 8, 8, lane, inst)? {
            Target::Shared(cta, at) => Ok((cta, at)),
            _ => self.fail(FaultKind::Mbarrier, "an mbarrier outside shared memory", inst, 1 << lane),
        }
    }

    /// The mbarrier that `slot` points to, which has to be initialised, in an order that this warp knows of.
    pub(super) fn mbar(&mut self, space: u8, slot: Slot, lane: usize, inst: &Inst) -> Run<Spot> {
        let spot = self.spot(space, slot, lane, inst)?;
        if !self.cluster.ctas[spot.0].mbars.contains_key(&spot.1) {
            let message = format!("no mbarrier was initialised at offset {}", spot.1);
            return self.fail(FaultKind::Mbarrier, message, inst, 1 << lane);
        }
        self.order(Target::Shared(spot.0, spot.1), 8, lane, ATOMIC, None, inst)?;
        if spot.0 != self.warp.cta {
            self.mbar_visible(spot, lane, inst)?;
        }
        Ok(spot)
    }

    /// Transfers and other blocks see an mbarrier only after a fence.
    pub(super) fn mbar_visible(&self, spot: Spot, lane: usize, inst: &Inst) -> Run<()> {
        let mbar = &self.cluster.ctas[spot.0].mbars[&spot.1];
        if mbar.fenced {
            return Ok(());
        }
        let message = format!(
            "the mbarrier at offset {} is used by the async proxy or another block, and neither \
             `fence.mbarrier_init` nor `fence.proxy.async` came after its initialisation",
            spot.1
        );
        let who = self.machine.who(self.cluster, self.warp, 1 << lane);
        let mut fault = self.machine.fault(FaultKind::ProxyFence, message, inst.site, who);
        fault.places.push(self.machine.place(mbar.site, "its initialisation".into()));
        Err(fault)
    }

    pub(super) fn mbar_init(&mut self, src: &[Slot], inst: &Inst) -> Run<Flow> {
        for lane in lanes(self.mask()) {
            let spot = self.spot(3, src[0], lane, inst)?;
            self.defined(src[1], 1 << lane, "the arrivals of an mbarrier", inst)?;
            let count = self.warp.get(src[1], lane) as u32;
            if count == 0 || count >= 1 << 20 {
                let message = format!("an mbarrier for {count} arrivals; 1 to {}", (1 << 20) - 1);
                return self.fail(FaultKind::Mbarrier, message, inst, 1 << lane);
            }
            if self.cluster.ctas[spot.0].mbars.contains_key(&spot.1) {
                let message = format!("the mbarrier at offset {} is initialised a second time", spot.1);
                return self.fail(FaultKind::Mbarrier, message, inst, 1 << lane);
            }
            let new = [0x5a; 8];
            self.order(Target::Shared(spot.0, spot.1), 8, lane, 0, Some(&new), inst)?;
            let (agent, number) = (self.cluster.mbar_agent(), self.cluster.number);
            let mbar = Mbar {
                agent,
                phase: 0,
                expected: count,
                wanted: count,
                bytes: 0,
                gathering: Knowledge::new(number),
                completed: Knowledge::new(number),
                fenced: false,
                by: self.warp.agent,
                site: inst.site,
            };
            let block = &mut self.cluster.ctas[spot.0];
            block.shared[spot.1..spot.1 + 8].copy_from_slice(&new);
            block.init[spot.1..spot.1 + 8].fill(true);
            block.mbars.insert(spot.1, mbar);
        }
        Ok(Flow::Pause)
    }

    pub(super) fn mbar_inval(&mut self, src: &[Slot], inst: &Inst) -> Run<Flow> {
        for lane in lanes(self.mask()) {
            let spot = self.mbar(3, src[0], lane, inst)?;
            self.order(Target::Shared(spot.0, spot.1), 8, lane, 0, Some(&[0; 8]), inst)?;
            let block = &mut self.cluster.ctas[spot.0];
            block.mbars.remove(&spot.1);
            block.init[spot.1..spot.1 + 8].fill(false);
        }
        Ok(Flow::Pause)
    }

    pub(super) fn mbar_arrive(
        &mut self,
        kind: Arrive,
        counted: bool,
        space: u8,
        src: &[Slot],
        dst: &[Slot],
        inst: &Inst,
    ) -> Run<Flow> {
        let mask = self.mask();
        let released = self.warp.release();
        for lane in lanes(mask) {
            let (cta, at) = self.mbar(space, src[0], lane, inst)?;
            let mut operand = 1;
            if counted {
                self.defined(src[1], 1 << lane, "the operand of an arrival", inst)?;
                operand = self.warp.get(src[1], lane) as u32;
            }
            let mbar = self.cluster.ctas[cta].mbars.get_mut(&at).ok_or_else(bug)?;
            let count = if kind == Arrive::ExpectTx { 1 } else { operand };
            if count > mbar.wanted {
                let message = format!(
                    "{count} arrivals at the mbarrier at offset {at}, which wants {} more of {} in its phase {}",
                    mbar.wanted, mbar.expected, mbar.phase
                );
                return self.fail(FaultKind::Mbarrier, message, inst, 1 << lane);
            }
            let phase = mbar.phase;
            mbar.gathering.join(&released);
            if kind == Arrive::ExpectTx {
                mbar.bytes += i64::from(operand);
            }
            mbar.wanted -= count;
            if kind == Arrive::Drop {
                mbar.expected = mbar.expected.saturating_sub(count);
            }
            mbar.settle();
            if let Some(&slot) = dst.first() {
                self.warp.set(slot, lane, phase);
                self.warp.poison[slot as usize] &= !(1 << lane);
            }
        }
        self.machine.events += 1;
        Ok(Flow::Pause)
    }

    pub(super) fn mbar_expect(&mut self, space: u8, src: &[Slot], inst: &Inst) -> Run<Flow> {
        for lane in lanes(self.mask()) {
            let (cta, at) = self.mbar(space, src[0], lane, inst)?;
            self.defined(src[1], 1 << lane, "a number of bytes", inst)?;
            let bytes = self.warp.get(src[1], lane) as u32;
            let mbar = self.cluster.ctas[cta].mbars.get_mut(&at).ok_or_else(bug)?;
            mbar.bytes += i64::from(bytes);
        }
        self.machine.events += 1;
        Ok(Flow::Pause)
    }

    pub(super) fn mbar_wait(
        &mut self,
        state: bool,
        blocks: bool,
        returns: bool,
        src: &[Slot],
        dst: &[Slot],
        inst: &Inst,
    ) -> Run<Flow> {
        let mask = self.mask();
        let mut done = 0u64;
        for lane in lanes(mask) {
            let (cta, at) = self.mbar(3, src[0], lane, inst)?;
            self.defined(src[1], 1 << lane, "the phase to wait for", inst)?;
            let phase = self.warp.get(src[1], lane);
            let mbar = &self.cluster.ctas[cta].mbars[&at];
            if state && phase > mbar.phase {
                return self.fail(
                    FaultKind::Mbarrier,
                    "a wait for a phase that has not begun",
                    inst,
                    1 << lane,
                );
            }
            let complete = if state { mbar.phase > phase } else { mbar.phase & 1 != phase & 1 };
            done |= u64::from(complete) << lane;
        }
        // `try_wait` may give up at any time: now and then it does, so that a missing loop shows.
        let gives_up = blocks && returns && self.machine.rng.one_in(8);
        if blocks && done != mask && !gives_up {
            return Ok(Flow::Block);
        }
        if gives_up && done != mask {
            done = 0;
        }
        for lane in lanes(done) {
            let (cta, at) = self.spot(3, src[0], lane, inst)?;
            let completed = self.cluster.ctas[cta].mbars[&at].completed.clone();
            self.warp.acquire(&completed);
        }
        if let Some(&slot) = dst.first() {
            let values: Vec<u64> = (0..self.warp.width).map(|lane| done >> lane & 1).collect();
            self.warp.write(slot, mask, &values, 0);
        }
        Ok(Flow::Pause)
    }

    pub(super) fn fence_mbar_init(&mut self) -> Run<Flow> {
        let by = self.warp.agent;
        let mbars = self.cluster.ctas[self.warp.cta].mbars.values_mut();
        mbars.filter(|mbar| mbar.by == by).for_each(|mbar| mbar.fenced = true);
        Ok(Flow::Next)
    }

    pub(super) fn fence_proxy_async(&mut self, _: &Inst) -> Run<Flow> {
        self.fence_mbar_init()?;
        let seen = self.warp.known.seen.clone();
        self.warp.known.fenced.join(&seen);
        // Accesses from here on are later than the fence.
        let next = self.warp.own_count() + 1;
        self.warp.known.seen.raise(self.warp.agent, next);
        Ok(Flow::Next)
    }
}

fn bug() -> Box<crate::error::Fault> {
    crate::error::Fault::new(FaultKind::Mbarrier, "an mbarrier disappeared; please report this")
}

impl Machine<'_, '_> {
    /// The current phase wants one more arrival.
    pub(super) fn expect_one_more(&mut self, cluster: &mut Cluster, spot: Spot) {
        if let Some(mbar) = cluster.ctas[spot.0].mbars.get_mut(&spot.1) {
            mbar.wanted += 1;
        }
    }
}
