//! Where values are while a kernel is lowered.

use super::products::Fractals;
use super::{Lower, flat};
use half::{bf16, f16};
use kcc_compiler::Error;
use kcc_davinci::ir::*;
use kcc_dsl::ir::{Const, Elem, TileType, ValueId};

/// A view: a parameter's memory, an offset in elements, and what is left of its axes.
#[derive(Clone, Debug)]
pub(super) struct ViewValue {
    pub param: u32,
    pub offset: Val,
    pub dims: Vec<Val>,
    pub strides: Vec<Val>,
}

/// Where a value is.
#[derive(Clone, Debug)]
pub(super) enum Held {
    /// A tile of rank 0, in a register: integers and `bool` as they are, floats as the bits of an `f32`.
    Scalar(Val),
    /// A tile in a buffer; `bool` as bits.
    Tile(u32),
    /// A tile whose elements all equal a scalar.
    Splat(Val),
    /// A matrix whose rows each have one value: a block of 32 bytes of it for each row.
    Rows(u32),
    /// A matrix of a vector in a buffer of its own, not spread yet: along axis 0 an element for each row, along axis 1 a row for all.
    Along(u32, u8),
    /// A matrix in a buffer of its own, whose rows are still to be multiplied by a value each (see `Rows`).
    Scaled(u32, u32),
    /// A tile in the cube core's first-level buffer.
    Fractals(Fractals),
    /// A view.
    View(ViewValue),
}

/// Blocks of [`Held::Rows`] under the repeats of a matrix: one for each row, over and over.
const SPREAD: Stride = Stride { block: 0, repeat: 1 };

/// A constant's bits in a register, in the range of its type.
pub(super) fn constant(c: Const, elem: Elem) -> Val {
    let rounded = |v: f32| match elem {
        Elem::F16 => f16::from_f32(v).to_f32(),
        Elem::BF16 => bf16::from_f32(v).to_f32(),
        _ => v,
    };
    Val::Const(match c {
        Const::Float(bits) => float(rounded(f32::from_bits(bits))),
        Const::Int(i) if elem.is_float() => float(rounded(i as f32)),
        Const::Int(i) => match elem {
            Elem::I8 => i64::from(i as i8),
            Elem::U8 => i64::from(i as u8),
            Elem::I16 => i64::from(i as i16),
            Elem::I32 => i64::from(i as i32),
            Elem::U32 => i64::from(i as u32),
            Elem::Bool => i64::from(i != 0),
            _ => i,
        },
        Const::Bool(b) => i64::from(b),
    })
}

/// The bits of an `f32`.
pub(super) fn float(v: f32) -> i64 {
    i64::from(v.to_bits())
}

/// All elements of a tile's flat order.
pub(super) fn whole(t: &TileType) -> Span {
    Span::Count { n: flat(t).into() }
}

impl Lower<'_> {
    /// A rank-0 value in a register.
    pub(super) fn scalar(&self, v: ValueId) -> Result<Val, Error> {
        match self.get(v)? {
            Held::Scalar(s) | Held::Splat(s) => Ok(s),
            _ => Err(self.bug("a tile where a scalar belongs")),
        }
    }

    pub(super) fn view(&self, v: ValueId) -> Result<ViewValue, Error> {
        match self.get(v)? {
            Held::View(v) => Ok(v),
            _ => Err(self.bug("a tile where a view belongs")),
        }
    }

    /// A tile in a buffer, filled if it was a splat.
    pub(super) fn in_buffer(&mut self, v: ValueId) -> Result<u32, Error> {
        match self.get(v)? {
            Held::Tile(b) => Ok(b),
            Held::Splat(s) | Held::Scalar(s) => {
                let t = self.tile(v)?.clone();
                self.splat(s, &t)
            }
            Held::Rows(b) => {
                let t = self.tile(v)?.clone();
                Ok(self.spread_rows(b, &t))
            }
            Held::Along(b, axis) => {
                let t = self.tile(v)?.clone();
                let from = t.shape.get(usize::from(axis)).copied().unwrap_or(1);
                let spread = self.spread(b, &TileType::new(t.elem, &[from]), &[axis], &t)?;
                self.set(v, Held::Tile(spread));
                Ok(spread)
            }
            Held::Scaled(b, by) => {
                let t = self.tile(v)?.clone();
                self.binary_rows(Binary::Mul, b, b, by, &t);
                self.set(v, Held::Tile(b));
                Ok(b)
            }
            Held::View(_) | Held::Fractals(_) => Err(self.bug("no tile of a vector core where one belongs")),
        }
    }

    /// A new buffer with the same contents.
    pub(super) fn duplicate(&mut self, b: u32, t: &TileType) -> u32 {
        let to = self.buffer(t);
        self.copy(to, b, t);
        to
    }

    /// Copies a tile between buffers, bit for bit: a conversion between equal 16-bit types does not exist, so a bitwise
    /// operation on 16-bit pieces does it.
    pub(super) fn copy(&mut self, to: u32, from: u32, t: &TileType) {
        let n = self.halves(t);
        self.issue(VBinary {
            op: Binary::Or,
            elem: Elem::I16,
            dst: Local::new(to, 0),
            a: Local::new(from, 0),
            b: Local::new(from, 0),
            span: Span::Count { n: n.into() },
            dst_stride: Stride::DENSE,
            a_stride: Stride::DENSE,
            b_stride: Stride::DENSE,
        });
    }

    /// 16-bit pieces of a tile's flat order.
    pub(super) fn halves(&self, t: &TileType) -> i64 {
        if t.elem == Elem::Bool { (flat(t) + 15) / 16 } else { (flat(t) * t.elem.bytes() as i64 + 1) / 2 }
    }

    /// A tile of equal elements.
    pub(super) fn splat(&mut self, s: Val, t: &TileType) -> Result<u32, Error> {
        let to = self.buffer(t);
        let dup = |elem, scalar, n: i64| Duplicate {
            elem,
            dst: Local::new(to, 0),
            scalar,
            span: Span::Count { n: n.into() },
            dst_stride: Stride::DENSE,
        };
        match t.elem {
            Elem::Bool => {
                // Bits: all ones or all zeros.
                let ones = self.let_(Scalar::Select { c: s, a: (-1).into(), b: 0.into() });
                self.issue(dup(Elem::I16, ones, self.halves(t)));
            }
            Elem::I8 | Elem::U8 => {
                // Two equal bytes at a time.
                let low = self.int(IntOp::And, s, 0xff.into());
                let high = self.int(IntOp::Shl, low, 8.into());
                let both = self.int(IntOp::Or, low, high);
                let both = self.let_(Scalar::Wrap { elem: Elem::I16, a: both });
                self.issue(dup(Elem::I16, both, self.halves(t)));
            }
            e if matches!(e.bytes(), 2 | 4) => self.issue(dup(e, s, flat(t))),
            Elem::I64 => {
                let word = self.word_of(s)?;
                self.issue(dup(Elem::I32, word, 2 * flat(t)));
            }
            e => {
                self.no_narrow_floats(e)?;
                return Err(self.unsupported(format!("tiles of {e}"), "use i32"));
            }
        }
        Ok(to)
    }

    /// The word that an `i64` consists of twice.
    pub(super) fn word_of(&self, v: Val) -> Result<Val, Error> {
        match v.known() {
            Some(c @ (0 | -1)) => Ok(c.into()),
            _ => {
                let what = "tiles of i64 that are filled with other than 0 or -1";
                Err(self.unsupported(what, "fill with 0 or -1, or use i32"))
            }
        }
    }

    /// The tile type of another element type, same shape.
    pub(super) fn like(&self, v: ValueId, elem: Elem) -> Result<TileType, Error> {
        Ok(self.tile(v)?.with_elem(elem))
    }

    /// A float tile as `f32`.
    pub(super) fn as_f32(&mut self, v: ValueId) -> Result<u32, Error> {
        let t = self.tile(v)?.clone();
        if let Held::Splat(s) = self.get(v)? {
            // Splats of any float type are held as an `f32`'s bits.
            return self.splat(s, &t.with_elem(Elem::F32));
        }
        let b = self.in_buffer(v)?;
        if t.elem == Elem::F32 { Ok(b) } else { self.convert(b, &t, Elem::F32, Rounding::None) }
    }

    /// A conversion of the vector unit.
    pub(super) fn convert(
        &mut self,
        from: u32,
        t: &TileType,
        to: Elem,
        rounding: Rounding,
    ) -> Result<u32, Error> {
        let dst = self.buffer(&t.with_elem(to));
        self.issue(Cast {
            to,
            from: t.elem,
            rounding,
            dst: Local::new(dst, 0),
            src: Local::new(from, 0),
            span: whole(t),
            dst_stride: Stride::DENSE,
            src_stride: Stride::DENSE,
        });
        Ok(dst)
    }

    /// An error for 8-bit floats.
    pub(super) fn no_narrow_floats(&self, elem: Elem) -> Result<(), Error> {
        match elem {
            Elem::F8E4M3 | Elem::F8E5M2 => {
                let help = "this chip has no 8-bit floats: use f16 or bf16";
                Err(self.unsupported(format!("tiles of {elem}"), help))
            }
            _ => Ok(()),
        }
    }

    /// An `f32` buffer as the element type of a float value.
    pub(super) fn narrowed(&mut self, b: u32, v: ValueId) -> Result<Held, Error> {
        let t = self.tile(v)?.clone();
        if t.elem == Elem::F32 {
            return Ok(Held::Tile(b));
        }
        self.no_narrow_floats(t.elem)?;
        let wide = t.with_elem(Elem::F32);
        Ok(Held::Tile(self.convert(b, &wide, t.elem, Rounding::Rint)?))
    }

    // ---- instructions on dense buffers ---------------------------------------------------------------------

    /// `dst = op(src)` over a whole tile.
    pub(super) fn unary(&mut self, op: Unary, dst: u32, src: u32, t: &TileType) {
        self.issue(VUnary {
            op,
            elem: t.elem,
            dst: Local::new(dst, 0),
            src: Local::new(src, 0),
            span: whole(t),
            dst_stride: Stride::DENSE,
            src_stride: Stride::DENSE,
        });
    }

    /// `dst = op(a, b)` over a whole tile.
    pub(super) fn binary(&mut self, op: Binary, dst: u32, a: u32, b: u32, t: &TileType) {
        self.binary_n(op, t.elem, (dst, a, b), flat(t));
    }

    /// `dst = op(a, b)` over `n` elements.
    pub(super) fn binary_n(&mut self, op: Binary, elem: Elem, (dst, a, b): (u32, u32, u32), n: i64) {
        self.issue(VBinary {
            op,
            elem,
            dst: Local::new(dst, 0),
            a: Local::new(a, 0),
            b: Local::new(b, 0),
            span: Span::Count { n: n.into() },
            dst_stride: Stride::DENSE,
            a_stride: Stride::DENSE,
            b_stride: Stride::DENSE,
        });
    }

    /// `dst = op(src, scalar)` over a whole tile.
    pub(super) fn with_scalar(&mut self, op: WithScalar, dst: u32, src: u32, scalar: Val, t: &TileType) {
        self.issue(VScalar {
            op,
            elem: t.elem,
            dst: Local::new(dst, 0),
            src: Local::new(src, 0),
            scalar,
            span: whole(t),
            dst_stride: Stride::DENSE,
            src_stride: Stride::DENSE,
        });
    }

    /// `dst = a * b + dst` over a whole tile.
    pub(super) fn mul_add(&mut self, dst: u32, a: u32, b: u32, t: &TileType) {
        self.issue(MulAdd {
            elem: t.elem,
            dst: Local::new(dst, 0),
            a: Local::new(a, 0),
            b: Local::new(b, 0),
            span: whole(t),
            dst_stride: Stride::DENSE,
            a_stride: Stride::DENSE,
            b_stride: Stride::DENSE,
        });
    }

    /// `dst = a * scalar + dst` over a whole `f32` tile, with one rounding.
    pub(super) fn mul_add_scalar(&mut self, dst: u32, a: u32, scalar: Val, t: &TileType) {
        let one = self.one_repeat(scalar);
        self.mul_add_by(dst, a, one, flat(t) / 64);
    }

    /// A repeat of `f32` that are all equal.
    pub(super) fn one_repeat(&mut self, scalar: Val) -> u32 {
        let one = self.space(Elem::F32, 256);
        self.issue(Duplicate {
            elem: Elem::F32,
            dst: Local::new(one, 0),
            scalar,
            span: Span::Count { n: 64.into() },
            dst_stride: Stride::DENSE,
        });
        one
    }

    /// `dst = a * one + dst` over a number of repeats, where `one` is a repeat.
    pub(super) fn mul_add_by(&mut self, dst: u32, a: u32, one: u32, all: i64) {
        for first in (0..all).step_by(255) {
            let times = 255.min(all - first);
            self.issue(MulAdd {
                elem: Elem::F32,
                dst: Local::new(dst, 256 * first),
                a: Local::new(a, 256 * first),
                b: Local::new(one, 0),
                span: Span::Repeat { lanes: 64.into(), times: times.into() },
                dst_stride: Stride::DENSE,
                a_stride: Stride::DENSE,
                b_stride: Stride { block: 1, repeat: 0 },
            });
        }
    }

    /// `dst = op(a, rows)`, an `f32` matrix and a value for each of its rows (see [`Held::Rows`]).
    pub(super) fn binary_rows(&mut self, op: Binary, dst: u32, a: u32, rows_: u32, t: &TileType) {
        let wide = Stride { block: 1, repeat: (super::pitch(t) / 8) as u8 };
        self.by_rows(t, &mut |l, place, row, span| {
            l.issue(VBinary {
                op,
                elem: Elem::F32,
                dst: Local::new(dst, place),
                a: Local::new(a, place),
                b: Local::new(rows_, row),
                span,
                dst_stride: wide,
                a_stride: wide,
                b_stride: SPREAD,
            });
        });
    }

    /// `dst = scalar * dst + rows`, with one rounding.
    pub(super) fn scale_and_add_rows(&mut self, dst: u32, scalar: Val, rows_: u32, t: &TileType) {
        let one = self.one_repeat(scalar);
        let wide = Stride { block: 1, repeat: (super::pitch(t) / 8) as u8 };
        self.by_rows(t, &mut |l, place, row, span| {
            l.issue(FusedMulAdd {
                elem: Elem::F32,
                dst: Local::new(dst, place),
                a: Local::new(one, 0),
                b: Local::new(rows_, row),
                span,
                dst_stride: wide,
                a_stride: Stride { block: 1, repeat: 0 },
                b_stride: SPREAD,
            });
        });
    }

    /// `dst = rows * dst + b`, with one rounding.
    pub(super) fn scale_rows_and_add(&mut self, dst: u32, rows_: u32, b: u32, t: &TileType) {
        let wide = Stride { block: 1, repeat: (super::pitch(t) / 8) as u8 };
        self.by_rows(t, &mut |l, place, row, span| {
            l.issue(FusedMulAdd {
                elem: Elem::F32,
                dst: Local::new(dst, place),
                a: Local::new(rows_, row),
                b: Local::new(b, place),
                span,
                dst_stride: wide,
                a_stride: SPREAD,
                b_stride: wide,
            });
        });
    }

    /// Calls `f` for each 64 columns of up to 255 rows, with the byte of the first in an `f32` matrix, the byte of the first row's
    /// block in [`Held::Rows`], and the span.
    fn by_rows(&mut self, t: &TileType, f: &mut dyn FnMut(&mut Self, i64, i64, Span)) {
        let (all, p) = (super::rows(t), super::pitch(t));
        for piece in 0..p / 64 {
            for first in (0..all).step_by(255) {
                let times = 255.min(all - first).into();
                f(self, 4 * (first * p + 64 * piece), 32 * first, Span::Repeat { lanes: 64.into(), times });
            }
        }
    }

    /// The bits of `op(a, b)`; comparisons take whole repeats, which buffers have room for.
    pub(super) fn compare(&mut self, op: Compare, a: u32, b: u32, t: &TileType) -> u32 {
        let dst = self.buffer(&t.with_elem(Elem::Bool));
        let n = self.repeats(t).into();
        self.issue(CompareTo {
            op,
            elem: t.elem,
            dst: Local::new(dst, 0),
            a: Local::new(a, 0),
            b: Local::new(b, 0),
            n,
        });
        dst
    }

    /// The bits of `op(a, scalar)`.
    pub(super) fn compare_scalar(&mut self, op: Compare, a: u32, scalar: Val, t: &TileType) -> u32 {
        let dst = self.buffer(&t.with_elem(Elem::Bool));
        let n = self.repeats(t).into();
        self.issue(CompareScalar {
            op,
            elem: t.elem,
            dst: Local::new(dst, 0),
            a: Local::new(a, 0),
            scalar,
            n,
        });
        dst
    }

    /// Elements of a tile, up to whole repeats.
    fn repeats(&self, t: &TileType) -> i64 {
        let lanes = 256 / t.elem.bytes() as i64;
        (flat(t) + lanes - 1) / lanes * lanes
    }

    /// `dst = mask ? a : b`; any type of 2 or 4 bytes, bit for bit.
    pub(super) fn select_tiles(&mut self, mask: u32, a: u32, b: u32, t: &TileType) -> Result<u32, Error> {
        let dst = self.buffer(t);
        let elem = match t.elem.bytes() {
            2 => Elem::F16,
            4 => Elem::F32,
            _ => return Err(self.unsupported(format!("`select` of tiles of {}", t.elem), "select i32 tiles")),
        };
        let [dst_, mask, a, b] = [dst, mask, a, b].map(|x| Local::new(x, 0));
        self.issue(Select { elem, dst: dst_, mask, a, b, n: flat(t).into() });
        Ok(dst)
    }

    /// `dst = mask ? a : scalar` for floats.
    pub(super) fn select_scalar(&mut self, mask: u32, a: u32, scalar: Val, t: &TileType) -> u32 {
        let dst = self.buffer(t);
        let [dst_, mask, a] = [dst, mask, a].map(|x| Local::new(x, 0));
        self.issue(SelectScalar { elem: t.elem, dst: dst_, mask, a, scalar, n: flat(t).into() });
        dst
    }
}
