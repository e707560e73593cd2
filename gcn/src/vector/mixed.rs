//! `v_fma_mix`: a fused multiply-add of floats of 32 bits and halves, each operand as its bits of `op_sel` say.

use super::elementwise::clamped;
use super::source::{Source, Type};
use crate::error::Trouble;
use crate::instruction::{Code, Context, step};
use crate::wave::{Lanes, Part, Wave};
use half::f16;

/// Whether the operand is a half, and which.
struct Operand {
    source: Source,
    half: Option<u32>,
    neg: bool,
    abs: bool,
}

impl Operand {
    fn get(&self, wave: &Wave) -> Result<[f32; 64], Trouble> {
        let raw: Lanes = self.source.raw(wave, 0)?;
        Ok(raw.map(|x| {
            let mut value = match self.half {
                None => f32::from_bits(x),
                Some(shift) => f16::from_bits((x >> shift) as u16).to_f32(),
            };
            if self.abs {
                value = value.abs();
            }
            if self.neg { -value } else { value }
        }))
    }
}

pub(crate) fn decode(context: &Context<'_>) -> Option<Result<Code, Trouble>> {
    let line = context.line;
    let part = match line.operation() {
        "v_fma_mix_f32" => Part::Whole,
        "v_fma_mixlo_f16" => Part::Low,
        "v_fma_mixhi_f16" => Part::High,
        _ => return None,
    };
    let decode = || {
        let to = line.operand(0)?.vector()?;
        let clamp = line.flag("clamp");
        let operand = |i: usize| {
            let o = line.operand(i + 1)?;
            let halved = line.entry("op_sel_hi", i, 0) == 1;
            let source = Source::plain(o, if halved { Type::F16 } else { Type::F32 })?;
            let half = halved.then(|| 16 * line.entry("op_sel", i, 0));
            Ok::<_, Trouble>(Operand { source, half, neg: o.neg, abs: o.abs })
        };
        let operands = [operand(0)?, operand(1)?, operand(2)?];
        Ok(step(move |wave, _| {
            let [a, b, c] = [operands[0].get(wave)?, operands[1].get(wave)?, operands[2].get(wave)?];
            let old = *wave.vector(to)?;
            let out = std::array::from_fn(|l| {
                let sum = a[l].mul_add(b[l], c[l]);
                let sum = if clamp { clamped(sum) } else { sum };
                match part {
                    Part::Whole => sum.to_bits(),
                    _ => part.merge(old[l], f16::from_f32(sum).to_bits().into()),
                }
            });
            wave.set_vector(to, &out)
        }))
    };
    Some(decode())
}
