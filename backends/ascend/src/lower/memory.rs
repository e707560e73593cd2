//! Loads and stores of blocks: strided copies of what lies inside the view, a fill for the rest.

use super::values::{Held, ViewValue, constant};
use super::{BLOCK, Lower, pitch, width};
use kcc_compiler::Error;
use kcc_davinci::ir::*;
use kcc_dsl::ir::{Elem, Op, OpKind, TileType, ValueId};

/// A tile as it lies in memory: a `bool` is a bit here, and a byte there.
fn in_memory(t: &TileType) -> TileType {
    if t.elem == Elem::Bool { t.with_elem(Elem::U8) } else { t.clone() }
}

impl Lower<'_> {
    pub(super) fn memory(&mut self, op: &Op) -> Result<(), Error> {
        match &op.kind {
            OpKind::Dim(a) => {
                let v = self.view(op.operands[0])?;
                self.set(op.results[0], Held::Scalar(v.dims[usize::from(*a)]));
                Ok(())
            }
            OpKind::At => self.at(op),
            OpKind::Load { padding, .. } => {
                let (view, mut offsets) = self.place(op, op.operands.len() - 1)?;
                let t = self.tile(op.results[0])?.clone();
                self.shift(op.results[0], &view, &mut offsets)?;
                let pad = constant(*padding, t.elem);
                let held = self.load(&view, &offsets, &t, pad)?;
                self.set(op.results[0], held);
                Ok(())
            }
            OpKind::Store { .. } => {
                let (view, mut offsets) = self.place(op, op.operands.len() - 2)?;
                let value = op.operands[op.operands.len() - 1];
                let t = self.tile(value)?.clone();
                self.shift(value, &view, &mut offsets)?;
                if t.rank() == 0 {
                    let v = self.scalar(value)?;
                    return self.store_scalar(&view, v, t.elem);
                }
                let b = self.in_buffer(value)?;
                self.store(&view, &offsets, b, &t)
            }
            OpKind::LoadRows { padding, .. } => {
                let view = self.view(op.operands[0])?;
                let t = self.tile(op.results[0])?.clone();
                let (ids, col) = (self.in_buffer(op.operands[1])?, self.scalar(op.operands[2])?);
                if self.not_negative.contains(&op.operands[2]) {
                    self.upward.insert(col);
                }
                let pad = constant(*padding, t.elem);
                let there = in_memory(&t);
                let dst = self.splat(pad, &there)?;
                let row_type = TileType::new(there.elem, &t.shape[1..]);
                self.counted(0.into(), (t.shape[0] as i64).into(), |l, r| {
                    let row = l.row_number(ids, r);
                    let at = l.int(IntOp::Mul, r, (pitch(&there) * there.elem.bytes() as i64).into());
                    l.rows_in(&view, &[row, col], (dst, at, pad), &row_type)
                })?;
                let held = self.arrived(dst, &t)?;
                self.set(op.results[0], held);
                Ok(())
            }
            OpKind::StoreRows { .. } => {
                let view = self.view(op.operands[0])?;
                let value = op.operands[3];
                let t = self.tile(value)?.clone();
                let (ids, col) = (self.in_buffer(op.operands[1])?, self.scalar(op.operands[2])?);
                if self.not_negative.contains(&op.operands[2]) {
                    self.upward.insert(col);
                }
                let b = self.in_buffer(value)?;
                let (b, t) = self.as_in_memory(b, &t)?;
                self.counted(0.into(), (t.shape[0] as i64).into(), |l, r| {
                    let row = l.row_number(ids, r);
                    let at = l.int(IntOp::Mul, r, (pitch(&t) * t.elem.bytes() as i64).into());
                    l.rows_out(&view, &[row, col], (b, at), t.shape[1] as i64, t.elem)
                })
            }
            _ => Err(self.bug("no access")),
        }
    }

    /// Moves an access to this core's rows.
    fn shift(&mut self, v: ValueId, view: &ViewValue, offsets: &mut [Val]) -> Result<(), Error> {
        let first = self.first_row(v)?;
        if first == Val::Const(0) {
            return Ok(());
        }
        let lead = view.dims.len() - self.tile(v)?.rank();
        let up = offsets[lead].known().is_some_and(|o| o >= 0) || self.upward.contains(&offsets[lead]);
        offsets[lead] = self.int(IntOp::Add, offsets[lead], first);
        if up {
            self.upward.insert(offsets[lead]);
        }
        Ok(())
    }

    /// An element of a tile of row numbers.
    fn row_number(&mut self, ids: u32, r: Val) -> Val {
        let offset = self.int(IntOp::Mul, r, 4.into());
        self.let_(Scalar::LoadLocal { elem: Elem::I32, src: Local { buffer: ids, offset } })
    }

    /// The view and the offsets of an access.
    pub(super) fn place(&mut self, op: &Op, n: usize) -> Result<(ViewValue, Vec<Val>), Error> {
        let view = self.view(op.operands[0])?;
        let mut offsets = Vec::new();
        for v in &op.operands[1..=n] {
            let at = self.scalar(*v)?;
            if self.not_negative.contains(v) {
                self.upward.insert(at);
            }
            offsets.push(at);
        }
        Ok((view, offsets))
    }

    fn at(&mut self, op: &Op) -> Result<(), Error> {
        let mut v = self.view(op.operands[0])?;
        for i in &op.operands[1..] {
            let i = self.scalar(*i)?;
            let (dim, stride) = (v.dims.remove(0), v.strides.remove(0));
            let by = self.int(IntOp::Mul, i, stride);
            v.offset = self.int(IntOp::Add, v.offset, by);
            // An index outside leaves nothing of the other axes.
            let (low, high) = (self.int(IntOp::Le, 0.into(), i), self.int(IntOp::Lt, i, dim));
            let inside = self.int(IntOp::And, low, high);
            for d in &mut v.dims {
                *d = self.int(IntOp::Mul, *d, inside);
            }
            if v.dims.is_empty() {
                // A single element: outside, it is no element.
                v.dims.push(inside);
                v.strides.push(Val::Const(1));
            }
        }
        self.set(op.results[0], Held::View(v));
        Ok(())
    }

    /// Elements of an axis of a block that lie inside: `(first, count)` in the block.
    pub(super) fn inside(&mut self, offset: Val, extent: i64, dim: Val) -> (Val, Val) {
        let end = self.int(IntOp::Sub, dim, offset);
        let end = self.int(IntOp::Min, end, extent.into());
        if offset.known().is_some_and(|o| o >= 0) {
            return (0.into(), self.int(IntOp::Max, end, 0.into()));
        }
        if self.upward.contains(&offset) {
            // Negative only where it overflowed: nothing is inside.
            let ok = self.int(IntOp::Le, 0.into(), offset);
            let count = self.int(IntOp::Max, end, 0.into());
            return (0.into(), self.int(IntOp::Mul, count, ok));
        }
        let minus = self.int(IntOp::Sub, 0.into(), offset);
        let first = self.int(IntOp::Max, minus, 0.into());
        let first = self.int(IntOp::Min, first, extent.into());
        let count = self.int(IntOp::Sub, end, first);
        (first, self.int(IntOp::Max, count, 0.into()))
    }

    fn load(&mut self, view: &ViewValue, offsets: &[Val], t: &TileType, pad: Val) -> Result<Held, Error> {
        if t.rank() == 0 {
            return self.load_scalar(view, t.elem, pad);
        }
        if t.len() == 1 {
            return self.load_single(view, offsets, t.elem, pad);
        }
        let dst = self.load_block(view, offsets, t, pad)?;
        self.arrived(dst, t)
    }

    /// A tile whose elements came as [`in_memory`] says.
    fn arrived(&mut self, b: u32, t: &TileType) -> Result<Held, Error> {
        if t.elem != Elem::Bool {
            return Ok(Held::Tile(b));
        }
        let half = self.convert(b, &in_memory(t), Elem::F16, Rounding::None)?;
        Ok(Held::Tile(self.compare_scalar(Compare::Ne, half, 0.into(), &t.with_elem(Elem::F16))))
    }

    /// A tile as [`in_memory`] says, and its type there. Bits become bytes by way of halves.
    fn as_in_memory(&mut self, b: u32, t: &TileType) -> Result<(u32, TileType), Error> {
        if t.elem != Elem::Bool {
            return Ok((b, t.clone()));
        }
        let f = self.ones(b, t)?;
        let h = self.convert(f, &t.with_elem(Elem::F32), Elem::F16, Rounding::Rint)?;
        Ok((self.convert(h, &t.with_elem(Elem::F16), Elem::U8, Rounding::Rint)?, in_memory(t)))
    }

    /// A block in a new buffer; `bool` as bytes. What is inside is copied, what is not is filled afterwards, so that copies
    /// need not wait for the vector unit.
    fn load_block(
        &mut self,
        view: &ViewValue,
        offsets: &[Val],
        t: &TileType,
        pad: Val,
    ) -> Result<u32, Error> {
        let t = in_memory(t);
        let lead = view.dims.len() - t.rank();
        let plain = view.strides.last().and_then(|s| s.known()) == Some(1)
            && offsets[lead..].iter().all(|o| o.known().is_some_and(|o| o >= 0) || self.upward.contains(o));
        if !plain || t.rank() > 2 {
            let dst = self.splat(pad, &t)?;
            self.rows_in(view, offsets, (dst, 0.into(), pad), &t)?;
            return Ok(dst);
        }
        let dst = self.buffer(&t);
        let (w, p) = (t.elem.bytes() as i64, pitch(&t));
        let (src, all) = self.leading(view, offsets, lead);
        let last = offsets.len() - 1;
        let (_, columns) = self.inside(offsets[last], width(&t), view.dims[last]);
        let columns = self.int(IntOp::Mul, columns, all);
        let by = self.int(IntOp::Mul, offsets[last], view.strides[last]);
        let src = self.int(IntOp::Add, src, by);
        let (rows, stride, src) = if t.rank() == 2 {
            let (_, rows) = self.inside(offsets[lead], t.shape[0] as i64, view.dims[lead]);
            let by = self.int(IntOp::Mul, offsets[lead], view.strides[lead]);
            (rows, view.strides[lead], self.int(IntOp::Add, src, by))
        } else {
            (1.into(), 0.into(), src)
        };
        // Rows without an inside element are no rows.
        let some = self.int(IntOp::Lt, 0.into(), columns);
        let rows = self.int(IntOp::Mul, rows, some);
        let bytes = self.int(IntOp::Mul, columns, w.into());
        let up = self.int(IntOp::Add, bytes, (BLOCK - 1).into());
        let up = self.int(IntOp::Div, up, BLOCK.into());
        let up = self.int(IntOp::Mul, up, BLOCK.into());
        let more = self.int(IntOp::Sub, up, bytes);
        let right = self.int(IntOp::Div, more, w.into());
        let from = self.int(IntOp::Mul, src, w.into());
        let piece = |from: Val, offset: Val, blocks: Val, src_gap: Val, dst_gap: Val| CopyIn {
            dst: Local { buffer: dst, offset },
            src: Global::of(view.param, from),
            elem: t.elem,
            blocks,
            bytes,
            src_gap,
            dst_gap,
            pad: Some(Fill { left: 0.into(), right, value: pad }),
        };
        let any = self.int(IntOp::Lt, 0.into(), rows);
        self.open();
        if t.rank() == 2 {
            let gap = self.int(IntOp::Mul, stride, w.into());
            let gap = self.int(IntOp::Sub, gap, bytes);
            let rest = self.int(IntOp::Sub, (p * w).into(), up);
            let rest = self.int(IntOp::Div, rest, BLOCK.into());
            let (low, high) =
                (self.int(IntOp::Le, 0.into(), gap), self.int(IntOp::Le, gap, i64::from(u32::MAX).into()));
            let near = self.int(IntOp::And, low, high);
            self.open();
            self.issue(piece(from, 0.into(), rows, gap, rest));
            let then = self.close();
            self.open();
            self.counted(0.into(), rows, |l, r| {
                let by = l.int(IntOp::Mul, r, stride);
                let by = l.int(IntOp::Mul, by, w.into());
                let from = l.int(IntOp::Add, from, by);
                let to = l.int(IntOp::Mul, r, (p * w).into());
                l.issue(piece(from, to, 1.into(), 0.into(), 0.into()));
                Ok(())
            })?;
            let otherwise = self.close();
            self.push(Stmt::If { condition: near, then, otherwise });
        } else {
            self.issue(piece(from, 0.into(), 1.into(), 0.into(), 0.into()));
        }
        let copies = self.close();
        self.push(Stmt::If { condition: any, then: copies, otherwise: Vec::new() });
        self.fill_rest(dst, &t, (rows, up), pad)?;
        Ok(dst)
    }

    /// Fills what lies behind `up` bytes of the first rows, and the other rows, with the padding.
    fn fill_rest(&mut self, dst: u32, t: &TileType, (rows, up): (Val, Val), pad: Val) -> Result<(), Error> {
        let (w, p) = (t.elem.bytes() as i64, pitch(t));
        // Two equal bytes at a time.
        let (elem, scalar) = if w == 1 {
            let low = self.int(IntOp::And, pad, 0xff.into());
            let high = self.int(IntOp::Shl, low, 8.into());
            let both = self.int(IntOp::Or, low, high);
            (Elem::I16, self.let_(Scalar::Wrap { elem: Elem::I16, a: both }))
        } else if t.elem == Elem::I64 {
            (Elem::I32, self.word_of(pad)?)
        } else {
            (t.elem, pad)
        };
        let each = elem.bytes() as i64;
        // Rows of which the pitch alone is behind their ends are as good as full.
        let whole = (width(t) * w + BLOCK - 1) / BLOCK * BLOCK;
        let short = self.int(IntOp::Lt, up, whole.into());
        let all = super::rows(t);
        let fewer = self.int(IntOp::Lt, rows, all.into());
        let part = self.int(IntOp::Or, short, fewer);
        let fill = |l: &mut Self, offset: Val, n: Val| {
            let (dst, span) = (Local { buffer: dst, offset }, Span::Count { n });
            l.issue(Duplicate { elem, dst, scalar, span, dst_stride: Stride::DENSE });
        };
        self.when(part, |l| {
            l.when(short, |l| {
                let rest = l.int(IntOp::Sub, (p * w).into(), up);
                let n = l.int(IntOp::Div, rest, each.into());
                l.counted(0.into(), rows, |l, r| {
                    let at = l.int(IntOp::Mul, r, (p * w).into());
                    let at = l.int(IntOp::Add, at, up);
                    fill(l, at, n);
                    Ok(())
                })
            })?;
            l.when(fewer, |l| {
                let at = l.int(IntOp::Mul, rows, (p * w).into());
                let left = l.int(IntOp::Sub, all.into(), rows);
                let n = l.int(IntOp::Mul, left, (p * w / each).into());
                fill(l, at, n);
                Ok(())
            })
        })
    }

    /// The element offset that leading axes of a view give which a block lacks, and whether their indices are inside.
    fn leading(&mut self, view: &ViewValue, offsets: &[Val], lead: usize) -> (Val, Val) {
        let (mut src, mut all) = (view.offset, Val::Const(1));
        for (a, offset) in offsets.iter().enumerate().take(lead) {
            let by = self.int(IntOp::Mul, *offset, view.strides[a]);
            src = self.int(IntOp::Add, src, by);
            let (low, high) =
                (self.int(IntOp::Le, 0.into(), *offset), self.int(IntOp::Lt, *offset, view.dims[a]));
            let ok = self.int(IntOp::And, low, high);
            all = self.int(IntOp::Mul, all, ok);
        }
        (src, all)
    }

    /// Copies what lies inside the view into a buffer that holds the padding `pad`, row by row of the last axis, from byte `at` on.
    fn rows_in(
        &mut self,
        view: &ViewValue,
        offsets: &[Val],
        (dst, at, pad): (u32, Val, Val),
        t: &TileType,
    ) -> Result<(), Error> {
        let elem = t.elem;
        let w = elem.bytes() as i64;
        let p = pitch(t) * w;
        self.each_row(view, offsets, t, &mut |l, src, row, cols| {
            let (first, count) = cols;
            let to = l.int(IntOp::Mul, row, p.into());
            let to = l.int(IntOp::Add, to, at);
            if view.strides.last().and_then(|s| s.known()) != Some(1) {
                return l.one_by_one_in(view, (src, first, count), (dst, to), elem);
            }
            let from = l.int(IntOp::Mul, src, w.into());
            // Pieces start at blocks of 32 bytes: a row whose first elements are outside goes by element.
            l.open();
            let bytes = l.int(IntOp::Mul, count, w.into());
            let rest = l.int(IntOp::Rem, bytes, BLOCK.into());
            let more = l.int(IntOp::Sub, BLOCK.into(), rest);
            let more = l.int(IntOp::Rem, more, BLOCK.into());
            let right = l.int(IntOp::Div, more, w.into());
            l.issue(CopyIn {
                dst: Local { buffer: dst, offset: to },
                src: Global::of(view.param, from),
                elem,
                blocks: 1.into(),
                bytes,
                src_gap: 0.into(),
                dst_gap: 0.into(),
                pad: Some(Fill { left: 0.into(), right, value: pad }),
            });
            let straight = l.close();
            let some = l.int(IntOp::Lt, 0.into(), count);
            if first == Val::Const(0) {
                l.push(Stmt::If { condition: some, then: straight, otherwise: Vec::new() });
                return Ok(());
            }
            l.open();
            l.one_by_one_in(view, (src, first, count), (dst, to), elem)?;
            let shifted = l.close();
            let none_left = l.int(IntOp::Eq, first, 0.into());
            let straight = vec![Stmt::If { condition: none_left, then: straight, otherwise: shifted }];
            l.push(Stmt::If { condition: some, then: straight, otherwise: Vec::new() });
            Ok(())
        })
    }

    fn one_by_one_in(
        &mut self,
        view: &ViewValue,
        (src, first, count): (Val, Val, Val),
        (dst, to): (u32, Val),
        elem: Elem,
    ) -> Result<(), Error> {
        let (i, w) = (self.reg(), elem.bytes() as i64);
        let stride = view.strides.last().copied().unwrap_or(Val::Const(1));
        self.open();
        let by = self.int(IntOp::Mul, i.into(), stride);
        let from = self.int(IntOp::Add, src, by);
        let from = self.int(IntOp::Mul, from, w.into());
        let value = self.let_(Scalar::LoadGlobal { elem, src: Global::of(view.param, from) });
        let at = self.int(IntOp::Add, first, i.into());
        let at = self.int(IntOp::Mul, at, w.into());
        let at = self.int(IntOp::Add, to, at);
        self.issue(StoreScalar { elem, dst: Local { buffer: dst, offset: at }, value });
        let body = self.close();
        self.push(Stmt::For { counter: i, from: 0.into(), to: count, step: 1.into(), body });
        Ok(())
    }

    /// For each row of a block that lies inside the view, calls `f` with the element offset of its first inside element, the
    /// row's number in the block, and the row's inside elements.
    #[allow(clippy::type_complexity)]
    fn each_row(
        &mut self,
        view: &ViewValue,
        offsets: &[Val],
        t: &TileType,
        f: &mut dyn FnMut(&mut Self, Val, Val, (Val, Val)) -> Result<(), Error>,
    ) -> Result<(), Error> {
        // A row of a view has the view's last axis; leading axes of the view that the block lacks are fixed by an offset.
        let lead = view.dims.len() - t.rank();
        let (src, all) = self.leading(view, offsets, lead);
        let last = t.rank() - 1;
        let v = lead + last;
        let (first, count) = self.inside(offsets[v], width(t), view.dims[v]);
        let count = self.int(IntOp::Mul, count, all);
        let start = self.int(IntOp::Add, offsets[v], first);
        let by = self.int(IntOp::Mul, start, view.strides[v]);
        let src = self.int(IntOp::Add, src, by);
        self.rows_of(view, (offsets, lead), t, (0, Val::Const(0), src), &mut |l, src, row| {
            f(l, src, row, (first, count))
        })
    }

    /// Loops over the leading axes of a block.
    #[allow(clippy::type_complexity)]
    fn rows_of(
        &mut self,
        view: &ViewValue,
        (offsets, lead): (&[Val], usize),
        t: &TileType,
        (axis, row, src): (usize, Val, Val),
        f: &mut dyn FnMut(&mut Self, Val, Val) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if axis + 1 == t.rank() {
            return f(self, src, row);
        }
        let v = lead + axis;
        let extent = t.shape[axis] as i64;
        let (first, count) = self.inside(offsets[v], extent, view.dims[v]);
        let end = self.int(IntOp::Add, first, count);
        let i = self.reg();
        self.open();
        let place = self.int(IntOp::Add, offsets[v], i.into());
        let by = self.int(IntOp::Mul, place, view.strides[v]);
        let src = self.int(IntOp::Add, src, by);
        let row = self.int(IntOp::Mul, row, extent.into());
        let row = self.int(IntOp::Add, row, i.into());
        self.rows_of(view, (offsets, lead), t, (axis + 1, row, src), f)?;
        let body = self.close();
        self.push(Stmt::For { counter: i, from: first, to: end, step: 1.into(), body });
        Ok(())
    }

    /// One element, by the scalar unit.
    fn load_single(
        &mut self,
        view: &ViewValue,
        offsets: &[Val],
        elem: Elem,
        pad: Val,
    ) -> Result<Held, Error> {
        let (mut inside, mut at) = (Val::Const(1), view.offset);
        for (a, offset) in offsets.iter().enumerate() {
            let (low, high) =
                (self.int(IntOp::Le, 0.into(), *offset), self.int(IntOp::Lt, *offset, view.dims[a]));
            let ok = self.int(IntOp::And, low, high);
            inside = self.int(IntOp::And, inside, ok);
            let by = self.int(IntOp::Mul, *offset, view.strides[a]);
            at = self.int(IntOp::Add, at, by);
        }
        let to = self.variable(pad);
        let elem = if elem == Elem::Bool { Elem::U8 } else { elem };
        let from = self.int(IntOp::Mul, at, (elem.bytes() as i64).into());
        self.when(inside, |l| {
            l.assign(to, Scalar::LoadGlobal { elem, src: Global::of(view.param, from) });
            Ok(())
        })?;
        Ok(Held::Splat(to.into()))
    }

    fn load_scalar(&mut self, view: &ViewValue, elem: Elem, pad: Val) -> Result<Held, Error> {
        let inside = view.dims.first().copied().unwrap_or(Val::Const(1));
        let to = self.reg();
        self.assign(to, Scalar::Move { value: pad });
        let from = self.int(IntOp::Mul, view.offset, (elem.bytes() as i64).into());
        self.open();
        self.assign(to, Scalar::LoadGlobal { elem, src: Global::of(view.param, from) });
        let then = self.close();
        self.push(Stmt::If { condition: inside, then, otherwise: Vec::new() });
        Ok(Held::Scalar(to.into()))
    }

    fn store_scalar(&mut self, view: &ViewValue, value: Val, elem: Elem) -> Result<(), Error> {
        let inside = view.dims.first().copied().unwrap_or(Val::Const(1));
        let b = self.space(elem, BLOCK);
        let elem = if elem == Elem::Bool { Elem::U8 } else { elem };
        let w = elem.bytes() as i64;
        let at = self.int(IntOp::Mul, view.offset, w.into());
        self.issue(StoreScalar { elem, dst: Local::new(b, 0), value });
        self.open();
        self.copy_out(view, at, (b, 0.into()), w.into(), elem);
        let then = self.close();
        self.push(Stmt::If { condition: inside, then, otherwise: Vec::new() });
        Ok(())
    }

    fn copy_out(&mut self, view: &ViewValue, at: Val, (b, off): (u32, Val), bytes: Val, elem: Elem) {
        self.issue(CopyOut {
            dst: Global::of(view.param, at),
            src: Local { buffer: b, offset: off },
            elem,
            blocks: 1.into(),
            bytes,
            src_gap: 0.into(),
            dst_gap: 0.into(),
            atomic: Atomic::None,
        });
    }

    fn store(&mut self, view: &ViewValue, offsets: &[Val], b: u32, t: &TileType) -> Result<(), Error> {
        let (b, t) = self.as_in_memory(b, t)?;
        let p = pitch(&t) * t.elem.bytes() as i64;
        let lead = view.dims.len() - t.rank();
        let unit = view.strides.last().and_then(|s| s.known()) == Some(1);
        let up = |l: &Self, o: &Val| o.known().is_some_and(|o| o >= 0) || l.upward.contains(o);
        if unit && t.rank() == 2 && offsets[lead..].iter().all(|o| up(self, o)) {
            return self.store_block(view, offsets, b, &t);
        }
        self.each_row(view, offsets, &t, &mut |l, src, row, cols| {
            let at = l.int(IntOp::Mul, row, p.into());
            l.row_out(view, (src, cols), (b, at), t.elem)
        })
    }

    /// Rows of a block that starts inside, in one copy where rows are near enough.
    fn store_block(&mut self, view: &ViewValue, offsets: &[Val], b: u32, t: &TileType) -> Result<(), Error> {
        let (w, p) = (t.elem.bytes() as i64, pitch(t));
        let lead = view.dims.len() - 2;
        let (dst, all) = self.leading(view, offsets, lead);
        let (_, rows) = self.inside(offsets[lead], t.shape[0] as i64, view.dims[lead]);
        let (_, columns) = self.inside(offsets[lead + 1], width(t), view.dims[lead + 1]);
        let columns = self.int(IntOp::Mul, columns, all);
        let some = self.int(IntOp::Lt, 0.into(), columns);
        let rows = self.int(IntOp::Mul, rows, some);
        let stride = view.strides[lead];
        let by = self.int(IntOp::Mul, offsets[lead], stride);
        let at = self.int(IntOp::Add, dst, by);
        let at = self.int(IntOp::Add, at, offsets[lead + 1]);
        let at = self.int(IntOp::Mul, at, w.into());
        let bytes = self.int(IntOp::Mul, columns, w.into());
        let up = self.int(IntOp::Add, bytes, (BLOCK - 1).into());
        let up = self.int(IntOp::Div, up, BLOCK.into());
        let rest = self.int(IntOp::Sub, (p * w / BLOCK).into(), up);
        let far = self.int(IntOp::Mul, stride, w.into());
        let gap = self.int(IntOp::Sub, far, bytes);
        let (low, high) =
            (self.int(IntOp::Le, 0.into(), gap), self.int(IntOp::Le, gap, i64::from(u32::MAX).into()));
        let near = self.int(IntOp::And, low, high);
        let piece = |to: Val, offset: Val, blocks: Val, src_gap: Val, dst_gap: Val| CopyOut {
            dst: Global::of(view.param, to),
            src: Local { buffer: b, offset },
            elem: t.elem,
            blocks,
            bytes,
            src_gap,
            dst_gap,
            atomic: Atomic::None,
        };
        let any = self.int(IntOp::Lt, 0.into(), rows);
        self.open();
        self.issue(piece(at, 0.into(), rows, rest, gap));
        let then = self.close();
        self.open();
        self.counted(0.into(), rows, |l, r| {
            let by = l.int(IntOp::Mul, r, far);
            let to = l.int(IntOp::Add, at, by);
            let from = l.int(IntOp::Mul, r, (p * w).into());
            l.issue(piece(to, from, 1.into(), 0.into(), 0.into()));
            Ok(())
        })?;
        let otherwise = self.close();
        let inner = vec![Stmt::If { condition: near, then, otherwise }];
        self.push(Stmt::If { condition: any, then: inner, otherwise: Vec::new() });
        Ok(())
    }

    fn rows_out(
        &mut self,
        view: &ViewValue,
        offsets: &[Val],
        (b, at): (u32, Val),
        n: i64,
        elem: Elem,
    ) -> Result<(), Error> {
        let t = TileType::new(elem, &[n as usize]);
        self.each_row(view, offsets, &t, &mut |l, src, _, cols| l.row_out(view, (src, cols), (b, at), elem))
    }

    /// Writes the inside elements of a row; one by one where they are not neighbours or do not start a block.
    fn row_out(
        &mut self,
        view: &ViewValue,
        (src, (first, count)): (Val, (Val, Val)),
        (b, at): (u32, Val),
        elem: Elem,
    ) -> Result<(), Error> {
        let w = elem.bytes() as i64;
        let one = |l: &mut Self| {
            let i = l.reg();
            let stride = view.strides.last().copied().unwrap_or(Val::Const(1));
            let stage = l.space(elem, BLOCK);
            l.open();
            let place = l.int(IntOp::Add, first, i.into());
            let place = l.int(IntOp::Mul, place, w.into());
            let place = l.int(IntOp::Add, at, place);
            let value = l.let_(Scalar::LoadLocal { elem, src: Local { buffer: b, offset: place } });
            l.issue(StoreScalar { elem, dst: Local::new(stage, 0), value });
            let by = l.int(IntOp::Mul, i.into(), stride);
            let to = l.int(IntOp::Add, src, by);
            let to = l.int(IntOp::Mul, to, w.into());
            l.copy_out(view, to, (stage, 0.into()), w.into(), elem);
            let body = l.close();
            l.push(Stmt::For { counter: i, from: 0.into(), to: count, step: 1.into(), body });
        };
        if view.strides.last().and_then(|s| s.known()) != Some(1) {
            one(self);
            return Ok(());
        }
        self.open();
        let bytes = self.int(IntOp::Mul, count, w.into());
        let to = self.int(IntOp::Mul, src, w.into());
        self.copy_out(view, to, (b, at), bytes, elem);
        let straight = self.close();
        let some = self.int(IntOp::Lt, 0.into(), count);
        if first == Val::Const(0) {
            self.push(Stmt::If { condition: some, then: straight, otherwise: Vec::new() });
            return Ok(());
        }
        self.open();
        one(self);
        let shifted = self.close();
        let none_left = self.int(IntOp::Eq, first, 0.into());
        let inner = vec![Stmt::If { condition: none_left, then: straight, otherwise: shifted }];
        self.push(Stmt::If { condition: some, then: inner, otherwise: Vec::new() });
        Ok(())
    }
}
