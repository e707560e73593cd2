//! Loads and stores of global memory: vectors as wide as layout and alignment allow, masked at the edges of the view.

use super::address::Along;
use super::buffer::{Descriptor, Reach, Term};
use super::shape::register_map;
use super::value::per_word;
use super::{Lower, Stride, Val, ViewVal};
use crate::emit::{Emit, K, Ty, V};
use crate::error::{Error, bug};
use crate::ktg::access::access;
use crate::ktg::{Func, Kind, Op};
use crate::layout::{Dim, Linear, Presence};
use crate::passes::gpu::assign_layouts::axis_of;
use kcc_dsl::ir::{Cache, Const, Elem, OpKind, ValueId};
use std::collections::HashSet;

/// Accesses of each parameter since the last barrier: threads must see each other's stores in order.
#[derive(Default)]
pub(super) struct Order {
    loaded: HashSet<usize>,
    stored: HashSet<usize>,
    /// Atomics, which need no order among themselves.
    atomic: HashSet<usize>,
}

/// Where a tile lies in a view.
struct Place {
    view: ViewVal,
    along: Vec<Along>,
    /// Row of each register, for row-wise accesses; stands for axis 0.
    rows: Option<Vec<V>>,
    /// Neighbours along the axis of stride 1 that one access takes.
    elements: u32,
    /// By axis: whether the offset is surely no less than 0.
    from_zero: Vec<bool>,
    descriptor: Option<Descriptor>,
}

impl Lower<'_> {
    pub(super) fn view_op(&mut self, kind: &OpKind, op: &Op) -> Result<(), Error> {
        let view = self.view(op.operands[0])?;
        if let OpKind::Dim(axis) = kind {
            let dim = view.dims.get(usize::from(*axis)).copied();
            let dim = dim.ok_or_else(|| bug("an axis that the view lacks"))?;
            self.set(op.results[0], Val::Regs(vec![dim]));
            return Ok(());
        }
        let mut inside: Option<V> = None;
        let mut indices = Vec::new();
        for (i, v) in op.operands[1..].iter().enumerate() {
            let index = self.scalar(*v)?;
            let index = self.target.settle(&mut self.e, index);
            let ok = self.e.cmpi("ult", index, view.dims[i]);
            inside = Some(self.both(inside, ok));
            indices.push(index);
        }
        let fixed = indices.len();
        let leading = ViewVal { strides: view.strides[..fixed].to_vec(), ..view.clone() };
        let base = self.view_address(&leading, &indices, 0);
        let zero = self.i32(0);
        let dims: Vec<V> = view.dims[fixed..]
            .iter()
            .map(|d| match inside {
                Some(ok) => self.e.select(ok, *d, zero),
                None => *d,
            })
            .collect();
        let mut inner = ViewVal { base, dims, strides: view.strides[fixed..].to_vec(), ..view };
        if inner.dims.is_empty() {
            // A single element: whether it exists is kept as an extent.
            let one = self.i32(1);
            let exists = inside.map_or(one, |ok| self.e.select(ok, one, zero));
            inner.dims = vec![exists];
        }
        self.set(op.results[0], Val::View(inner));
        Ok(())
    }

    pub(super) fn memory_op(&mut self, kind: &OpKind, op: &Op) -> Result<(), Error> {
        match kind {
            OpKind::Load { padding, cache } | OpKind::LoadRows { padding, cache } => {
                self.load(op, *padding, *cache)
            }
            OpKind::Store { cache } | OpKind::StoreRows { cache } => self.store(op, *cache),
            k => Err(bug(format!("`{}` is no load or store", k.name()))),
        }
    }

    /// Where the tile of a load or store lies.
    fn place(&mut self, op: &Op, tile: ValueId, layout: &Linear) -> Result<Place, Error> {
        let view = self.view(op.operands[0])?;
        let shape = self.shape_of(tile);
        let max = self.target.facts().max_access;
        let access = access(self.func, &self.views, &self.div, op, &shape, max);
        let row_wise = matches!(op.kind, Kind::Tile(OpKind::LoadRows { .. } | OpKind::StoreRows { .. }));
        let mut along = Vec::new();
        let mut from_zero = Vec::new();
        for axis in 0..shape.len() {
            let value = match (row_wise, axis) {
                (true, 0) => None,
                (true, _) => Some(op.operands[2]),
                (false, a) => Some(op.operands[1 + a]),
            };
            from_zero.push(value.is_some_and(|v| self.sign.holds(v)));
            let offset = value.map(|v| self.scalar(v)).transpose()?;
            along.push(self.along(layout, axis, offset)?);
        }
        let rows = if row_wise { Some(self.row_registers(op.operands[1], layout)?) } else { None };
        let elements = access.elements.min(layout.contiguous(access.axis));
        let descriptor = self.descriptor(&view);
        Ok(Place { view, along, rows, elements, from_zero, descriptor })
    }

    /// For each register of a tile, the entry of a list of rows.
    pub(super) fn row_registers(&mut self, rows: ValueId, layout: &Linear) -> Result<Vec<V>, Error> {
        let extent = self.shape_of(rows)[0];
        let regs = self.regs(rows)?;
        let have = self.layout(rows)?;
        // Registers of the tile, seen along axis 0.
        let seen = Linear::new(
            &[(extent as u32).next_power_of_two()],
            [Dim::Register, Dim::Lane, Dim::Warp]
                .map(|d| (d, layout.basis(d).iter().map(|v| [v[0], 0, 0]).collect::<Vec<_>>()))
                .iter()
                .map(|(d, b)| (*d, b.as_slice())),
        )
        .map_err(|e| bug(e.to_string()))?;
        let map = register_map(&have, &seen).ok_or_else(|| {
            let wanted = axis_of(layout, 0, extent).map(|l| l.to_string()).unwrap_or_default();
            bug(format!("rows in {have}, wanted {wanted}"))
        })?;
        Ok(map.iter().map(|r| regs[*r as usize]).collect())
    }

    /// Place and mask of the group of registers that starts at `r`; a descriptor's bounds need no mask.
    fn reach(&mut self, p: &Place, r: u32) -> (Reach, Option<V>) {
        if let Some(d) = &p.descriptor {
            let terms = self.terms(p, r);
            return (self.buffer_offset(d, p.view.elem.bytes(), &terms), None);
        }
        let mut mask = None;
        let mut coordinates = Vec::new();
        let mut constant = 0;
        for (axis, along) in p.along.iter().enumerate() {
            let c = match (&p.rows, axis) {
                (Some(rows), 0) => rows[r as usize],
                _ => self.coordinate(along, r),
            };
            let ok = self.e.cmpi("ult", c, p.view.dims[axis]);
            mask = Some(self.both(mask, ok));
            let unit = p.view.strides.get(axis) == Some(&Stride::One);
            match along.constant(r) {
                Some(k) if unit && !(p.rows.is_some() && axis == 0) => {
                    constant = k;
                    coordinates.push(along.first);
                }
                _ => coordinates.push(c),
            }
        }
        if p.along.is_empty() {
            let zero = self.i32(0);
            if let Some(exists) = p.view.dims.first() {
                mask = Some(self.e.cmpi("ne", *exists, zero));
            }
        }
        (Reach::Pointer(self.view_address(&p.view, &coordinates, constant)), mask)
    }

    /// The coordinates of the group of registers that starts at `r`.
    fn terms(&mut self, p: &Place, r: u32) -> Vec<Term> {
        let mut terms = Vec::new();
        for (axis, along) in p.along.iter().enumerate() {
            let dim = p.view.dims[axis];
            terms.push(match (&p.rows, axis) {
                (Some(rows), 0) => Term { own: rows[r as usize], offset: None, from_zero: false, dim },
                _ => {
                    let own = self.within_tile(along, r);
                    Term { own, offset: along.offset, from_zero: p.from_zero[axis], dim }
                }
            });
        }
        terms
    }

    /// Whether the group of registers that starts at `r` lies in the view, where that decides what a load gives.
    fn in_view(&mut self, p: &Place, r: u32) -> Option<V> {
        let mut mask = None;
        for t in self.terms(p, r) {
            let ok = self.within(&t);
            mask = Some(self.both(mask, ok));
        }
        mask
    }

    fn load(&mut self, op: &Op, padding: Const, cache: Cache) -> Result<(), Error> {
        let result = op.results[0];
        let elem = self.elem(result)?;
        let layout = self.layout_or_scalar(result);
        let p = self.place(op, result, &layout)?;
        self.order_load(p.view.param);
        let k = Emit::mem(elem);
        let n = p.elements as usize;
        let ty = Self::access_type(k, n);
        let words = ty.k == K::I32 && elem.bytes() < 4;
        let pad = self.e.constant(elem, padding);
        let (pad, zero_pad) = self.padding(elem, pad, padding, words);
        let coverage = layout.coverage(&self.shape_of(result).iter().map(|e| *e as u32).collect::<Vec<_>>());
        let mut out = Vec::new();
        for r in (0..layout.registers()).step_by(n) {
            let count = if words { n / per_word(elem) } else { n };
            if (r..r + p.elements).all(|r| coverage.register(r) == Presence::Never) {
                out.extend(std::iter::repeat_n(pad, count));
                continue;
            }
            let (from, mask) = self.reach(&p, r);
            let pads = if zero_pad || p.descriptor.is_none() { mask } else { self.in_view(&p, r) };
            let raw = self.read(from, ty, mask, cache);
            let parts: Vec<V> = if ty.is_vector() {
                (0..ty.lanes as usize).map(|i| self.e.extract(raw, i)).collect()
            } else if n * k.bytes() == 2 && k.bytes() == 1 {
                let pair = Ty::vector(k, 2);
                let pair = self.e.pure(pair, format!("llvm.bitcast {raw} : i16 to {pair}"), &[raw]);
                vec![self.e.extract(pair, 0), self.e.extract(pair, 1)]
            } else {
                vec![raw]
            };
            for part in parts {
                let v = if words { part } else { self.e.from_mem(part, elem) };
                out.push(match pads {
                    Some(m) if !zero_pad => self.e.select(m, v, pad),
                    _ => v,
                });
            }
        }
        self.set(result, if words { Val::Words(out) } else { Val::Regs(out) });
        Ok(())
    }

    /// The padding as a register or word, and whether its bits are zero.
    fn padding(&mut self, elem: Elem, pad: V, constant: Const, words: bool) -> (V, bool) {
        let zero = match constant {
            Const::Float(bits) => bits == 0,
            Const::Int(i) => i == 0,
            Const::Bool(b) => !b,
        };
        if words {
            if zero {
                return (self.i32(0), true);
            }
            return (self.pack(elem, &vec![pad; per_word(elem)]), false);
        }
        (pad, zero)
    }

    fn store(&mut self, op: &Op, cache: Cache) -> Result<(), Error> {
        let value = op.operands[op.operands.len() - 1];
        let elem = self.elem(value)?;
        let layout = self.layout_or_scalar(value);
        let p = self.place(op, value, &layout)?;
        self.order_store(p.view.param);
        let k = Emit::mem(elem);
        let n = p.elements as usize;
        let ty = Self::access_type(k, n);
        let words = if ty.k == K::I32 && elem.bytes() < 4 { self.words(value)? } else { None };
        let regs = if words.is_some() { Vec::new() } else { self.regs(value)? };
        let ranked = !self.shape_of(value).is_empty();
        let owner = self.owner(ranked.then_some(&*layout));
        let redundant = layout.redundant(Dim::Register);
        let shape = self.shape_of(value);
        let coverage = layout.coverage(&shape.iter().map(|e| *e as u32).collect::<Vec<_>>());
        for r in (0..layout.registers()).step_by(n) {
            if r & redundant != 0 || coverage.register(r) == Presence::Never {
                continue;
            }
            let (to, mut mask) = self.reach(&p, r);
            if let Some(inside) = self.inside_tile(&layout, &shape, r)? {
                mask = Some(self.both(mask, inside));
            }
            if let Some(owner) = owner {
                mask = Some(self.both(mask, owner));
            }
            let raw = match &words {
                Some(words) => {
                    let first = r as usize / per_word(elem);
                    let own = &words[first..first + n / per_word(elem)];
                    if own.len() == 1 { own[0] } else { self.e.vector(own) }
                }
                None => {
                    let own: Vec<V> =
                        (r as usize..r as usize + n).map(|i| self.e.to_mem(regs[i], elem)).collect();
                    match own.len() {
                        1 => own[0],
                        2 if ty.k == K::I16 && k == K::I8 => {
                            let pair = self.e.vector(&own);
                            let text = format!("llvm.bitcast {pair} : {} to i16", pair.ty);
                            self.e.pure(Ty::scalar(K::I16), text, &[pair])
                        }
                        _ => self.e.vector(&own),
                    }
                }
            };
            self.write(to, raw, mask, cache);
        }
        Ok(())
    }

    /// The layout of a tile; of a scalar, that of one element which all hold.
    pub(super) fn layout_or_scalar(&self, v: ValueId) -> crate::ktg::Layout {
        self.func.ty(v).layout().cloned().unwrap_or_else(|| std::sync::Arc::new(scalar_layout()))
    }

    pub(super) fn order_load(&mut self, param: usize) {
        if self.order.stored.contains(&param) || self.order.atomic.contains(&param) {
            self.sync();
        }
        if is_mutable(self.func, param) {
            self.order.loaded.insert(param);
        }
    }

    pub(super) fn order_store(&mut self, param: usize) {
        let order = &self.order;
        if [&order.stored, &order.loaded, &order.atomic].iter().any(|set| set.contains(&param)) {
            self.sync();
        }
        self.order.stored.insert(param);
    }

    pub(super) fn order_atomic(&mut self, param: usize) {
        if self.order.stored.contains(&param) || self.order.loaded.contains(&param) {
            self.sync();
        }
        self.order.atomic.insert(param);
    }

    /// Waits for all threads that run this code.
    pub fn sync(&mut self) {
        let (id, threads) = self.group;
        self.target.block_barrier(&mut self.e, id, threads);
        self.order.loaded.clear();
        self.order.stored.clear();
        self.order.atomic.clear();
        self.scratch.synced();
    }

    /// What the body of a loop did in its last round counts as done before the next one.
    pub(super) fn enter_loop(&mut self, op: &Op) {
        let mut stores = Vec::new();
        let mut loads = HashSet::new();
        let mut atomics = HashSet::new();
        for r in &op.regions {
            r.walk(&mut |o| {
                let Some(param) = o.operands.first().and_then(|v| self.views.get(*v)).map(|f| f.param) else {
                    return;
                };
                match &o.kind {
                    Kind::Tile(OpKind::Atomic { .. } | OpKind::AtomicCas { .. }) => {
                        atomics.insert(param);
                    }
                    Kind::Tile(k) if k.has_side_effect() => stores.push((param, o.clone())),
                    Kind::Tile(k) if k.reads_memory() => {
                        loads.insert(param);
                    }
                    _ => {}
                }
            });
        }
        for param in &atomics {
            if loads.contains(param) {
                self.order.loaded.insert(*param);
            }
        }
        self.order.atomic.extend(atomics);
        for (param, store) in &stores {
            let alone = stores.iter().filter(|(p, _)| p == param).count() == 1;
            if loads.contains(param) {
                self.order.loaded.insert(*param);
            }
            if loads.contains(param) || !alone || !steps_over(self.func, op, store) {
                self.order.stored.insert(*param);
            }
        }
    }
}

/// Whether a store of a loop's body writes elsewhere in every round: one of its offsets is the loop's own index, which
/// steps over the tile's extent.
fn steps_over(func: &Func, op: &Op, store: &Op) -> bool {
    let (Kind::Tile(OpKind::For { .. }), Kind::Tile(OpKind::Store { .. })) = (&op.kind, &store.kind) else {
        return false;
    };
    let iv = op.regions[0].args[0];
    let mut step = None;
    func.walk(&mut |o| {
        if let Kind::Tile(OpKind::Constant(Const::Int(c))) = o.kind
            && o.results[0] == op.operands[2]
        {
            step = Some(c);
        }
    });
    let tile = store.operands[store.operands.len() - 1];
    let shape = func.ty(tile).tile().map(|t| t.shape.clone()).unwrap_or_default();
    let offsets = &store.operands[1..store.operands.len() - 1];
    step.is_some_and(|s| offsets.iter().zip(&shape).any(|(o, e)| *o == iv && s >= *e as i64))
}

fn is_mutable(func: &Func, param: usize) -> bool {
    matches!(func.params.get(param).map(|p| p.kind), Some(kcc_dsl::ir::ParamKind::View { mutable: true, .. }))
}

/// One element, in every lane and warp.
fn scalar_layout() -> Linear {
    "shape=scalar".parse().unwrap_or_else(|_| unreachable!("a layout without axes exists"))
}
