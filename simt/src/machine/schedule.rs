//! Which warp runs next. Random under the seed, so that every interleaving has its chance; what waits is asked
//! again only after something happened.

use super::cluster::Cluster;
use super::step::Slice;
use super::warp::Warp;
use super::{Machine, Run, Timing};
use crate::error::{Fault, FaultKind};

impl Machine<'_, '_> {
    pub(super) fn run_grid(&mut self) -> Run<()> {
        let total = self.cluster_count();
        if total >= 1 << (32 - super::race::AGENT_BITS) {
            self.options.races = false; // too many agents to tell apart
        }
        let mut next = 0;
        let mut resident: Vec<Cluster> = Vec::new();
        loop {
            while resident.len() < self.options.resident.max(1) && next < total {
                resident.push(Cluster::new(self, next));
                next += 1;
            }
            if resident.is_empty() {
                return Ok(());
            }
            if let Some((cluster, warp)) = self.pick(&resident) {
                self.run_warp(&mut resident[cluster], warp)?;
                if self.timing == Timing::Random && self.rng.one_in(3) {
                    let chosen = self.rng.below(resident.len());
                    self.land_some(&mut resident[chosen])?;
                }
                if resident[cluster].done() {
                    self.end_of_cluster(&mut resident[cluster])?;
                    resident.swap_remove(cluster);
                    self.events += 1;
                }
                continue;
            }
            // Everyone waits: the world outside has to move.
            let busy: Vec<usize> =
                (0..resident.len()).filter(|&index| !resident[index].pending.is_empty()).collect();
            match busy.is_empty() {
                false => {
                    let chosen = busy[self.rng.below(busy.len())];
                    self.land_some(&mut resident[chosen])?;
                }
                true => return Err(self.deadlock(&resident)),
            }
        }
    }

    /// A random warp that can go on.
    fn pick(&mut self, resident: &[Cluster]) -> Option<(usize, usize)> {
        let count: usize = resident.iter().map(|cluster| cluster.warps.len()).sum();
        let start = self.rng.below(count);
        let all = resident
            .iter()
            .enumerate()
            .flat_map(|(c, cluster)| (0..cluster.warps.len()).map(move |w| (c, w)));
        let ready = |&(c, w): &(usize, usize)| self.runnable(&resident[c].warps[w]);
        all.clone().skip(start).find(|at| ready(at)).or_else(|| all.take(start).find(|at| ready(at)))
    }

    fn runnable(&self, warp: &Warp) -> bool {
        warp.groups.iter().any(|group| group.blocked.is_none_or(|at| self.events > at))
    }

    fn run_warp(&mut self, cluster: &mut Cluster, index: usize) -> Run<()> {
        let mut warp = std::mem::take(&mut cluster.warps[index]);
        warp.merge();
        let events = self.events;
        let ready = |group: &super::warp::Group| group.blocked.is_none_or(|at| events > at);
        let ready: Vec<usize> = (0..warp.groups.len()).filter(|&g| ready(&warp.groups[g])).collect();
        // The lowest position first, so that lanes meet again; now and then any, so that none starves.
        let chosen = if ready.len() > 1 && self.rng.one_in(16) {
            ready.get(self.rng.below(ready.len())).copied()
        } else {
            ready.iter().copied().min_by_key(|&g| warp.groups[g].pc)
        };
        let result = match chosen {
            Some(group) => Slice { machine: self, cluster, warp: &mut warp, group, index }.run(),
            None => Ok(()),
        };
        cluster.warps[index] = warp;
        result
    }

    /// Everything still under way lands, and is checked, when the last warp of a cluster has ended.
    fn end_of_cluster(&mut self, cluster: &mut Cluster) -> Run<()> {
        self.check_unfinished(cluster)?;
        self.check_warpgroups(cluster)?;
        while !cluster.pending.is_empty() {
            self.land_some(cluster)?;
        }
        Ok(())
    }

    fn deadlock(&self, resident: &[Cluster]) -> Box<Fault> {
        let mut fault =
            Fault::new(FaultKind::Deadlock, "deadlock: every warp waits, and nothing is under way");
        for cluster in resident {
            for warp in &cluster.warps {
                for group in &warp.groups {
                    let Some(inst) = self.kernel.code.insts.get(group.pc as usize) else { continue };
                    let why = self.why_blocked(cluster, warp, group, inst);
                    let who = format!("{}{why}", self.who(cluster, warp, group.mask));
                    let place = self.place(inst.site, who);
                    fault.places.push(place);
                }
            }
        }
        fault.places.truncate(64);
        fault
    }
}
