//! Loads and stores of blocks: strided copies of what lies inside the view, a fill for the rest.

use super::values::{Held, ViewValue, constant};
use super::{BLOCK, Lower, pitch, width};
use kcc_compiler::Error;
use kcc_davinci::ir::*;
use kcc_dsl::ir::{Elem, Op, OpKind, TileType};

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
                let (view, offsets) = self.place(op, op.operands.len() - 1)?;
                let t = self.tile(op.results[0])?.clone();
                let pad = constant(*padding, t.elem);
                let held = self.load(&view, &offsets, &t, pad)?;
                self.set(op.results[0], held);
                Ok(())
            }
            OpKind::Store { .. } => {
                let (view, offsets) = self.place(op, op.operands.len() - 2)?;
                let value = op.operands[op.operands.len() - 1];
                let t = self.tile(value)?.clone();
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
                let pad = constant(*padding, t.elem);
                let dst = self.splat(pad, &t)?;
                let row_type = TileType::new(t.elem, &t.shape[1..]);
                for r in 0..t.shape[0] as i64 {
                    let row = self.let_(Scalar::LoadLocal { elem: Elem::I32, src: Local::new(ids, 4 * r) });
                    let at = r * pitch(&t) * t.elem.bytes() as i64;
                    self.rows_in(&view, &[row, col], (dst, at, pad), &t, &row_type)?;
                }
                self.set(op.results[0], Held::Tile(dst));
                Ok(())
            }
            OpKind::StoreRows { .. } => {
                let view = self.view(op.operands[0])?;
                let value = op.operands[3];
                let t = self.tile(value)?.clone();
                let (ids, col) = (self.in_buffer(op.operands[1])?, self.scalar(op.operands[2])?);
                let b = self.in_buffer(value)?;
                for r in 0..t.shape[0] as i64 {
                    let row = self.let_(Scalar::LoadLocal { elem: Elem::I32, src: Local::new(ids, 4 * r) });
                    let at = r * pitch(&t) * t.elem.bytes() as i64;
                    self.rows_out(&view, &[row, col], (b, at), t.shape[1] as i64, t.elem)?;
                }
                Ok(())
            }
            _ => Err(self.bug("no access")),
        }
    }

    /// The view and the offsets of an access.
    pub(super) fn place(&mut self, op: &Op, n: usize) -> Result<(ViewValue, Vec<Val>), Error> {
        let view = self.view(op.operands[0])?;
        let offsets = op.operands[1..=n].iter().map(|v| self.scalar(*v)).collect::<Result<_, _>>()?;
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
        let minus = self.int(IntOp::Sub, 0.into(), offset);
        let first = self.int(IntOp::Max, minus, 0.into());
        let first = self.int(IntOp::Min, first, extent.into());
        let end = self.int(IntOp::Sub, dim, offset);
        let end = self.int(IntOp::Min, end, extent.into());
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
        let dst = self.splat_bytes(pad, t)?;
        self.rows_in(view, offsets, (dst, 0, pad), t, t)?;
        if t.elem == Elem::Bool {
            // One byte each in memory, one bit each here.
            let bytes = t.with_elem(Elem::U8);
            let half = self.convert(dst, &bytes, Elem::F16, Rounding::None)?;
            let halves = t.with_elem(Elem::F16);
            return Ok(Held::Tile(self.compare_scalar(Compare::Ne, half, 0.into(), &halves)));
        }
        Ok(Held::Tile(dst))
    }

    /// A filled tile; `bool` as bytes.
    fn splat_bytes(&mut self, pad: Val, t: &TileType) -> Result<u32, Error> {
        let t = if t.elem == Elem::Bool { t.with_elem(Elem::U8) } else { t.clone() };
        self.splat(pad, &t)
    }

    /// Copies what lies inside the view into a buffer that holds the padding `pad`, row by row of the last axis. `whole` gives the
    /// pitch, `t` the block.
    fn rows_in(
        &mut self,
        view: &ViewValue,
        offsets: &[Val],
        (dst, at, pad): (u32, i64, Val),
        whole: &TileType,
        t: &TileType,
    ) -> Result<(), Error> {
        let elem = if t.elem == Elem::Bool { Elem::U8 } else { t.elem };
        let w = elem.bytes() as i64;
        let p = pitch(whole) * w;
        self.each_row(view, offsets, t, &mut |l, src, row, cols| {
            let (first, count) = cols;
            let to = l.int(IntOp::Mul, row, p.into());
            let to = l.int(IntOp::Add, to, at.into());
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
            l.open();
            l.one_by_one_in(view, (src, first, count), (dst, to), elem)?;
            let shifted = l.close();
            let some = l.int(IntOp::Lt, 0.into(), count);
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
        let mut src = view.offset;
        let mut all = Val::Const(1);
        for (a, offset) in offsets.iter().enumerate().take(lead) {
            let by = self.int(IntOp::Mul, *offset, view.strides[a]);
            src = self.int(IntOp::Add, src, by);
            let (low, high) =
                (self.int(IntOp::Le, 0.into(), *offset), self.int(IntOp::Lt, *offset, view.dims[a]));
            let ok = self.int(IntOp::And, low, high);
            all = self.int(IntOp::Mul, all, ok);
        }
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
        self.open();
        self.issue(StoreScalar { elem, dst: Local::new(b, 0), value });
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
        let (b, t) = if t.elem == Elem::Bool {
            // Bits to bytes, by way of halves.
            let f = self.ones(b, t)?;
            let h = self.convert(f, &t.with_elem(Elem::F32), Elem::F16, Rounding::Rint)?;
            (self.convert(h, &t.with_elem(Elem::F16), Elem::U8, Rounding::Rint)?, t.with_elem(Elem::U8))
        } else {
            (b, t.clone())
        };
        let p = pitch(&t) * t.elem.bytes() as i64;
        self.each_row(view, offsets, &t, &mut |l, src, row, cols| {
            let at = l.int(IntOp::Mul, row, p.into());
            l.row_out(view, (src, cols), (b, at), t.elem)
        })
    }

    fn rows_out(
        &mut self,
        view: &ViewValue,
        offsets: &[Val],
        (b, at): (u32, i64),
        n: i64,
        elem: Elem,
    ) -> Result<(), Error> {
        let t = TileType::new(elem, &[n as usize]);
        self.each_row(view, offsets, &t, &mut |l, src, _, cols| {
            l.row_out(view, (src, cols), (b, at.into()), elem)
        })
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
        self.open();
        one(self);
        let shifted = self.close();
        let some = self.int(IntOp::Lt, 0.into(), count);
        let none_left = self.int(IntOp::Eq, first, 0.into());
        let inner = vec![Stmt::If { condition: none_left, then: straight, otherwise: shifted }];
        self.push(Stmt::If { condition: some, then: inner, otherwise: Vec::new() });
        Ok(())
    }
}
