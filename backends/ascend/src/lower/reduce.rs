//! Reductions: halves of a tile folded onto each other, then the unit's reduction of a repeat.

use super::values::{Held, float};
use super::{Lower, flat, pitch, rows, width};
use kcc_compiler::Error;
use kcc_davinci::ir::*;
use kcc_dsl::ir::{Elem, Op, OpKind, ReduceOp, TileType, ValueId};

impl Lower<'_> {
    pub(super) fn reduce(&mut self, op: &Op) -> Result<(), Error> {
        let OpKind::Reduce { axis, op: what } = op.kind else { return Err(self.bug("no reduction")) };
        let (x, r) = (op.operands[0], op.results[0]);
        let t = self.tile(x)?.clone();
        let out = self.tile(r)?.clone();
        if axis == 1
            && self.spread.contains(&r)
            && let Some(held) = self.half_extrema((x, what), &out)?
        {
            self.set(r, held);
            return Ok(());
        }
        let last = usize::from(axis) + 1 == t.rank();
        if what == ReduceOp::Sum
            && last
            && let Some(held) = self.wide_sum(x, &out.with_elem(Elem::F32))?
        {
            let held = self.back(held, r)?;
            self.set(r, held);
            return Ok(());
        }
        let held = match (t.elem, what) {
            (e, ReduceOp::Sum | ReduceOp::Max | ReduceOp::Min) if e.is_float() => {
                let b = self.as_f32(x)?;
                let wide = t.with_elem(Elem::F32);
                let keeps = what == ReduceOp::Sum || self.spread.contains(&r);
                self.fold((b, keeps), &wide, usize::from(axis), what, &out.with_elem(Elem::F32))?
            }
            _ => {
                let held = self.reduce_scalars(op, usize::from(axis), what)?;
                self.set(r, held);
                return Ok(());
            }
        };
        let held = self.back(held, r)?;
        self.set(r, held);
        Ok(())
    }

    /// An `f32` result as the value's own type.
    fn back(&mut self, held: Held, r: ValueId) -> Result<Held, Error> {
        match held {
            Held::Scalar(v) if self.elem(r) != Elem::F32 => {
                Ok(Held::Scalar(self.let_(Scalar::Round { elem: self.elem(r), a: v })))
            }
            Held::Tile(b) => self.narrowed(b, r),
            other => Ok(other),
        }
    }

    fn fold(
        &mut self,
        (b, keeps): (u32, bool),
        t: &TileType,
        axis: usize,
        what: ReduceOp,
        out: &TileType,
    ) -> Result<Held, Error> {
        let (op, identity) = match what {
            ReduceOp::Sum => (Binary::Add, 0.0),
            ReduceOp::Max => (Binary::Max, f32::NEG_INFINITY),
            _ => (Binary::Min, f32::INFINITY),
        };
        // A copy to fold in; extrema pass over not-a-number, which the unit's own would keep.
        let last = axis + 1 == t.rank();
        let folds = keeps && last && width(t) % 64 == 0 && pitch(t) > 64 && pitch(t) <= 2040;
        let p = pitch(t);
        let (work, wp) = if folds {
            // The first fold copies: half of each row.
            let half = (p / 2 + 63) / 64 * 64;
            (self.space(Elem::F32, 4 * rows(t) * half), half)
        } else if keeps {
            (self.duplicate(b, t), p)
        } else {
            let known = self.compare(Compare::Eq, b, b, t);
            (self.select_scalar(known, b, float(identity).into(), t), p)
        };
        if last {
            let from = if folds { (b, p) } else { (work, p) };
            return self.fold_rows(((work, wp), from), t, op, what, identity, out);
        }
        // The axes before it stay, those behind it are the row-major block that is folded.
        let outer: i64 = t.shape[..axis].iter().product::<usize>() as i64;
        let inner: i64 = t.shape[axis + 1..t.rank() - 1].iter().product::<usize>() as i64 * pitch(t);
        let dst = self.buffer(out);
        for o in 0..outer {
            let start = o * t.shape[axis] as i64 * inner;
            let mut n = t.shape[axis] as i64;
            while n > 1 {
                let half = (n + 1) / 2;
                let at = |row: i64| Local::new(work, 4 * (start + row * inner));
                self.at_span(op, at(0), at(half), (n - half) * inner);
                n = half;
            }
            let to = Local::new(dst, 4 * o * inner);
            self.copy_row(to, Local::new(work, 4 * start), Elem::F32, inner);
        }
        Ok(Held::Tile(dst))
    }

    /// `a = op(a, b)` over `n` elements.
    pub(super) fn at_span(&mut self, op: Binary, a: Local, b: Local, n: i64) {
        self.issue(VBinary {
            op,
            elem: Elem::F32,
            dst: a.clone(),
            a,
            b,
            span: Span::Count { n: n.into() },
            dst_stride: Stride::DENSE,
            a_stride: Stride::DENSE,
            b_stride: Stride::DENSE,
        });
    }

    pub(super) fn fold_rows(
        &mut self,
        ((mut work, mut wp), (mut from, mut fp)): ((u32, i64), (u32, i64)),
        t: &TileType,
        op: Binary,
        what: ReduceOp,
        identity: f32,
        out: &TileType,
    ) -> Result<Held, Error> {
        let (r, w, p) = (rows(t), width(t), pitch(t));
        if w == 0 || r == 0 {
            let dst = self.splat(float(identity).into(), out)?;
            return Ok(if out.rank() == 0 { Held::Scalar(float(identity).into()) } else { Held::Tile(dst) });
        }
        // What is behind a row's end takes no part.
        if w % 64 != 0 {
            self.clear_tails(work, t, identity);
        }
        let mut n = p;
        while n > 64 {
            let half = (n / 2 + 63) / 64 * 64;
            if p <= 2040 {
                // A piece of 64 of every row at once.
                let wide = |pitch: i64| Stride { block: 1, repeat: (pitch / 8) as u8 };
                for c in (0..n - half).step_by(64) {
                    for first in (0..r).step_by(255) {
                        let at = |c: i64| Local::new(from, 4 * (first * fp + c));
                        self.issue(VBinary {
                            op,
                            elem: Elem::F32,
                            dst: Local::new(work, 4 * (first * wp + c)),
                            a: at(c),
                            b: at(half + c),
                            span: Span::Repeat { lanes: 64.into(), times: 255.min(r - first).into() },
                            dst_stride: wide(wp),
                            a_stride: wide(fp),
                            b_stride: wide(fp),
                        });
                    }
                }
            } else {
                for row in 0..r {
                    let at = |c: i64| Local::new(work, 4 * (row * p + c));
                    self.at_span(op, at(0), at(half), n - half);
                }
            }
            if from != work && half != n - half {
                // The middle piece has no partner.
                for row in 0..r {
                    let at = |b: u32, pitch: i64| Local::new(b, 4 * (row * pitch + n - half));
                    self.copy_row(at(work, wp), at(from, fp), Elem::F32, half - (n - half));
                }
            }
            (from, fp) = (work, wp);
            n = half;
        }
        let reduction = match what {
            ReduceOp::Sum => Reduction::Sum,
            ReduceOp::Max => Reduction::Max,
            _ => Reduction::Min,
        };
        if r > 1 && wp / 8 > 255 {
            // Rows too far apart for one instruction are brought together.
            let together = self.space(Elem::F32, 4 * 64 * r);
            for row in 0..r {
                let (to, from) = (Local::new(together, 256 * row), Local::new(work, 4 * row * wp));
                self.copy_row(to, from, Elem::F32, 64);
            }
            (work, wp) = (together, 64);
        }
        let dst = self.buffer(&TileType::new(Elem::F32, &[r as usize]));
        // Results of an extremum start at a multiple of two elements.
        for first in (0..r).step_by(254) {
            self.issue(Reduce {
                op: reduction,
                elem: Elem::F32,
                dst: Local::new(dst, 4 * first),
                src: Local::new(work, 4 * first * wp),
                lanes: 64.into(),
                times: 254.min(r - first).into(),
                dst_step: 1,
                src_stride: Stride { block: 1, repeat: u8::try_from(wp / 8).unwrap_or(0) },
            });
        }
        if out.rank() == 0 {
            return Ok(Held::Scalar(self.load_first(dst, Elem::F32)));
        }
        if out.rank() == 1 {
            return Ok(Held::Tile(dst));
        }
        // Results stand one after another; rows of the result have a pitch.
        let to = self.buffer(out);
        let (ow, op_) = (width(out), pitch(out));
        for row in 0..rows(out) {
            for c in 0..ow {
                let v = self
                    .let_(Scalar::LoadLocal { elem: Elem::F32, src: Local::new(dst, 4 * (row * ow + c)) });
                self.issue(StoreScalar {
                    elem: Elem::F32,
                    dst: Local::new(to, 4 * (row * op_ + c)),
                    value: v,
                });
            }
        }
        Ok(Held::Tile(to))
    }

    /// Fills what lies between rows' ends and their pitch. Fills start at blocks of 32 bytes: in the block where a row ends,
    /// a repeat's first lanes are kept by a selection.
    fn clear_tails(&mut self, work: u32, t: &TileType, identity: f32) {
        let (r, w, p) = (rows(t), width(t), pitch(t));
        let start = w / 64 * 64;
        // The last repeat of each row: element index below the row's end keeps its value.
        let row = TileType::new(Elem::F32, &[64]);
        let ints = row.with_elem(Elem::I32);
        let index = self.buffer(&ints);
        self.issue(Iota { elem: Elem::I32, dst: Local::new(index, 0), first: start.into(), n: 64.into() });
        let position = self.buffer(&row);
        self.issue(Cast {
            to: Elem::F32,
            from: Elem::I32,
            rounding: Rounding::Rint,
            dst: Local::new(position, 0),
            src: Local::new(index, 0),
            span: Span::Count { n: 64.into() },
            dst_stride: Stride::DENSE,
            src_stride: Stride::DENSE,
        });
        let inside = self.compare_scalar(Compare::Lt, position, float(w as f32).into(), &row);
        for i in 0..r {
            let place = Local::new(work, 4 * (i * p + start));
            self.issue(SelectScalar {
                elem: Elem::F32,
                dst: place.clone(),
                mask: Local::new(inside, 0),
                a: place,
                scalar: float(identity).into(),
                n: 64.into(),
            });
        }
        debug_assert_eq!(flat(t), r * p);
    }
}
