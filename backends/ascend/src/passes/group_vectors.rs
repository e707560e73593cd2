//! Puts vector instructions that do not depend on each other side by side, so that fewer barriers stand between those that do.
//!
//! ```text
//! a1 ┊ a2 ┊ a3 ┊ b1 ┊ b2          ┊ a barrier: the pipe is empty before the next starts
//! a1 b1 ┊ a2 b2 ┊ a3              each as early as what it needs allows
//! ```
//! Runs of vector instructions, alone or each in a branch, are sorted by how many barriers must stand before them; computations
//! between them, which know nothing of tiles, go first.

use super::order::places::{Access, Touch, of_instr};
use kcc_davinci::ir::{CoreKind, Instr, Pipe, Program, Reg, Scalar, Stmt, Val, Vals};
use std::collections::HashSet;

pub(crate) fn run(program: &mut Program) {
    let Some(mut body) = program.body_mut(CoreKind::Vector).map(std::mem::take) else { return };
    block(program, &mut body);
    if let Some(b) = program.body_mut(CoreKind::Vector) {
        *b = body;
    }
}

fn block(program: &Program, stmts: &mut Vec<Stmt>) {
    for s in stmts.iter_mut() {
        s.blocks_mut().into_iter().for_each(|b| block(program, b));
    }
    let mut out: Vec<Stmt> = Vec::with_capacity(stmts.len());
    let mut run = Run::default();
    for s in stmts.drain(..) {
        if !run.takes(&s) {
            std::mem::take(&mut run).end(&mut out);
            if !run.takes(&s) {
                out.push(s);
                continue;
            }
        }
        run.add(program, s);
    }
    run.end(&mut out);
    *stmts = out;
}

/// The vector instructions of a statement that is nothing else.
fn vectors(s: &Stmt) -> Option<Vec<&Instr>> {
    match s {
        Stmt::Issue { instr, .. } => (instr.pipe() == Some(Pipe::V)).then(|| vec![instr]),
        Stmt::If { then, otherwise, .. } if otherwise.is_empty() && !then.is_empty() => then
            .iter()
            .map(|s| if let Stmt::Issue { .. } = s { vectors(s) } else { None })
            .collect::<Option<Vec<_>>>()
            .map(|v| v.concat()),
        _ => None,
    }
}

/// Registers that a statement of a run reads.
fn reads(s: &Stmt) -> Vec<Reg> {
    let mut out = Vec::new();
    let mut note = |v: &mut Val| {
        if let Val::Reg(r) = v {
            out.push(*r);
        }
    };
    match s {
        Stmt::Let { value, .. } => value.clone().each(&mut note),
        Stmt::Issue { instr, .. } => instr.clone().each(&mut note),
        Stmt::If { condition, then, .. } => {
            note(&mut condition.clone());
            return out.into_iter().chain(then.iter().flat_map(reads)).collect();
        }
        _ => {}
    }
    out
}

#[derive(Default)]
struct Run {
    computed: Vec<Stmt>,
    /// Instructions with the barriers before them and their accesses.
    issued: Vec<(usize, Stmt, Vec<Access>)>,
    read: HashSet<Reg>,
}

impl Run {
    fn takes(&self, s: &Stmt) -> bool {
        match s {
            Stmt::Let { value: Scalar::LoadLocal { .. } | Scalar::LoadGlobal { .. }, .. } => false,
            // What an instruction of the run reads stays as it is.
            Stmt::Let { to, .. } => !self.read.contains(to),
            _ => vectors(s).is_some(),
        }
    }

    fn add(&mut self, program: &Program, s: Stmt) {
        if let Stmt::Let { .. } = s {
            self.computed.push(s);
            return;
        }
        self.read.extend(reads(&s));
        let accesses: Vec<Access> =
            vectors(&s).unwrap_or_default().into_iter().flat_map(|i| of_instr(program, i)).collect();
        let after = self.issued.iter().filter(|(_, _, o)| conflict(o, &accesses)).map(|o| o.0 + 1).max();
        self.issued.push((after.unwrap_or(0), s, accesses));
    }

    fn end(mut self, out: &mut Vec<Stmt>) {
        out.append(&mut self.computed);
        self.issued.sort_by_key(|i| i.0);
        out.extend(self.issued.into_iter().map(|i| i.1));
    }
}

/// Whether two instructions touch the same bytes of a buffer, one of them writing.
fn conflict(a: &[Access], b: &[Access]) -> bool {
    a.iter().any(|x| {
        b.iter().any(|y| match (x.touch, y.touch) {
            (Touch::Local(p), Touch::Local(q)) => (x.write || y.write) && p.buffer == q.buffer && p.meets(&q),
            _ => x.write || y.write,
        })
    })
}
