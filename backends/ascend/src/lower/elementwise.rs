//! Element-wise operations: on scalars in the scalar unit, on tiles in the vector unit.
//!
//! Narrow floats are computed in `f32` and rounded after each operation, as the tile IR says; the vector unit has no `bf16`
//! arithmetic anyway.

use super::Lower;
use super::values::{Held, float};
use kcc_compiler::Error;
use kcc_davinci::ir::*;
use kcc_dsl::ir::{BinaryOp, CmpOp, Elem, Op, OpKind, TileType, UnaryOp, ValueId};

impl Lower<'_> {
    pub(super) fn elementwise(&mut self, op: &Op) -> Result<(), Error> {
        let r = op.results[0];
        let held = if self.tile(r)?.rank() == 0 { self.on_scalars(op)? } else { self.on_tiles(op)? };
        let own = matches!(op.kind, OpKind::Unary(_) | OpKind::Binary(_) | OpKind::Fma | OpKind::Select)
            && self.elem(r) == Elem::F32;
        if own && matches!(held, Held::Tile(_)) {
            self.fresh.insert(r);
        }
        self.set(r, held);
        self.give_away(op);
        Ok(())
    }

    // ---- scalars ---------------------------------------------------------------------------------------------

    fn on_scalars(&mut self, op: &Op) -> Result<Held, Error> {
        let r = op.results[0];
        let from = self.elem(op.operands[0]);
        let x: Vec<Val> = op.operands.iter().map(|v| self.scalar(*v)).collect::<Result<_, _>>()?;
        let to = self.elem(r);
        let v = match &op.kind {
            OpKind::Unary(u) => self.unary_scalar(*u, x[0], to, r)?,
            OpKind::Binary(BinaryOp::Rem) if from.is_float() => {
                let t = self.like(r, Elem::F32)?;
                let (a, b) = (self.splat(x[0], &t)?, self.splat(x[1], &t)?);
                let y = self.remainder(a, b, &t)?;
                let v = self.load_first(y, Elem::F32);
                self.round(v, to)
            }
            OpKind::Binary(b) if from.is_float() => self.float_scalar(*b, x[0], x[1], to)?,
            OpKind::Binary(b) => self.int_scalar(*b, x[0], x[1], to)?,
            OpKind::Compare(c) => self.compare_scalars(*c, from, x[0], x[1]),
            OpKind::Select => self.let_(Scalar::Select { c: x[0], a: x[1], b: x[2] }),
            OpKind::Fma if to == Elem::F32 => {
                // One rounding: the scalar unit has none, the vector unit does.
                let t = self.like(r, Elem::F32)?;
                let (a, b, c) = (self.splat(x[0], &t)?, self.splat(x[1], &t)?, self.splat(x[2], &t)?);
                self.mul_add(c, a, b, &t);
                self.load_first(c, Elem::F32)
            }
            OpKind::Fma => {
                let p = self.let_(Scalar::Float { op: FloatOp::Mul, a: x[0], b: x[1] });
                let s = self.let_(Scalar::Float { op: FloatOp::Add, a: p, b: x[2] });
                self.round(s, to)
            }
            OpKind::Cast => self.cast_scalar(x[0], from, to),
            OpKind::Bitcast if from == to => x[0],
            OpKind::Bitcast if to == Elem::I32 || matches!(to, Elem::I8 | Elem::I64) => {
                self.let_(Scalar::Wrap { elem: to, a: x[0] })
            }
            OpKind::Bitcast if matches!(to, Elem::F32 | Elem::U32) => {
                self.int(IntOp::And, x[0], 0xffff_ffff.into())
            }
            OpKind::Bitcast if to == Elem::U8 => self.int(IntOp::And, x[0], 0xff.into()),
            OpKind::Bitcast => {
                let t = self.like(r, from)?;
                let b = self.splat(x[0], &t)?;
                self.load_first(b, to)
            }
            _ => return Err(self.bug("no element-wise operation")),
        };
        Ok(Held::Scalar(v))
    }

    /// Element 0 of a buffer.
    pub(super) fn load_first(&mut self, b: u32, elem: Elem) -> Val {
        self.let_(Scalar::LoadLocal { elem, src: Local::new(b, 0) })
    }

    pub(super) fn round(&mut self, v: Val, to: Elem) -> Val {
        if to == Elem::F32 { v } else { self.let_(Scalar::Round { elem: to, a: v }) }
    }

    fn unary_scalar(&mut self, u: UnaryOp, x: Val, to: Elem, r: ValueId) -> Result<Val, Error> {
        if !to.is_float() {
            return Ok(match u {
                UnaryOp::Neg => self.wrapped(IntOp::Sub, 0.into(), x, to),
                UnaryOp::Not if to == Elem::Bool => self.int(IntOp::Xor, x, 1.into()),
                UnaryOp::Not => self.wrapped(IntOp::Xor, x, (-1).into(), to),
                UnaryOp::Abs if !to.is_signed() => x,
                _ => {
                    let n = self.wrapped(IntOp::Sub, 0.into(), x, to);
                    self.int(IntOp::Max, x, n)
                }
            });
        }
        Ok(match u {
            UnaryOp::Neg => self.int(IntOp::Xor, x, 0x8000_0000.into()),
            UnaryOp::Abs => self.int(IntOp::And, x, 0x7fff_ffff.into()),
            _ => {
                let t = self.like(r, Elem::F32)?;
                let b = self.splat(x, &t)?;
                let y = self.float_unary(u, b, &t, false)?;
                let v = self.load_first(y, Elem::F32);
                self.round(v, to)
            }
        })
    }

    pub(super) fn float_scalar(&mut self, b: BinaryOp, x: Val, y: Val, to: Elem) -> Result<Val, Error> {
        let op = match b {
            BinaryOp::Add => FloatOp::Add,
            BinaryOp::Sub => FloatOp::Sub,
            BinaryOp::Mul => FloatOp::Mul,
            BinaryOp::Div => FloatOp::Div,
            BinaryOp::Min | BinaryOp::MinNan => FloatOp::Min,
            BinaryOp::Max | BinaryOp::MaxNan => FloatOp::Max,
            _ => return Err(self.bug("no operation of floats")),
        };
        let mut v = self.let_(Scalar::Float { op, a: x, b: y });
        if matches!(b, BinaryOp::MinNan | BinaryOp::MaxNan) {
            // A sum of both is not-a-number if one is.
            let sum = self.let_(Scalar::Float { op: FloatOp::Add, a: x, b: y });
            let (nx, ny) = (
                self.let_(Scalar::Float { op: FloatOp::Ne, a: x, b: x }),
                self.let_(Scalar::Float { op: FloatOp::Ne, a: y, b: y }),
            );
            let c = self.int(IntOp::Or, nx, ny);
            v = self.let_(Scalar::Select { c, a: sum, b: v });
        }
        Ok(self.round(v, to))
    }

    /// An integer operation whose result may leave its type's range.
    fn wrapped(&mut self, op: IntOp, a: Val, b: Val, to: Elem) -> Val {
        match self.int(op, a, b) {
            Val::Const(c) if to == Elem::I32 => Val::Const(i64::from(c as i32)),
            v if to == Elem::I64 => v,
            v => self.let_(Scalar::Wrap { elem: to, a: v }),
        }
    }

    pub(super) fn int_scalar(&mut self, b: BinaryOp, x: Val, y: Val, to: Elem) -> Result<Val, Error> {
        let bits = 8 * to.bytes() as i64;
        Ok(match b {
            BinaryOp::Add => self.wrapped(IntOp::Add, x, y, to),
            BinaryOp::Sub => self.wrapped(IntOp::Sub, x, y, to),
            BinaryOp::Mul => self.wrapped(IntOp::Mul, x, y, to),
            BinaryOp::Div => self.wrapped(IntOp::Div, x, y, to),
            BinaryOp::Rem => self.int(IntOp::Rem, x, y),
            BinaryOp::And => self.int(IntOp::And, x, y),
            BinaryOp::Or => self.int(IntOp::Or, x, y),
            BinaryOp::Xor => self.int(IntOp::Xor, x, y),
            BinaryOp::Min | BinaryOp::MinNan => self.int(IntOp::Min, x, y),
            BinaryOp::Max | BinaryOp::MaxNan => self.int(IntOp::Max, x, y),
            BinaryOp::Shl | BinaryOp::Shr => {
                let by = self.int(IntOp::And, y, (bits - 1).into());
                self.wrapped(if b == BinaryOp::Shl { IntOp::Shl } else { IntOp::Shr }, x, by, to)
            }
            BinaryOp::MulHi if to != Elem::I64 => {
                let p = self.int(IntOp::Mul, x, y);
                self.wrapped(IntOp::Shr, p, bits.into(), to)
            }
            BinaryOp::MulHi => return Err(self.unsupported("`mul_hi` of i64", "use i32")),
        })
    }

    fn compare_scalars(&mut self, c: CmpOp, from: Elem, x: Val, y: Val) -> Val {
        let (a, b) = if matches!(c, CmpOp::Gt | CmpOp::Ge) { (y, x) } else { (x, y) };
        if from.is_float() {
            let op = match c {
                CmpOp::Lt | CmpOp::Gt => FloatOp::Lt,
                CmpOp::Le | CmpOp::Ge => FloatOp::Le,
                CmpOp::Eq => FloatOp::Eq,
                CmpOp::Ne => FloatOp::Ne,
            };
            return self.let_(Scalar::Float { op, a, b });
        }
        let op = match c {
            CmpOp::Lt | CmpOp::Gt => IntOp::Lt,
            CmpOp::Le | CmpOp::Ge => IntOp::Le,
            CmpOp::Eq => IntOp::Eq,
            CmpOp::Ne => IntOp::Ne,
        };
        self.int(op, a, b)
    }

    pub(super) fn cast_scalar(&mut self, x: Val, from: Elem, to: Elem) -> Val {
        match (from.is_float(), to.is_float()) {
            (true, true) => self.round(x, to),
            (true, false) if to == Elem::Bool => {
                self.let_(Scalar::Float { op: FloatOp::Ne, a: x, b: 0.into() })
            }
            (true, false) => self.let_(Scalar::ToInt { elem: to, a: x }),
            (false, true) => {
                let v = self.let_(Scalar::ToFloat { a: x });
                self.round(v, to)
            }
            (false, false) if to == Elem::Bool => self.int(IntOp::Ne, x, 0.into()),
            (false, false) if from == Elem::Bool || from == to => x,
            (false, false) => self.let_(Scalar::Wrap { elem: to, a: x }),
        }
    }

    // ---- tiles -----------------------------------------------------------------------------------------------

    fn on_tiles(&mut self, op: &Op) -> Result<Held, Error> {
        let r = op.results[0];
        let to = self.elem(r);
        match &op.kind {
            OpKind::Unary(u) => {
                let x = op.operands[0];
                if (*u, to) == (UnaryOp::Exp, Elem::F16) {
                    return self.half_exp(x);
                }
                if to.is_float() {
                    let b = self.as_f32(x)?;
                    let t = self.like(x, Elem::F32)?;
                    let spare = self.elem(x) == Elem::F32 && self.own(x, r);
                    let y = if self.uses.loose.contains(&r) {
                        self.exp2_loose(b, &t, spare)
                    } else {
                        self.float_unary(*u, b, &t, spare)?
                    };
                    return self.narrowed(y, r);
                }
                self.int_unary(*u, x)
            }
            OpKind::Binary(b) if to.is_float() => self.float_binary(*b, op.operands[0], op.operands[1], r),
            OpKind::Binary(b) => self.int_binary(*b, op.operands[0], op.operands[1]),
            OpKind::Compare(c) => self.compare_tiles(*c, op.operands[0], op.operands[1]),
            OpKind::Select => {
                let t = self.tile(r)?.clone();
                let (m, a, b) = (op.operands[0], op.operands[1], op.operands[2]);
                if t.elem == Elem::Bool {
                    // (a & m) | (b & !m)
                    let (m, a, b) = (self.in_buffer(m)?, self.in_buffer(a)?, self.in_buffer(b)?);
                    let x = self.bits(Binary::And, a, m, &t);
                    let n = self.flipped(m, &t);
                    let y = self.bits(Binary::And, b, n, &t);
                    return Ok(Held::Tile(self.bits(Binary::Or, x, y, &t)));
                }
                let m = self.in_buffer(m)?;
                if let (Held::Splat(s), Elem::F32) = (self.get(b)?, t.elem) {
                    let a = self.in_buffer(a)?;
                    return Ok(Held::Tile(self.select_scalar(m, a, s, &t)));
                }
                let (a, b) = (self.in_buffer(a)?, self.in_buffer(b)?);
                Ok(Held::Tile(self.select_tiles(m, a, b, &t)?))
            }
            OpKind::Fma => {
                let t = self.like(r, Elem::F32)?;
                if let (Held::Tile(a), Held::Rows(by)) =
                    (self.get(op.operands[0])?, self.get(op.operands[1])?)
                    && t.elem == self.elem(r)
                    && self.own(op.operands[0], r)
                {
                    let c = self.as_f32(op.operands[2])?;
                    self.scale_rows_and_add(a, by, c, &t);
                    return Ok(Held::Tile(a));
                }
                if let (Held::Splat(s), Held::Rows(rows)) =
                    (self.get(op.operands[1])?, self.get(op.operands[2])?)
                    && self.elem(op.operands[2]) == Elem::F32
                {
                    let (x, a) = (op.operands[0], self.as_f32(op.operands[0])?);
                    let own = self.elem(x) != Elem::F32 || self.own(x, r);
                    let a = if own { a } else { self.duplicate(a, &t) };
                    self.scale_and_add_rows(a, s, rows, &t);
                    return self.narrowed(a, r);
                }
                // What is spread or rounded for this alone need not be kept.
                let own = matches!(self.get(op.operands[2])?, Held::Rows(_) | Held::Splat(_))
                    || self.elem(op.operands[2]) != Elem::F32;
                let c = self.as_f32(op.operands[2])?;
                let c = if own { c } else { self.duplicate(c, &t) };
                let a = self.as_f32(op.operands[0])?;
                if let Held::Splat(s) = self.get(op.operands[1])? {
                    self.mul_add_scalar(c, a, s, &t);
                } else {
                    let b = self.as_f32(op.operands[1])?;
                    self.mul_add(c, a, b, &t);
                }
                self.narrowed(c, r)
            }
            OpKind::Cast => self.cast_tile(op.operands[0], r),
            OpKind::Bitcast => match self.get(op.operands[0])? {
                // The same bytes, read as another type.
                Held::Tile(b) if self.tile(op.operands[0])?.elem.bytes() == to.bytes() => Ok(Held::Tile(b)),
                Held::Splat(_) | Held::Rows(_) | Held::Scaled(..) | Held::Along(..) => {
                    Ok(Held::Tile(self.in_buffer(op.operands[0])?))
                }
                _ => Err(self.bug("a bitcast between widths")),
            },
            _ => Err(self.bug("no element-wise operation")),
        }
    }

    /// A bitwise operation on a tile's bytes.
    pub(super) fn bits(&mut self, op: Binary, a: u32, b: u32, t: &TileType) -> u32 {
        let dst = self.buffer(t);
        let n = self.halves(t);
        self.binary_n(op, Elem::I16, (dst, a, b), n);
        dst
    }

    /// A tile's bytes, complemented.
    pub(super) fn flipped(&mut self, a: u32, t: &TileType) -> u32 {
        let dst = self.buffer(t);
        let n = self.halves(t);
        self.issue(VUnary {
            op: Unary::Not,
            elem: Elem::I16,
            dst: Local::new(dst, 0),
            src: Local::new(a, 0),
            span: Span::Count { n: n.into() },
            dst_stride: Stride::DENSE,
            src_stride: Stride::DENSE,
        });
        dst
    }

    fn int_unary(&mut self, u: UnaryOp, x: ValueId) -> Result<Held, Error> {
        let t = self.tile(x)?.clone();
        let b = self.in_buffer(x)?;
        Ok(Held::Tile(match u {
            UnaryOp::Not => self.flipped(b, &t),
            UnaryOp::Abs if !t.elem.is_signed() => b,
            UnaryOp::Neg | UnaryOp::Abs => {
                let s = self.signed(&t)?;
                let y = self.buffer(&t);
                self.with_scalar(WithScalar::Mul, y, b, (-1).into(), &s);
                if u == UnaryOp::Abs {
                    let z = self.buffer(&t);
                    self.binary(Binary::Max, z, b, y, &s);
                    z
                } else {
                    y
                }
            }
            _ => return Err(self.bug("a float operation on integers")),
        }))
    }

    /// The type under which the vector unit computes with integers of a tile: sums and products do not care for the sign.
    fn signed(&self, t: &TileType) -> Result<TileType, Error> {
        match t.elem {
            Elem::I32 | Elem::U32 => Ok(t.with_elem(Elem::I32)),
            Elem::I16 => Ok(t.clone()),
            e => Err(self.unsupported(format!("arithmetic on tiles of {e}"), "convert to i32 first")),
        }
    }

    fn int_binary(&mut self, op: BinaryOp, x: ValueId, y: ValueId) -> Result<Held, Error> {
        let t = self.tile(x)?.clone();
        if matches!(op, BinaryOp::And | BinaryOp::Or | BinaryOp::Xor) {
            let (a, b) = (self.in_buffer(x)?, self.in_buffer(y)?);
            return Ok(Held::Tile(match op {
                BinaryOp::And => self.bits(Binary::And, a, b, &t),
                BinaryOp::Or => self.bits(Binary::Or, a, b, &t),
                _ => self.exclusive(a, b, &t),
            }));
        }
        let s = self.signed(&t)?;
        let simple = match op {
            BinaryOp::Add => Some(Binary::Add),
            BinaryOp::Sub => Some(Binary::Sub),
            BinaryOp::Mul => Some(Binary::Mul),
            BinaryOp::Max | BinaryOp::MaxNan if t.elem.is_signed() => Some(Binary::Max),
            BinaryOp::Min | BinaryOp::MinNan if t.elem.is_signed() => Some(Binary::Min),
            _ => None,
        };
        if let (Some(Binary::Add), Held::Splat(c)) = (simple, self.get(y)?) {
            let (a, to) = (self.in_buffer(x)?, self.buffer(&t));
            self.with_scalar(WithScalar::Add, to, a, c, &s);
            return Ok(Held::Tile(to));
        }
        if let (Some(Binary::Mul), Held::Splat(c)) = (simple, self.get(y)?) {
            let (a, to) = (self.in_buffer(x)?, self.buffer(&t));
            self.with_scalar(WithScalar::Mul, to, a, c, &s);
            return Ok(Held::Tile(to));
        }
        if let (BinaryOp::Shl | BinaryOp::Shr, Held::Splat(c)) = (op, self.get(y)?) {
            let by = self.int(IntOp::And, c, (8 * t.elem.bytes() as i64 - 1).into());
            let (a, to) = (self.in_buffer(x)?, self.buffer(&t));
            let shift = if op == BinaryOp::Shl { WithScalar::ShiftLeft } else { WithScalar::ShiftRight };
            self.with_scalar(shift, to, a, by, &t);
            return Ok(Held::Tile(to));
        }
        let (a, b) = (self.in_buffer(x)?, self.in_buffer(y)?);
        match simple {
            Some(o) => {
                let to = self.buffer(&t);
                self.binary(o, to, a, b, &s);
                Ok(Held::Tile(to))
            }
            None => self.one_by_one(op, a, b, &t),
        }
    }

    pub(super) fn exclusive(&mut self, a: u32, b: u32, t: &TileType) -> u32 {
        let (either, both) = (self.bits(Binary::Or, a, b, t), self.bits(Binary::And, a, b, t));
        let not_both = self.flipped(both, t);
        self.bits(Binary::And, either, not_both, t)
    }

    /// What the vector unit lacks, an element at a time in the scalar unit.
    fn one_by_one(&mut self, op: BinaryOp, a: u32, b: u32, t: &TileType) -> Result<Held, Error> {
        let to = self.buffer(t);
        let (counter, w) = (self.reg(), t.elem.bytes() as i64);
        let (rows, pitch, width) = (super::rows(t), super::pitch(t), super::width(t));
        let mut fail = None;
        for r in 0..rows {
            self.open();
            let at = self.int(IntOp::Mul, counter.into(), w.into());
            let at = self.int(IntOp::Add, at, (r * pitch * w).into());
            let local = |b: u32| Local { buffer: b, offset: at };
            let x = self.let_(Scalar::LoadLocal { elem: t.elem, src: local(a) });
            let y = self.let_(Scalar::LoadLocal { elem: t.elem, src: local(b) });
            match self.int_scalar(op, x, y, t.elem) {
                Ok(value) => self.issue(StoreScalar { elem: t.elem, dst: local(to), value }),
                Err(e) => fail = Some(e),
            }
            let body = self.close();
            self.push(Stmt::For { counter, from: 0.into(), to: width.into(), step: 1.into(), body });
        }
        fail.map_or(Ok(Held::Tile(to)), Err)
    }

    fn float_binary(&mut self, op: BinaryOp, x: ValueId, y: ValueId, r: ValueId) -> Result<Held, Error> {
        if let Some(held) = self.half_binary(op, (x, y), r)? {
            return Ok(held);
        }
        let t = self.like(r, Elem::F32)?;
        // A scalar on either side saves a buffer.
        let (hx, hy) = (self.get(x)?, self.get(y)?);
        let scalar = match (op, &hx, &hy) {
            (BinaryOp::Add | BinaryOp::Mul, Held::Tile(_), Held::Splat(s)) => Some((x, *s)),
            (BinaryOp::Add | BinaryOp::Mul, Held::Splat(s), Held::Tile(_)) => Some((y, *s)),
            (BinaryOp::Sub, Held::Tile(_), Held::Splat(s)) => {
                let n = match s {
                    Val::Const(c) => Val::Const(c ^ 0x8000_0000),
                    v => self.int(IntOp::Xor, *v, 0x8000_0000.into()),
                };
                Some((x, n))
            }
            _ => None,
        };
        if let Some((v, s)) = scalar {
            let b = self.as_f32(v)?;
            let to = self.buffer(&t);
            let o = if op == BinaryOp::Mul { WithScalar::Mul } else { WithScalar::Add };
            self.with_scalar(o, to, b, s, &t);
            return self.narrowed(to, r);
        }
        let by_rows = match (op, &hx, &hy) {
            _ if self.elem(r) != Elem::F32 => None,
            (BinaryOp::Add | BinaryOp::Mul, Held::Rows(b), Held::Tile(_)) => Some((y, *b)),
            (BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div, Held::Tile(_), Held::Rows(b)) => {
                Some((x, *b))
            }
            _ => None,
        };
        if let Some((v, b)) = by_rows {
            let a = self.as_f32(v)?;
            if op == BinaryOp::Mul
                && self.uses.added.contains(&r)
                && self.elem(r) == Elem::F32
                && self.own(v, r)
            {
                return Ok(Held::Scaled(a, b));
            }
            let to = self.buffer(&t);
            let o = match op {
                BinaryOp::Add => Binary::Add,
                BinaryOp::Sub => Binary::Sub,
                BinaryOp::Mul => Binary::Mul,
                _ => Binary::Div,
            };
            self.binary_rows(o, to, a, b, &t);
            return self.narrowed(to, r);
        }
        let (mut a, mut b) = (self.as_f32(x)?, self.as_f32(y)?);
        if op == BinaryOp::Rem {
            let y = self.remainder(a, b, &t)?;
            return self.narrowed(y, r);
        }
        let o = match op {
            BinaryOp::Add => Binary::Add,
            BinaryOp::Sub => Binary::Sub,
            BinaryOp::Mul => Binary::Mul,
            BinaryOp::Div => Binary::Div,
            BinaryOp::MaxNan | BinaryOp::Max => Binary::Max,
            BinaryOp::MinNan | BinaryOp::Min => Binary::Min,
            _ => return Err(self.bug("no operation of floats")),
        };
        if matches!(op, BinaryOp::Max | BinaryOp::Min) {
            // Not-a-number loses; the unit's own lets it win.
            let (ka, kb) = (self.compare(Compare::Eq, a, a, &t), self.compare(Compare::Eq, b, b, &t));
            let a2 = self.select_tiles(ka, a, b, &t)?;
            b = self.select_tiles(kb, b, a, &t)?;
            a = a2;
        }
        let to = self.buffer(&t);
        self.binary(o, to, a, b, &t);
        self.narrowed(to, r)
    }

    fn compare_tiles(&mut self, c: CmpOp, x: ValueId, y: ValueId) -> Result<Held, Error> {
        let t = self.tile(x)?.clone();
        let op = match c {
            CmpOp::Lt => Compare::Lt,
            CmpOp::Le => Compare::Le,
            CmpOp::Gt => Compare::Gt,
            CmpOp::Ge => Compare::Ge,
            CmpOp::Eq => Compare::Eq,
            CmpOp::Ne => Compare::Ne,
        };
        let bools = t.with_elem(Elem::Bool);
        if t.elem.is_float() {
            let wide = t.with_elem(Elem::F32);
            let a = self.as_f32(x)?;
            if let Held::Splat(s) = self.get(y)? {
                return Ok(Held::Tile(self.compare_scalar(op, a, s, &wide)));
            }
            let b = self.as_f32(y)?;
            return Ok(Held::Tile(self.compare(op, a, b, &wide)));
        }
        if let Some(mask) = self.compare_along(c, x, y)? {
            return Ok(Held::Tile(mask));
        }
        let (a, b) = (self.in_buffer(x)?, self.in_buffer(y)?);
        if t.elem == Elem::Bool {
            let differ = self.exclusive(a, b, &bools);
            return match c {
                CmpOp::Ne => Ok(Held::Tile(differ)),
                CmpOp::Eq => Ok(Held::Tile(self.flipped(differ, &bools))),
                _ => Err(self.bug("an order of masks")),
            };
        }
        if !matches!(t.elem, Elem::I32 | Elem::U32) {
            let help = "convert to i32 first";
            return Err(self.unsupported(format!("a comparison of tiles of {}", t.elem), help));
        }
        let t = t.with_elem(Elem::I32);
        let (a, b) = if self.elem(x) == Elem::U32 {
            // In the order of signed numbers, with the first bit turned over.
            let turned = |l: &mut Self, v: u32| {
                let to = l.buffer(&t);
                l.with_scalar(WithScalar::Add, to, v, i64::from(i32::MIN).into(), &t);
                to
            };
            (turned(self, a), turned(self, b))
        } else {
            (a, b)
        };
        // The unit compares i32 for equality only: a ≤ b is max(a, b) = b.
        let greater = |l: &mut Self, a: u32, b: u32| {
            let m = l.buffer(&t);
            l.binary(Binary::Max, m, a, b, &t);
            m
        };
        let mask = match c {
            CmpOp::Eq | CmpOp::Ne => self.compare(Compare::Eq, a, b, &t),
            CmpOp::Le | CmpOp::Gt => {
                let m = greater(self, a, b);
                self.compare(Compare::Eq, m, b, &t)
            }
            CmpOp::Ge | CmpOp::Lt => {
                let m = greater(self, a, b);
                self.compare(Compare::Eq, m, a, &t)
            }
        };
        let negated = matches!(c, CmpOp::Ne | CmpOp::Gt | CmpOp::Lt);
        Ok(Held::Tile(if negated { self.flipped(mask, &bools) } else { mask }))
    }

    /// The bits of a `bool` tile as ones and zeros.
    pub(super) fn ones(&mut self, mask: u32, t: &TileType) -> Result<u32, Error> {
        let wide = t.with_elem(Elem::F32);
        let one = self.splat(float(1.0).into(), &wide)?;
        Ok(self.select_scalar(mask, one, 0.into(), &wide))
    }
}
