//! Gathers, scatters and atomics: one address per element.

use super::buffer::{Descriptor, Reach, Term};
use super::convert::Strided;
use super::{Lower, Val, ViewVal};
use crate::emit::{Emit, K, Ty, V};
use crate::error::{Error, bug};
use crate::ktg::{Layout, Op};
use crate::layout::{Dim, Presence};
use kcc_dsl::ir::{AtomicOp, Cache, Elem, OpKind, Ordering, Scope};

/// The operands of an indexed access.
struct Indexed {
    view: ViewVal,
    /// By axis, by register.
    indices: Vec<Vec<V>>,
    mask: Vec<V>,
    /// For loads and stores.
    descriptor: Option<Descriptor>,
}

/// What an atomic does.
enum Change<'v> {
    Modify(AtomicOp, &'v [V]),
    Swap { expected: &'v [V], new: &'v [V] },
}

impl Lower<'_> {
    pub(super) fn indexed_op(&mut self, kind: &OpKind, op: &Op) -> Result<(), Error> {
        let view = self.view(op.operands[0])?;
        let rank = view.strides.len();
        let mut indices = Vec::new();
        for v in &op.operands[1..1 + rank] {
            indices.push(self.regs(*v)?);
        }
        let mask = self.regs(op.operands[1 + rank])?;
        let atomic = matches!(kind, OpKind::Atomic { .. } | OpKind::AtomicCas { .. });
        let descriptor = if atomic { None } else { self.descriptor(&view) };
        let x = Indexed { view, indices, mask, descriptor };
        let rest = &op.operands[2 + rank..];
        match kind {
            OpKind::Gather => self.gather(op, &x),
            OpKind::Scatter => self.scatter(op, &x),
            OpKind::Atomic { op: modify, ordering, scope } => {
                let value = self.regs(rest[0])?;
                self.atomic(op, &x, &Change::Modify(*modify, &value), *ordering, *scope)
            }
            OpKind::AtomicCas { ordering, scope } => {
                let (expected, new) = (self.regs(rest[0])?, self.regs(rest[1])?);
                self.atomic(op, &x, &Change::Swap { expected: &expected, new: &new }, *ordering, *scope)
            }
            k => Err(bug(format!("`{}` is not indexed", k.name()))),
        }
    }

    /// Address of a register's element, and whether it may be touched.
    fn element(&mut self, x: &Indexed, r: usize) -> (V, V) {
        let coordinates: Vec<V> = x.indices.iter().map(|list| list[r]).collect();
        let mask = self.exists(x, r);
        (self.view_address(&x.view, &coordinates, 0), mask)
    }

    /// Whether a register's element is asked for and lies in the view.
    fn exists(&mut self, x: &Indexed, r: usize) -> V {
        let mut mask = x.mask[r];
        for (list, dim) in x.indices.iter().zip(&x.view.dims) {
            let ok = self.e.cmpi("ult", list[r], *dim);
            mask = self.both(Some(mask), ok);
        }
        if x.indices.is_empty()
            && let Some(exists) = x.view.dims.first()
        {
            let zero = self.i32(0);
            let ok = self.e.cmpi("ne", *exists, zero);
            mask = self.both(Some(mask), ok);
        }
        mask
    }

    /// Where a load or store of a register's element goes, and whether it may be done.
    fn place_of(&mut self, x: &Indexed, r: usize) -> (Reach, V) {
        let Some(d) = &x.descriptor else {
            let (p, mask) = self.element(x, r);
            return (Reach::Pointer(p), mask);
        };
        let axes = x.indices.iter().zip(&x.view.dims);
        let terms: Vec<Term> = axes
            .map(|(list, dim)| Term { own: list[r], offset: None, from_zero: false, dim: *dim })
            .collect();
        (self.buffer_offset(d, x.view.elem.bytes(), &terms), x.mask[r])
    }

    /// The mask of an effect: once per element.
    fn once(&mut self, layout: &Layout, shape: &[usize], r: u32, mask: V) -> Result<V, Error> {
        let mut mask = mask;
        if let Some(inside) = self.inside_tile(layout, shape, r)? {
            mask = self.both(Some(inside), mask);
        }
        Ok(match self.owner((!shape.is_empty()).then_some(&**layout)) {
            Some(owner) => self.both(Some(owner), mask),
            None => mask,
        })
    }

    fn gather(&mut self, op: &Op, x: &Indexed) -> Result<(), Error> {
        self.order_load(x.view.param);
        let other = self.regs(op.operands[op.operands.len() - 1])?;
        let elem = x.view.elem;
        let ty = Ty::scalar(Emit::mem(elem));
        let mut out = Vec::new();
        for (r, other) in other.iter().enumerate() {
            let (from, mask) = self.place_of(x, r);
            let raw = self.read(from, ty, Some(mask), Cache::Default);
            let v = self.e.from_mem(raw, elem);
            let inside = self.exists(x, r);
            out.push(self.e.select(inside, v, *other));
        }
        self.set(op.results[0], Val::Regs(out));
        Ok(())
    }

    fn scatter(&mut self, op: &Op, x: &Indexed) -> Result<(), Error> {
        self.order_store(x.view.param);
        let value = op.operands[op.operands.len() - 1];
        let regs = self.regs(value)?;
        let (layout, shape) = (self.layout_or_scalar(value), self.shape_of(value));
        let redundant = layout.redundant(Dim::Register);
        let coverage = layout.coverage(&shape.iter().map(|e| *e as u32).collect::<Vec<_>>());
        for r in 0..layout.registers() {
            if r & redundant != 0 || coverage.register(r) == Presence::Never {
                continue;
            }
            let (to, mask) = self.place_of(x, r as usize);
            let mask = self.once(&layout, &shape, r, mask)?;
            let raw = self.e.to_mem(regs[r as usize], x.view.elem);
            self.write(to, raw, Some(mask), Cache::Default);
        }
        Ok(())
    }

    /// One operation per element; who did none reads the result from who did.
    fn atomic(
        &mut self,
        op: &Op,
        x: &Indexed,
        change: &Change,
        ordering: Ordering,
        scope: Scope,
    ) -> Result<(), Error> {
        self.order_atomic(x.view.param);
        let result = op.results[0];
        let elem = self.elem(result)?;
        let (layout, shape) = (self.layout_or_scalar(result), self.shape_of(result));
        let redundant = layout.redundant(Dim::Register);
        let coverage = layout.coverage(&shape.iter().map(|e| *e as u32).collect::<Vec<_>>());
        let name = self.target.sync_scope(scope);
        let scope = if name.is_empty() { String::new() } else { format!(" syncscope(\"{name}\")") };
        if matches!(ordering, Ordering::Release | Ordering::AcqRel) {
            self.e.line(format!("llvm.fence{scope} release"));
        }
        let zero = self.e.constant(elem, kcc_dsl::ir::Const::Int(0));
        let mut out = vec![zero; layout.registers() as usize];
        for r in 0..layout.registers() {
            if r & redundant != 0 || coverage.register(r) == Presence::Never {
                continue;
            }
            let (address, mask) = self.element(x, r as usize);
            let mask = self.once(&layout, &shape, r, mask)?;
            let mut open = self.e.begin_if(mask, &[zero.ty]);
            let before = self.change(change, elem, address, r as usize, &scope);
            self.e.begin_else(&mut open, &[before]);
            out[r as usize] = self.e.end_if(open, &[zero])[0];
        }
        if matches!(ordering, Ordering::Acquire | Ordering::AcqRel) {
            self.e.line(format!("llvm.fence{scope} acquire"));
        }
        let shared = self.owner((!shape.is_empty()).then_some(&*layout)).is_some() || redundant != 0;
        if shared && self.func.uses()[result.0 as usize] > 0 {
            let rows = Strided::rows(&shape);
            let base = self.take_scratch();
            self.write_scratch(base, elem, &out, &layout, &shape, &rows)?;
            self.sync_scratch();
            out = self.read_scratch(base, elem, &layout, &shape, &rows)?;
        }
        self.set(result, Val::Regs(out));
        Ok(())
    }

    /// The operation itself; gives the value before, in register form.
    fn change(&mut self, change: &Change, elem: Elem, p: V, r: usize, scope: &str) -> V {
        // Narrow floats lie in memory as bits, but are added as what they are.
        let k = if elem == Elem::BF16 { K::BF16 } else { Emit::mem(elem) };
        let raw = |l: &mut Self, v: V| {
            let m = l.e.to_mem(v, elem);
            l.e.bits(m, k)
        };
        let before = match change {
            Change::Modify(op, values) => {
                let v = raw(self, values[r]);
                let float = elem.is_float();
                let name = match op {
                    AtomicOp::Add if float => "fadd",
                    AtomicOp::Add => "add",
                    AtomicOp::Min if float => "fmin",
                    AtomicOp::Max if float => "fmax",
                    AtomicOp::Min if elem.is_signed() => "min",
                    AtomicOp::Max if elem.is_signed() => "max",
                    AtomicOp::Min => "umin",
                    AtomicOp::Max => "umax",
                    AtomicOp::And => "_and",
                    AtomicOp::Or => "_or",
                    AtomicOp::Xor => "_xor",
                    AtomicOp::Xchg => "xchg",
                };
                let text = format!("llvm.atomicrmw {name} {p}, {v}{scope} monotonic : {}, {}", p.ty, v.ty);
                self.e.here(Ty::scalar(k), text)
            }
            Change::Swap { expected, new } => {
                let (expected, new) = (raw(self, expected[r]), raw(self, new[r]));
                let text = format!(
                    "llvm.cmpxchg {p}, {expected}, {new}{scope} monotonic monotonic : {}, {}",
                    p.ty, new.ty
                );
                // The pair has no type among the writer's; only its first part is used.
                let pair = self.e.here(Ty::scalar(k), text);
                self.e.here(
                    Ty::scalar(k),
                    format!("llvm.extractvalue {pair}[0] : !llvm.struct<({}, i1)>", new.ty),
                )
            }
        };
        let bits = self.e.bits(before, Emit::mem(elem));
        self.e.from_mem(bits, elem)
    }
}
