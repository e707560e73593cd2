//! How long instructions take: an estimate from widths, rates and latencies of the chip's row.

use super::code::num;
use crate::chip::Chip;
use crate::ir::{Binary, Instr, Program, Space, Span, Unary, Val};
use kcc_dsl::ir::Elem;

/// Bytes moved from or to global memory, and how many of them were moved before.
#[derive(Clone, Copy, Default)]
pub(super) struct Moved {
    pub bytes: u64,
    pub cached: u64,
}

/// Cycles that an instruction keeps its pipe busy, and cycles from its start until its result is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cycles {
    pub busy: u64,
    pub latency: u64,
}

/// What a chip and a launch fix.
pub(super) struct Model<'a> {
    pub chip: &'a Chip,
    pub program: &'a Program,
}

fn up(a: i64, b: i64) -> u64 {
    (a.max(0) as u64).div_ceil(b as u64)
}

/// Repeats of 256 bytes.
fn repeats(span: &Span, width: usize) -> u64 {
    match span {
        Span::Count { n } => up(num(n), 256 / width as i64),
        Span::Repeat { times, .. } => num(times).max(0) as u64,
    }
}

fn count(n: &Val, width: usize) -> u64 {
    up(num(n), 256 / width as i64)
}

impl Model<'_> {
    /// Cycles of a core for bytes from or to global memory.
    pub fn transfer(&self, bytes: u64) -> Cycles {
        let c = &self.chip.cost;
        Cycles { busy: bytes.div_ceil(c.port) + 8, latency: c.copy_latency }
    }

    /// Cycles below which a whole run cannot stay, since memory and cache are shared: `bytes` are moved in all, `cached` of them
    /// between cores and cache alone.
    pub fn least(&self, m: Moved) -> u64 {
        let c = &self.chip.cost;
        let cycles = |bytes: u64, gbs: f64| (bytes as f64 / gbs * c.clock).ceil() as u64;
        cycles(m.bytes - m.cached, c.memory).max(cycles(m.bytes, c.cache))
    }

    /// Cycles of an instruction that does not touch global memory.
    pub fn cycles(&self, i: &Instr) -> Cycles {
        let c = &self.chip.cost;
        let vector = |busy: u64| Cycles { busy: busy + 2, latency: c.vector_start };
        match i {
            Instr::FillL1(i) => {
                Cycles { busy: up(num(&i.times) * num(&i.blocks) * 32, c.l0a as i64), latency: 16 }
            }
            Instr::LoadData(i) => {
                let right = self.program.buffers[i.dst.buffer as usize].space == Space::L0b;
                let rate = if right { c.l0b } else { c.l0a };
                Cycles { busy: up(num(&i.times) * 512, rate as i64), latency: 16 }
            }
            Instr::Mmad(i) => {
                let depth = match i.elem {
                    Elem::I8 => 32,
                    Elem::F32 => 4,
                    _ => 16,
                };
                let fractals = up(num(&i.m), 16) * up(num(&i.n), 16);
                Cycles { busy: fractals * up(num(&i.k), depth), latency: c.product_start }
            }
            Instr::VUnary(i) => {
                let each = match i.op {
                    Unary::Exp | Unary::Ln | Unary::Sqrt => 4,
                    _ => 1,
                };
                vector(each * repeats(&i.span, i.elem.bytes()))
            }
            Instr::VBinary(i) => {
                let each = if i.op == Binary::Div { 4 } else { 1 };
                vector(each * repeats(&i.span, i.elem.bytes()))
            }
            Instr::VScalar(i) => vector(repeats(&i.span, i.elem.bytes())),
            Instr::MulAdd(i) => vector(repeats(&i.span, i.elem.bytes())),
            Instr::FusedMulAdd(i) => vector(repeats(&i.span, i.elem.bytes())),
            Instr::Cast(i) => vector(repeats(&i.span, i.from.bytes().max(i.to.bytes()))),
            Instr::CompareTo(i) => vector(count(&i.n, i.elem.bytes())),
            Instr::CompareScalar(i) => vector(count(&i.n, i.elem.bytes())),
            Instr::Select(i) => vector(count(&i.n, i.elem.bytes())),
            Instr::SelectScalar(i) => vector(count(&i.n, i.elem.bytes())),
            Instr::Duplicate(i) => vector(repeats(&i.span, i.elem.bytes())),
            Instr::Reduce(i) => vector(2 * num(&i.times).max(0) as u64),
            Instr::BlockBroadcast(i) => vector(num(&i.times).max(0) as u64),
            // 16 elements a cycle: a bank each.
            Instr::Gather(i) => vector(up(num(&i.n), 16)),
            Instr::Iota(i) => vector(2 * count(&i.n, i.elem.bytes())),
            Instr::Transpose16(_) => vector(16),
            Instr::Sort32(i) => vector(8 * num(&i.times).max(0) as u64),
            Instr::MergeSort(i) => vector(num(&i.length).max(0) as u64 * u64::from(i.lists)),
            _ => Cycles { busy: 1, latency: 0 },
        }
    }
}
