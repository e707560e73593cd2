//! Comparisons: a bit for each lane, in scalar registers or in EXEC.

use super::source::{Source, Type};
use crate::error::Trouble;
use crate::instruction::{Code, Context, step};
use crate::wave::VCC;
use half::f16;
use std::cmp::Ordering;

/// What a relation accepts.
const LESS: u8 = 1;
const EQUAL: u8 = 2;
const GREATER: u8 = 4;
const UNORDERED: u8 = 8;

const RELATIONS: [(&str, u8); 17] = [
    ("f", 0),
    ("lt", LESS),
    ("eq", EQUAL),
    ("le", LESS | EQUAL),
    ("gt", GREATER),
    ("lg", LESS | GREATER),
    ("ge", GREATER | EQUAL),
    ("o", LESS | EQUAL | GREATER),
    ("u", UNORDERED),
    ("nge", LESS | UNORDERED),
    ("nlg", EQUAL | UNORDERED),
    ("ngt", LESS | EQUAL | UNORDERED),
    ("nle", GREATER | UNORDERED),
    // Of integers they are `ne`, which has no unordered case.
    ("neq", LESS | GREATER | UNORDERED),
    ("ne", LESS | GREATER),
    ("nlt", GREATER | EQUAL | UNORDERED),
    ("t", 15),
];

type Order = fn(u64, u64) -> Option<Ordering>;

fn half(x: u64) -> f32 {
    f16::from_bits(x as u16).to_f32()
}

const TYPES: [(&str, Type, Order); 9] = [
    ("f32", Type::F32, |a, b| f32::from_bits(a as u32).partial_cmp(&f32::from_bits(b as u32))),
    ("f16", Type::F16, |a, b| half(a).partial_cmp(&half(b))),
    ("f64", Type::F64, |a, b| f64::from_bits(a).partial_cmp(&f64::from_bits(b))),
    ("i32", Type::B32, |a, b| Some((a as i32).cmp(&(b as i32)))),
    ("u32", Type::B32, |a, b| Some((a as u32).cmp(&(b as u32)))),
    ("i64", Type::B64, |a, b| Some((a as i64).cmp(&(b as i64)))),
    ("u64", Type::B64, |a, b| Some(a.cmp(&b))),
    ("i16", Type::B16, |a, b| Some((a as i16).cmp(&(b as i16)))),
    ("u16", Type::B16, |a, b| Some((a as u16).cmp(&(b as u16)))),
];

/// The class of a number as a bit of `v_cmp_class`.
fn class(negative: bool, exponent: u64, most: u64, mantissa: u64, quiet: bool) -> u32 {
    match (exponent, mantissa) {
        (e, m) if e == most && m != 0 => u32::from(quiet),
        (e, _) if e == most => {
            if negative {
                2
            } else {
                9
            }
        }
        (0, 0) => {
            if negative {
                5
            } else {
                6
            }
        }
        (0, _) => {
            if negative {
                4
            } else {
                7
            }
        }
        _ => {
            if negative {
                3
            } else {
                8
            }
        }
    }
}

fn class_of(x: u64, ty: Type) -> u32 {
    let (exponent, mantissa) = match ty {
        Type::F16 => (5, 10),
        Type::F64 => (11, 52),
        _ => (8, 23),
    };
    let most = (1 << exponent) - 1;
    let digits = x & ((1 << mantissa) - 1);
    let negative = x >> (exponent + mantissa) & 1 == 1;
    class(negative, x >> mantissa & most, most, digits, digits >> (mantissa - 1) == 1)
}

pub(crate) fn decode(context: &Context<'_>) -> Option<Result<Code, Trouble>> {
    let (line, chip) = (context.line, context.chip);
    let name = line.operation().strip_prefix("v_cmp")?;
    let (narrows, name) = name.strip_prefix('x').map_or((false, name), |rest| (true, rest));
    let (relation, ty) = name.strip_prefix('_')?.rsplit_once('_')?;
    let (_, ty, order) = *TYPES.iter().find(|(name, ..)| *name == ty)?;
    let accepts = match relation {
        "class" => None,
        _ => Some(RELATIONS.iter().find(|(name, _)| *name == relation)?.1),
    };
    let decode = || {
        let to = match line.operand(0)?.scalar() {
            _ if narrows && chip.lone_cmpx => None,
            // An encoding that leaves out VCC.
            _ if line.operands.len() == 2 => Some(VCC),
            register => Some(register?),
        };
        let first = line.operands.len().checked_sub(2).ok_or("too few operands")?;
        let second = if accepts.is_none() { Type::B32 } else { ty };
        let (a, b) = (Source::new(line, first, 0, ty)?, Source::new(line, first + 1, 1, second)?);
        Ok(step(move |wave, _| {
            let (a, b) = (a.get64(wave)?, b.get64(wave)?);
            let mut mask = 0;
            for lane in 0..64 {
                let (x, y) = (a[lane], b[lane]);
                let holds = match accepts {
                    None => y >> class_of(x, ty) & 1 == 1,
                    Some(accepts) => {
                        let found = match order(x, y) {
                            Some(Ordering::Less) => LESS,
                            Some(Ordering::Equal) => EQUAL,
                            Some(Ordering::Greater) => GREATER,
                            None => UNORDERED,
                        };
                        accepts & found != 0
                    }
                };
                mask |= u64::from(holds) << lane;
            }
            mask &= wave.exec;
            if let Some(to) = to {
                wave.set_mask(to, mask)?;
            }
            if narrows {
                wave.exec = mask;
            }
            Ok(())
        }))
    };
    Some(decode())
}
