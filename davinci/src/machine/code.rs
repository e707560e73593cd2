//! Structured statements flattened to jumps, so that a core can stop anywhere.

use crate::ir::{Instr, IntOp, Program, Reg, Scalar, Stmt, Val, Vals};
use kcc_dsl::ir::LocId;

/// A step of a scalar unit.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Let(Reg, Scalar, LocId),
    Issue(Instr, LocId),
    /// Goes on elsewhere.
    Jump(usize),
    /// Goes on elsewhere if the value is 0.
    Unless(Val, usize),
}

/// The steps of a body, and how many registers they use.
pub(super) fn flatten(stmts: &[Stmt]) -> (Vec<Step>, usize) {
    let mut next = 0;
    highest(stmts, &mut next);
    let mut f = Flatten { steps: Vec::new(), next };
    f.block(stmts);
    (f.steps, f.next as usize)
}

fn highest(stmts: &[Stmt], n: &mut u32) {
    for s in stmts {
        match s {
            Stmt::Let { to, .. } => *n = (*n).max(to.0 + 1),
            Stmt::For { counter, .. } => *n = (*n).max(counter.0 + 1),
            _ => {}
        }
        for b in s.blocks() {
            highest(b, n);
        }
    }
}

struct Flatten {
    steps: Vec<Step>,
    next: u32,
}

impl Flatten {
    fn fresh(&mut self) -> Reg {
        self.next += 1;
        Reg(self.next - 1)
    }

    fn set(&mut self, to: Reg, value: Scalar) {
        self.steps.push(Step::Let(to, value, LocId(0)));
    }

    fn unless(&mut self, v: Val) -> usize {
        self.steps.push(Step::Unless(v, 0));
        self.steps.len() - 1
    }

    fn land(&mut self, at: usize) {
        let here = self.steps.len();
        match &mut self.steps[at] {
            Step::Unless(_, to) | Step::Jump(to) => *to = here,
            _ => {}
        }
    }

    fn block(&mut self, stmts: &[Stmt]) {
        for s in stmts {
            match s {
                Stmt::Let { to, value, loc } => self.steps.push(Step::Let(*to, value.clone(), *loc)),
                Stmt::Issue { instr, loc } => self.steps.push(Step::Issue(instr.clone(), *loc)),
                Stmt::For { counter, from, to, step, body } => {
                    // The bounds are read once.
                    let (i, end, by, more) = (self.fresh(), self.fresh(), self.fresh(), self.fresh());
                    self.set(i, Scalar::Move { value: *from });
                    self.set(end, Scalar::Move { value: *to });
                    self.set(by, Scalar::Move { value: *step });
                    let head = self.steps.len();
                    self.set(more, Scalar::Int { op: IntOp::Lt, a: i.into(), b: end.into() });
                    let out = self.unless(more.into());
                    self.set(*counter, Scalar::Move { value: i.into() });
                    self.block(body);
                    self.set(i, Scalar::Int { op: IntOp::Add, a: i.into(), b: by.into() });
                    self.steps.push(Step::Jump(head));
                    self.land(out);
                }
                Stmt::While { head, condition, body } => {
                    let start = self.steps.len();
                    self.block(head);
                    let out = self.unless((*condition).into());
                    self.block(body);
                    self.steps.push(Step::Jump(start));
                    self.land(out);
                }
                Stmt::If { condition, then, otherwise } => {
                    let second = self.unless(*condition);
                    self.block(then);
                    self.steps.push(Step::Jump(0));
                    let end = self.steps.len() - 1;
                    self.land(second);
                    self.block(otherwise);
                    self.land(end);
                }
            }
        }
    }
}

/// An instruction with registers replaced by their values.
pub(super) fn resolve<T: Vals + Clone>(what: &T, regs: &[i64]) -> T {
    let mut out = what.clone();
    out.each(&mut |v| {
        if let Val::Reg(r) = v {
            *v = Val::Const(regs[r.0 as usize]);
        }
    });
    out
}

/// A resolved number.
pub(super) fn num(v: &Val) -> i64 {
    v.known().unwrap_or(0)
}

/// Buffers with their addresses; those without one lie at 0.
pub(super) fn address(program: &Program, buffer: u32) -> i64 {
    i64::from(program.buffers[buffer as usize].address.unwrap_or(0))
}
