//! Arithmetic of `f16` where the vector unit's own gives what `f32` would, rounded: 128 numbers at a time instead of 64, and no conversions.
//!
//! ```text
//! a + b, a - b, a · b     exact sums and products fit in twice the digits and two more, so that rounding twice is rounding once
//! extrema                 are one of the operands
//! exp                     the unit's own, as for f32
//! ```

use super::values::Held;
use super::{Lower, flat, pitch, rows};
use kcc_compiler::Error;
use kcc_davinci::ir::*;
use kcc_dsl::ir::{BinaryOp, Elem, ReduceOp, TileType, ValueId};

/// Elements of a repeat.
const LANES: i64 = 128;

/// Whether each row is whole repeats, near enough for an instruction's strides.
pub(super) fn whole_rows(t: &TileType) -> bool {
    t.elem == Elem::F16 && pitch(t) % LANES == 0 && pitch(t) <= 2040
}

fn strided(pitch: i64) -> Stride {
    Stride { block: 1, repeat: (pitch / 16) as u8 }
}

impl Lower<'_> {
    /// A binary operation of `f16` tiles; nothing if it goes by `f32`.
    pub(super) fn half_binary(
        &mut self,
        op: BinaryOp,
        (x, y): (ValueId, ValueId),
        r: ValueId,
    ) -> Result<Option<Held>, Error> {
        let t = self.tile(r)?.clone();
        let (o, scalar) = match op {
            BinaryOp::Add => (Binary::Add, Some(WithScalar::Add)),
            BinaryOp::Sub => (Binary::Sub, None),
            BinaryOp::Mul => (Binary::Mul, Some(WithScalar::Mul)),
            BinaryOp::MaxNan => (Binary::Max, None),
            BinaryOp::MinNan => (Binary::Min, None),
            _ => return Ok(None),
        };
        if t.elem != Elem::F16 {
            return Ok(None);
        }
        let (hx, hy) = (self.get(x)?, self.get(y)?);
        let dst = match (scalar, &hx, &hy) {
            (Some(s), Held::Tile(b), Held::Splat(c)) | (Some(s), Held::Splat(c), Held::Tile(b)) => {
                let dst = self.buffer(&t);
                self.with_scalar(s, dst, *b, *c, &t);
                dst
            }
            (_, Held::Tile(a), Held::Rows(b)) if whole_rows(&t) => self.half_rows(o, *a, *b, &t),
            _ => {
                let (a, b) = (self.in_buffer(x)?, self.in_buffer(y)?);
                let dst = self.buffer(&t);
                self.binary(o, dst, a, b, &t);
                dst
            }
        };
        Ok(Some(Held::Tile(dst)))
    }

    /// `op(a, rows)`, a value for each row (see [`Held::Rows`]).
    fn half_rows(&mut self, op: Binary, a: u32, by: u32, t: &TileType) -> u32 {
        let (dst, p, wide) = (self.buffer(t), pitch(t), strided(pitch(t)));
        for first in (0..rows(t)).step_by(255) {
            for column in (0..p).step_by(LANES as usize) {
                let place = 2 * (first * p + column);
                self.issue(VBinary {
                    op,
                    elem: Elem::F16,
                    dst: Local::new(dst, place),
                    a: Local::new(a, place),
                    b: Local::new(by, 32 * first),
                    span: Span::Repeat { lanes: LANES.into(), times: 255.min(rows(t) - first).into() },
                    dst_stride: wide,
                    a_stride: wide,
                    b_stride: Stride { block: 0, repeat: 1 },
                });
            }
        }
        dst
    }

    /// `e^x` of an `f16` tile.
    pub(super) fn half_exp(&mut self, x: ValueId) -> Result<Held, Error> {
        let t = self.tile(x)?.clone();
        let b = self.in_buffer(x)?;
        let dst = self.buffer(&t);
        self.unary(Unary::Exp, dst, b, &t);
        Ok(Held::Tile(dst))
    }

    /// The extremum of each row, not-a-number winning, where a row is halved until a repeat is left.
    pub(super) fn half_extrema(
        &mut self,
        (x, what): (ValueId, ReduceOp),
        out: &TileType,
    ) -> Result<Option<Held>, Error> {
        let t = self.tile(x)?.clone();
        let (r, p) = (rows(&t), pitch(&t));
        let halved = p == super::width(&t) && p & (p - 1) == 0 && whole_rows(&t);
        if !halved || t.rank() != 2 || out.rank() != 1 || !(1..=254).contains(&r) {
            return Ok(None);
        }
        let (op, reduction) = match what {
            ReduceOp::Max => (Binary::Max, Reduction::Max),
            ReduceOp::Min => (Binary::Min, Reduction::Min),
            _ => return Ok(None),
        };
        let (mut from, mut fp, mut n) = (self.in_buffer(x)?, p, p);
        let wp = (p / 2).max(LANES);
        let work = if p > LANES { self.space(Elem::F16, 2 * r * wp) } else { from };
        while n > LANES {
            n /= 2;
            for column in (0..n).step_by(LANES as usize) {
                self.issue(VBinary {
                    op,
                    elem: Elem::F16,
                    dst: Local::new(work, 2 * column),
                    a: Local::new(from, 2 * column),
                    b: Local::new(from, 2 * (n + column)),
                    span: Span::Repeat { lanes: LANES.into(), times: r.into() },
                    dst_stride: strided(wp),
                    a_stride: strided(fp),
                    b_stride: strided(fp),
                });
            }
            (from, fp) = (work, wp);
        }
        let dst = self.buffer(out);
        self.issue(Reduce {
            op: reduction,
            elem: Elem::F16,
            dst: Local::new(dst, 0),
            src: Local::new(from, 0),
            lanes: LANES.into(),
            times: r.into(),
            dst_step: 1,
            src_stride: strided(fp),
        });
        debug_assert_eq!(flat(&t), r * p);
        Ok(Some(Held::Tile(dst)))
    }
}
