//! Operations that move elements: broadcasts and the rest.

use super::move_rows::Move;
use super::values::Held;
use super::{Lower, pitch, rows, width};
use kcc_compiler::Error;
use kcc_davinci::ir::*;
use kcc_dsl::ir::{Elem, Op, OpKind, TileType, ValueId};

impl Lower<'_> {
    pub(super) fn shape(&mut self, op: &Op) -> Result<(), Error> {
        let r = op.results[0];
        let x = op.operands[0];
        if let Held::Splat(s) | Held::Scalar(s) = self.get(x)?
            && op.operands.len() == 1
        {
            for r in &op.results {
                let scalar = self.tile(*r)?.rank() == 0;
                self.set(*r, if scalar { Held::Scalar(s) } else { Held::Splat(s) });
            }
            return Ok(());
        }
        match &op.kind {
            OpKind::Broadcast { axes } => {
                let held = self.broadcast(x, axes, r)?;
                self.set(r, held);
            }
            OpKind::Reshape => {
                let (from, to) = (self.tile(x)?.clone(), self.tile(r)?.clone());
                let held = self.reshape(x, &from, &to)?;
                self.set(r, held);
            }
            OpKind::Slice { offsets } => {
                let (from, to) = (self.tile(x)?.clone(), self.tile(r)?.clone());
                let strides = strides(&from);
                let base = offsets.iter().zip(&strides).map(|(o, s)| *o as i64 * s).sum();
                let part = Part { x, base, strides, into: 0 };
                let held = self.assemble(&[part], &to.shape, &to)?;
                self.set(r, held);
            }
            OpKind::Transpose { perm } => {
                let (from, to) = (self.tile(x)?.clone(), self.tile(r)?.clone());
                let own = strides(&from);
                let strides = perm.iter().map(|a| own[usize::from(*a)]).collect();
                let held = self.assemble(&[Part { x, base: 0, strides, into: 0 }], &to.shape, &to)?;
                self.set(r, held);
            }
            OpKind::Join => {
                let (from, to) = (self.tile(x)?.clone(), self.tile(r)?.clone());
                let part =
                    |i: usize| Part { x: op.operands[i], base: 0, strides: strides(&from), into: i as i64 };
                let held = self.assemble(&[part(0), part(1)], &from.shape, &to)?;
                self.set(r, held);
            }
            OpKind::Split => {
                let (from, to) = (self.tile(x)?.clone(), self.tile(r)?.clone());
                let own = strides(&from);
                for (i, r) in op.results.iter().enumerate() {
                    let strides = own[..own.len() - 1].to_vec();
                    let part = Part { x, base: i as i64, strides, into: 0 };
                    let held = self.assemble(&[part], &to.shape, &to)?;
                    self.set(*r, held);
                }
            }
            OpKind::Concat { axis } => {
                let to = self.tile(r)?.clone();
                let mut held = None;
                let mut into = 0;
                for x in &op.operands {
                    let from = self.tile(*x)?.clone();
                    let part = Part { x: *x, base: 0, strides: strides(&from), into };
                    held = Some(self.part(&part, &from.shape, &to, held)?);
                    into += from.shape[usize::from(*axis)] as i64 * strides(&to)[usize::from(*axis)];
                }
                let held = self.finish(held, &to)?;
                self.set(r, held);
            }
            _ => return Err(self.bug("no operation on shapes")),
        }
        Ok(())
    }

    /// Parts of one shape put into a new tile.
    fn assemble(&mut self, parts: &[Part], shape: &[usize], to: &TileType) -> Result<Held, Error> {
        let mut dst = None;
        for p in parts {
            dst = Some(self.part(p, shape, to, dst)?);
        }
        self.finish(dst, to)
    }

    /// A tile that was put together; `bool` back to bits.
    fn finish(&mut self, dst: Option<u32>, to: &TileType) -> Result<Held, Error> {
        let Some(dst) = dst else { return Err(self.bug("a tile of no parts")) };
        if to.rank() == 0 {
            let elem = if to.elem == Elem::Bool { Elem::F32 } else { to.elem };
            let v = self.load_first(dst, elem);
            let one = |l: &mut Self| l.let_(Scalar::Float { op: FloatOp::Ne, a: v, b: 0.into() });
            return Ok(Held::Scalar(if to.elem == Elem::Bool { one(self) } else { v }));
        }
        if to.elem == Elem::Bool {
            return Ok(Held::Tile(self.compare_scalar(Compare::Ne, dst, 0.into(), &to.with_elem(Elem::F32))));
        }
        Ok(Held::Tile(dst))
    }

    /// Copies one operand's elements to their places, an element at a time in the scalar unit. `bool` goes as ones and zeros.
    fn part(&mut self, p: &Part, shape: &[usize], to: &TileType, dst: Option<u32>) -> Result<u32, Error> {
        let from = self.tile(p.x)?.clone();
        let mut src = self.in_buffer(p.x)?;
        let mut out = to.clone();
        if to.elem == Elem::Bool {
            src = self.ones(src, &from)?;
            out = to.with_elem(Elem::F32);
        }
        let dst = dst.unwrap_or_else(|| self.buffer(&out));
        let (w, own) = (out.elem.bytes() as i64, strides(&out));
        let bytes = |s: &[i64]| s.iter().take(shape.len()).map(|s| s * w).collect::<Vec<i64>>();
        let m = Move {
            elem: out.elem,
            shape: shape.to_vec(),
            src: (src, p.base * w),
            from: bytes(&p.strides),
            dst: (dst, p.into * w),
            to: bytes(&own),
        };
        if self.move_rows(&m) {
            return Ok(dst);
        }
        let start = (Val::Const(p.base * w), Val::Const(p.into * w));
        self.nest(p, shape, (&own, w), (0, start), &mut |l, (a, b)| {
            let value = l.let_(Scalar::LoadLocal { elem: out.elem, src: Local { buffer: src, offset: a } });
            l.issue(StoreScalar { elem: out.elem, dst: Local { buffer: dst, offset: b }, value });
        });
        Ok(dst)
    }

    /// A loop for each axis, with the bytes at which the operand's and the result's elements lie.
    fn nest(
        &mut self,
        p: &Part,
        shape: &[usize],
        (own, w): (&[i64], i64),
        (axis, at): (usize, (Val, Val)),
        f: &mut dyn FnMut(&mut Self, (Val, Val)),
    ) {
        let Some(extent) = shape.get(axis) else { return f(self, at) };
        let i = self.reg();
        self.open();
        let (a, b) = (
            self.int(IntOp::Mul, i.into(), (p.strides[axis] * w).into()),
            self.int(IntOp::Mul, i.into(), (own[axis] * w).into()),
        );
        let at = (self.int(IntOp::Add, at.0, a), self.int(IntOp::Add, at.1, b));
        self.nest(p, shape, (own, w), (axis + 1, at), f);
        let body = self.close();
        self.push(Stmt::For {
            counter: i,
            from: 0.into(),
            to: (*extent as i64).into(),
            step: 1.into(),
            body,
        });
    }

    /// The same rows under other names of axes costs nothing; other rows go an element at a time.
    fn reshape(&mut self, x: ValueId, from: &TileType, to: &TileType) -> Result<Held, Error> {
        let b = self.in_buffer(x)?;
        if to.rank() == 0 {
            let v = self.element_zero(b, from)?;
            return Ok(Held::Scalar(v));
        }
        if pitch(from) == pitch(to) && width(from) == width(to) {
            return Ok(Held::Tile(b));
        }
        let (b, from, back) = if from.elem == Elem::Bool {
            (self.ones(b, from)?, from.with_elem(Elem::F32), true)
        } else {
            (b, from.clone(), false)
        };
        let out = if back { to.with_elem(Elem::F32) } else { to.clone() };
        let dst = self.buffer(&out);
        let w = from.elem.bytes() as i64;
        let n = rows(&from) * width(&from);
        if self.reflow((b, &from), (dst, &out)) {
            return Ok(Held::Tile(if back {
                self.compare_scalar(Compare::Ne, dst, 0.into(), &out)
            } else {
                dst
            }));
        }
        let i = self.reg();
        self.open();
        let place = |l: &mut Self, t: &TileType| {
            let (row, col) =
                (l.int(IntOp::Div, i.into(), width(t).into()), l.int(IntOp::Rem, i.into(), width(t).into()));
            let row = l.int(IntOp::Mul, row, (pitch(t) * w).into());
            let col = l.int(IntOp::Mul, col, w.into());
            l.int(IntOp::Add, row, col)
        };
        let (src, at) = (place(self, &from), place(self, &out));
        let v = self.let_(Scalar::LoadLocal { elem: from.elem, src: Local { buffer: b, offset: src } });
        self.issue(StoreScalar { elem: from.elem, dst: Local { buffer: dst, offset: at }, value: v });
        let body = self.close();
        self.push(Stmt::For { counter: i, from: 0.into(), to: n.into(), step: 1.into(), body });
        if back {
            return Ok(Held::Tile(self.compare_scalar(Compare::Ne, dst, 0.into(), &out)));
        }
        Ok(Held::Tile(dst))
    }

    /// Rows that become pieces of longer rows, or whose pieces become rows; `false` if it is neither.
    fn reflow(&mut self, (src, from): (u32, &TileType), (dst, to): (u32, &TileType)) -> bool {
        let w = from.elem.bytes() as i64;
        let (fw, tw) = (width(from), width(to));
        let (fp, tp) = (pitch(from) * w, pitch(to) * w);
        if fw == 0 || tw == 0 {
            return false;
        }
        let short = fw.min(tw);
        if fw % short != 0 || tw % short != 0 {
            return false;
        }
        let pieces = |n: i64| (n / short) as usize;
        let (rows_in, rows_out) = (rows(from) as usize, rows(to) as usize);
        let (shape, from, to) = if fw > tw {
            // [rows, pieces, short]
            let p = pieces(fw) as i64;
            (vec![rows_in, pieces(fw), short as usize], vec![fp, short * w, w], vec![p * tp, tp, w])
        } else {
            let p = pieces(tw) as i64;
            (vec![rows_out, pieces(tw), short as usize], vec![p * fp, fp, w], vec![tp, short * w, w])
        };
        self.move_rows(&Move { elem: from_elem(w), shape, src: (src, 0), from, dst: (dst, 0), to })
    }

    /// The first element of a tile in a register.
    pub(super) fn element_zero(&mut self, b: u32, t: &TileType) -> Result<Val, Error> {
        if t.elem == Elem::Bool {
            let f = self.ones(b, t)?;
            let v = self.load_first(f, Elem::F32);
            return Ok(self.let_(Scalar::Float { op: FloatOp::Ne, a: v, b: 0.into() }));
        }
        Ok(self.load_first(b, t.elem))
    }

    fn broadcast(&mut self, x: ValueId, axes: &[u8], r: ValueId) -> Result<Held, Error> {
        let (from, to) = (self.tile(x)?.clone(), self.tile(r)?.clone());
        let b = self.in_buffer(x)?;
        if from.elem == Elem::Bool {
            // By way of ones and zeros.
            let f = self.ones(b, &from)?;
            let (from, to) = (from.with_elem(Elem::F32), to.with_elem(Elem::F32));
            let y = self.spread(f, &from, axes, &to)?;
            return Ok(Held::Tile(self.compare_scalar(Compare::Ne, y, 0.into(), &to)));
        }
        let rows_only = axes == [0] && from.rank() == 1 && to.rank() == 2 && from.shape[0] == to.shape[0];
        let near = from.elem == Elem::F32 && pitch(&to) <= 2040 || super::halves::whole_rows(&to);
        if rows_only && near && rows(&to) > 1 {
            return Ok(Held::Rows(self.blocks_of(b, &to)));
        }
        if let (Elem::I32, [axis], 1, 2) = (from.elem, axes, from.rank(), to.rank())
            && super::masks::large(&to)
            && from.shape[0] == to.shape[usize::from(*axis)]
        {
            // A copy, since it may be spread later, when what it was made of has changed.
            return Ok(Held::Along(self.duplicate(b, &from), *axis));
        }
        if !matches!(from.elem.bytes(), 2 | 4) {
            return Err(
                self.unsupported(format!("a broadcast of tiles of {}", from.elem), "convert to i32 first")
            );
        }
        Ok(Held::Tile(self.spread(b, &from, axes, &to)?))
    }

    /// Axis by axis, rows first: `from`'s rows are put where they belong, then each row's single element fills the row.
    pub(super) fn spread(
        &mut self,
        b: u32,
        from: &TileType,
        axes: &[u8],
        to: &TileType,
    ) -> Result<u32, Error> {
        // The operand's extents under the result's axes.
        let rank = to.rank();
        let mut shape = vec![1; rank];
        for (i, a) in axes.iter().enumerate() {
            shape[usize::from(*a)] = from.shape[i];
        }
        if let Some(dst) = self.spread_by_blocks(b, from, axes, to) {
            return Ok(dst);
        }
        let dst = self.buffer(to);
        let last_in = axes.last().is_some_and(|a| usize::from(*a) + 1 == rank);
        let (w, tp) = (to.elem.bytes() as i64, pitch(to));
        let fp = pitch(from);
        let leading: Vec<usize> = to.shape[..rank - 1].to_vec();
        for row in 0..rows(to) {
            // The row's index along each leading axis, and the operand's row and column for it.
            let mut rest = row as usize;
            let mut index = vec![0; rank - 1];
            for a in (0..rank - 1).rev() {
                index[a] = rest % leading[a];
                rest /= leading[a];
            }
            let mut source = 0usize;
            for a in 0..rank - 1 {
                source = source * shape[a] + index[a].min(shape[a] - 1);
            }
            let out = Local::new(dst, row * tp * w);
            if last_in && shape[rank - 1] == to.shape[rank - 1] {
                let src = Local::new(b, source as i64 * fp * w);
                self.copy_row(out, src, to.elem, tp);
            } else {
                // One element for the whole row: it stands at its place in the operand's flat order.
                let at = if last_in { source as i64 * fp } else { offset_of(source, from) };
                let v = self.let_(Scalar::LoadLocal { elem: to.elem, src: Local::new(b, at * w) });
                let span = Span::Count { n: tp.into() };
                self.issue(Duplicate { elem: to.elem, dst: out, scalar: v, span, dst_stride: Stride::DENSE });
            }
        }
        Ok(dst)
    }

    /// A row for all rows, or an element for each row, of a matrix: a copy for every 256 bytes of a row.
    fn spread_by_blocks(&mut self, b: u32, from: &TileType, axes: &[u8], to: &TileType) -> Option<u32> {
        let w = to.elem.bytes() as i64;
        let blocks = pitch(to) * w / 32;
        let all = rows(to);
        let same = axes.first().is_some_and(|a| from.shape.first() == to.shape.get(usize::from(*a)));
        if !same || to.rank() != 2 || blocks > 255 || all < 2 || from.rank() != 1 || pitch(to) * w % 256 != 0
        {
            return None;
        }
        if axes == [0] {
            let one = self.blocks_of(b, to);
            return Some(self.spread_rows(one, to));
        }
        let dst = self.buffer(to);
        self.copy_pieces(dst, (b, Stride { block: 1, repeat: 0 }, 256), to);
        Some(dst)
    }

    /// A block of 32 bytes for each element of a vector, which has one for each row of `to`.
    pub(super) fn blocks_of(&mut self, b: u32, to: &TileType) -> u32 {
        let (w, n) = (to.elem.bytes() as i64, up(rows(to), 8));
        let one = self.space(to.elem, n * 32);
        for first in (0..n / 8).step_by(255) {
            self.issue(BlockBroadcast {
                elem: to.elem,
                dst: Local::new(one, first * 256),
                src: Local::new(b, first * 8 * w),
                times: 255.min(n / 8 - first).into(),
                dst_stride: Stride::DENSE,
            });
        }
        one
    }

    /// A matrix of which each row is a block over and over.
    pub(super) fn spread_rows(&mut self, blocks: u32, to: &TileType) -> u32 {
        let dst = self.buffer(to);
        self.copy_pieces(dst, (blocks, Stride { block: 0, repeat: 1 }, 0), to);
        dst
    }

    /// Copies for every 256 bytes of a row, all rows at once; `step` bytes from one's source to the next.
    pub(super) fn copy_pieces(&mut self, dst: u32, (src, stride, step): (u32, Stride, i64), to: &TileType) {
        let (w, all) = (to.elem.bytes() as i64, rows(to));
        let wide = Stride { block: 1, repeat: (pitch(to) * w / 32) as u8 };
        for piece in 0..pitch(to) * w / 256 {
            for first in (0..all).step_by(255) {
                let row = if step == 0 { first * 32 } else { 0 };
                let place = Local::new(src, piece * step + row);
                self.issue(VBinary {
                    op: Binary::Or,
                    elem: Elem::I16,
                    dst: Local::new(dst, first * pitch(to) * w + piece * 256),
                    a: place.clone(),
                    b: place,
                    span: Span::Repeat { lanes: 128.into(), times: 255.min(all - first).into() },
                    dst_stride: wide,
                    a_stride: stride,
                    b_stride: stride,
                });
            }
        }
    }

    /// Copies elements of 2 or 4 bytes bit for bit.
    pub(super) fn copy_row(&mut self, dst: Local, src: Local, elem: Elem, n: i64) {
        let n = n * elem.bytes() as i64 / 2;
        self.issue(VBinary {
            op: Binary::Or,
            elem: Elem::I16,
            dst,
            a: src.clone(),
            b: src,
            span: Span::Count { n: n.into() },
            dst_stride: Stride::DENSE,
            a_stride: Stride::DENSE,
            b_stride: Stride::DENSE,
        });
    }
}

/// A type of that many bytes, for what is moved bit for bit.
fn from_elem(bytes: i64) -> Elem {
    match bytes {
        1 => Elem::U8,
        2 => Elem::I16,
        4 => Elem::I32,
        _ => Elem::I64,
    }
}

/// The next multiple.
fn up(n: i64, to: i64) -> i64 {
    (n + to - 1) / to * to
}

/// An operand of an operation that moves elements: where its first element is, how far apart elements are along the axes that are
/// copied, and where the first one goes; all in elements of flat orders.
struct Part {
    x: ValueId,
    base: i64,
    strides: Vec<i64>,
    into: i64,
}

/// Elements from one index to the next along each axis of a tile's flat order.
pub(super) fn strides(t: &TileType) -> Vec<i64> {
    let mut out = vec![1; t.rank()];
    let mut step = pitch(t);
    for a in (0..t.rank().saturating_sub(1)).rev() {
        out[a] = step;
        step *= t.shape[a] as i64;
    }
    out
}

/// Where element `i` of a tile's row-major order stands in its flat order.
fn offset_of(i: usize, t: &TileType) -> i64 {
    let w = width(t).max(1) as usize;
    (i / w) as i64 * pitch(t) + (i % w) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_follow_the_pitch() {
        let t = TileType::new(Elem::F32, &[3, 70]);
        assert_eq!(offset_of(0, &t), 0);
        assert_eq!(offset_of(69, &t), 69);
        assert_eq!(offset_of(70, &t), 128);
    }
}
