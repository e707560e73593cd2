//! The rules that a program must keep, whatever its arguments: forms, capacities, ranges, alignments.
//!
//! What depends on values in registers is checked by the simulator, with the same rules ([`params::check`]).

mod events;
pub(crate) mod params;

use crate::chip::Chip;
use crate::error::{Error, Fault, FaultKind};
use crate::ir::{CoreKind, Instr, Layout, Mode, Pipe, Pipes, Program, Reg, Scalar, Space, Stmt, Val, Vals};
use kcc_dsl::ir::{LocId, ParamKind};
use std::collections::BTreeSet;

/// Checks a program against its chip's rules. Buffers without an address are checked for everything but where they lie.
///
/// # Errors
/// The first rule that is broken, with the author's line where the mistake is an instruction's.
pub fn verify(program: &Program) -> Result<(), Error> {
    let chip = Chip::find(&program.chip)
        .ok_or_else(|| invalid(FaultKind::Form, format!("there is no chip `{}`", program.chip)))?;
    buffers(program, chip).map_err(Error::Invalid)?;
    for kind in [CoreKind::Cube, CoreKind::Vector] {
        if let Some(body) = program.body(kind) {
            let mut v = Verifier { program, chip, kind, depth: 0 };
            v.block(body, &mut BTreeSet::new()).map_err(Error::Invalid)?;
            events::check(body).map_err(Error::Invalid)?;
        }
    }
    if program.cube.is_none() && program.vector.is_none() {
        return Err(invalid(FaultKind::Form, "the program has no code"));
    }
    Ok(())
}

fn invalid(kind: FaultKind, what: impl Into<String>) -> Error {
    Error::Invalid(Fault::new(kind, what))
}

fn buffers(program: &Program, chip: &Chip) -> Result<(), Fault> {
    let mut names = BTreeSet::new();
    for b in &program.buffers {
        let fault = |what: String| Err(Fault::new(FaultKind::Capacity, format!("buffer {}: {what}", b.name)));
        if !names.insert(&b.name) {
            return fault("another has the same name".into());
        }
        if !layouts(b.space).contains(&b.layout) {
            return fault(format!("{:?} is no layout of {}", b.layout, b.space.name()));
        }
        if b.bytes == 0 || b.slots == 0 {
            return fault("it is empty".into());
        }
        let capacity = chip.capacity(b.space);
        let end = u64::from(b.address.unwrap_or(0)) + b.total();
        if end > u64::from(capacity) {
            return fault(format!(
                "it ends at byte {end} of {}, which has {capacity} bytes for kernels; take a smaller tile or fewer slots",
                b.space.name()
            ));
        }
        let alignment = Chip::alignment(b.space);
        if !b.address.unwrap_or(0).is_multiple_of(alignment) || (b.slots > 1 && b.bytes % alignment != 0) {
            return fault(format!("its address and its slots must be multiples of {alignment} bytes"));
        }
    }
    Ok(())
}

/// How a memory's buffers may be laid out: the cube unit takes its operands in one way only.
fn layouts(space: Space) -> &'static [Layout] {
    match space {
        Space::Ub | Space::L1 => &[Layout::Nd, Layout::Nz],
        Space::L0a => &[Layout::Zz],
        Space::L0b => &[Layout::Zn],
        Space::L0c => &[Layout::Nz],
    }
}

struct Verifier<'a> {
    program: &'a Program,
    chip: &'a Chip,
    kind: CoreKind,
    depth: usize,
}

/// Blocks inside blocks, at most.
const DEPTH: usize = 64;

impl Verifier<'_> {
    fn block(&mut self, stmts: &[Stmt], defined: &mut BTreeSet<Reg>) -> Result<(), Fault> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(Fault::new(FaultKind::Form, format!("blocks are nested deeper than {DEPTH}")));
        }
        for s in stmts {
            self.stmt(s, defined)?;
        }
        self.depth -= 1;
        Ok(())
    }

    fn stmt(&mut self, s: &Stmt, defined: &mut BTreeSet<Reg>) -> Result<(), Fault> {
        let loc = match s {
            Stmt::Let { loc, .. } | Stmt::Issue { loc, .. } => *loc,
            _ => LocId(0),
        };
        let at = |f: Fault| f.at(self.program.locs.get(loc.0 as usize));
        let mut missing = None;
        s.clone().each(&mut |v| {
            if let Val::Reg(r) = v
                && !defined.contains(r)
            {
                missing = Some(*r);
            }
        });
        if let Some(r) = missing {
            return Err(at(Fault::new(FaultKind::Form, format!("{r} is read before it is assigned"))));
        }
        match s {
            Stmt::Let { to, value, .. } => {
                self.scalar(value).map_err(at)?;
                defined.insert(*to);
            }
            Stmt::Issue { instr, .. } => self.instr(instr).map_err(at)?,
            Stmt::For { counter, step, body, .. } => {
                if step.known().is_some_and(|s| s <= 0) {
                    return Err(Fault::new(FaultKind::Form, "a loop's step must be positive"));
                }
                let mut inner = defined.clone();
                inner.insert(*counter);
                self.block(body, &mut inner)?;
            }
            Stmt::While { head, condition, body } => {
                self.block(head, defined)?;
                if !defined.contains(condition) {
                    let what = format!("the condition {condition} is not assigned");
                    return Err(Fault::new(FaultKind::Form, what));
                }
                self.block(body, &mut defined.clone())?;
            }
            Stmt::If { then, otherwise, .. } => {
                let (mut a, mut b) = (defined.clone(), defined.clone());
                self.block(then, &mut a)?;
                self.block(otherwise, &mut b)?;
                defined.extend(a.intersection(&b).copied());
            }
        }
        Ok(())
    }

    fn scalar(&self, s: &Scalar) -> Result<(), Fault> {
        let form = |what: String| Err(Fault::new(FaultKind::Form, what));
        let param = |p: u32| {
            self.program
                .params
                .get(p as usize)
                .ok_or_else(|| Fault::new(FaultKind::Form, format!("there is no parameter {p}")))
        };
        match s {
            Scalar::Grid { axis } if *axis > 2 => form(format!("a grid has no axis {axis}")),
            Scalar::Arg { param: p } => match param(*p)?.kind {
                ParamKind::Scalar(_) => Ok(()),
                ParamKind::View { .. } => form(format!("parameter {p} is a view, not a scalar")),
            },
            Scalar::Dim { param: p, axis } | Scalar::Stride { param: p, axis } => match param(*p)?.kind {
                ParamKind::View { rank, .. } if usize::from(*axis) < rank => Ok(()),
                _ => form(format!("parameter {p} has no axis {axis}")),
            },
            Scalar::LoadGlobal { src, .. } => match src.param {
                Some(p) => param(p).map(|_| ()),
                None => Ok(()),
            },
            Scalar::LoadLocal { src, .. } => self.place(src.buffer, Some(Space::Ub)),
            _ => Ok(()),
        }
    }

    fn place(&self, buffer: u32, space: Option<Space>) -> Result<(), Fault> {
        let Some(b) = self.program.buffers.get(buffer as usize) else {
            return Err(Fault::new(FaultKind::Form, format!("there is no buffer {buffer}")));
        };
        if b.space.core() != self.kind || space.is_some_and(|s| s != b.space) {
            let what = format!("buffer {} lies in {}, out of reach here", b.name, b.space.name());
            return Err(Fault::new(FaultKind::Form, what));
        }
        Ok(())
    }

    fn instr(&self, i: &Instr) -> Result<(), Fault> {
        let l = i.locals();
        for place in l.reads.iter().chain(&l.writes) {
            self.place(place.buffer, None)?;
        }
        let here = |p: Pipe| match p {
            Pipe::S | Pipe::Mte2 => true,
            Pipe::Mte3 | Pipe::V => self.kind == CoreKind::Vector,
            Pipe::Mte1 | Pipe::M | Pipe::Fix => self.kind == CoreKind::Cube,
        };
        let has = |p: Pipe| {
            if here(p) {
                Ok(())
            } else {
                Err(Fault::new(FaultKind::Form, format!("these cores have no pipe {}", p.name())))
            }
        };
        if let Some(p) = i.pipe() {
            has(p)?;
        }
        match i {
            Instr::Set(s) => self.event(s.from, s.to, &s.event, has)?,
            Instr::Wait(s) => self.event(s.from, s.to, &s.event, has)?,
            Instr::Barrier(b) => {
                if let Pipes::One(p) = b.pipe {
                    has(p)?;
                }
            }
            Instr::CrossSet(s) => {
                has(s.pipe)?;
                self.flag(s.flag)?;
                if s.mode == Mode::Pair && self.kind == CoreKind::Cube {
                    return Err(Fault::new(FaultKind::Form, "a group has one cube core: no pair of them"));
                }
                if s.mode == Mode::Group && (self.program.cube.is_none() || self.program.vector.is_none()) {
                    return Err(Fault::new(FaultKind::Form, "a flag of the group needs both kinds of core"));
                }
            }
            Instr::CrossWait(w) => self.flag(w.flag)?,
            _ => {}
        }
        params::check(i, self.program, self.chip)
    }

    fn event(
        &self,
        from: Pipe,
        to: Pipe,
        event: &Val,
        has: impl Fn(Pipe) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        has(from)?;
        has(to)?;
        if from == to {
            return Err(Fault::new(
                FaultKind::Form,
                "an event joins two pipes; within one there is the barrier",
            ));
        }
        params::event(event, self.chip)
    }

    fn flag(&self, flag: u8) -> Result<(), Fault> {
        if flag >= self.chip.flags {
            let what = format!("flag {flag} is not for kernels: there are 0 to {}", self.chip.flags - 1);
            return Err(Fault::new(FaultKind::Parameter, what));
        }
        Ok(())
    }
}
