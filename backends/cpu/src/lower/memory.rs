//! Views: addresses, bounds, masks, and the reading and writing of elements through them.

use super::{Coord, Lower, Stride};
use kcc_compiler::emit::{Emit, Ix, K, Ty, V};
use kcc_dsl::ir::{Const, Elem, Op, OpKind, ValueId};

/// A window on memory.
#[derive(Clone, Debug)]
pub struct View {
    /// Address of element (0, …, 0).
    pub ptr: V,
    /// Element type.
    pub elem: Elem,
    /// Extents, i64.
    pub dims: Vec<V>,
    /// Distances, in elements.
    pub strides: Vec<Stride>,
}

impl Lower<'_> {
    /// The view that a value names.
    pub(super) fn view(&self, v: ValueId) -> View {
        self.views[&v].clone()
    }

    /// A scalar index as i64.
    pub(super) fn index(&mut self, v: ValueId) -> Ix {
        let s = self.scalars[&v];
        if let Some(OpKind::Constant(Const::Int(c))) = self.f.op(v).map(|o| &o.kind) {
            return Ix::from(*c);
        }
        self.e.conv("arith.extsi", s, K::I64).into()
    }

    /// Address of a point.
    pub(super) fn address(&mut self, p: V, k: K, pt: &[Coord], strides: &[Stride]) -> V {
        let (mut terms, mut constant) = (Vec::new(), 0i64);
        for (c, s) in pt.iter().zip(strides) {
            match *s {
                Stride::Known(s) => {
                    let t = self.e.scale(c.ix, s);
                    terms.extend(t.v);
                    constant += t.c;
                }
                Stride::Value(s) => {
                    if let Some(v) = c.ix.v {
                        terms.push(self.e.mul(v, s));
                    }
                    if c.ix.c != 0 {
                        let t = self.e.i64(c.ix.c);
                        terms.push(self.e.mul(s, t));
                    }
                }
            }
        }
        self.e.address(p, k, &terms, constant)
    }

    /// Lanes `0..n` of a vector; `None` if that is all of them.
    pub(super) fn tail_mask(&mut self, n: i64) -> Option<V> {
        let w = self.w();
        if n >= w as i64 {
            return None;
        }
        let list: Vec<&str> = (0..w as i64).map(|i| if i < n { "true" } else { "false" }).collect();
        let ty = Ty::vector(K::I1, w);
        Some(self.e.pure(ty, format!("arith.constant dense<[{}]> : {ty}", list.join(", ")), &[]))
    }

    /// Reads lanes that are `strides[axis]` apart.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn gather_strided(
        &mut self,
        base: V,
        elem: Elem,
        pt: &[Coord],
        strides: &[Stride],
        axis: usize,
        mask: V,
        other: Option<V>,
    ) -> V {
        let w = self.w();
        let p = self.address(base, Emit::mem(elem), pt, strides);
        let step = match strides[axis] {
            Stride::Known(s) => self.e.i64(s),
            Stride::Value(v) => v,
        };
        let lanes = self.e.iota(K::I64, w);
        let offsets = self.e.op2("arith.muli", lanes, step);
        self.gather_at(p, elem, offsets, mask, other)
    }

    /// Reads one element per lane at `p + offsets` where `mask` holds.
    pub(super) fn gather_at(&mut self, p: V, elem: Elem, offsets: V, mask: V, other: Option<V>) -> V {
        let w = self.w();
        let k = Emit::mem(elem);
        let ptrs = Ty::vector(K::Ptr, w);
        let text = format!("llvm.getelementptr {p}[{offsets}] : (!llvm.ptr, {}) -> {ptrs}, {k}", offsets.ty);
        let at = self.e.pure(ptrs, text, &[p, offsets]);
        let mask = self.e.splat(mask, w);
        let x = if k.bytes() < 4 { self.gather_narrow(at, k, mask) } else { self.gather_words(at, k, mask) };
        let x = self.e.from_mem(x, elem);
        match other {
            Some(o) => self.e.select(mask, x, o),
            None => x,
        }
    }

    /// Reads one element of 4 or 8 bytes per lane where `mask` holds.
    fn gather_words(&mut self, at: V, k: K, mask: V) -> V {
        let ty = Ty::vector(k, self.w());
        let pass = if k.is_float() { self.e.zero_float(ty) } else { self.e.int_like(ty, 0) };
        let text = format!(
            "llvm.intr.masked.gather {at}, {mask}, {pass} {{alignment = {} : i32}} : ({}, {}, {ty}) -> {ty}",
            k.bytes(),
            at.ty,
            mask.ty
        );
        let floor = self.floor;
        self.e.reading(floor, ty, text, &[at, mask, pass])
    }

    /// Reads one narrow element per lane where `mask` holds. There is no instruction for that, and LLVM would branch for every lane:
    /// the aligned word around each element is gathered (it lies in the same page, so it can be read) and shifted.
    fn gather_narrow(&mut self, at: V, k: K, mask: V) -> V {
        let w = self.w();
        let wide = Ty::vector(K::I64, w);
        let address = self.e.pure(wide, format!("llvm.ptrtoint {at} : {} to {wide}", at.ty), &[at]);
        let (low, high) = (self.e.i64(3), self.e.i64(!3));
        let aligned = self.e.op2("arith.andi", address, high);
        let words = self.e.pure(at.ty, format!("llvm.inttoptr {aligned} : {wide} to {}", at.ty), &[aligned]);
        let word = self.gather_words(words, K::I32, mask);
        let byte = self.e.op2("arith.andi", address, low);
        let byte = self.e.conv("arith.trunci", byte, K::I32);
        let three = self.e.int(K::I32, 3);
        let shift = self.e.op2("arith.shli", byte, three);
        let x = self.e.op2("arith.shrui", word, shift);
        let x = self.e.conv("arith.trunci", x, k.int());
        if k.is_float() { self.e.bits(x, k) } else { x }
    }

    /// Reads one element if `cond` holds, else gives `other`.
    pub(super) fn read_guarded(&mut self, p: V, elem: Elem, cond: V, other: V) -> V {
        let safe = self.scratch;
        let q = self.e.select(cond, p, safe);
        let floor = self.floor;
        let x = self.e.read_elem(floor, q, elem, 0, None);
        self.e.select(cond, x, other)
    }

    /// Whether `0 <= i < dim`; a vector when the coordinate is one.
    pub(super) fn inside(&mut self, c: Coord, offset: Ix, dim: V) -> V {
        let pos = self.e.add(c.ix, offset);
        if !c.lane {
            let p = self.e.ix(pos);
            return self.e.cmpi("ult", p, dim);
        }
        // Positions fit i64; as the dims fit i32 a 32-bit unsigned comparison after clamping is exact.
        let w = self.w();
        let p = self.e.ix(pos);
        let left = self.e.op2("arith.subi", dim, p);
        let (lo, hi) = (self.e.i64(0), self.e.i64(w as i64));
        let n = self.e.op2("arith.maxsi", left, lo);
        let n = self.e.op2("arith.minsi", n, hi);
        let n = self.e.conv("arith.trunci", n, K::I32);
        let first = self.e.op2("arith.subi", lo, p);
        let first = self.e.op2("arith.maxsi", first, lo);
        let first = self.e.op2("arith.minsi", first, hi);
        let first = self.e.conv("arith.trunci", first, K::I32);
        let lanes = self.e.iota(K::I32, w);
        let below = self.e.cmpi("slt", lanes, n);
        let above = self.e.cmpi("sge", lanes, first);
        self.e.op2("arith.andi", below, above)
    }

    /// Conjunction of conditions.
    pub(super) fn all(&mut self, conds: &[V]) -> Option<V> {
        let mut it = conds.iter().copied();
        let first = it.next()?;
        Some(it.fold(first, |a, b| self.e.op2("arith.andi", a, b)))
    }

    /// Disjunction of conditions.
    pub(super) fn any(&mut self, conds: &[V]) -> Option<V> {
        let mut it = conds.iter().copied();
        let first = it.next()?;
        Some(it.fold(first, |a, b| self.e.op2("arith.ori", a, b)))
    }

    /// Offsets of a block access, in order of the view's axes.
    fn offsets(&mut self, op: &Op) -> Vec<Option<Ix>> {
        match op.kind {
            OpKind::LoadRows { .. } | OpKind::StoreRows { .. } => {
                vec![None, Some(self.index(op.operands[2]))]
            }
            _ => {
                let rank = self.views[&op.operands[0]].dims.len();
                (0..rank).map(|a| Some(self.index(op.operands[1 + a]))).collect()
            }
        }
    }

    /// Whether a block access stays inside its view along every axis with a block offset; `None` if nothing needs
    /// checking. Rows chosen by index are checked one by one.
    pub(super) fn full(&mut self, op: &Op) -> Option<V> {
        let tile = match op.kind {
            OpKind::Store { .. } | OpKind::StoreRows { .. } => op.operands[op.operands.len() - 1],
            _ => op.results[0],
        };
        let shape = self.f.shape(tile);
        let view = self.view(op.operands[0]);
        let mut conds = Vec::new();
        for (a, off) in self.offsets(op).into_iter().enumerate() {
            let Some(off) = off else { continue };
            if off.v.is_some() || off.c < 0 {
                let (o, zero) = (self.e.ix(off), self.e.i64(0));
                conds.push(self.e.cmpi("sge", o, zero));
            }
            let end = self.e.ix(off.plus(shape[a] as i64));
            conds.push(self.e.cmpi("sle", end, view.dims[a]));
        }
        self.all(&conds)
    }

    /// The row that a `load_rows` or `store_rows` chooses for a row of its tile. What it is read from may end within the tile, and no
    /// version of a nest checks that.
    pub(super) fn chosen_row(&mut self, op: &Op, row: Coord) -> V {
        let masked = std::mem::replace(&mut self.masked, true);
        let i = self.eval(op.operands[1], &[row]);
        self.masked = masked;
        self.e.conv("arith.extsi", i, K::I64)
    }

    /// The absolute coordinates of a block access, and the mask that keeps it inside (`None`: no check needed).
    fn place(&mut self, op: &Op, pt: &[Coord], shape: &[usize]) -> (View, Vec<Coord>, Option<V>) {
        let view = self.view(op.operands[0]);
        let (mut at, mut conds) = (Vec::new(), Vec::new());
        for (a, off) in self.offsets(op).into_iter().enumerate() {
            let c = pt[a];
            match off {
                Some(off) => {
                    let ix = self.e.add(c.ix, off);
                    at.push(Coord { ix, lane: c.lane });
                    if self.masked {
                        conds.push(self.inside(c, off, view.dims[a]));
                    }
                }
                None => {
                    let mut i = self.chosen_row(op, c);
                    if c.lane {
                        // One row for all lanes is not the first of consecutive rows.
                        let w = self.w();
                        i = self.e.splat(i, w);
                    }
                    conds.push(self.e.cmpi("ult", i, view.dims[a]));
                    at.push(Coord { ix: i.into(), lane: c.lane });
                }
            }
            // Lanes past the tile's own extent.
            if c.lane
                && c.ix.v.is_none()
                && let Some(m) = self.tail_mask(shape[a] as i64 - c.ix.c)
            {
                conds.push(m);
            }
        }
        let mask = self.all(&conds);
        (view, at, mask)
    }

    /// Reads a tile's element(s) through a `load` or `load_rows`.
    pub(super) fn load_point(&mut self, op: &Op, pt: &[Coord]) -> V {
        let (OpKind::Load { padding, .. } | OpKind::LoadRows { padding, .. }) = op.kind else {
            unreachable!("only loads are read")
        };
        let shape = self.f.shape(op.results[0]);
        let (view, at, mask) = self.place(op, pt, shape);
        let k = Emit::mem(view.elem);
        let pad = self.e.constant(view.elem, padding);
        let w = self.w();
        match at.iter().position(|c| c.lane) {
            None => {
                let p = self.address(view.ptr, k, &at, &view.strides);
                match mask {
                    Some(m) => self.read_guarded(p, view.elem, m, pad),
                    None => {
                        let floor = self.floor;
                        self.e.read_elem(floor, p, view.elem, 0, None)
                    }
                }
            }
            Some(a) if at[a].ix.v.is_some_and(|v| v.ty.is_vector()) => {
                // Rows chosen by index along the lanes: one address per lane.
                let mut offsets = self.e.int_like(Ty::vector(K::I64, w), 0);
                for (c, s) in at.iter().zip(&view.strides) {
                    let i = self.ix_lanes(*c, w);
                    offsets = self.add_scaled(offsets, i, *s);
                }
                let m = mask.unwrap_or_else(|| self.e.int_like(Ty::vector(K::I1, w), 1));
                self.gather_at(view.ptr, view.elem, offsets, m, Some(pad))
            }
            Some(a) if view.strides[a] == Stride::Known(1) => {
                let p = self.address(view.ptr, k, &at, &view.strides);
                let mask = mask.map(|m| {
                    let m = self.e.splat(m, w);
                    let o = self.e.splat(pad, w);
                    (m, o)
                });
                if mask.is_none()
                    && self.ahead.contains(&op.results[0])
                    && let Some(distance) = self.next_block(op)
                {
                    self.fetch_ahead(p, k, distance, pt[a].ix.c);
                }
                if let Some((v, distance, rows)) = self.ahead_by
                    && v == op.results[0]
                    && mask.is_none()
                    && pt.iter().all(|c| c.lane || c.ix.c % rows == 0)
                {
                    self.fetch_ahead(p, k, distance, pt[a].ix.c);
                }
                let floor = self.floor;
                self.e.read_elem(floor, p, view.elem, w, mask)
            }
            Some(a) => {
                let m = mask.unwrap_or_else(|| self.e.int_like(Ty::vector(K::I1, w), 1));
                let m = self.e.splat(m, w);
                self.gather_strided(view.ptr, view.elem, &at, &view.strides, a, m, Some(pad))
            }
        }
    }

    /// `sum + i * s`, lane by lane.
    pub(super) fn add_scaled(&mut self, sum: V, i: V, s: Stride) -> V {
        let s = match s {
            Stride::Known(s) => self.e.i64(s),
            Stride::Value(v) => v,
        };
        let t = self.e.op2("arith.muli", i, s);
        self.e.op2("arith.addi", sum, t)
    }

    /// Writes a tile's element(s) through a `store` or `store_rows`.
    pub(super) fn store_point(&mut self, op: &Op, pt: &[Coord], x: V) {
        self.says(op);
        let shape = self.f.shape(op.operands[op.operands.len() - 1]);
        if let Some(a) = pt.iter().position(|c| c.lane)
            && pt[a].ix.v.is_none()
            && shape[a] as i64 - pt[a].ix.c == 1
        {
            // LLVM 22 turns a truncating masked store of one known lane into a store of the wider type.
            let one = if x.ty.is_vector() { self.e.extract(x, 0) } else { x };
            let mut pt = pt.to_vec();
            pt[a].lane = false;
            return self.store_point(op, &pt, one);
        }
        let (view, at, mask) = self.place(op, pt, shape);
        let k = Emit::mem(view.elem);
        let w = self.w();
        match at.iter().position(|c| c.lane) {
            None => {
                let open = mask.map(|m| self.e.begin_if(m, &[]));
                let p = self.address(view.ptr, k, &at, &view.strides);
                self.e.write_elem(x, p, view.elem, None, false);
                if let Some(open) = open {
                    let mut open = open;
                    self.e.begin_else(&mut open, &[]);
                    self.e.end_if(open, &[]);
                    self.settle();
                }
            }
            Some(a)
                if view.strides[a] == Stride::Known(1) && !at[a].ix.v.is_some_and(|v| v.ty.is_vector()) =>
            {
                let x = self.e.splat(x, w);
                let p = self.address(view.ptr, k, &at, &view.strides);
                let mask = mask.map(|m| self.e.splat(m, w));
                let stream = mask.is_none() && self.streaming;
                self.e.write_elem(x, p, view.elem, mask, stream);
            }
            Some(_) => {
                let mut offsets = self.e.int_like(Ty::vector(K::I64, w), 0);
                for (c, s) in at.iter().zip(&view.strides) {
                    let i = self.ix_lanes(*c, w);
                    offsets = self.add_scaled(offsets, i, *s);
                }
                let m = mask.unwrap_or_else(|| self.e.int_like(Ty::vector(K::I1, w), 1));
                self.scatter_at(&view, offsets, m, x);
            }
        }
    }

    /// Writes one element per lane where `mask` holds.
    pub(super) fn scatter_at(&mut self, view: &View, offsets: V, mask: V, x: V) {
        let w = self.w();
        let (mask, x) = (self.e.splat(mask, w), self.e.splat(x, w));
        let k = Emit::mem(view.elem);
        let ptrs = Ty::vector(K::Ptr, w);
        let text = format!(
            "llvm.getelementptr {}[{offsets}] : (!llvm.ptr, {}) -> {ptrs}, {k}",
            view.ptr, offsets.ty
        );
        let at = self.e.pure(ptrs, text, &[view.ptr, offsets]);
        let m = self.e.to_mem(x, view.elem);
        self.e.line(format!(
            "llvm.intr.masked.scatter {m}, {at}, {mask} {{alignment = {} : i32}} : {}, {} into {ptrs}",
            k.bytes(),
            m.ty,
            mask.ty
        ));
    }

    /// Element offsets and validity of a gather, scatter or atomic at a point.
    pub(super) fn indexed(&mut self, op: &Op, pt: &[Coord]) -> (View, V, V) {
        let view = self.view(op.operands[0]);
        let rank = view.dims.len();
        let w = if pt.iter().any(|c| c.lane) { self.w() } else { 0 };
        let mut ok = self.eval(op.operands[1 + rank], pt);
        if let Some(a) = pt.iter().position(|c| c.lane)
            && pt[a].ix.v.is_none()
            && let Some(m) = self.tail_mask(self.f.shape(op.operands[1])[a] as i64 - pt[a].ix.c)
        {
            ok = self.e.op2("arith.andi", ok, m);
        }
        let mut offset = self.e.int_like(Ty { k: K::I64, lanes: w as u16 }, 0);
        for a in 0..rank {
            let i = self.eval(op.operands[1 + a], pt);
            let i = self.e.conv("arith.extsi", i, K::I64);
            let inside = self.e.cmpi("ult", i, view.dims[a]);
            ok = self.e.op2("arith.andi", ok, inside);
            offset = self.add_scaled(offset, i, view.strides[a]);
        }
        let (ok, offset) = (self.e.splat(ok, w), self.e.splat(offset, w));
        (view, offset, ok)
    }

    /// Reads the element(s) of a `gather`.
    pub(super) fn gather_point(&mut self, op: &Op, pt: &[Coord]) -> V {
        let (view, offset, ok) = self.indexed(op, pt);
        let other = self.eval(op.operands[op.operands.len() - 1], pt);
        if offset.ty.is_vector() {
            return self.gather_at(view.ptr, view.elem, offset, ok, Some(other));
        }
        let p = self.e.address(view.ptr, Emit::mem(view.elem), &[offset], 0);
        self.read_guarded(p, view.elem, ok, other)
    }

    /// Writes the element(s) of a `scatter`.
    pub(super) fn scatter_point(&mut self, op: &Op, pt: &[Coord], x: V) {
        let (view, offset, ok) = self.indexed(op, pt);
        if offset.ty.is_vector() {
            return self.scatter_at(&view, offset, ok, x);
        }
        let mut open = self.e.begin_if(ok, &[]);
        let p = self.e.address(view.ptr, Emit::mem(view.elem), &[offset], 0);
        self.e.write_elem(x, p, view.elem, None, false);
        self.e.begin_else(&mut open, &[]);
        self.e.end_if(open, &[]);
        self.settle();
    }
}
