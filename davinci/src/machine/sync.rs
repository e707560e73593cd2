//! Events between pipes of a core, and flags between cores.

use super::code::num;
use super::core::Event;
use super::race::{AGENTS, Clock, PIPES, join};
use super::schedule::{Machine, Turn};
use crate::error::{Fault, FaultKind};
use crate::ir::{CoreKind, CrossSet, Mode, Pipe, Set, Wait};
use kcc_dsl::ir::LocId;

impl Machine<'_> {
    /// An event may be raised again only if its last wait is surely done.
    pub(super) fn set(&mut self, core: usize, s: &Set, loc: LocId) -> Result<(), Fault> {
        let agent = core * AGENTS + s.from as usize;
        let waiter = core * AGENTS + s.to as usize;
        let key = (s.from, s.to, num(&s.event));
        let message = self.clocks.message(agent);
        let known = self.clocks.known[agent][waiter];
        let c = &mut self.cores[core];
        let time = c.times[s.from as usize];
        let e: &mut Event = c.events.entry(key).or_default();
        if e.raised.is_some() || e.waited > known {
            let what = format!(
                "event {} from {} to {} is raised again before its last wait is surely done: the core hangs",
                key.2,
                key.0.name(),
                key.1.name()
            );
            return Err(Fault::new(FaultKind::Event, what));
        }
        e.raised = Some((message, time.done.max(time.free), loc));
        Ok(())
    }

    pub(super) fn wait(&mut self, core: usize, w: &Wait) -> Turn {
        let agent = core * AGENTS + w.to as usize;
        let key = (w.from, w.to, num(&w.event));
        let c = &mut self.cores[core];
        let e = c.events.entry(key).or_default();
        let Some((message, time, _)) = e.raised.take() else { return Turn::Stuck };
        self.clocks.started[agent] += 1;
        e.waited = self.clocks.started[agent];
        let t = &mut c.times[w.to as usize];
        t.free = t.free.max(time);
        self.clocks.join(agent, &message);
        if w.to == Pipe::S {
            self.clocks.settle(agent);
        }
        Turn::Moved
    }

    /// The scalar unit waits until all pipes of its core are empty.
    pub(super) fn barrier_all(&mut self, core: usize) -> Turn {
        if self.cores[core].queues.iter().any(|q| !q.is_empty()) {
            return Turn::Stuck;
        }
        let s = core * AGENTS + Pipe::S as usize;
        let mut time = 0;
        for p in 0..PIPES {
            let message = self.clocks.message(core * AGENTS + p);
            self.clocks.join(s, &message);
            let t = self.cores[core].times[p];
            time = time.max(t.done).max(t.free);
        }
        self.cores[core].times[Pipe::S as usize].free = time;
        Turn::Moved
    }

    pub(super) fn cross_wait(&mut self, core: usize, flag: u8) -> Result<Turn, Fault> {
        let s = core * AGENTS + Pipe::S as usize;
        let Some((message, time)) = self.cores[core].flags[usize::from(flag)].pop_front() else {
            return Ok(Turn::Stuck);
        };
        self.clocks.started[s] += 1;
        self.clocks.join(s, &message);
        self.clocks.settle(s);
        let t = &mut self.cores[core].times[Pipe::S as usize];
        t.free = t.free.max(time);
        Ok(Turn::Moved)
    }

    /// Raises a flag of whom the mode names; where several must raise it, the last one does.
    pub(super) fn cross_set(&mut self, core: usize, s: &CrossSet, loc: LocId) -> Result<(), Fault> {
        let agent = core * AGENTS + s.pipe as usize;
        let message = self.clocks.message(agent);
        let c = &self.cores[core];
        let time = c.times[s.pipe as usize];
        let time = time.done.max(time.free);
        let (kind, group) = (c.kind, c.group);
        let all = |k: CoreKind, g: Option<usize>| -> Vec<usize> {
            let here = |(_, c): &(usize, &super::core::Core)| c.kind == k && g.is_none_or(|g| c.group == g);
            self.cores.iter().enumerate().filter(here).map(|(i, _)| i).collect()
        };
        let (senders, receivers) = match (s.mode, kind) {
            (Mode::All, k) => (all(k, None), all(k, None)),
            (Mode::Pair, k) => (all(k, Some(group)), all(k, Some(group))),
            (Mode::Group, CoreKind::Cube) => (vec![core], all(CoreKind::Vector, Some(group))),
            (Mode::Group, CoreKind::Vector) => {
                (all(CoreKind::Vector, Some(group)), all(CoreKind::Cube, Some(group)))
            }
        };
        let key = (s.mode, s.flag);
        let pending = &mut self.tracer.pending;
        pending.entry((core, key.0 as u8, key.1)).or_default().push_back((message, time));
        // All senders have raised it once more: one for each receiver.
        let ready = |p: &super::trace::Pending| {
            senders.iter().all(|c| p.get(&(*c, key.0 as u8, key.1)).is_some_and(|q| !q.is_empty()))
        };
        if !ready(pending) {
            return Ok(());
        }
        let mut joined: Option<(Clock, u64)> = None;
        for c in &senders {
            if let Some((m, t)) = pending.get_mut(&(*c, key.0 as u8, key.1)).and_then(|q| q.pop_front()) {
                joined = Some(match joined {
                    None => (m, t),
                    Some((mut a, at)) => {
                        join(&mut a, &m);
                        (a, at.max(t))
                    }
                });
            }
        }
        let Some((m, t)) = joined else { return Ok(()) };
        let limit = self.chip.flag_limit as usize;
        for r in receivers {
            let flags = &mut self.cores[r].flags[usize::from(s.flag)];
            flags.push_back((m.clone(), t));
            if flags.len() > limit {
                let what =
                    format!("flag {} is raised more than {limit} times before it is waited for", s.flag);
                return Err(self.at(Fault::new(FaultKind::Flag, what), loc));
            }
        }
        Ok(())
    }

    /// Flags that some cores raised and others, who had to, did not.
    pub(super) fn half_raised(&self) -> Option<u8> {
        self.tracer.pending.iter().find(|(_, q)| !q.is_empty()).map(|(k, _)| k.2)
    }
}
