//! What a run came to: cycles, how busy each pipe was, and a timeline.

use super::core::Core;
use super::race::Clock;
use crate::chip::Chip;
use crate::ir::{CoreKind, Instr, Pipe};
use kcc_dsl::ir::LocId;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};

/// Flags raised by some of those that must raise them, by core, mode and flag.
pub(super) type Pending = BTreeMap<(usize, u8, u8), VecDeque<(Clock, u64)>>;

/// One instruction on the timeline.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// Core, counted over the launch.
    pub core: usize,
    /// Pipe.
    pub pipe: Pipe,
    /// Instruction.
    pub name: String,
    /// Cycle of its start.
    pub start: u64,
    /// Cycles that it kept its pipe busy.
    pub cycles: u64,
    /// Source, an index into the program's locations.
    pub loc: LocId,
}

/// What a run came to. Cycles are the cost model's, not a device's.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Cycles from the first start to the last end.
    pub cycles: u64,
    /// The same in seconds, by the chip's clock.
    pub seconds: f64,
    /// Busy cycles of each pipe, summed over cores of a kind.
    pub busy: BTreeMap<(CoreKind, Pipe), u64>,
    /// Cores of each kind.
    pub cores: BTreeMap<CoreKind, usize>,
    /// Cycles that memory and cache, which all cores share, need for what was moved; `cycles` is no less.
    pub shared: u64,
    /// Instructions, if they were asked for.
    pub timeline: Vec<Span>,
    kinds: Vec<(CoreKind, usize, usize)>,
}

impl Report {
    /// Share of the time that a pipe was busy, over all cores of a kind.
    pub fn utilisation(&self, kind: CoreKind, pipe: Pipe) -> f64 {
        let cores = self.cores.get(&kind).copied().unwrap_or(0) as f64;
        let busy = self.busy.get(&(kind, pipe)).copied().unwrap_or(0) as f64;
        if cores == 0.0 || self.cycles == 0 { 0.0 } else { busy / (cores * self.cycles as f64) }
    }

    /// The timeline in Chrome's trace format (open it at `chrome://tracing` or in Perfetto): a process for each core, a thread for
    /// each pipe, microseconds by the chip's clock; an instruction is named with its source line.
    ///
    /// # Errors
    /// None that a program can cause.
    pub fn chrome_trace(&self, locs: &[kcc_dsl::ir::Loc]) -> Result<String, serde_json::Error> {
        #[derive(Serialize)]
        struct Event {
            name: String,
            ph: &'static str,
            #[serde(skip_serializing_if = "Option::is_none")]
            ts: Option<f64>,
            #[serde(skip_serializing_if = "Option::is_none")]
            dur: Option<f64>,
            pid: usize,
            tid: usize,
            args: BTreeMap<&'static str, String>,
        }
        let micro = if self.cycles == 0 { 0.0 } else { self.seconds * 1e6 / self.cycles as f64 };
        let mut events = Vec::new();
        for (pid, (kind, group, sub)) in self.kinds.iter().enumerate() {
            let name = match kind {
                CoreKind::Cube => format!("group {group}: cube"),
                CoreKind::Vector => format!("group {group}: vector {sub}"),
            };
            let args = BTreeMap::from([("name", name)]);
            events.push(Event {
                name: "process_name".into(),
                ph: "M",
                ts: None,
                dur: None,
                pid,
                tid: 0,
                args,
            });
            for p in Pipe::ALL {
                let args = BTreeMap::from([("name", p.name().to_owned())]);
                let tid = p as usize;
                events.push(Event {
                    name: "thread_name".into(),
                    ph: "M",
                    ts: None,
                    dur: None,
                    pid,
                    tid,
                    args,
                });
            }
        }
        for s in &self.timeline {
            let loc = locs.get(s.loc.0 as usize);
            let source = loc.map(ToString::to_string).unwrap_or_default();
            let line = loc.map(|l| format!(" {}:{}", l.file.rsplit('/').next().unwrap_or_default(), l.line));
            events.push(Event {
                name: s.name.clone() + &line.unwrap_or_default(),
                ph: "X",
                ts: Some(s.start as f64 * micro),
                dur: Some(s.cycles as f64 * micro),
                pid: s.core,
                tid: s.pipe as usize,
                args: BTreeMap::from([("source", source), ("cycles", s.cycles.to_string())]),
            });
        }
        serde_json::to_string(&BTreeMap::from([("traceEvents", events)]))
    }
}

pub(super) struct Tracer {
    timeline: Option<Vec<Span>>,
    pub pending: Pending,
}

impl Tracer {
    pub fn new(on: bool) -> Tracer {
        Tracer { timeline: on.then(Vec::new), pending: Pending::new() }
    }

    pub fn note(&mut self, core: usize, pipe: Pipe, i: &Instr, start: u64, cycles: u64, loc: LocId) {
        if let Some(t) = &mut self.timeline {
            t.push(Span { core, pipe, name: i.name(), start, cycles, loc });
        }
    }

    /// `least`: cycles that the shared memory needs.
    pub fn report(self, cores: &[Core], chip: &Chip, least: u64) -> Report {
        let mut busy = BTreeMap::new();
        let mut count = BTreeMap::new();
        let mut cycles = least;
        for c in cores {
            *count.entry(c.kind).or_insert(0) += 1;
            for p in Pipe::ALL {
                let t = c.times[p as usize];
                *busy.entry((c.kind, p)).or_insert(0) += t.busy;
                cycles = cycles.max(t.done).max(t.free);
            }
        }
        Report {
            cycles,
            seconds: cycles as f64 / (chip.cost.clock * 1e9),
            busy,
            cores: count,
            timeline: self.timeline.unwrap_or_default(),
            shared: least,
            kinds: cores.iter().map(|c| (c.kind, c.group, c.sub)).collect(),
        }
    }
}
