//! Matrix instructions, by the lane maps of AMD's instruction set documents. Sums are exact in doubles as far as they go, rounded once.

mod mfma;
mod wmma;

use crate::error::Trouble;
use crate::instruction::{Code, Context};
use crate::vector::narrow::{E2M1, E2M3, E3M2, E4M3, E4M3_FNUZ, E5M2, E5M2_FNUZ, Format};
use crate::wave::{Lanes, Wave};
use half::{bf16, f16};

/// An element type of operands.
#[derive(Clone, Copy)]
pub(crate) enum Element {
    F32,
    /// The upper 19 bits of an f32.
    Xf32,
    F16,
    Bf16,
    I8,
    U8,
    Small(Format),
}

const ELEMENTS: [(&str, Element); 15] = [
    ("f32", Element::F32),
    ("xf32", Element::Xf32),
    ("f16", Element::F16),
    ("bf16", Element::Bf16),
    ("bf16_1k", Element::Bf16),
    ("i8", Element::I8),
    ("fp8 ocp", Element::Small(E4M3)),
    ("bf8 ocp", Element::Small(E5M2)),
    ("fp8 fnuz", Element::Small(E4M3_FNUZ)),
    ("bf8 fnuz", Element::Small(E5M2_FNUZ)),
    ("fp6 ocp", Element::Small(E2M3)),
    ("bf6 ocp", Element::Small(E3M2)),
    ("fp4 ocp", Element::Small(E2M1)),
    ("i8 signed", Element::I8),
    ("i8 unsigned", Element::U8),
];

impl Element {
    fn find(name: &str, fnuz: bool) -> Option<Element> {
        let own = format!("{name} {}", if fnuz { "fnuz" } else { "ocp" });
        ELEMENTS.iter().find(|(n, _)| *n == name || *n == own).map(|(_, e)| *e)
    }

    fn bits(self) -> u32 {
        match self {
            Element::F32 | Element::Xf32 => 32,
            Element::F16 | Element::Bf16 => 16,
            Element::I8 | Element::U8 => 8,
            Element::Small(format) => format.bits(),
        }
    }

    fn value(self, code: u32) -> f64 {
        match self {
            Element::F32 => f32::from_bits(code).into(),
            Element::Xf32 => f32::from_bits(code & 0xffff_e000).into(),
            Element::F16 => f16::from_bits(code as u16).into(),
            Element::Bf16 => bf16::from_bits(code as u16).into(),
            Element::I8 => (code as i8).into(),
            Element::U8 => (code as u8).into(),
            Element::Small(format) => format.decode(code),
        }
    }
}

/// Element `index` of consecutive registers of a lane.
fn element(registers: &[Lanes], lane: usize, index: u32, bits: u32) -> u32 {
    let at = index * bits;
    let word = |i: u32| u64::from(registers.get(i as usize).map_or(0, |r| r[lane]));
    let pair = word(at / 32) | word(at / 32 + 1) << 32;
    (pair >> (at % 32)) as u32 & (u64::MAX >> (64 - bits)) as u32
}

/// Consecutive registers, each asked for.
fn registers(wave: &Wave, first: u16, count: u16) -> Result<Vec<Lanes>, Trouble> {
    (first..first + count).map(|r| wave.vector(r).copied()).collect()
}

/// `c += a · bᵗ` of row-major matrices: `a` has `k` columns, `b` is given as `k` rows of `n`.
fn multiply(a: &[f64], b: &[f64], c: &mut [f64], n: usize) {
    let k = b.len() / n;
    for (row, sums) in a.chunks(k).zip(c.chunks_mut(n)) {
        for (x, ys) in row.iter().zip(b.chunks(n)) {
            sums.iter_mut().zip(ys).for_each(|(sum, y)| *sum += x * y);
        }
    }
}

pub(crate) fn decode(context: &Context<'_>) -> Option<Result<Code, Trouble>> {
    mfma::decode(context).or_else(|| wmma::decode(context))
}
