//! Operations on scalars and views: program ids, dims, sub-views, scalar arithmetic and scalar memory.

use super::memory::View;
use super::{Lower, Stride};
use kcc_compiler::emit::{Emit, K, Ty};
use kcc_dsl::ir::{Op, OpKind};

impl Lower<'_> {
    /// Writes an operation without tiles or regions.
    pub(super) fn scalar_op(&mut self, op: &Op) {
        self.says(op);
        match &op.kind {
            // Bound once for the whole program.
            OpKind::ProgramId(_) | OpKind::NumPrograms(_) => {}
            OpKind::Constant(c) => {
                let elem = self.f.tile(op.results[0]).elem;
                let v = self.e.constant(elem, *c);
                self.scalars.insert(op.results[0], v);
            }
            OpKind::Dim(a) => {
                let d = self.views[&op.operands[0]].dims[*a as usize];
                let d = self.e.conv("arith.trunci", d, K::I32);
                self.scalars.insert(op.results[0], d);
            }
            OpKind::At => {
                let v = self.sub_view(op);
                self.views.insert(op.results[0], v);
            }
            OpKind::Load { padding, .. } => {
                // A rank-0 view has one element; it is outside when an `at` before it was.
                let v = self.view(op.operands[0]);
                let pad = self.e.constant(v.elem, *padding);
                let x = self.read_rank0(&v, pad);
                self.scalars.insert(op.results[0], x);
            }
            OpKind::Gather => {
                let x = self.gather_point(op, &[]);
                self.scalars.insert(op.results[0], x);
            }
            OpKind::Broadcast { .. } | OpKind::Transpose { .. } | OpKind::Slice { .. } | OpKind::Reshape => {
                let x = self.scalars[&op.operands[0]];
                self.scalars.insert(op.results[0], x);
            }
            _ => {
                let xs: Vec<_> = op.operands.iter().map(|o| self.scalars[o]).collect();
                let x = self.element(op, &xs);
                self.scalars.insert(op.results[0], x);
            }
        }
    }

    /// Fixes leading axes. An index outside gives dims of 0; a view of rank 0 keeps one hidden dim for that.
    fn sub_view(&mut self, op: &Op) -> View {
        let v = self.view(op.operands[0]);
        let fixed = op.operands.len() - 1;
        let mut conds = Vec::new();
        let mut terms = Vec::new();
        let mut constant = 0;
        for a in 0..fixed {
            let i = self.index(op.operands[1 + a]);
            let i = self.e.ix(i);
            conds.push(self.e.cmpi("ult", i, v.dims[a]));
            match v.strides[a] {
                Stride::Known(s) => {
                    let t = self.e.scale(i.into(), s);
                    terms.extend(t.v);
                    constant += t.c;
                }
                Stride::Value(s) => terms.push(self.e.mul(i, s)),
            }
        }
        let ok = self.all(&conds);
        let k = Emit::mem(v.elem);
        let ptr = self.e.address(v.ptr, k, &terms, constant);
        let zero = self.e.i64(0);
        let keep = |s: &mut Self, d| match ok {
            Some(ok) => s.e.select(ok, d, zero),
            None => d,
        };
        let mut dims: Vec<_> = v.dims[fixed..].to_vec();
        dims = dims.into_iter().map(|d| keep(self, d)).collect();
        if dims.is_empty() {
            let one = self.e.i64(1);
            dims.push(keep(self, one));
        }
        View { ptr, elem: v.elem, dims, strides: v.strides[fixed..].to_vec() }
    }

    pub(super) fn read_rank0(&mut self, v: &View, pad: kcc_compiler::emit::V) -> kcc_compiler::emit::V {
        let zero = self.e.i64(0);
        match v.dims.first() {
            Some(d) => {
                let ok = self.e.cmpi("sgt", *d, zero);
                self.read_guarded(v.ptr, v.elem, ok, pad)
            }
            None => {
                let floor = self.floor;
                self.e.read_elem(floor, v.ptr, v.elem, 0, None)
            }
        }
    }

    /// The mask of one true bit, as a scalar.
    pub(super) fn truth(&mut self) -> kcc_compiler::emit::V {
        self.e.int_like(Ty::scalar(K::I1), 1)
    }
}
