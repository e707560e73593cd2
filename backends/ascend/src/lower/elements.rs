//! Tiles an element at a time, in the scalar unit: what the vector unit has no instruction for.
//!
//! ```text
//! for i0 in 0..d0 { for i1 in 0..d1 { … } }      an element's byte is Σ i_a · stride_a
//! ```

use super::values::Held;
use super::{Lower, shape};
use kcc_compiler::Error;
use kcc_davinci::ir::*;
use kcc_dsl::ir::{Elem, TileType, ValueId};

/// A tile whose elements are read one by one: all equal, or in a buffer (`bool` there as `f32` ones and zeros).
#[derive(Clone, Debug)]
pub(super) enum Source {
    Same(Val),
    Buffer(u32, TileType),
}

/// What is done for each element: `f(lowering, indices)`.
pub(super) type Visit<'f> = &'f mut dyn FnMut(&mut Lower<'_>, &[Val]) -> Result<(), Error>;

impl Lower<'_> {
    /// A loop for each axis.
    pub(super) fn over(&mut self, extents: &[usize], f: Visit<'_>) -> Result<(), Error> {
        self.over_rest(extents, &mut Vec::new(), f)
    }

    fn over_rest(&mut self, rest: &[usize], index: &mut Vec<Val>, f: Visit<'_>) -> Result<(), Error> {
        let Some((extent, rest)) = rest.split_first() else { return f(self, index) };
        if *extent == 1 {
            index.push(0.into());
            self.over_rest(rest, index, f)?;
            index.pop();
            return Ok(());
        }
        self.counted(0.into(), (*extent as i64).into(), |l, i| {
            index.push(i);
            l.over_rest(rest, index, f)?;
            index.pop();
            Ok(())
        })
    }

    /// `for i in from..to { f(i) }`.
    pub(super) fn counted(
        &mut self,
        from: Val,
        to: Val,
        f: impl FnOnce(&mut Self, Val) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let counter = self.reg();
        self.open();
        let done = f(self, counter.into());
        let body = self.close();
        self.push(Stmt::For { counter, from, to, step: 1.into(), body });
        done
    }

    /// `if condition { f() }`.
    pub(super) fn when(
        &mut self,
        condition: Val,
        f: impl FnOnce(&mut Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.open();
        let done = f(self);
        let then = self.close();
        self.push(Stmt::If { condition, then, otherwise: Vec::new() });
        done
    }

    /// The byte at which an element of a tile lies in its buffer.
    pub(super) fn byte_of(&mut self, t: &TileType, index: &[Val]) -> Val {
        let mut at = Val::Const(0);
        for (i, stride) in index.iter().zip(shape::strides(t)) {
            let by = self.int(IntOp::Mul, *i, (stride * t.elem.bytes() as i64).into());
            at = self.int(IntOp::Add, at, by);
        }
        at
    }

    /// A tile to read elements of.
    pub(super) fn source(&mut self, v: ValueId) -> Result<Source, Error> {
        let t = self.tile(v)?.clone();
        if let Held::Splat(s) | Held::Scalar(s) = self.get(v)? {
            return Ok(Source::Same(s));
        }
        let b = self.in_buffer(v)?;
        Ok(if t.elem == Elem::Bool {
            Source::Buffer(self.ones(b, &t)?, t.with_elem(Elem::F32))
        } else {
            Source::Buffer(b, t)
        })
    }

    /// An element; one of a `bool` tile is 0 or 1.
    pub(super) fn element(&mut self, s: &Source, index: &[Val], bool_: bool) -> Val {
        let Source::Buffer(buffer, t) = s else {
            let Source::Same(v) = s else { return 0.into() };
            return *v;
        };
        let offset = self.byte_of(t, index);
        let v = self.let_(Scalar::LoadLocal { elem: t.elem, src: Local { buffer: *buffer, offset } });
        if bool_ { self.let_(Scalar::Float { op: FloatOp::Ne, a: v, b: 0.into() }) } else { v }
    }

    /// A tile that is written element by element; `bool` as `f32` ones and zeros until [`Lower::sealed`].
    pub(super) fn blank(&mut self, t: &TileType) -> (u32, TileType) {
        let t = if t.elem == Elem::Bool { t.with_elem(Elem::F32) } else { t.clone() };
        (self.buffer(&t), t)
    }

    /// Writes an element.
    pub(super) fn put(&mut self, (buffer, t): &(u32, TileType), index: &[Val], value: Val, bool_: bool) {
        let value = if bool_ { self.let_(Scalar::ToFloat { a: value }) } else { value };
        let offset = self.byte_of(t, index);
        self.issue(StoreScalar { elem: t.elem, dst: Local { buffer: *buffer, offset }, value });
    }

    /// A tile of type `t` whose elements were put.
    pub(super) fn sealed(&mut self, (buffer, wide): (u32, TileType), t: &TileType) -> Held {
        if t.elem == Elem::Bool {
            return Held::Tile(self.compare_scalar(Compare::Ne, buffer, 0.into(), &wide));
        }
        Held::Tile(buffer)
    }

    /// What an operation gives: the buffer that was filled, or for a single element its register.
    pub(super) fn given(&mut self, buffer: Option<(u32, TileType)>, t: &TileType, single: Reg) -> Held {
        buffer.map_or(Held::Scalar(single.into()), |b| self.sealed(b, t))
    }

    /// A register with a first value.
    pub(super) fn variable(&mut self, value: Val) -> Reg {
        let r = self.reg();
        self.assign(r, Scalar::Move { value });
        r
    }
}
