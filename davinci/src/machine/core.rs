//! One core: its memories, its scalar unit, its queues.

use super::code::{Step, num};
use super::memory::Memory;
use super::race::Clock;
use crate::chip::Chip;
use crate::ir::{CoreKind, FloatOp, Instr, IntOp, Pipe, Scalar, Space};
use kcc_dsl::ir::{Elem, LocId};
use std::collections::{BTreeMap, VecDeque};

/// An instruction on its way, and what the scalar unit knew when it issued it.
pub(super) struct Queued {
    pub instr: Instr,
    pub loc: LocId,
    pub clock: Clock,
    /// Cycle of issue.
    pub time: u64,
}

/// An event of a pair of pipes.
#[derive(Default)]
pub(super) struct Event {
    /// What whoever waits for it learns, and when.
    pub raised: Option<(Clock, u64, LocId)>,
    /// Number of the last wait among the waiting pipe's instructions.
    pub waited: u32,
    /// Sets issued less waits issued.
    pub balance: i64,
}

/// When a pipe is free, and when all it started is done.
#[derive(Clone, Copy, Default)]
pub(super) struct Clockwork {
    pub free: u64,
    pub done: u64,
    pub busy: u64,
}

pub(super) struct Core {
    pub kind: CoreKind,
    pub group: usize,
    pub sub: usize,
    pub block: usize,
    pub locals: [Memory; 5],
    pub regs: Vec<i64>,
    pub steps: std::rc::Rc<Vec<Step>>,
    pub pc: usize,
    pub queues: [VecDeque<Queued>; 7],
    pub events: BTreeMap<(Pipe, Pipe, i64), Event>,
    pub times: [Clockwork; 7],
    /// Flags raised for this core: what is learnt, and when.
    pub flags: Vec<VecDeque<(Clock, u64)>>,
}

impl Core {
    pub fn new(
        kind: CoreKind,
        (group, sub, block): (usize, usize, usize),
        chip: &Chip,
        (steps, regs): (std::rc::Rc<Vec<Step>>, usize),
    ) -> Core {
        let name = match kind {
            CoreKind::Cube => format!("cube core {group}"),
            CoreKind::Vector => format!("vector core {sub} of group {group}"),
        };
        let locals = Space::ALL.map(|s| {
            let bytes = if s.core() == kind { chip.capacity(s) as usize } else { 0 };
            Memory::blank(format!("{} of {name}", s.name()), bytes)
        });
        Core {
            kind,
            group,
            sub,
            block,
            locals,
            regs: vec![0; regs],
            steps,
            pc: 0,
            queues: Default::default(),
            events: BTreeMap::new(),
            times: Default::default(),
            flags: (0..chip.flags).map(|_| VecDeque::new()).collect(),
        }
    }

    /// Whether its program has ended and its pipes are empty.
    pub fn finished(&self) -> bool {
        self.pc >= self.steps.len() && self.queues.iter().all(VecDeque::is_empty)
    }
}

fn f(bits: i64) -> f32 {
    f32::from_bits(bits as u32)
}

fn bits(v: f32) -> i64 {
    i64::from(v.to_bits())
}

fn float_op(op: FloatOp, a: f32, b: f32) -> i64 {
    match op {
        FloatOp::Add => bits(a + b),
        FloatOp::Sub => bits(a - b),
        FloatOp::Mul => bits(a * b),
        FloatOp::Div => bits(a / b),
        FloatOp::Min => bits(a.min(b)),
        FloatOp::Max => bits(a.max(b)),
        FloatOp::Lt => i64::from(a < b),
        FloatOp::Le => i64::from(a <= b),
        FloatOp::Eq => i64::from(a == b),
        FloatOp::Ne => i64::from(a != b),
    }
}

fn int_op(op: IntOp, a: i64, b: i64) -> i64 {
    match op {
        IntOp::Add => a.wrapping_add(b),
        IntOp::Sub => a.wrapping_sub(b),
        IntOp::Mul => a.wrapping_mul(b),
        IntOp::Div => a.checked_div(b).unwrap_or(if b == 0 { 0 } else { a }),
        IntOp::Rem => a.checked_rem(b).unwrap_or(0),
        IntOp::Min => a.min(b),
        IntOp::Max => a.max(b),
        IntOp::And => a & b,
        IntOp::Or => a | b,
        IntOp::Xor => a ^ b,
        IntOp::Shl => a.wrapping_shl(b as u32),
        IntOp::Shr => a.wrapping_shr(b as u32),
        IntOp::Lt => i64::from(a < b),
        IntOp::Le => i64::from(a <= b),
        IntOp::Eq => i64::from(a == b),
        IntOp::Ne => i64::from(a != b),
    }
}

/// What a resolved computation gives that touches neither memory nor the launch.
pub(super) fn compute(s: &Scalar) -> i64 {
    use super::value::{convert, float, int, of_float, of_int};
    match s {
        Scalar::Move { value } => num(value),
        Scalar::Int { op, a, b } => int_op(*op, num(a), num(b)),
        Scalar::Float { op, a, b } => float_op(*op, f(num(a)), f(num(b))),
        Scalar::Select { c, a, b } => {
            if num(c) != 0 {
                num(a)
            } else {
                num(b)
            }
        }
        Scalar::Wrap { elem, a } => int(*elem, of_int(*elem, num(a)).get()),
        Scalar::ToFloat { a } => bits(num(a) as f32),
        Scalar::ToInt { elem, a } => {
            let b = convert(*elem, Elem::F32, crate::ir::Rounding::Trunc, &f(num(a)).to_le_bytes());
            int(*elem, b.get())
        }
        Scalar::Round { elem, a } => bits(float(*elem, of_float(*elem, f(num(a))).get())),
        _ => 0,
    }
}
