//! WMMA: a wave of 32 lanes multiplies 16×16×16.
//!
//! ```text
//! A   lane l holds row l mod 16, all columns: both halves of the wave hold the same, or the result is undefined
//! D   lane l holds column l mod 16; register r is row 2·r + l div 16
//! ```

use super::mfma::accumulator;
use super::{Element, element, multiply, registers};
use crate::error::{Outcome, Trouble};
use crate::instruction::{Code, Context, Execute};
use crate::launch::Group;
use crate::wave::{Lanes, Wave};

const N: usize = 16;

struct Wmma {
    a: (u16, u16, Element),
    b: (u16, u16, Element),
    c: Result<u16, f64>,
    to: u16,
    integer: bool,
}

pub(super) fn decode(context: &Context<'_>) -> Option<Result<Code, Trouble>> {
    let line = context.line;
    let name = line.operation().strip_prefix("v_wmma_")?;
    let (result, ty) = name.split_once("_16x16x16_")?;
    let decode = || {
        let unknown = || format!("`{}` is not known", line.mnemonic);
        if !["f32", "i32"].contains(&result) || line.flag("clamp") {
            return Err(unknown());
        }
        let input = |index: usize| {
            let signed = line.entry("neg_lo", index, 0) == 1;
            let name = match (ty, signed) {
                ("iu8", true) => "i8 signed",
                ("iu8", false) => "i8 unsigned",
                (other, false) => other,
                _ => return Err(unknown()),
            };
            let element = Element::find(name, false).ok_or_else(unknown)?;
            let operand = line.operand(index + 1)?;
            Ok((operand.vector()?, u16::from(operand.count), element))
        };
        let (a, b) = (input(0)?, input(1)?);
        let (c, to) = (accumulator(line.operand(3)?)?, line.operand(0)?.vector()?);
        Ok(Box::new(Wmma { a, b, c, to, integer: result == "i32" }) as Code)
    };
    Some(decode())
}

fn read(
    wave: &Wave,
    (first, count, element_type): (u16, u16, Element),
    mut put: impl FnMut(usize, usize, f64),
) -> Outcome {
    let words = registers(wave, first, count)?;
    for (r, word) in words.iter().enumerate() {
        if word[..N] != word[N..2 * N] {
            return Err(format!("v{} differs between the halves of the wave", usize::from(first) + r));
        }
    }
    let bits = element_type.bits();
    for lane in 0..N {
        for k in 0..N {
            put(lane, k, element_type.value(element(&words, lane, k as u32, bits)));
        }
    }
    Ok(())
}

impl Execute for Wmma {
    fn execute(&self, wave: &mut Wave, _: &mut Group<'_, '_>) -> Outcome {
        let (mut a, mut b, mut c) = ([0.0; N * N], [0.0; N * N], [0.0; N * N]);
        read(wave, self.a, |row, k, value| a[row * N + k] = value)?;
        read(wave, self.b, |column, k, value| b[k * N + column] = value)?;
        let place = |lane: usize, r: usize| (2 * r + lane / N % 2) * N + lane % N;
        match self.c {
            Err(constant) => c.fill(constant),
            Ok(first) => {
                for r in 0..8 {
                    let words = wave.vector(first + r as u16)?;
                    for (lane, word) in words[..2 * N].iter().enumerate() {
                        c[place(lane, r)] =
                            if self.integer { (*word as i32).into() } else { f32::from_bits(*word).into() };
                    }
                }
            }
        }
        multiply(&a, &b, &mut c, N);
        for r in 0..8 {
            let words: Lanes = std::array::from_fn(|lane| {
                let value = c[place(lane, r)];
                if self.integer { value as i64 as u32 } else { (value as f32).to_bits() }
            });
            wave.set_lanes(self.to + r as u16, u64::MAX, &words)?;
        }
        Ok(())
    }
}
