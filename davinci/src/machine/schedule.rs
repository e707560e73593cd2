//! Turns: a core's scalar unit or one of its pipes does a few steps, then another.

use super::code::{Step, flatten, num, resolve};
use super::context::{Context, Globals};
use super::core::{Core, Queued, compute};
use super::cost::{Cycles, Model, Moved};
use super::memory::{By, Memory};
use super::race::{AGENTS, Clocks, ELEMENTS, Epochs, PIPES};
use super::trace::Tracer;
use super::value::{float, int};
use super::{Arg, Options, Report};
use crate::chip::Chip;
use crate::error::{Fault, FaultKind};
use crate::ir::*;
use kcc_dsl::ir::{Elem, LocId};
use std::rc::Rc;

/// Instructions that wait in a pipe, at most: the scalar unit waits until there is room.
const QUEUE: usize = 32;

pub(super) struct Machine<'p> {
    pub program: &'p Program,
    pub chip: &'p Chip,
    pub cores: Vec<Core>,
    pub globals: Globals,
    pub clocks: Clocks,
    pub epochs: Epochs,
    grid: [u32; 3],
    blocks: u32,
    dims: Vec<Vec<i64>>,
    strides: Vec<Vec<i64>>,
    scalars: Vec<i64>,
    options: Options,
    random: u64,
    left: u64,
    /// What all cores moved.
    total: Moved,
    pub tracer: Tracer,
}

/// What a turn came to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Moved,
    Stuck,
}

/// A view among the arguments, written or not.
struct Seen<'a> {
    bytes: &'a [u8],
    origin: usize,
    dims: &'a [i64],
    strides: &'a [i64],
    written: bool,
}

fn view<'a>(a: &'a Arg<'_>) -> Option<Seen<'a>> {
    match a {
        Arg::View { bytes, origin, dims, strides } => {
            Some(Seen { bytes, origin: *origin, dims, strides, written: false })
        }
        Arg::ViewMut { bytes, origin, dims, strides } => {
            Some(Seen { bytes, origin: *origin, dims, strides, written: true })
        }
        Arg::Scalar(_) => None,
    }
}

impl<'p> Machine<'p> {
    pub fn new(
        program: &'p Program,
        chip: &'p Chip,
        grid: [u32; 3],
        blocks: u32,
        args: &[Arg<'_>],
        options: Options,
    ) -> Machine<'p> {
        let mut cores = Vec::new();
        let code = |k| program.body(k).map(|b| flatten(b)).map(|(s, n)| (Rc::new(s), n));
        let (cube, vector) = (code(CoreKind::Cube), code(CoreKind::Vector));
        for block in 0..blocks as usize {
            if let Some(c) = &cube {
                cores.push(Core::new(CoreKind::Cube, (block, 0, block), chip, c.clone()));
            }
            if let Some(v) = &vector {
                let n = if cube.is_some() { chip.vectors as usize } else { 1 };
                for sub in 0..n {
                    cores.push(Core::new(CoreKind::Vector, (block, sub, block), chip, v.clone()));
                }
            }
        }
        let memory = |(i, a): (usize, &Arg<'_>)| {
            let written = |v: &Seen<'_>| v.written && !options.timing;
            view(a).map(|v| Memory::with(format!("parameter {i}"), v.bytes.to_vec(), written(&v)))
        };
        let params: Vec<Option<Memory>> = args.iter().enumerate().map(memory).collect();
        let space = program.workspace as usize * blocks as usize;
        let lines = |n: usize| vec![false; n.div_ceil(512)];
        let mut touched: Vec<Vec<bool>> =
            params.iter().map(|m| lines(m.as_ref().map_or(0, |m| m.data.len()))).collect();
        touched.push(lines(space));
        let agents = cores.len() * AGENTS;
        Machine {
            program,
            chip,
            globals: Globals {
                origins: args.iter().map(|a| view(a).map_or(0, |v| v.origin as i64)).collect(),
                params,
                workspace: Memory::blank("the workspace", if options.timing { 0 } else { space }),
                touched,
            },
            clocks: if options.timing { Clocks::off(agents) } else { Clocks::new(agents) },
            epochs: Epochs::new(&program.locs),
            grid,
            blocks,
            dims: args.iter().map(|a| view(a).map_or(Vec::new(), |v| v.dims.to_vec())).collect(),
            strides: args.iter().map(|a| view(a).map_or(Vec::new(), |v| v.strides.to_vec())).collect(),
            scalars: args.iter().map(|a| if let Arg::Scalar(s) = a { *s } else { 0 }).collect(),
            options,
            random: options.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x2545_f491_4f6c_dd1d,
            left: options.steps,
            total: Moved::default(),
            tracer: Tracer::new(options.trace),
            cores,
        }
    }

    /// xorshift64*; good enough to mix turns.
    fn draw(&mut self, below: usize) -> usize {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        (self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % below.max(1)
    }

    pub fn at(&self, f: Fault, loc: LocId) -> Fault {
        f.at(self.program.locs.get(loc.0 as usize))
    }

    pub fn run(&mut self) -> Result<Report, Fault> {
        let agents = self.cores.len() * PIPES;
        let mut idle = 0;
        let mut next = 0;
        loop {
            if !self.options.timing && self.draw(4) == 0 {
                next = self.draw(agents);
            }
            let burst = if self.options.timing { 64 } else { 1 + self.draw(8) };
            let mut moved = false;
            for _ in 0..burst {
                match self.turn(next / PIPES, Pipe::ALL[next % PIPES])? {
                    Turn::Moved => moved = true,
                    Turn::Stuck => break,
                }
            }
            next = (next + 1) % agents;
            idle = if moved { 0 } else { idle + 1 };
            // Every agent was asked in a row, random hops apart: ask them all once more before judging.
            if idle > 8 * agents {
                let mut any = false;
                for a in 0..agents {
                    any |= self.turn(a / PIPES, Pipe::ALL[a % PIPES])? == Turn::Moved;
                }
                if !any {
                    break;
                }
                idle = 0;
            }
        }
        self.finish()
    }

    fn finish(&mut self) -> Result<Report, Fault> {
        if let Some(core) = self.cores.iter().find(|c| !c.finished()) {
            let queued =
                Pipe::ALL.iter().find_map(|p| core.queues[*p as usize].front().map(|q| (p.name(), q)));
            let (who, loc) = match queued {
                Some((pipe, q)) => (format!("pipe {pipe} waits at `{}`", q.instr.name()), q.loc),
                None => match &core.steps[core.pc] {
                    Step::Issue(i, loc) => (format!("the scalar unit waits at `{}`", i.name()), *loc),
                    _ => ("the scalar unit waits".into(), LocId(0)),
                },
            };
            let kind = if core.kind == CoreKind::Cube { "cube" } else { "vector" };
            let what = format!("no core can go on: in the {kind} core of block {}, {who}", core.block);
            return Err(self.at(Fault::new(FaultKind::Deadlock, what), loc));
        }
        for (i, core) in self.cores.iter().enumerate() {
            let known = &self.clocks.known[i * AGENTS + Pipe::S as usize];
            let late = Pipe::ALL
                .iter()
                .find(|p| known[i * AGENTS + **p as usize] < self.clocks.started[i * AGENTS + **p as usize]);
            if let (Some(p), false) = (late, core.steps.is_empty()) {
                let what = format!(
                    "the core's program may end while pipe {} still works: end it with a barrier of all pipes",
                    p.name()
                );
                return Err(Fault::new(FaultKind::Event, what));
            }
            for ((from, to, event), e) in &core.events {
                if let Some((_, _, loc)) = &e.raised {
                    let what = format!(
                        "event {event} from {} to {} is still raised when the kernel ends",
                        from.name(),
                        to.name()
                    );
                    return Err(self.at(Fault::new(FaultKind::Event, what), *loc));
                }
            }
            if let Some(flag) = core.flags.iter().position(|f| !f.is_empty()) {
                let what = format!("flag {flag} is still raised when the kernel ends");
                return Err(Fault::new(FaultKind::Flag, what));
            }
        }
        if let Some(flag) = self.half_raised() {
            let what =
                format!("flag {flag} is raised by some of the cores that must raise it together, not by all");
            return Err(Fault::new(FaultKind::Flag, what));
        }
        let tracer = std::mem::replace(&mut self.tracer, Tracer::new(false));
        let least = Model { chip: self.chip, program: self.program }.least(self.total);
        Ok(tracer.report(&self.cores, self.chip, least))
    }

    fn turn(&mut self, core: usize, pipe: Pipe) -> Result<Turn, Fault> {
        if pipe == Pipe::S {
            return self.scalar(core);
        }
        if self.cores[core].queues[pipe as usize].is_empty() {
            return Ok(Turn::Stuck);
        }
        self.pipe(core, pipe)
    }

    fn scalar(&mut self, core: usize) -> Result<Turn, Fault> {
        let c = &mut self.cores[core];
        let Some(step) = c.steps.get(c.pc).cloned() else { return Ok(Turn::Stuck) };
        if self.left == 0 {
            let what = format!("the scalar units took more than {} steps", self.options.steps);
            return Err(Fault::new(FaultKind::Runaway, what));
        }
        self.left -= 1;
        let s = Pipe::S as usize;
        match step {
            Step::Jump(to) => {
                c.pc = to;
                c.times[s].free += self.chip.cost.scalar;
            }
            Step::Unless(v, to) => {
                let v = resolve(&v, &c.regs);
                c.pc = if num(&v) == 0 { to } else { c.pc + 1 };
                c.times[s].free += self.chip.cost.scalar;
            }
            Step::Let(to, value, loc) => {
                let value = resolve(&value, &c.regs);
                c.pc += 1;
                c.times[s].free += self.chip.cost.scalar;
                let v = self.value(core, &value, loc).map_err(|f| self.at(f, loc))?;
                self.cores[core].regs[to.0 as usize] = v;
            }
            Step::Issue(instr, loc) => {
                let instr = resolve(&instr, &c.regs);
                crate::verify::params::check(&instr, self.program, self.chip).map_err(|f| self.at(f, loc))?;
                let turn = self.issue(core, instr, loc).map_err(|f| self.at(f, loc))?;
                if turn == Turn::Moved {
                    self.cores[core].pc += 1;
                    self.cores[core].times[s].free += self.chip.cost.scalar;
                }
                return Ok(turn);
            }
        }
        Ok(Turn::Moved)
    }

    fn value(&mut self, core: usize, s: &Scalar, loc: LocId) -> Result<i64, Fault> {
        let c = &self.cores[core];
        Ok(match s {
            Scalar::BlockIdx => c.block as i64,
            Scalar::BlockNum => i64::from(self.blocks),
            Scalar::SubIdx => c.sub as i64,
            Scalar::Grid { axis } => i64::from(self.grid[usize::from(*axis)]),
            Scalar::Arg { param } => self.scalars[*param as usize],
            Scalar::Dim { param, axis } => self.dims[*param as usize][usize::from(*axis)],
            Scalar::Stride { param, axis } => self.strides[*param as usize][usize::from(*axis)],
            Scalar::LoadGlobal { elem, src } => {
                let cost = self.chip.cost.scalar_load;
                if self.options.timing {
                    self.cores[core].times[Pipe::S as usize].free += cost;
                    return Ok(self.peek(*elem, src));
                }
                let w = elem.bytes() as i64;
                let ((data, defined), _) =
                    self.with(core, Pipe::S as usize, loc, (false, false), |x| x.fetch(src, 0, w))?;
                self.cores[core].times[Pipe::S as usize].free += cost;
                read(*elem, &data, defined.iter().all(|d| *d))?
            }
            Scalar::LoadLocal { .. } if self.options.timing => 0,
            Scalar::LoadLocal { elem, src } => {
                let w = elem.bytes();
                let ((data, good), _) = self.with(core, ELEMENTS, loc, (false, false), |x| {
                    let at = x.read(src, 0, w as i64)?;
                    let m = x.memory(src);
                    Ok((m.data[at..at + w].to_vec(), m.all_defined(at, w)))
                })?;
                read(*elem, &data, good)?
            }
            other => compute(other),
        })
    }

    /// An element of global memory, in a run that only counts cycles; 0 where there is none.
    fn peek(&self, elem: Elem, g: &Global) -> i64 {
        let Some(p) = g.param.map(|p| p as usize) else { return 0 };
        let at = self.globals.origins[p] + num(&g.offset);
        let bytes = self.globals.params[p].as_ref().map_or(&[][..], |m| &m.data[..]);
        let found = usize::try_from(at).ok().and_then(|at| bytes.get(at..at + elem.bytes()));
        found.map_or(0, |b| read(elem, b, true).unwrap_or(0))
    }

    /// Runs something as an instruction of an agent of a core, with its accesses noted; says what went from or to global memory.
    fn with<T>(
        &mut self,
        core: usize,
        who: usize,
        loc: LocId,
        (in_order, atomic): (bool, bool),
        f: impl FnOnce(&mut Context<'_>) -> Result<T, Fault>,
    ) -> Result<(T, Moved), Fault> {
        let agent = core * AGENTS + who;
        self.clocks.started[agent] += 1;
        let epoch = self.epochs.open(agent, self.clocks.started[agent], loc, atomic);
        // The scalar unit does one thing after another.
        let scalar = who == Pipe::S as usize || who == ELEMENTS;
        if who == ELEMENTS {
            self.clocks.elements(core);
        } else if scalar {
            self.clocks.settle(agent);
        }
        let in_order = in_order || scalar;
        let mut x = Context {
            program: self.program,
            locals: &mut self.cores[core].locals,
            globals: &mut self.globals,
            clocks: &self.clocks,
            epochs: &mut self.epochs,
            by: By { agent, epoch, in_order, atomic },
            moved: Moved::default(),
            inexact: (self.options.inexact, self.options.seed),
        };
        let out = f(&mut x)?;
        let moved = x.moved;
        Ok((out, moved))
    }

    /// Hands an instruction to its pipe, or does it if it is the scalar unit's.
    fn issue(&mut self, core: usize, instr: Instr, loc: LocId) -> Result<Turn, Fault> {
        let target = match &instr {
            Instr::Set(s) => {
                self.cores[core].events.entry((s.from, s.to, num(&s.event))).or_default().balance += 1;
                s.from
            }
            Instr::Wait(w) => {
                let key = (w.from, w.to, num(&w.event));
                let e = self.cores[core].events.entry(key).or_default();
                if e.balance <= 0 {
                    let what = format!(
                        "event {} from {} to {} is waited for before anything raises it: the core hangs",
                        key.2,
                        key.0.name(),
                        key.1.name()
                    );
                    return Err(Fault::new(FaultKind::Event, what));
                }
                w.to
            }
            Instr::Barrier(b) => match b.pipe {
                Pipes::All => return Ok(self.barrier_all(core)),
                Pipes::One(p) => p,
            },
            Instr::CrossSet(s) => s.pipe,
            Instr::CrossWait(w) => return self.cross_wait(core, w.flag),
            other => other.pipe().unwrap_or(Pipe::S),
        };
        if target == Pipe::S {
            let done = self.execute(core, Pipe::S, &instr, loc)?;
            if done == Turn::Moved && matches!(instr, Instr::Wait(_)) {
                self.settle_wait(core, &instr);
            }
            return Ok(done);
        }
        let agent = core * AGENTS + Pipe::S as usize;
        let (clock, c) = (self.clocks.known[agent].clone(), &mut self.cores[core]);
        if c.queues[target as usize].len() >= QUEUE {
            return Ok(Turn::Stuck);
        }
        let time = c.times[Pipe::S as usize].free;
        self.settle_wait(core, &instr);
        self.cores[core].queues[target as usize].push_back(Queued { instr, loc, clock, time });
        Ok(Turn::Moved)
    }

    fn settle_wait(&mut self, core: usize, instr: &Instr) {
        if let Instr::Wait(w) = instr {
            let key = (w.from, w.to, num(&w.event));
            self.cores[core].events.entry(key).or_default().balance -= 1;
        }
    }

    fn pipe(&mut self, core: usize, pipe: Pipe) -> Result<Turn, Fault> {
        let Some(q) = self.cores[core].queues[pipe as usize].pop_front() else { return Ok(Turn::Stuck) };
        let agent = core * AGENTS + pipe as usize;
        self.clocks.join(agent, &q.clock);
        let t = &mut self.cores[core].times[pipe as usize];
        t.free = t.free.max(q.time);
        match self.execute(core, pipe, &q.instr, q.loc).map_err(|f| self.at(f, q.loc))? {
            Turn::Moved => Ok(Turn::Moved),
            Turn::Stuck => {
                self.cores[core].queues[pipe as usize].push_front(q);
                Ok(Turn::Stuck)
            }
        }
    }

    /// Does an instruction whose turn has come.
    fn execute(&mut self, core: usize, pipe: Pipe, instr: &Instr, loc: LocId) -> Result<Turn, Fault> {
        match instr {
            Instr::Set(s) => return self.set(core, s, loc).map(|()| Turn::Moved),
            Instr::Wait(w) => return Ok(self.wait(core, w)),
            Instr::Barrier(_) => {
                self.clocks.settle(core * AGENTS + pipe as usize);
                let t = &mut self.cores[core].times[pipe as usize];
                t.free = t.free.max(t.done);
                return Ok(Turn::Moved);
            }
            Instr::CrossSet(s) => return self.cross_set(core, s, loc).map(|()| Turn::Moved),
            _ => {}
        }
        // Products that keep the cube unit busy long enough accumulate one after another without a barrier.
        let in_order = match instr {
            Instr::Mmad(m) => (num(&m.m) / 16) * (num(&m.n) / 16) >= 10,
            _ => false,
        };
        let atomic = match instr {
            Instr::CopyOut(c) => c.atomic != Atomic::None,
            Instr::Fixpipe(f) => f.atomic != Atomic::None,
            _ => false,
        };
        let moved = if self.options.timing {
            super::traffic::of(&mut self.globals, instr)
        } else {
            // Of instructions, the scalar unit has only those that write elements.
            let who = if pipe == Pipe::S { ELEMENTS } else { pipe as usize };
            self.with(core, who, loc, (in_order, atomic), |c| perform(c, instr))?.1
        };
        let model = Model { chip: self.chip, program: self.program };
        let mut cycles = model.cycles(instr);
        if moved.bytes > 0 {
            self.total.bytes += moved.bytes;
            self.total.cached += moved.cached;
            let t = model.transfer(moved.bytes);
            cycles = Cycles { busy: cycles.busy.max(t.busy), latency: t.latency };
        }
        let t = &mut self.cores[core].times[pipe as usize];
        let start = t.free;
        t.free += cycles.busy;
        t.busy += cycles.busy;
        t.done = t.done.max(start + cycles.busy + cycles.latency);
        self.tracer.note(core, pipe, instr, start, cycles.busy, loc);
        Ok(Turn::Moved)
    }
}

fn perform(c: &mut Context<'_>, instr: &Instr) -> Result<(), Fault> {
    use super::{copies, cube, vector};
    match instr {
        Instr::CopyIn(i) => copies::copy_in(c, i),
        Instr::CopyOut(i) => copies::copy_out(c, i),
        Instr::CopyL1(i) => copies::copy_l1(c, i),
        Instr::NdToNz(i) => copies::nd_to_nz(c, i),
        Instr::FillL1(i) => copies::fill_l1(c, i),
        Instr::LoadData(i) => cube::load(c, i),
        Instr::Mmad(i) => cube::mmad(c, i),
        Instr::Fixpipe(i) => copies::fixpipe(c, i),
        other => vector::run(c, other).map(|_| ()),
    }
}

/// An element in a scalar register.
fn read(elem: Elem, data: &[u8], defined: bool) -> Result<i64, Fault> {
    if !defined {
        return Err(Fault::new(FaultKind::Undefined, "the scalar unit reads a value that was never written"));
    }
    Ok(if elem.is_float() { i64::from(float(elem, data).to_bits()) } else { int(elem, data) })
}
