//! A kernel: parameters, buffers, and what each kind of core does.

use super::instr::Instr;
use super::place::{Buffer, CoreKind, Reg, Val};
use super::scalar::Scalar;
use super::vals::Vals;
use kcc_dsl::ir::{Loc, LocId, Param};
use serde::{Deserialize, Serialize};

/// A kernel for one chip.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Program {
    /// Symbol.
    pub name: String,
    /// Chip, as a row of [`crate::Chip`].
    pub chip: String,
    /// Parameters, as in the tile IR.
    pub params: Vec<Param>,
    /// Buffers of both kinds of core; their memory says whose they are.
    pub buffers: Vec<Buffer>,
    /// Bytes of workspace for each block.
    pub workspace: u64,
    /// What the cube core of a group does, if the kernel has products.
    pub cube: Option<Vec<Stmt>>,
    /// What each vector core does.
    pub vector: Option<Vec<Stmt>>,
    /// Source locations.
    pub locs: Vec<Loc>,
}

/// A statement of a core's scalar unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Stmt {
    /// Assigns a register.
    Let {
        /// The register.
        to: Reg,
        /// The value.
        value: Scalar,
        /// Source.
        loc: LocId,
    },
    /// Issues an instruction.
    Issue {
        /// The instruction.
        instr: Instr,
        /// Source.
        loc: LocId,
    },
    /// `for counter in from..to step step`; the counter is assigned before each turn.
    For {
        /// The counter.
        counter: Reg,
        /// First value.
        from: Val,
        /// End, exclusive.
        to: Val,
        /// Step, positive.
        step: Val,
        /// Turn.
        body: Vec<Stmt>,
    },
    /// Repeats while the register is not 0: the condition is computed by `head` before each turn.
    While {
        /// Computes the condition.
        head: Vec<Stmt>,
        /// The condition.
        condition: Reg,
        /// Turn.
        body: Vec<Stmt>,
    },
    /// One of two ways.
    If {
        /// Not 0: the first way.
        condition: Val,
        /// First way.
        then: Vec<Stmt>,
        /// Second way.
        otherwise: Vec<Stmt>,
    },
}

impl Stmt {
    /// An instruction at a place of the source.
    pub fn issue(instr: impl Into<Instr>, loc: LocId) -> Stmt {
        Stmt::Issue { instr: instr.into(), loc }
    }

    /// Blocks inside.
    pub fn blocks_mut(&mut self) -> Vec<&mut Vec<Stmt>> {
        match self {
            Stmt::Let { .. } | Stmt::Issue { .. } => Vec::new(),
            Stmt::For { body, .. } => vec![body],
            Stmt::While { head, body, .. } => vec![head, body],
            Stmt::If { then, otherwise, .. } => vec![then, otherwise],
        }
    }

    /// Blocks inside.
    pub fn blocks(&self) -> Vec<&[Stmt]> {
        match self {
            Stmt::Let { .. } | Stmt::Issue { .. } => Vec::new(),
            Stmt::For { body, .. } => vec![body],
            Stmt::While { head, body, .. } => vec![head, body],
            Stmt::If { then, otherwise, .. } => vec![then, otherwise],
        }
    }
}

impl Vals for Stmt {
    /// The numbers of this statement itself, not those of the blocks inside.
    fn each(&mut self, f: &mut dyn FnMut(&mut Val)) {
        match self {
            Stmt::Let { value, .. } => value.each(f),
            Stmt::Issue { instr, .. } => instr.each(f),
            Stmt::For { from, to, step, .. } => {
                f(from);
                f(to);
                f(step);
            }
            Stmt::While { .. } => {}
            Stmt::If { condition, .. } => f(condition),
        }
    }
}

impl Program {
    /// What cores of a kind do.
    pub fn body(&self, kind: CoreKind) -> Option<&Vec<Stmt>> {
        match kind {
            CoreKind::Cube => self.cube.as_ref(),
            CoreKind::Vector => self.vector.as_ref(),
        }
    }

    /// What cores of a kind do.
    pub fn body_mut(&mut self, kind: CoreKind) -> Option<&mut Vec<Stmt>> {
        match kind {
            CoreKind::Cube => self.cube.as_mut(),
            CoreKind::Vector => self.vector.as_mut(),
        }
    }

    /// Calls `f` with each statement of a kind of core, in order of the text.
    pub fn walk<'a>(&'a self, kind: CoreKind, f: &mut dyn FnMut(&'a Stmt)) {
        fn go<'a>(stmts: &'a [Stmt], f: &mut dyn FnMut(&'a Stmt)) {
            for s in stmts {
                f(s);
                for b in s.blocks() {
                    go(b, f);
                }
            }
        }
        if let Some(body) = self.body(kind) {
            go(body, f);
        }
    }
}
