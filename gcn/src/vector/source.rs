//! Operands of vector instructions: where they come from, which part of the register, which sign.
//!
//! ```text
//! register, scalar or constant ─▶ lanes moved (DPP) ─▶ half or byte (.h, op_sel, SDWA) ─▶ subnormals ─▶ |x| ─▶ -x
//! ```

use crate::error::Trouble;
use crate::text::{Kind, Line, Operand};
use crate::wave::{Lanes, VCC, Wave};
use half::f16;

/// How an operand's bits are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    /// Bits; a sign is that of a float.
    B32,
    F32,
    B16,
    F16,
    B64,
    F64,
    /// A bit for each lane in scalar registers: 0 or 1.
    Mask,
}

impl Type {
    pub(crate) fn bits(self) -> u32 {
        match self {
            Type::B16 | Type::F16 => 16,
            Type::B64 | Type::F64 => 64,
            _ => 32,
        }
    }
}

#[derive(Clone, Copy)]
enum From {
    Vector(u16),
    Scalar(u8),
    Constant(u64),
    Scc,
    Mask(u8),
}

/// An operand, decoded.
#[derive(Clone, Copy)]
pub(crate) struct Source {
    from: From,
    pub(crate) ty: Type,
    /// First bit and count of bits of the part that is used.
    shift: u32,
    bits: u32,
    signed: bool,
    neg: bool,
    abs: bool,
}

/// Parts that SDWA names.
const SELECTORS: [(&str, u32, u32); 7] = [
    ("DWORD", 0, 32),
    ("WORD_0", 0, 16),
    ("WORD_1", 16, 16),
    ("BYTE_0", 0, 8),
    ("BYTE_1", 8, 8),
    ("BYTE_2", 16, 8),
    ("BYTE_3", 24, 8),
];

/// First bit and width of the part of a register that a modifier names.
pub(super) fn selected(line: &Line, modifier: &str) -> Option<(u32, u32)> {
    let name = line.modifier(modifier)?;
    SELECTORS.iter().find(|(n, ..)| *n == name).map(|(_, shift, bits)| (*shift, *bits))
}

const TINY: u32 = 0x0080_0000;

/// A subnormal number becomes a zero of its sign.
pub(crate) fn flush(bits: u32) -> u32 {
    if bits & 0x7fff_ffff < TINY { bits & 0x8000_0000 } else { bits }
}

impl Source {
    /// Operand `index` of a line as the source number `number`.
    pub(crate) fn new(line: &Line, index: usize, number: usize, ty: Type) -> Result<Source, Trouble> {
        let operand = line.operand(index)?;
        let mut source = Source::plain(operand, ty)?;
        let half = |half: u32| (16 * half, 16);
        let named = ["src0_sel", "src1_sel"].get(number).and_then(|name| selected(line, name));
        let part = match (named, operand.half) {
            (Some(part), _) => part,
            (None, Some(h)) => half(h.into()),
            (None, None) if ty.bits() == 16 => half(line.entry("op_sel", number, 0)),
            _ => (0, 32),
        };
        if matches!(source.from, From::Vector(_) | From::Scalar(_)) && ty.bits() < 64 {
            (source.shift, source.bits) = (part.0, part.1.min(ty.bits()));
        }
        Ok(source)
    }

    /// An operand without the line's modifiers.
    pub(crate) fn plain(operand: &Operand, ty: Type) -> Result<Source, Trouble> {
        let from = match &operand.kind {
            Kind::Scalar(r) if ty == Type::Mask => From::Mask(*r),
            Kind::Vector(r) => From::Vector(*r),
            Kind::Scalar(r) => From::Scalar(*r),
            Kind::Scc => From::Scc,
            Kind::Integer(i) => From::Constant(integer(*i, ty)),
            Kind::Float(f) => From::Constant(float(*f, ty)),
            other => return Err(format!("{other:?} is no operand of a vector instruction")),
        };
        let (neg, abs, signed) = (operand.neg, operand.abs, operand.sext);
        Ok(Source { from, ty, shift: 0, bits: 32, signed, neg, abs })
    }

    /// VCC as a mask, where an encoding implies it.
    pub(crate) fn vcc() -> Source {
        Source {
            from: From::Mask(VCC),
            ty: Type::Mask,
            shift: 0,
            bits: 32,
            signed: false,
            neg: false,
            abs: false,
        }
    }

    /// The words before any modifier, from the `index`-th register on.
    pub(crate) fn raw(&self, wave: &Wave, index: u16) -> Result<Lanes, Trouble> {
        Ok(match self.from {
            From::Vector(r) => *wave.vector(r + index)?,
            From::Scalar(r) => [wave.scalar(r + index as u8)?; 64],
            From::Constant(c) => [(c >> (32 * index)) as u32; 64],
            From::Scc => [u32::from(wave.scc); 64],
            From::Mask(r) => {
                let mask = wave.mask(r)?;
                std::array::from_fn(|lane| (mask >> lane & 1) as u32)
            }
        })
    }

    /// Applies the part, the flushing and the signs to words.
    pub(crate) fn shape(&self, wave: &Wave, lanes: &mut Lanes) {
        if self.bits < 32 {
            let up = 32 - self.bits - self.shift;
            let down = 32 - self.bits;
            for x in lanes.iter_mut() {
                let top = *x << up;
                *x = if self.signed { (top as i32 >> down) as u32 } else { top >> down };
            }
        }
        if self.ty == Type::F32 && wave.flushes[0] {
            lanes.iter_mut().for_each(|x| *x = flush(*x));
        }
        let sign = 1u32 << (self.ty.bits().min(32) - 1);
        if self.abs {
            lanes.iter_mut().for_each(|x| *x &= !sign);
        }
        if self.neg {
            lanes.iter_mut().for_each(|x| *x ^= sign);
        }
    }

    /// The words of a source of at most 32 bits.
    pub(crate) fn get(&self, wave: &Wave) -> Result<Lanes, Trouble> {
        let mut lanes = self.raw(wave, 0)?;
        self.shape(wave, &mut lanes);
        Ok(lanes)
    }

    /// All sources as numbers of 64 bits; smaller ones have zeros above.
    pub(crate) fn get64(&self, wave: &Wave) -> Result<[u64; 64], Trouble> {
        if self.ty.bits() < 64 {
            return Ok(self.get(wave)?.map(u64::from));
        }
        let (low, high) = (self.raw(wave, 0)?, self.raw(wave, 1)?);
        let sign = 1 << 63;
        Ok(std::array::from_fn(|lane| {
            let mut x = u64::from(low[lane]) | u64::from(high[lane]) << 32;
            if self.abs {
                x &= !sign;
            }
            if self.neg {
                x ^= sign;
            }
            x
        }))
    }
}

/// An integer constant as the type takes it: a literal of 32 bits is the high half of a float of 64.
fn integer(value: i64, ty: Type) -> u64 {
    match ty {
        Type::F64 if !(-16..=64).contains(&value) => (value as u64) << 32,
        Type::F64 | Type::B64 => value as u64,
        Type::B16 | Type::F16 => (value as u16).into(),
        _ => (value as u32).into(),
    }
}

fn float(value: f64, ty: Type) -> u64 {
    match ty {
        Type::F64 | Type::B64 => value.to_bits(),
        Type::F16 | Type::B16 => f16::from_f64(value).to_bits().into(),
        _ => (value as f32).to_bits().into(),
    }
}
