//! Barriers of a block and of a cluster.

use super::cluster::Cluster;
use super::race::Knowledge;
use super::step::{Flow, Slice};
use super::warp::{Group, Warp, lanes};
use super::{Machine, Run};
use crate::error::FaultKind;
use crate::program::{Inst, Op, RedOp, Slot};

/// One of the sixteen barriers of a block.
#[derive(Default, Clone)]
pub(crate) struct Barrier {
    /// Counts completions.
    pub(crate) generation: u64,
    /// Threads that have arrived, a whole warp at a time.
    pub(crate) arrived: u32,
    /// Threads expected, when the arrivals so far gave a number.
    pub(crate) expected: Option<u32>,
    /// Warps that arrived and wait (bits), for the report of a mismatch.
    warps: u64,
    gathering: Knowledge,
    /// What the arrivals of the last completed generation released.
    completed: Knowledge,
    reduction: Option<u64>,
    reduced: u64,
}

#[derive(Default)]
pub(crate) struct ClusterBarrier {
    generation: u64,
    arrived: u32,
    gathering: Knowledge,
    completed: Knowledge,
}

impl Slice<'_, '_, '_> {
    /// Whether all live lanes of the warp are here; the others come, and the groups become one.
    pub(super) fn whole_warp(&self) -> bool {
        self.mask() == self.warp.live
    }

    #[allow(clippy::too_many_arguments)]
    pub(super) fn barrier(
        &mut self,
        has_id: bool,
        counted: bool,
        arrive_only: bool,
        reduce: Option<RedOp>,
        src: &[Slot],
        dst: &[Slot],
        inst: &Inst,
    ) -> Run<Flow> {
        let mask = self.mask();
        let first = mask.trailing_zeros() as usize;
        let mut operands = src.iter();
        let mut uniform = |slice: &Self, what: &str| -> Run<u32> {
            let Some(&slot) = operands.next() else { return Ok(0) };
            slice.defined(slot, mask, what, inst)?;
            let value = slice.warp.get(slot, first);
            if lanes(mask).any(|lane| slice.warp.get(slot, lane) != value) {
                return slice.fail(FaultKind::Collective, format!("lanes disagree about {what}"), inst, mask);
            }
            Ok(value as u32)
        };
        let id = if has_id { uniform(self, "the number of a barrier")? } else { 0 };
        let count = if counted { Some(uniform(self, "the threads of a barrier")?) } else { None };
        let operand = operands.next().copied();
        if id > 15 {
            return self.fail(FaultKind::Collective, format!("barrier {id}; there are 0 to 15"), inst, mask);
        }
        let id = id as usize;
        if let Some(generation) = self.warp.groups[self.group].arrived {
            let barrier = &self.cluster.ctas[self.warp.cta].barriers[id];
            if barrier.generation == generation {
                return Ok(Flow::Block);
            }
            let completed = barrier.completed.clone();
            let reduced = barrier.reduced;
            self.warp.groups[self.group].arrived = None;
            self.warp.acquire(&completed);
            if let (Some(op), Some(&slot)) = (reduce, dst.first()) {
                let _ = op;
                let values = vec![reduced; self.warp.width];
                self.warp.write(slot, mask, &values, 0);
            }
            return Ok(Flow::Next);
        }
        if !self.whole_warp() {
            return Ok(Flow::Block);
        }
        let width = self.warp.width as u32;
        if let Some(count) = count
            && (count == 0 || !count.is_multiple_of(width))
        {
            let message = format!("a barrier of {count} threads; it must be a multiple of {width}");
            return self.fail(FaultKind::Collective, message, inst, mask);
        }
        let contribution = match (reduce, operand) {
            (Some(op), Some(slot)) => {
                self.defined(slot, mask, "the operand of a barrier", inst)?;
                let set = lanes(mask).filter(|&lane| self.warp.get(slot, lane) != 0).count() as u64;
                Some((op, set, set == u64::from(mask.count_ones())))
            }
            _ => None,
        };
        let released = self.published();
        let number = self.warp.number;
        let cluster = self.cluster.number;
        let barrier = &mut self.cluster.ctas[self.warp.cta].barriers[id];
        if barrier.arrived == 0 {
            barrier.gathering = Knowledge::new(cluster);
            barrier.expected = count;
            barrier.reduction = None;
            barrier.warps = 0;
        } else if barrier.expected != count {
            let before = barrier.expected;
            let message = format!(
                "barrier {id} is used for {} threads here, and for {} by those who arrived before",
                threads(count),
                threads(before)
            );
            return self.fail(FaultKind::Collective, message, inst, mask);
        }
        barrier.arrived += width;
        if let Some(expected) = barrier.expected
            && barrier.arrived > expected
        {
            let (arrived, message_id) = (barrier.arrived, id);
            let message = format!("{arrived} threads at barrier {message_id}, which is for {expected}");
            return self.fail(FaultKind::Collective, message, inst, mask);
        }
        barrier.warps |= 1 << (number % 64);
        barrier.gathering.join(&released);
        if let Some((op, set, all)) = contribution {
            let old = barrier.reduction;
            barrier.reduction = Some(match op {
                RedOp::Add => old.unwrap_or(0) + set,
                RedOp::And => old.unwrap_or(1) & u64::from(all),
                _ => old.unwrap_or(0) | u64::from(set > 0),
            });
        }
        let generation = barrier.generation;
        self.machine.events += 1;
        if !arrive_only {
            self.warp.groups[self.group].arrived = Some(generation);
        }
        let live = self.live_warps() * width;
        complete(&mut self.cluster.ctas[self.warp.cta].barriers[id], live);
        let completed = self.cluster.ctas[self.warp.cta].barriers[id].generation != generation;
        Ok(match (arrive_only, completed) {
            (true, _) => Flow::Pause,
            (false, true) => Flow::Moved(true),
            (false, false) => Flow::Block,
        })
    }

    /// Warps of this block that have not ended, this one included.
    fn live_warps(&self) -> u32 {
        let others = self.cluster.warps.iter().enumerate();
        let others =
            others.filter(|(index, warp)| *index != self.index && warp.cta == self.warp.cta && !warp.done());
        others.count() as u32 + u32::from(self.warp.live != 0)
    }

    /// Barriers for all threads no longer wait for a warp that has ended.
    pub(super) fn lanes_ended(&mut self) {
        if self.warp.live != 0 {
            return;
        }
        let live = self.live_warps() * self.warp.width as u32;
        for barrier in &mut self.cluster.ctas[self.warp.cta].barriers {
            complete(barrier, live);
        }
        // So with the cluster's barrier.
        let threads: u32 = self.cluster.warps.iter().map(|warp| warp.live.count_ones()).sum();
        self.cluster.barrier.complete(threads);
    }

    pub(super) fn cluster_arrive(&mut self, releases: bool, _: &Inst) -> Run<Flow> {
        if !self.whole_warp() {
            return Ok(Flow::Block);
        }
        let cluster = self.cluster.number;
        let live = self.live_threads();
        let released = releases.then(|| self.warp.release());
        let barrier = &mut self.cluster.barrier;
        if barrier.arrived == 0 {
            barrier.gathering = Knowledge::new(cluster);
        }
        if let Some(released) = released {
            barrier.gathering.join(&released);
        }
        barrier.arrived += self.warp.live.count_ones();
        self.warp.cluster_arrived = Some(barrier.generation);
        barrier.complete(live);
        self.machine.events += 1;
        Ok(Flow::Pause)
    }

    pub(super) fn cluster_wait(&mut self, inst: &Inst) -> Run<Flow> {
        let Some(generation) = self.warp.cluster_arrived else {
            let message = "a wait at the cluster's barrier without an arrival before";
            return self.fail(FaultKind::Collective, message, inst, self.mask());
        };
        if self.cluster.barrier.generation == generation || !self.whole_warp() {
            return Ok(Flow::Block);
        }
        self.warp.cluster_arrived = None;
        let completed = self.cluster.barrier.completed.clone();
        self.warp.acquire(&completed);
        Ok(Flow::Next)
    }

    fn live_threads(&self) -> u32 {
        let others = self.cluster.warps.iter().enumerate().filter(|(index, _)| *index != self.index);
        others.map(|(_, warp)| warp.live.count_ones()).sum::<u32>() + self.warp.live.count_ones()
    }
}

fn threads(count: Option<u32>) -> String {
    count.map_or_else(|| "all".to_owned(), |count| count.to_string())
}

fn complete(barrier: &mut Barrier, live: u32) {
    if barrier.arrived > 0 && barrier.arrived >= barrier.expected.unwrap_or(live) {
        barrier.generation += 1;
        barrier.arrived = 0;
        barrier.completed = std::mem::take(&mut barrier.gathering);
        barrier.reduced = barrier.reduction.unwrap_or(0);
    }
}

impl ClusterBarrier {
    fn complete(&mut self, live: u32) {
        if self.arrived > 0 && self.arrived >= live {
            self.generation += 1;
            self.arrived = 0;
            self.completed = std::mem::take(&mut self.gathering);
        }
    }
}

impl Machine<'_, '_> {
    /// For the report of a deadlock: what a group waits for.
    pub(super) fn why_blocked(&self, cluster: &Cluster, warp: &Warp, group: &Group, inst: &Inst) -> String {
        let missing = warp.live & !group.mask;
        match &inst.op {
            Op::Barrier { .. } if group.arrived.is_some() => {
                let cta = &cluster.ctas[warp.cta];
                let waiting = cta.barriers.iter().enumerate().filter(|(_, barrier)| barrier.arrived > 0);
                let states: Vec<String> = waiting
                    .map(|(id, barrier)| {
                        let expected = barrier.expected.map_or("all".to_owned(), |count| count.to_string());
                        format!("barrier {id}: {} of {expected} threads have arrived", barrier.arrived)
                    })
                    .collect();
                format!(" ({})", states.join("; "))
            }
            Op::MbarWait { .. } => {
                let code = &self.kernel.code;
                let slot = code.sources(inst)[0];
                let lane = group.mask.trailing_zeros() as usize;
                let address = warp.get(slot, lane) & 0xff_ffff;
                let at = self.shared_offset(address, 8);
                match at.and_then(|at| Some((at, cluster.ctas[warp.cta].mbars.get(&at)?))) {
                    Some((at, mbar)) => format!(" (mbarrier at offset {at}: {})", mbar.describe()),
                    None => String::new(),
                }
            }
            Op::SetMaxRegister { registers } => format!(
                " (for {} registers of a block that has {} to give)",
                registers.saturating_sub(warp.registers) * warp.width as u32,
                cluster.ctas[warp.cta].free_registers
            ),
            _ if missing != 0 => format!(" (waits for {})", super::describe_lanes(missing)),
            _ => String::new(),
        }
    }
}
