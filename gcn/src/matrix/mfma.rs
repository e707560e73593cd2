//! MFMA: a wave of 64 lanes multiplies.
//!
//! ```text
//! A (M×K)   lane l holds row l mod M, columns K/G·(l div M) …, G = 64/M groups; B (K×N) likewise by columns
//! D (M×N)   lane l holds column l mod N; register r is row
//!           16: 4·(l div 16) + r        32: 8·(r div 4) + 4·(l div 32) + r mod 4
//! ```
//! CDNA 4, "F8F6F4": of the 32 elements of 8 bits that a lane holds of such a product, the second half lies K/2 columns behind the first, which
//! begin at 16·(l div M). A scale is that of 32 neighbours: lane l holds that of row l mod M and columns 32·(l div M) on; 255 is not a number.

use super::{Element, element, multiply, registers};
use crate::error::{Outcome, Trouble};
use crate::instruction::{Code, Context, Execute};
use crate::launch::Group;
use crate::text::{Kind, Line, Operand};
use crate::vector::{Source, Type};
use crate::wave::{Lanes, Wave};

/// The formats that `cbsz` and `blgp` choose for `f8f6f4`.
const CHOSEN: [&str; 5] = ["fp8", "bf8", "fp6", "bf6", "fp4"];

struct Input {
    register: u16,
    count: u16,
    element: Element,
    /// Exponents of factors, and the byte that holds them.
    scale: Option<(Source, u32)>,
}

struct Mfma {
    /// Rows, which are as many as columns, and depth.
    m: usize,
    k: usize,
    integer: bool,
    a: Input,
    b: Input,
    /// Registers, or one constant.
    c: Result<u16, f64>,
    to: u16,
}

/// `16x16x32_fp8_fp8`: rows, columns, depth, types.
fn sizes(text: &str) -> Option<(usize, usize, usize, &str)> {
    let (m, rest) = text.split_once('x')?;
    let (n, rest) = rest.split_once('x')?;
    let end = rest.find(|c: char| !c.is_ascii_digit())?;
    let (k, types) = rest.split_at(end);
    Some((m.parse().ok()?, n.parse().ok()?, k.parse().ok()?, types.trim_start_matches('_')))
}

pub(super) fn decode(context: &Context<'_>) -> Option<Result<Code, Trouble>> {
    let line = context.line;
    let name = line.operation().strip_prefix("v_mfma_")?;
    let (scaled, name) = name.strip_prefix("scale_").map_or((false, name), |rest| (true, rest));
    let (result, rest) = name.split_once('_')?;
    let (m, n, k, types) = sizes(rest)?;
    let decode = || {
        let unknown = || format!("`{}` is not known", line.mnemonic);
        let whole = [16, 32].contains(&m) && k > 1 && m == n && !types.starts_with(['2', '4']);
        if !whole || !["f32", "i32"].contains(&result) || line.number("abid") != 0 {
            return Err(unknown());
        }
        let (first, second) = if types == "f8f6f4" {
            let chosen = |name: &str| CHOSEN.get(line.number(name) as usize).copied().unwrap_or_default();
            (chosen("cbsz"), chosen("blgp"))
        } else if line.number("cbsz") != 0 || line.number("blgp") != 0 {
            return Err(unknown());
        } else {
            types.split_once('_').filter(|(_, b)| b.len() == 3).unwrap_or((types, types))
        };
        let input = |index: usize, name: &str| {
            let element = Element::find(name, context.chip.fnuz).ok_or_else(unknown)?;
            let operand = line.operand(index + 1)?;
            let wanted = (k * m / 64) as u32 * element.bits() / 32;
            if u32::from(operand.count) != wanted.max(1) {
                return Err(format!("operand {index} has {} registers, not {wanted}", operand.count));
            }
            let scale = if scaled { Some(scale(line, index)?) } else { None };
            Ok(Input { register: operand.vector()?, count: operand.count.into(), element, scale })
        };
        let (a, b) = (input(0, first)?, input(1, second)?);
        let c = accumulator(line.operand(3)?)?;
        let to = line.operand(0)?.vector()?;
        Ok(Box::new(Mfma { m, k, integer: result == "i32", a, b, c, to }) as Code)
    };
    Some(decode())
}

fn scale(line: &Line, index: usize) -> Result<(Source, u32), Trouble> {
    // What is not printed is set.
    let byte = line.entry("op_sel", index, 0) + 2 * line.entry("op_sel_hi", index, 1);
    Ok((Source::plain(line.operand(4 + index)?, Type::B32)?, byte))
}

pub(super) fn accumulator(operand: &Operand) -> Result<Result<u16, f64>, Trouble> {
    match operand.kind {
        Kind::Integer(i) => Ok(Err(i as f64)),
        Kind::Float(f) => Ok(Err(f)),
        _ => operand.vector().map(Ok),
    }
}

impl Input {
    /// Visits each element: its row, its column, its value.
    fn each(&self, wave: &Wave, m: usize, k: usize, mut put: impl FnMut(usize, usize, f64)) -> Outcome {
        let held = k * m / 64;
        let words = registers(wave, self.register, self.count)?;
        let factors = match &self.scale {
            None => [1.0; 64],
            Some((source, byte)) => {
                let factor = |code| if code == 255 { f64::NAN } else { 2f64.powi(code as i32 - 127) };
                source.raw(wave, 0)?.map(|x| factor(x >> (8 * byte) & 255))
            }
        };
        let bits = self.element.bits();
        let runs = bits == 8 && held == 32;
        for lane in 0..64 {
            for i in 0..held {
                let value = self.element.value(element(&words, lane, i as u32, bits));
                let group = lane / m;
                let column = if runs { i / 16 * (k / 2) + group * 16 + i % 16 } else { group * held + i };
                put(lane % m, column, value * factors[lane % m + m * (column / 32) % 64]);
            }
        }
        Ok(())
    }
}

impl Mfma {
    /// Row of a lane's register of the result.
    fn row(&self, lane: usize, register: usize) -> usize {
        if self.m == 16 {
            4 * (lane / 16) + register
        } else {
            8 * (register / 4) + 4 * (lane / 32) + register % 4
        }
    }
}

impl Execute for Mfma {
    fn execute(&self, wave: &mut Wave, _: &mut Group<'_, '_>) -> Outcome {
        let (m, k) = (self.m, self.k);
        let (mut a, mut b, mut c) = (vec![0.0; m * k], vec![0.0; k * m], vec![0.0; m * m]);
        self.a.each(wave, m, k, |row, column, value| a[row * k + column] = value)?;
        self.b.each(wave, m, k, |column, row, value| b[row * m + column] = value)?;
        match self.c {
            Err(constant) => c.fill(constant),
            Ok(first) => {
                for r in 0..m * m / 64 {
                    let words = wave.vector(first + r as u16)?;
                    for (lane, word) in words.iter().enumerate() {
                        c[self.row(lane, r) * m + lane % m] =
                            if self.integer { (*word as i32).into() } else { f32::from_bits(*word).into() };
                    }
                }
            }
        }
        multiply(&a, &b, &mut c, m);
        for r in 0..m * m / 64 {
            let words: Lanes = std::array::from_fn(|lane| {
                let value = c[self.row(lane, r) * m + lane % m];
                if self.integer { value as i64 as u32 } else { (value as f32).to_bits() }
            });
            // EXEC does not matter here.
            wave.set_lanes(self.to + r as u16, u64::MAX, &words)?;
        }
        Ok(())
    }
}
