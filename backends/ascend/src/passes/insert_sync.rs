//! Orders what must be in order: events between pipes, barriers within one, and a barrier of all pipes where control flow joins.
//!
//! Statements are looked at in the order of the text. What was issued since the last barrier of all pipes is pending; a pending
//! access that conflicts with a new one (same bytes, one of them a write) is ordered before it:
//!
//! ```text
//! same pipe                 barrier of the pipe
//! another pipe              an event, raised and waited for right here
//! ends of loops, branches   a barrier of all pipes, so that every block starts with nothing pending
//! ```
//! An event's number may be used again once the raising pipe knows of the last wait.

use super::assign_addresses::mentioned;
use kcc_davinci::Chip;
use kcc_davinci::ir::*;
use kcc_dsl::ir::LocId;

/// Bytes of a core's memory, or a parameter's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Local(Space, u64, u64),
    Global(Option<u32>),
}

impl Place {
    fn meets(self, other: Place) -> bool {
        match (self, other) {
            (Place::Local(s, a, b), Place::Local(t, c, d)) => s == t && a < d && c < b,
            (Place::Global(a), Place::Global(b)) => a == b,
            _ => false,
        }
    }
}

/// An access that is not known to be done by every pipe.
struct Pending {
    pipe: Pipe,
    place: Place,
    write: bool,
    /// Pipes that know it to be done, by index.
    known: [bool; 7],
}

/// What a statement touches: its pipe, and places with whether they are written.
fn accesses(program: &Program, s: &Stmt) -> Option<(Pipe, Vec<(Place, bool)>)> {
    let local = |l: &Local| {
        let b = &program.buffers[l.buffer as usize];
        let from = u64::from(b.address.unwrap_or(0));
        Place::Local(b.space, from, from + b.total())
    };
    match s {
        Stmt::Let { value: Scalar::LoadLocal { src, .. }, .. } => Some((Pipe::S, vec![(local(src), false)])),
        Stmt::Let { value: Scalar::LoadGlobal { src, .. }, .. } => {
            Some((Pipe::S, vec![(Place::Global(src.param), false)]))
        }
        Stmt::Issue { instr, .. } => {
            let pipe = instr.pipe()?;
            let l = instr.locals();
            let mut all: Vec<(Place, bool)> = l.reads.iter().map(|p| (local(p), false)).collect();
            all.extend(l.writes.iter().map(|p| (local(p), true)));
            match instr {
                Instr::CopyIn(i) => all.push((Place::Global(i.src.param), false)),
                Instr::CopyL1(i) => all.push((Place::Global(i.src.param), false)),
                Instr::NdToNz(i) => all.push((Place::Global(i.src.param), false)),
                Instr::CopyOut(i) => all.push((Place::Global(i.dst.param), true)),
                Instr::Fixpipe(i) => all.push((Place::Global(i.dst.param), true)),
                _ => {}
            }
            Some((pipe, all))
        }
        _ => None,
    }
}

struct Inserter<'a> {
    program: &'a Program,
    kind: CoreKind,
    events: usize,
    pending: Vec<Pending>,
    /// For each event: whether it was waited for and the raising pipe does not know.
    busy: Vec<(Pipe, Pipe, usize)>,
}

pub(crate) fn run(program: &mut Program, chip: &Chip) {
    for kind in [CoreKind::Cube, CoreKind::Vector] {
        let Some(body) = program.body_mut(kind).map(std::mem::take) else { continue };
        let mut i = Inserter {
            program,
            kind,
            events: usize::try_from(chip.events).unwrap_or(0),
            pending: Vec::new(),
            busy: Vec::new(),
        };
        let mut done = i.block(body);
        done.push(Stmt::issue(Barrier { pipe: Pipes::All }, LocId(0)));
        if let Some(b) = program.body_mut(kind) {
            *b = done;
        }
    }
}

impl Inserter<'_> {
    /// Orders everything pending, if anything is.
    fn join(&mut self, out: &mut Vec<Stmt>, loc: LocId) {
        if !self.pending.is_empty() {
            out.push(Stmt::issue(Barrier { pipe: Pipes::All }, loc));
            self.pending.clear();
        }
        self.busy.clear();
    }

    fn block(&mut self, stmts: Vec<Stmt>) -> Vec<Stmt> {
        let mut out = Vec::with_capacity(stmts.len() * 2);
        for mut s in stmts {
            let touches = touches(&s);
            for b in s.blocks_mut() {
                if touches {
                    self.join(&mut out, LocId(0));
                }
                let inner = std::mem::take(b);
                *b = self.block(inner);
                if touches {
                    self.join(b, LocId(0));
                }
            }
            // A flag of a vector core tells the cube core that all its pipes are done with what they were given.
            if let Stmt::Issue { instr: Instr::CrossSet(_), loc } = &s
                && self.kind == CoreKind::Vector
            {
                self.join(&mut out, *loc);
            }
            self.order(&s, &mut out);
            out.push(s);
        }
        out
    }

    /// Puts what a statement needs before it, and notes its accesses.
    fn order(&mut self, s: &Stmt, out: &mut Vec<Stmt>) {
        let Some((pipe, all)) = accesses(self.program, s) else { return };
        let loc = match s {
            Stmt::Let { loc, .. } | Stmt::Issue { loc, .. } => *loc,
            _ => LocId(0),
        };
        for from in Pipe::ALL {
            let conflict = self.pending.iter().any(|p| {
                p.pipe == from
                    && !p.known[pipe as usize]
                    && all.iter().any(|(place, write)| (*write || p.write) && p.place.meets(*place))
            });
            // The scalar unit does one thing after another, and what it read is read when it issues the next.
            if !conflict || from == Pipe::S && pipe == Pipe::S {
                continue;
            }
            if from == pipe {
                out.push(Stmt::issue(Barrier { pipe: Pipes::One(pipe) }, loc));
            } else if let Some(event) = self.free_event(from, pipe) {
                out.push(Stmt::issue(Set { from, to: pipe, event: (event as i64).into() }, loc));
                out.push(Stmt::issue(Wait { from, to: pipe, event: (event as i64).into() }, loc));
                // The raising pipe tells all that it knows.
                self.busy.retain(|(f, t, _)| !(*f == pipe && *t == from));
                self.busy.push((from, pipe, event));
                for p in &mut self.pending {
                    if p.known[from as usize] {
                        p.known[pipe as usize] = true;
                    }
                }
            } else {
                self.join(out, loc);
                break;
            }
            for p in self.pending.iter_mut().filter(|p| p.pipe == from) {
                p.known[pipe as usize] = true;
            }
        }
        for (place, write) in all {
            let mut known = [false; 7];
            if pipe == Pipe::S && !write {
                known = [true; 7];
            }
            self.pending.push(Pending { pipe, place, write, known });
        }
    }

    fn free_event(&self, from: Pipe, to: Pipe) -> Option<usize> {
        (0..self.events).find(|e| !self.busy.contains(&(from, to, *e)))
    }
}

/// Whether a statement, or one inside it, touches memory.
fn touches(s: &Stmt) -> bool {
    let own = match s {
        Stmt::Issue { instr, .. } => instr.pipe().is_some(),
        Stmt::Let { value: Scalar::LoadGlobal { .. }, .. } => true,
        other => !mentioned(other).is_empty(),
    };
    own || s.blocks().iter().any(|b| b.iter().any(touches))
}
