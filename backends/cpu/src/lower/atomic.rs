//! Atomic read-modify-writes, one element at a time.
//!
//! x86 has them for integers of every width and as compare-exchange loops for `f32`; 16-bit floats go through a
//! compare-exchange of their bits, as no conversion happens inside LLVM's own loop.

use super::{Coord, Lower, Result, Unsupported};
use kcc_compiler::emit::{Emit, K, Ty, V};
use kcc_dsl::ir::{AtomicOp, BinaryOp, Elem, Op, OpKind, Ordering, TileType};

impl<'k> Lower<'k> {
    /// Writes an `atomic` or `atomic_cas`.
    pub(super) fn atomics(&mut self, op: &'k Op) -> Result<()> {
        let r = op.results.first().copied();
        let ty: TileType = r.map_or_else(
            || self.f.tile(op.operands[op.operands.len() - 1]).clone(),
            |r| self.f.tile(r).clone(),
        );
        if matches!(op.kind, OpKind::AtomicCas { .. }) && ty.elem.is_float() {
            return Err(Unsupported {
                loc: op.loc,
                message: format!("`atomic_cas` on {} elements is not available", ty.elem),
                help: "keep the bits in an integer view and use `bitcast`".into(),
            });
        }
        let out = r.filter(|r| self.f.rank(*r) > 0).map(|r| self.buffer(r));
        let k = Emit::reg(ty.elem);
        if ty.shape.is_empty() {
            let x = self.atomic_at(op, ty.elem, &[], k);
            if let Some(r) = r {
                self.scalars.insert(r, x);
            }
            return Ok(());
        }
        self.each_scalar(&ty.shape, &mut |s, pt: &[Coord]| {
            let x = s.atomic_at(op, ty.elem, pt, k);
            if let Some(b) = &out {
                s.write_buffer(b, pt, x);
            }
        });
        Ok(())
    }

    fn atomic_at(&mut self, op: &'k Op, elem: Elem, pt: &[Coord], k: K) -> V {
        let n = op.operands.len();
        let rank = self.view(op.operands[0]).dims.len();
        let value = self.eval(op.operands[n - 1], pt);
        let expected =
            matches!(op.kind, OpKind::AtomicCas { .. }).then(|| self.eval(op.operands[rank + 2], pt));
        let (view, offset, ok) = self.indexed(op, pt);
        let mut open = self.e.begin_if(ok, &[Ty::scalar(k)]);
        let p = self.e.address(view.ptr, Emit::mem(elem), &[offset], 0);
        let old = match (&op.kind, expected) {
            (OpKind::AtomicCas { ordering, .. }, Some(expected)) => {
                let (e, v) = (self.e.to_mem(expected, elem), self.e.to_mem(value, elem));
                let old = self.exchange(p, e, v, ordering_name(*ordering)).0;
                self.e.from_mem(old, elem)
            }
            (OpKind::Atomic { op: a, ordering, .. }, _) => {
                self.update(*a, ordering_name(*ordering), elem, p, value)
            }
            _ => value,
        };
        let zero = if k.is_float() { self.e.f32(0.0) } else { self.e.int(k, 0) };
        self.e.begin_else(&mut open, &[old]);
        let out = self.e.end_if(open, &[zero]);
        self.settle();
        out[0]
    }

    /// Compare-exchange; the value before and whether it took place.
    pub(super) fn exchange(&mut self, p: V, expected: V, new: V, ordering: &str) -> (V, V) {
        let (ty, align) = (new.ty, new.ty.k.bytes());
        let pair = self.e.here(
            ty,
            format!("llvm.cmpxchg {p}, {expected}, {new} {ordering} monotonic {{alignment = {align} : i64}} : !llvm.ptr, {ty}"),
        );
        let old = self.e.here(ty, format!("llvm.extractvalue {pair}[0] : !llvm.struct<({ty}, i1)>"));
        let done =
            self.e.here(Ty::scalar(K::I1), format!("llvm.extractvalue {pair}[1] : !llvm.struct<({ty}, i1)>"));
        (old, done)
    }

    fn update(&mut self, a: AtomicOp, ordering: &str, elem: Elem, p: V, value: V) -> V {
        let direct = match (a, elem) {
            (AtomicOp::Xchg, _) => Some("xchg"),
            (_, Elem::F16 | Elem::BF16 | Elem::F8E4M3 | Elem::F8E5M2) => None,
            (AtomicOp::Add, Elem::F32) => Some("fadd"),
            (_, Elem::F32) => None,
            (AtomicOp::Add, _) => Some("add"),
            (AtomicOp::And, _) => Some("_and"),
            (AtomicOp::Or, _) => Some("_or"),
            (AtomicOp::Xor, _) => Some("_xor"),
            (AtomicOp::Min, e) => Some(if e.is_signed() { "min" } else { "umin" }),
            (AtomicOp::Max, e) => Some(if e.is_signed() { "max" } else { "umax" }),
        };
        if let Some(name) = direct {
            let v = self.e.to_mem(value, elem);
            let text = format!("llvm.atomicrmw {name} {p}, {v} {ordering} : !llvm.ptr, {}", v.ty);
            let old = self.e.here(v.ty, text);
            return self.e.from_mem(old, elem);
        }
        let op = match a {
            AtomicOp::Min => BinaryOp::Min,
            AtomicOp::Max => BinaryOp::Max,
            _ => BinaryOp::Add,
        };
        // Retry until nobody wrote in between.
        let mem = Emit::mem(elem).int();
        let level = self.e.level();
        let first = self.e.load(level, p, Ty::scalar(mem));
        let (mut open, args) = self.e.begin_while(&[first]);
        let old = self.e.bits(args[0], Emit::mem(elem));
        let old = self.e.from_mem(old, elem);
        let new = self.e.binary(op, elem, old, value, None);
        let new = self.e.to_mem(new, elem);
        let new = self.e.bits(new, mem);
        let (seen, done) = self.exchange(p, args[0], new, ordering);
        let yes = self.truth();
        let again = self.e.op2("arith.xori", done, yes);
        let args = self.e.while_body(&mut open, again, &[seen]);
        let out = self.e.end_while(open, &args);
        self.settle();
        let old = self.e.bits(out[0], Emit::mem(elem));
        self.e.from_mem(old, elem)
    }
}

fn ordering_name(o: Ordering) -> &'static str {
    match o {
        Ordering::Relaxed => "monotonic",
        Ordering::Acquire => "acquire",
        Ordering::Release => "release",
        Ordering::AcqRel => "acq_rel",
    }
}
