//! Two operations at once: on the halves of registers, and on pairs of registers.

use super::halves::{d, larger, r, smaller};
use super::source::{Source, Type};
use crate::error::Trouble;
use crate::instruction::{Code, Context, step};
use crate::text::{Kind, Line, Operand};
use crate::wave::{Lanes, Wave};

type Half = fn(u32, u32, u32) -> u32;

fn h(x: u32) -> i32 {
    i32::from(x as i16)
}

/// On halves; floats, whose signs may be turned, and integers.
const HALVES: &[(&str, Half)] = &[
    ("v_pk_add_f16", |a, b, _| r(d(a) + d(b))),
    ("v_pk_mul_f16", |a, b, _| r(d(a) * d(b))),
    ("v_pk_max_f16", |a, b, _| larger(a, b)),
    ("v_pk_min_f16", |a, b, _| smaller(a, b)),
    ("v_pk_fma_f16", |a, b, c| r(d(a) * d(b) + d(c))),
    ("v_pk_add_u16", |a, b, _| a.wrapping_add(b)),
    ("v_pk_add_i16", |a, b, _| a.wrapping_add(b)),
    ("v_pk_sub_u16", |a, b, _| a.wrapping_sub(b)),
    ("v_pk_sub_i16", |a, b, _| a.wrapping_sub(b)),
    ("v_pk_mul_lo_u16", |a, b, _| a.wrapping_mul(b)),
    ("v_pk_mad_u16", |a, b, c| a.wrapping_mul(b).wrapping_add(c)),
    ("v_pk_mad_i16", |a, b, c| a.wrapping_mul(b).wrapping_add(c)),
    ("v_pk_lshlrev_b16", |a, b, _| b << (a & 15)),
    ("v_pk_lshrrev_b16", |a, b, _| b >> (a & 15)),
    ("v_pk_ashrrev_i16", |a, b, _| (h(b) >> (a & 15)) as u32),
    ("v_pk_max_u16", |a, b, _| a.max(b)),
    ("v_pk_min_u16", |a, b, _| a.min(b)),
    ("v_pk_max_i16", |a, b, _| h(a).max(h(b)) as u32),
    ("v_pk_min_i16", |a, b, _| h(a).min(h(b)) as u32),
];

fn f(x: u32) -> f32 {
    f32::from_bits(x)
}

/// On pairs of registers.
const PAIRS: &[(&str, Half)] = &[
    ("v_pk_add_f32", |a, b, _| (f(a) + f(b)).to_bits()),
    ("v_pk_mul_f32", |a, b, _| (f(a) * f(b)).to_bits()),
    ("v_pk_fma_f32", |a, b, c| f(a).mul_add(f(b), f(c)).to_bits()),
];

/// The modifiers that say where each of the two results takes its operands from.
const LOW: (&str, u32, &str) = ("op_sel", 0, "neg_lo");
const HIGH: (&str, u32, &str) = ("op_sel_hi", 1, "neg_hi");

/// One operand of one of the two results.
struct Choice {
    source: Source,
    register: u16,
    shift: u32,
    sign: u32,
}

impl Choice {
    fn get(&self, wave: &Wave) -> Result<Lanes, Trouble> {
        Ok(self.source.raw(wave, self.register)?.map(|x| x >> self.shift ^ self.sign))
    }
}

/// The operands of one result. A pair's second word is the next register, a constant has only one.
fn choices(
    line: &Line,
    (select, default, neg): (&str, u32, &str),
    pairs: bool,
) -> Result<Vec<Choice>, Trouble> {
    let one = |(i, operand): (usize, &Operand)| {
        let chosen = line.entry(select, i, default);
        let negated = line.entry(neg, i, 0);
        let constant = matches!(operand.kind, Kind::Integer(_) | Kind::Float(_));
        let float = matches!(operand.kind, Kind::Float(_));
        let ty = if float && !pairs { Type::F16 } else { Type::B32 };
        let source = Source::plain(operand, ty)?;
        Ok(if pairs {
            Choice {
                source,
                register: if constant { 0 } else { chosen as u16 },
                shift: 0,
                sign: negated << 31,
            }
        } else {
            Choice { source, register: 0, shift: if float { 0 } else { 16 * chosen }, sign: negated << 15 }
        })
    };
    line.operands[1..].iter().enumerate().map(one).collect()
}

fn results(f: Half, choices: &[Choice], wave: &Wave) -> Result<Lanes, Trouble> {
    let mut values = [[0; 64]; 3];
    for (choice, value) in choices.iter().zip(&mut values) {
        *value = choice.get(wave)?;
    }
    Ok(std::array::from_fn(|l| f(values[0][l], values[1][l], values[2][l])))
}

pub(crate) fn decode(context: &Context<'_>) -> Option<Result<Code, Trouble>> {
    let (line, name) = (context.line, context.line.operation());
    let find = |table: &[(&str, Half)]| table.iter().find(|(n, _)| *n == name).map(|(_, f)| *f);
    let (function, pairs) = match (name, find(HALVES), find(PAIRS)) {
        ("v_pk_mov_b32", ..) => (None, true),
        (_, Some(f), _) => (Some(f), false),
        (_, _, Some(f)) => (Some(f), true),
        _ => return None,
    };
    let decode = || {
        if line.flag("clamp") {
            return Err("a clamped pair".into());
        }
        let to = line.operand(0)?.vector()?;
        let (low, high) = (choices(line, LOW, pairs)?, choices(line, HIGH, pairs)?);
        Ok(step(move |wave, _| {
            let (a, b) = match function {
                Some(f) => (results(f, &low, wave)?, results(f, &high, wave)?),
                // `v_pk_mov_b32`: `op_sel` alone chooses a word of the first operand, then one of the second.
                None => (low[0].get(wave)?, low[1].get(wave)?),
            };
            if pairs {
                wave.set_vector(to, &a)?;
                return wave.set_vector(to + 1, &b);
            }
            wave.set_vector(to, &std::array::from_fn(|l| a[l] & 0xffff | b[l] << 16))
        }))
    };
    Some(decode())
}
