//! Steps that read and write memory. Each program writes its own tiles only.

use super::bound::{Facts, Node, add, either};
use super::elementwise::has_arithmetic;
use super::generate::{Gen, loaded};
use crate::ir::{BinaryOp, Cache, Elem, OpKind, Ordering, Scope, TileType, ValueId};

impl Gen<'_> {
    /// Loads a block of a random input.
    pub fn load(&mut self) {
        let i = self.rng.below(self.inputs.len());
        let rank = 1 + self.rng.below(self.inputs[i].dims.len().min(3));
        let shape = self.shape(rank);
        self.load_from(i, &shape);
    }

    /// Loads a block of this shape from an input of at least its rank, which fixes leading axes.
    fn load_from(&mut self, i: usize, shape: &[usize]) -> Node {
        if shape.is_empty() {
            // A view has at least one axis.
            let x = self.load_from(i, &[1]);
            return self.moved(OpKind::Reshape, &x, &[]);
        }
        let (mut view, elem, dims) = (self.inputs[i].id, self.inputs[i].elem, self.inputs[i].dims.clone());
        let lead = dims.len() - shape.len();
        if lead > 0 {
            let index: Vec<ValueId> = dims[..lead].iter().map(|&d| self.offset(1, d)).collect();
            view = self.b.at(view, &index);
        }
        let origin: Vec<ValueId> =
            shape.iter().zip(&dims[lead..]).map(|(&n, &d)| self.offset(n, d)).collect();
        let padding = self.random_const(elem);
        let ty = TileType::new(elem, shape);
        let operands: Vec<ValueId> = [view].into_iter().chain(origin).collect();
        let cache = *self.rng.pick(&[Cache::Default, Cache::Default, Cache::Stream, Cache::Keep]);
        let id = self.emit(OpKind::Load { padding, cache }, &operands, &ty);
        self.input_value(id, ty)
    }

    fn input_value(&mut self, id: ValueId, ty: TileType) -> Node {
        let facts = loaded(ty.elem, self.profile);
        let node = Node { id, ty, mag: facts.mag, err: 0.0, frac: facts.frac, raw: true };
        self.pool.push(node.clone());
        node
    }

    /// Where a block of extent `n` starts along an axis of extent `dim`: a constant, or by program or loop.
    fn offset(&mut self, n: usize, dim: i64) -> ValueId {
        let constant = self.rng.range(-3.min(dim), dim.min(2 + n as i64)) as i32;
        let which = [self.pids.clone(), self.loops.clone()].concat();
        if which.is_empty() || self.rng.one_in(3) {
            return self.b.i32(constant);
        }
        let id = *self.rng.pick(&which);
        let n = self.b.i32(n as i32);
        let at = self.b.mul(id, n);
        if self.rng.one_in(2) {
            return at;
        }
        let constant = self.b.i32(constant);
        self.b.add(at, constant)
    }

    /// A new value of this type that no rounding has touched.
    pub fn fresh(&mut self, elem: Elem, shape: &[usize]) -> Node {
        let fits: Vec<usize> =
            (0..self.inputs.len()).filter(|&i| self.inputs[i].dims.len() >= shape.len()).collect();
        match self.rng.below(6) {
            0 if elem == Elem::I32 && shape.len() == 1 => {
                let id = self.b.arange(shape[0]);
                self.discrete(id, TileType::new(elem, shape))
            }
            0 | 1 => self.constant(elem, shape),
            _ if fits.is_empty() => self.constant(elem, shape),
            _ => {
                let i = *self.rng.pick(&fits);
                let x = self.load_from(i, shape);
                self.cast(&x, elem)
            }
        }
    }

    /// An index tile of this shape, from -2 to 29: inside or just outside of most axes.
    fn index(&mut self, shape: &[usize]) -> ValueId {
        let x = match self.find(|n| n.ty.elem == Elem::I32) {
            Some(x) => self.fit(&x, shape),
            None => self.fresh(Elem::I32, shape),
        };
        let mask = self.b.full(Elem::I32, shape, 31.0);
        let x = self.b.binary(BinaryOp::And, x.id, mask);
        let two = self.b.full(Elem::I32, shape, 2.0);
        self.b.sub(x, two)
    }

    fn mask(&mut self, shape: &[usize]) -> ValueId {
        match self.find(|n| n.ty.elem == Elem::Bool) {
            Some(m) if self.rng.one_in(2) => self.fit(&m, shape).id,
            _ => self.b.full(Elem::Bool, shape, 1.0),
        }
    }

    /// A gather, rows by index, or the extent of an axis.
    pub fn indexed_load(&mut self) {
        let i = self.rng.below(self.inputs.len());
        let (view, elem, rank) = (self.inputs[i].id, self.inputs[i].elem, self.inputs[i].dims.len());
        match self.rng.below(5) {
            0 => {
                let axis = self.rng.below(rank) as u8;
                let id = self.b.dim(view, axis);
                self.discrete(id, TileType::scalar(Elem::I32));
            }
            1 | 2 if rank == 2 => {
                let shape = self.shape(2);
                let rows = self.index(&shape[..1]);
                let col = self.offset(shape[1], self.inputs[i].dims[1]);
                let padding = self.random_const(elem);
                let ty = TileType::new(elem, &shape);
                let kind = OpKind::LoadRows { padding, cache: Cache::Default };
                let id = self.emit(kind, &[view, rows, col], &ty);
                self.input_value(id, ty);
            }
            _ => {
                let rank_of_tile = self.rng.below(3);
                let shape = self.shape(rank_of_tile);
                let index: Vec<ValueId> = (0..rank).map(|_| self.index(&shape)).collect();
                let mask = self.mask(&shape);
                let other = self.fresh(elem, &shape);
                let id = self.b.gather(view, &index, mask, other.id);
                let ty = TileType::new(elem, &shape);
                let input = Facts { ..loaded(elem, self.profile) };
                let there =
                    Node { id, ty: ty.clone(), mag: input.mag, err: 0.0, frac: input.frac, raw: true };
                self.float(id, ty, either(&there, &other));
            }
        }
    }

    /// An atomic whose outcome does not depend on the order of programs.
    pub fn count(&mut self) {
        let Some(view) = self.counts else { return };
        let shape = self.shape(1);
        let (index, mask) = (self.index(&shape), self.mask(&shape));
        let value = self.fresh(Elem::I32, &shape);
        let kind = OpKind::Atomic { op: self.count_op, ordering: Ordering::Relaxed, scope: Scope::Device };
        self.b.op(kind, &[view, index, mask, value.id]);
    }

    /// Writes every output.
    pub fn stores(&mut self) {
        for i in 0..self.outputs.len() {
            let ty = self.outputs[i].ty.clone();
            let value = self.combined(&ty);
            self.outputs[i].tolerance = value.err;
            self.store(i, value.id);
        }
    }

    fn store(&mut self, i: usize, value: ValueId) {
        let (view, shape, shift) =
            (self.outputs[i].id, self.outputs[i].ty.shape.clone(), self.outputs[i].shift.clone());
        let origin: Vec<ValueId> = (0..shape.len())
            .map(|a| {
                let s = self.b.i32(-shift[a] as i32);
                let Some(&pid) = self.pids.get(a) else { return s };
                let n = self.b.i32(shape[a] as i32);
                let at = self.b.mul(pid, n);
                self.b.add(at, s)
            })
            .collect();
        let by_index = self.profile.indexed && self.rng.one_in(4);
        match shape.len() {
            1 if by_index => {
                let (index, mask) = (self.backwards(origin[0], shape[0]), self.mask(&shape));
                self.b.scatter(view, &[index], mask, value);
            }
            2 if by_index => {
                let rows = self.backwards(origin[0], shape[0]);
                self.b.store_rows(view, rows, origin[1], value);
            }
            _ => self.b.store(view, &origin, value),
        }
    }

    /// `first + n - 1, …, first`
    fn backwards(&mut self, first: ValueId, n: usize) -> ValueId {
        let (i, last) = (self.b.arange(n), self.b.i32(n as i32 - 1));
        let last = self.b.add(first, last);
        let last = self.b.splat(last, &[n]);
        self.b.sub(last, i)
    }

    /// A value of this type in which those values of the pool meet that nothing else has used.
    fn combined(&mut self, ty: &TileType) -> Node {
        let float = ty.elem.is_float();
        let via = if float && !has_arithmetic(ty.elem) { Elem::F32 } else { ty.elem };
        let able = |n: &Node| float || n.exact();
        let mut parts: Vec<Node> =
            self.pool.iter().filter(|n| able(n) && !n.is_loose() && !self.b.is_used(n.id)).cloned().collect();
        parts.extend(self.find(able));
        while parts.len() > 10 {
            let i = self.rng.below(parts.len());
            parts.remove(i);
        }
        let mut acc: Option<Node> = None;
        for x in parts {
            let x = self.cast(&x, via);
            let x = self.fit(&x, &ty.shape);
            acc = Some(match acc {
                None => x,
                Some(a) if float => {
                    let (a, x) = (self.tame(&a, 1000.0), self.tame(&x, 1000.0));
                    let id = self.b.add(a.id, x.id);
                    self.float(id, a.ty.clone(), add(&a, &x).rounded(via, 0))
                }
                Some(a) => {
                    let id = self.b.binary(BinaryOp::Xor, a.id, x.id);
                    self.discrete(id, a.ty.clone())
                }
            });
        }
        let acc = match acc {
            Some(a) => a,
            None => self.fresh(via, &ty.shape),
        };
        self.cast(&acc, ty.elem)
    }
}
