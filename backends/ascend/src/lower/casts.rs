//! Conversions between element types. The vector unit has some; others go by `f32` and `f16`, which hold 8 bits exactly, or by `i32`.
//!
//! ```text
//! float ─▶ i8      f32, cut to -128..127, to f16, to i8            i32 ─▶ i8      shifted up and down, then as a float
//! u32 ─▶ float     high half · 2^16 + low half, one rounding       float ─▶ u32   two parts at 2^31
//! i64 ─▶ i32       the low words, gathered
//! ```

use super::values::{Held, float};
use super::{Lower, flat};
use kcc_compiler::Error;
use kcc_davinci::ir::*;
use kcc_dsl::ir::{Elem, TileType, ValueId};

/// The range of an integer type that floats are cut to, for types of which an `f32` holds every number.
fn range(elem: Elem) -> Option<(f32, f32)> {
    Some(match elem {
        Elem::I8 => (-128.0, 127.0),
        Elem::U8 => (0.0, 255.0),
        Elem::I16 => (-32768.0, 32767.0),
        _ => return None,
    })
}

impl Lower<'_> {
    /// A tile in another element type.
    pub(super) fn cast_tile(&mut self, x: ValueId, r: ValueId) -> Result<Held, Error> {
        let (from, t) = (self.elem(x), self.tile(r)?.clone());
        let to = t.elem;
        if let Held::Splat(s) = self.get(x)? {
            return Ok(Held::Splat(self.cast_scalar(s, from, to)));
        }
        self.no_narrow_floats(from)?;
        self.no_narrow_floats(to)?;
        let b = self.in_buffer(x)?;
        let wide = t.with_elem(Elem::F32);
        if from == to || matches!((from, to), (Elem::I32, Elem::U32) | (Elem::U32, Elem::I32)) {
            return Ok(Held::Tile(b));
        }
        if to.is_float() {
            let f = self.in_f32(x, b, &t)?;
            return self.narrowed(f, r);
        }
        if to == Elem::Bool {
            let f = self.in_f32(x, b, &t)?;
            return Ok(Held::Tile(self.compare_scalar(Compare::Ne, f, 0.into(), &wide)));
        }
        if from.is_float() || from == Elem::Bool {
            let f = self.in_f32(x, b, &t)?;
            return Ok(Held::Tile(self.float_to_int(f, &t)?));
        }
        let i = self.in_i32(b, from, &t)?;
        let ints = t.with_elem(Elem::I32);
        // What does not fit is cut off.
        let cut = |l: &mut Self, bits: i64, elem: Elem| {
            let to = l.buffer(&ints);
            l.with_scalar(WithScalar::ShiftLeft, to, i, bits.into(), &ints);
            l.with_scalar(WithScalar::ShiftRight, to, to, bits.into(), &ints.with_elem(elem));
            to
        };
        Ok(Held::Tile(match to {
            Elem::I32 | Elem::U32 => i,
            Elem::I16 => {
                let i = cut(self, 16, Elem::I32);
                self.convert(i, &ints, Elem::I16, Rounding::None)?
            }
            Elem::I8 | Elem::U8 => {
                let i = cut(self, 24, if to == Elem::I8 { Elem::I32 } else { Elem::U32 });
                let f = self.convert(i, &ints, Elem::F32, Rounding::Rint)?;
                self.by_f16(f, &t)?
            }
            Elem::I64 if from != Elem::U32 => self.convert(i, &ints, Elem::I64, Rounding::None)?,
            _ => return Err(self.unsupported(format!("a conversion from {from} to {to}"), "go by i32")),
        }))
    }

    /// Any tile as `f32`, rounded once.
    fn in_f32(&mut self, x: ValueId, b: u32, t: &TileType) -> Result<u32, Error> {
        let from = self.elem(x);
        match from {
            e if e.is_float() => self.as_f32(x),
            Elem::Bool => self.ones(b, t),
            Elem::I8 | Elem::U8 => {
                let h = self.convert(b, &t.with_elem(from), Elem::F16, Rounding::None)?;
                self.convert(h, &t.with_elem(Elem::F16), Elem::F32, Rounding::None)
            }
            Elem::I16 => self.convert(b, &t.with_elem(from), Elem::F32, Rounding::None),
            Elem::U32 => {
                let (words, wide) = (t.with_elem(from), t.with_elem(Elem::F32));
                let [high, low] = [self.buffer(&words), self.buffer(&words)];
                self.with_scalar(WithScalar::ShiftRight, high, b, 16.into(), &words);
                self.with_scalar(WithScalar::ShiftLeft, low, b, 16.into(), &words);
                self.with_scalar(WithScalar::ShiftRight, low, low, 16.into(), &words);
                let ints = t.with_elem(Elem::I32);
                let high = self.convert(high, &ints, Elem::F32, Rounding::Rint)?;
                let low = self.convert(low, &ints, Elem::F32, Rounding::Rint)?;
                self.with_scalar(WithScalar::Mul, high, high, float(65536.0).into(), &wide);
                self.binary(Binary::Add, high, high, low, &wide);
                Ok(high)
            }
            e => self.convert(b, &t.with_elem(e), Elem::F32, Rounding::Rint),
        }
    }

    /// An integer tile as `i32`, what does not fit cut off.
    fn in_i32(&mut self, b: u32, from: Elem, t: &TileType) -> Result<u32, Error> {
        let wide = t.with_elem(Elem::F32);
        match from {
            Elem::I8 | Elem::U8 => {
                let h = self.convert(b, &t.with_elem(from), Elem::F16, Rounding::None)?;
                let f = self.convert(h, &t.with_elem(Elem::F16), Elem::F32, Rounding::None)?;
                self.convert(f, &wide, Elem::I32, Rounding::Trunc)
            }
            Elem::I16 => {
                let f = self.convert(b, &t.with_elem(from), Elem::F32, Rounding::None)?;
                self.convert(f, &wide, Elem::I32, Rounding::Trunc)
            }
            Elem::I64 => {
                let ints = t.with_elem(Elem::I32);
                let [offsets, dst] = [self.buffer(&ints), self.buffer(&ints)];
                let n = flat(t);
                self.issue(Iota {
                    elem: Elem::I32,
                    dst: Local::new(offsets, 0),
                    first: 0.into(),
                    n: n.into(),
                });
                self.with_scalar(WithScalar::ShiftLeft, offsets, offsets, 3.into(), &ints);
                self.issue(Gather {
                    elem: Elem::I32,
                    dst: Local::new(dst, 0),
                    src: Local::new(b, 0),
                    offsets: Local::new(offsets, 0),
                    base: 0.into(),
                    n: n.into(),
                });
                Ok(dst)
            }
            _ => Ok(b),
        }
    }

    /// `f32` to the integers of `t`: cut off behind the point, and to the range; not-a-number gives 0.
    fn float_to_int(&mut self, f: u32, t: &TileType) -> Result<u32, Error> {
        let wide = t.with_elem(Elem::F32);
        let Some((low, high)) = range(t.elem) else {
            return match t.elem {
                Elem::U32 => self.float_to_u32(f, &wide),
                e => self.convert(f, &wide, e, Rounding::Trunc),
            };
        };
        let known = self.compare(Compare::Eq, f, f, &wide);
        let f = self.select_scalar(known, f, 0.into(), &wide);
        let whole = self.convert(f, &wide, Elem::F32, Rounding::Trunc)?;
        self.with_scalar(WithScalar::Max, whole, whole, float(low).into(), &wide);
        self.with_scalar(WithScalar::Min, whole, whole, float(high).into(), &wide);
        if t.elem == Elem::I16 {
            return self.convert(whole, &wide, Elem::I16, Rounding::Trunc);
        }
        self.by_f16(whole, t)
    }

    /// Whole numbers of 8 bits, from `f32`.
    fn by_f16(&mut self, f: u32, t: &TileType) -> Result<u32, Error> {
        let h = self.convert(f, &t.with_elem(Elem::F32), Elem::F16, Rounding::Rint)?;
        self.convert(h, &t.with_elem(Elem::F16), t.elem, Rounding::Rint)
    }

    /// What is below 2^31 as it is; what is above, less 2^31, with the first bit set.
    fn float_to_u32(&mut self, f: u32, wide: &TileType) -> Result<u32, Error> {
        const HALF: f32 = 2_147_483_648.0;
        let known = self.compare(Compare::Eq, f, f, wide);
        let f = self.select_scalar(known, f, 0.into(), wide);
        self.with_scalar(WithScalar::Max, f, f, 0.into(), wide);
        let above = self.compare_scalar(Compare::Ge, f, float(HALF).into(), wide);
        let rest = self.buffer(wide);
        self.with_scalar(WithScalar::Add, rest, f, float(-HALF).into(), wide);
        let ints = wide.with_elem(Elem::I32);
        let low = self.convert(f, wide, Elem::I32, Rounding::Trunc)?;
        let high = self.convert(rest, wide, Elem::I32, Rounding::Trunc)?;
        self.with_scalar(WithScalar::Add, high, high, i64::from(i32::MIN).into(), &ints);
        self.select_tiles(above, high, low, &ints)
    }
}
