//! The steps of a division: scaling, a fused multiply-add that scales back, and fixing what has no quotient.

use super::source::{Source, Type};
use crate::error::Trouble;
use crate::instruction::{Code, Context, step};
use crate::text::Kind;
use crate::wave::VCC;

/// What the steps know of a format, with numbers as doubles' bits would be too narrow for: exponents are those of the bits.
struct Format {
    ty: Type,
    mantissa: u32,
    exponent: u32,
    /// Power of two by which is scaled.
    scale: i32,
    /// Distance of exponents from which a quotient nears the largest number.
    far: i64,
    /// Exponent of a numerator up to which it is scaled.
    small: i64,
}

const SINGLE: Format = Format { ty: Type::F32, mantissa: 23, exponent: 8, scale: 64, far: 96, small: 23 };
const DOUBLE: Format = Format { ty: Type::F64, mantissa: 52, exponent: 11, scale: 128, far: 768, small: 53 };

impl Format {
    fn exponent(&self, x: u64) -> i64 {
        (x >> self.mantissa & ((1 << self.exponent) - 1)) as i64
    }

    fn value(&self, x: u64) -> f64 {
        if self.ty == Type::F64 { f64::from_bits(x) } else { f32::from_bits(x as u32).into() }
    }

    fn bits(&self, x: f64) -> u64 {
        if self.ty == Type::F64 { x.to_bits() } else { (x as f32).to_bits().into() }
    }

    /// Not zero, and below the smallest normal number.
    fn tiny(&self, x: f64) -> bool {
        let smallest = if self.ty == Type::F64 { f64::MIN_POSITIVE } else { f32::MIN_POSITIVE.into() };
        x != 0.0 && x.abs() < smallest
    }

    /// `v_div_scale`: the scaled operand, and whether the result of the division must be scaled, too.
    fn scaled(&self, x: u64, denominator: u64, numerator: u64) -> (u64, bool) {
        let (d, n) = (self.value(denominator), self.value(numerator));
        let power = |e: i32| self.bits(self.value(x) * 2f64.powi(e));
        let (up, down) = (power(self.scale), power(-self.scale));
        let distance = self.exponent(numerator) - self.exponent(denominator);
        let only = |operand: u64| (if x == operand { up } else { x }, true);
        match () {
            () if d == 0.0 || n == 0.0 => (self.bits(f64::NAN), false),
            () if distance >= self.far => only(denominator),
            () if self.tiny(d) => (up, false),
            // The manuals scale the denominator up here. That would take it beyond the largest number, where no quotient
            // comes out; down is what the scaling back of `v_div_fmas` undoes.
            () if self.tiny(1.0 / d) && self.tiny(n / d) => (if x == denominator { down } else { x }, true),
            () if self.tiny(1.0 / d) => (down, false),
            () if self.tiny(n / d) => only(numerator),
            () if self.exponent(numerator) <= self.small => (up, false),
            () => (x, false),
        }
    }

    /// `v_div_fmas`.
    fn fused(&self, a: u64, b: u64, c: u64, scales: bool) -> u64 {
        let half = (1 << (self.exponent - 1)) - 1;
        let e = match (scales, self.exponent(c) > half) {
            (false, _) => 0,
            (true, true) => self.scale,
            (true, false) => -self.scale,
        };
        let sum = match self.ty {
            Type::F64 => f64::from_bits(a).mul_add(f64::from_bits(b), f64::from_bits(c)),
            // The product is exact; the sum is rounded far below the last bit of the result.
            _ => self.value(a) * self.value(b) + self.value(c),
        };
        self.bits(sum * 2f64.powi(e))
    }
}

/// `v_div_fixup`: the quotient, but where there is none of numbers.
pub(super) fn fixed(quotient: f64, denominator: f64, numerator: f64) -> f64 {
    let (d, n) = (denominator, numerator);
    let sign = if d.is_sign_negative() != n.is_sign_negative() { -1.0 } else { 1.0 };
    match () {
        () if n.is_nan() => n,
        () if d.is_nan() => d,
        () if d == 0.0 && n == 0.0 || d.is_infinite() && n.is_infinite() => f64::NAN,
        () if d == 0.0 || n.is_infinite() => sign * f64::INFINITY,
        () if d.is_infinite() || n == 0.0 => sign * 0.0,
        // The manuals ask for the denominator's exponent here, which finite numbers do not have; the steps before make an
        // infinite quotient not-a-number.
        () if !quotient.is_finite() => sign * f64::INFINITY,
        () => sign * quotient.abs(),
    }
}

pub(crate) fn decode(context: &Context<'_>) -> Option<Result<Code, Trouble>> {
    let line = context.line;
    let (name, ty) = line.operation().rsplit_once('_')?;
    let format = match ty {
        "f32" => &SINGLE,
        "f64" => &DOUBLE,
        _ => return None,
    };
    match name {
        "v_div_scale" => Some(scale(context, format)),
        "v_div_fmas" => Some(fused(context, format)),
        "v_div_fixup" if ty == "f32" => Some(fix(context)),
        _ => None,
    }
}

fn scale(context: &Context<'_>, format: &'static Format) -> Result<Code, Trouble> {
    let line = context.line;
    let to = line.operand(0)?.vector()?;
    let mask = match line.operand(1)?.kind {
        Kind::Nothing => None,
        _ => Some(line.operand(1)?.scalar()?),
    };
    let operand = |i: usize| Source::plain(line.operand(i)?, format.ty);
    let sources = [operand(2)?, operand(3)?, operand(4)?];
    Ok(step(move |wave, _| {
        let [x, d, n] = [sources[0].get64(wave)?, sources[1].get64(wave)?, sources[2].get64(wave)?];
        let (mut out, mut scales) = ([0; 64], 0);
        for lane in 0..64 {
            let (value, flag) = format.scaled(x[lane], d[lane], n[lane]);
            out[lane] = value;
            scales |= u64::from(flag) << lane;
        }
        wave.set_vector(to, &out.map(|x| x as u32))?;
        if format.ty == Type::F64 {
            wave.set_vector(to + 1, &out.map(|x| (x >> 32) as u32))?;
        }
        mask.map_or(Ok(()), |register| wave.set_mask(register, scales & wave.exec))
    }))
}

fn fused(context: &Context<'_>, format: &'static Format) -> Result<Code, Trouble> {
    let line = context.line;
    let to = line.operand(0)?.vector()?;
    let operand = |i: usize| Source::plain(line.operand(i)?, format.ty);
    let sources = [operand(1)?, operand(2)?, operand(3)?];
    Ok(step(move |wave, _| {
        let [a, b, c] = [sources[0].get64(wave)?, sources[1].get64(wave)?, sources[2].get64(wave)?];
        let scales = wave.mask(VCC)?;
        let out: [u64; 64] = std::array::from_fn(|l| format.fused(a[l], b[l], c[l], scales >> l & 1 == 1));
        wave.set_vector(to, &out.map(|x| x as u32))?;
        if format.ty == Type::F64 {
            wave.set_vector(to + 1, &out.map(|x| (x >> 32) as u32))?;
        }
        Ok(())
    }))
}

fn fix(context: &Context<'_>) -> Result<Code, Trouble> {
    let line = context.line;
    let to = line.operand(0)?.vector()?;
    let operand = |i: usize| Source::plain(line.operand(i)?, Type::F32);
    let sources = [operand(1)?, operand(2)?, operand(3)?];
    Ok(step(move |wave, _| {
        let [q, d, n] = [sources[0].get(wave)?, sources[1].get(wave)?, sources[2].get(wave)?];
        let f = |x: u32| f64::from(f32::from_bits(x));
        let out = std::array::from_fn(|l| (fixed(f(q[l]), f(d[l]), f(n[l])) as f32).to_bits());
        wave.set_vector(to, &out)
    }))
}
