//! Moves elements between threads through shared memory, and the scratch memory for that.
//!
//! ```text
//! use 1  write half 0 │ barrier │ read        use 2  write half 1 │ barrier │ read        use 3  write half 0 …
//! ```
//! Halves take turns: whoever writes half 0 again has passed the barrier of the use between, and so have all readers. Where
//! code before is not known (a block's start), a barrier comes first.

use super::shape::register_map;
use super::{Lower, Val, rearrange};
use crate::emit::{Emit, K, Ty, V};
use crate::error::{Error, at, bug};
use crate::gpu::Facts;
use crate::ktg::{Func, GpuOp, Kind, Op};
use crate::layout::{Dim, Linear, Presence};
use kcc_dsl::ir::{Elem, OpKind};

/// Scratch memory, behind the buffers that passes have allocated or where none of them is needed at the time.
pub(super) struct Scratch {
    /// Bytes from the start of shared memory.
    pub start: u32,
    /// Bytes of one half.
    pub half: u32,
    /// Whether there are two halves.
    pub two: bool,
    turn: bool,
    leading: bool,
}

impl Scratch {
    /// Scratch memory for a function, from `start` on.
    pub fn plan(func: &Func, start: u32, facts: &Facts) -> Scratch {
        let half = half(func, facts);
        let two = func.scratch.is_none() && start + 2 * half <= facts.shared_bytes;
        Scratch { start: func.scratch.unwrap_or(start), half, two, turn: false, leading: false }
    }

    /// Bytes of all halves.
    pub fn bytes(&self) -> u32 {
        if self.two { 2 * self.half } else { self.half }
    }

    /// A barrier was passed: all earlier uses are over.
    pub fn synced(&mut self) {
        self.leading = false;
    }
}

/// Bytes of scratch memory that any one operation of a function needs at most.
pub(crate) fn half(func: &Func, facts: &Facts) -> u32 {
    let mut half = 0;
    func.walk(&mut |op| half = half.max(need(func, op, facts)));
    half.next_multiple_of(128)
}

/// Bytes of scratch memory that an operation needs at most.
pub(crate) fn need(func: &Func, op: &Op, facts: &Facts) -> u32 {
    if let Kind::Tile(OpKind::Print { .. }) = op.kind {
        return 16;
    }
    let Some(ty) = op.operands.first().map(|v| func.ty(*v)) else { return 0 };
    let size = |values: &[kcc_dsl::ir::ValueId]| -> usize {
        values.iter().filter_map(|v| func.ty(*v).tile()).map(|t| t.len() * t.elem.bytes()).sum()
    };
    if let Kind::Tile(OpKind::Slice { .. } | OpKind::Split | OpKind::Join | OpKind::Concat { .. }) = op.kind {
        return size(&op.operands).max(size(&op.results)) as u32;
    }
    match &op.kind {
        Kind::Tile(OpKind::Scan { .. } | OpKind::ScanWith { .. } | OpKind::ReduceWith { .. }) => {
            return super::scan::scratch_bytes(func, op);
        }
        Kind::Tile(OpKind::Sort { .. } | OpKind::TopK { .. } | OpKind::Histogram { .. }) => {
            return super::sort::scratch_bytes(func, op);
        }
        Kind::Tile(OpKind::Atomic { .. } | OpKind::AtomicCas { .. }) => return size(&op.results) as u32,
        _ => {}
    }
    let (Some(tile), Some(layout)) = (ty.tile(), ty.layout()) else { return 0 };
    let bytes = tile.elem.bytes() as u32;
    let moving = |all: u32| rearrange::plan(func, op, facts).map_or(all, |plan| plan.shared_bytes());
    match &op.kind {
        Kind::Gpu(GpuOp::ConvertLayout) => {
            let to = func.ty(op.results[0]).layout();
            if to.is_some_and(|to| register_map(layout, to).is_some()) {
                0
            } else {
                moving(layout.elements() * bytes)
            }
        }
        Kind::Tile(OpKind::Reduce { axis, .. } | OpKind::ArgReduce { axis, .. }) => {
            let axis = usize::from(*axis);
            let crosses = layout.basis(Dim::Warp).iter().any(|v| v[axis] != 0);
            let per_warp = layout.elements() / layout.extents()[axis];
            let kept: u32 = if crosses { layout.warps() } else { 0 };
            kept * per_warp * bytes.max(4) * op.operands.len() as u32
        }
        Kind::Tile(OpKind::Reshape | OpKind::Transpose { .. }) => moving(layout.elements() * bytes),
        _ => 0,
    }
}

/// How a tile lies in scratch memory: elements from one to the next along each axis.
pub(super) struct Strided {
    /// From one element to the next along each axis.
    pub strides: Vec<u32>,
    /// Of element (0, …, 0).
    pub base: u32,
}

impl Strided {
    /// Row-major.
    pub fn rows(shape: &[usize]) -> Strided {
        let mut strides = vec![1; shape.len()];
        for a in (0..shape.len().saturating_sub(1)).rev() {
            strides[a] = strides[a + 1] * shape[a + 1] as u32;
        }
        Strided { strides, base: 0 }
    }
}

impl Lower<'_> {
    /// A block begins or ends: what was done before in shared memory is not known any more.
    pub(super) fn enter_block(&mut self) {
        self.scratch.leading = true;
    }

    /// Scratch memory that nobody reads or writes any more; after writing, and before reading, [`Lower::sync_scratch`].
    pub(super) fn take_scratch(&mut self) -> V {
        if self.scratch.leading || !self.scratch.two {
            self.sync();
        }
        self.scratch.turn = self.scratch.two && !self.scratch.turn;
        let start = self.scratch.start + if self.scratch.turn { self.scratch.half } else { 0 };
        self.shared_address(self.shared, None, i64::from(start))
    }

    /// Between writing scratch memory and reading it.
    pub(super) fn sync_scratch(&mut self) {
        self.sync();
        self.scratch.leading = false;
    }

    pub(super) fn convert(&mut self, op: &Op) -> Result<(), Error> {
        let (from, to) = (op.operands[0], op.results[0]);
        if let Some(c) = self.constant(from) {
            self.consts.insert(to, c);
        }
        let (have, want) = (self.layout(from)?, self.layout(to)?);
        if have == want {
            let same = self.val(from)?.clone();
            self.set(to, same);
            return Ok(());
        }
        if let Some(map) = register_map(&have, &want) {
            let regs = self.regs(from)?;
            self.set(to, Val::Regs(map.iter().map(|r| regs[*r as usize]).collect()));
            return Ok(());
        }
        self.through_memory(op)
    }

    /// An operation with one operand that moves elements: reshape, transpose, broadcast, or a conversion.
    pub(super) fn through_memory(&mut self, op: &Op) -> Result<(), Error> {
        if self.rearrange(op)? {
            return Ok(());
        }
        let (from, to) = (op.operands[0], op.results[0]);
        let (own, result) = (self.shape_of(from), self.shape_of(to));
        let elem = self.elem(from)?;
        let write = Strided::rows(&own);
        let read = match &op.kind {
            Kind::Tile(OpKind::Transpose { perm }) => {
                let strides = perm.iter().map(|p| write.strides[usize::from(*p)]).collect();
                Strided { strides, base: 0 }
            }
            Kind::Tile(OpKind::Broadcast { axes }) => {
                let mut strides = vec![0; result.len()];
                for (i, a) in axes.iter().enumerate() {
                    strides[usize::from(*a)] = if own[i] == 1 { 0 } else { write.strides[i] };
                }
                Strided { strides, base: 0 }
            }
            _ => Strided::rows(&result),
        };
        let (have, want) = (self.layout(from)?, self.layout(to)?);
        self.check_scratch(op, own.iter().product::<usize>() * elem.bytes())?;
        let regs = self.regs(from)?;
        let base = self.take_scratch();
        self.write_scratch(base, elem, &regs, &have, &own, &write)?;
        self.sync_scratch();
        let regs = self.read_scratch(base, elem, &want, &result, &read)?;
        self.set(to, Val::Regs(regs));
        Ok(())
    }

    /// Whether so many bytes fit scratch memory.
    pub(super) fn check_scratch(&self, op: &Op, bytes: usize) -> Result<(), Error> {
        if bytes <= self.scratch.half as usize {
            return Ok(());
        }
        let limit = self.target.facts().shared_bytes;
        let what = format!("`{}` of {bytes} bytes within {limit} bytes of shared memory", op.kind.name());
        Err(at(self.func.loc(op.loc)).unsupported(what).help("use smaller tiles"))
    }

    /// Byte offset of a register's element: a value and a constant.
    pub(super) fn scratch_offset(
        &mut self,
        layout: &Linear,
        strided: &Strided,
        bytes: i64,
        r: u32,
    ) -> Result<(Option<V>, i64), Error> {
        let mut sum: Option<V> = None;
        let mut constant = i64::from(strided.base) * bytes;
        for (axis, stride) in strided.strides.iter().enumerate() {
            let along = self.along(layout, axis, None)?;
            let scale = i64::from(*stride) * bytes;
            let c = match along.constant(r) {
                Some(k) => {
                    constant += k * scale;
                    along.first
                }
                None => self.coordinate(&along, r),
            };
            let term = self.times(c, scale);
            sum = Some(match sum {
                None => term,
                Some(s) => self.e.op2("arith.addi", s, term),
            });
        }
        Ok((sum, constant))
    }

    /// Writes a tile's elements, each once.
    pub(super) fn write_scratch(
        &mut self,
        base: V,
        elem: Elem,
        regs: &[V],
        layout: &Linear,
        shape: &[usize],
        strided: &Strided,
    ) -> Result<(), Error> {
        let owner = self.owner(Some(layout));
        let redundant = layout.redundant(Dim::Register);
        let coverage = layout.coverage(&shape.iter().map(|e| *e as u32).collect::<Vec<_>>());
        for r in 0..layout.registers() {
            if r & redundant != 0 || coverage.register(r) == Presence::Never {
                continue;
            }
            let mut mask = self.inside_tile(layout, shape, r)?;
            if let Some(o) = owner {
                mask = Some(self.both(mask, o));
            }
            let (offset, constant) = self.scratch_offset(layout, strided, elem.bytes() as i64, r)?;
            let p = self.shared_address(base, offset, constant);
            let raw = self.e.to_mem(regs[r as usize], elem);
            self.when(mask, |l| l.target.store_shared(&mut l.e, raw, p));
        }
        Ok(())
    }

    /// Reads a tile; elements outside of it are zero.
    pub(super) fn read_scratch(
        &mut self,
        base: V,
        elem: Elem,
        layout: &Linear,
        shape: &[usize],
        strided: &Strided,
    ) -> Result<Vec<V>, Error> {
        let coverage = layout.coverage(&shape.iter().map(|e| *e as u32).collect::<Vec<_>>());
        let k = Emit::mem(elem);
        let mut regs = Vec::new();
        for r in 0..layout.registers() {
            if coverage.register(r) == Presence::Never {
                regs.push(self.e.constant(elem, kcc_dsl::ir::Const::Int(0)));
                continue;
            }
            let inside = self.inside_tile(layout, shape, r)?;
            let (offset, constant) = self.scratch_offset(layout, strided, elem.bytes() as i64, r)?;
            // Outside of the tile any address inside will do.
            let offset = match (inside, offset) {
                (Some(ok), Some(o)) => {
                    let all = self.plus(o, constant);
                    let zero = self.i32(0);
                    Some(self.e.select(ok, all, zero))
                }
                (Some(_), None) | (None, _) => offset,
            };
            let constant = if inside.is_some() && offset.is_some() { 0 } else { constant };
            let p = self.shared_address(base, offset, constant);
            let raw = self.target.load_shared(&mut self.e, p, Ty::scalar(k));
            regs.push(self.e.from_mem(raw, elem));
        }
        Ok(regs)
    }

    /// Writes something under a condition.
    pub fn when(&mut self, mask: Option<V>, write: impl FnOnce(&mut Self)) {
        match mask {
            None => write(self),
            Some(m) => {
                let open = self.e.begin_if(m, &[]);
                write(self);
                self.e.end_if(open, &[]);
            }
        }
    }

    /// The one element of a tile of one element.
    pub(super) fn first_element(&mut self, v: kcc_dsl::ir::ValueId) -> Result<V, Error> {
        let regs = self.regs(v)?;
        regs.first().copied().ok_or_else(|| bug("an empty tile"))
    }
}

/// The kind that shuffles and scratch memory move an element in.
pub(super) fn carrier(k: K) -> K {
    match k {
        K::I1 | K::I8 | K::I16 => K::I32,
        k => k,
    }
}
