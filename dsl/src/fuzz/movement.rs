//! Steps that move elements, reduce, scan, sort, or multiply matrices; and fitting a value to a shape.

use super::bound::{Facts, Node, either, mul, sum};
use super::elementwise::has_arithmetic;
use super::generate::Gen;
use crate::ir::{BinaryOp, CmpOp, Elem, OpKind, ReduceOp, TileType, Type};

impl Gen<'_> {
    /// An operation that only moves elements.
    pub fn moved(&mut self, kind: OpKind, x: &Node, shape: &[usize]) -> Node {
        let ty = TileType::new(x.ty.elem, shape);
        let id = self.emit(kind, &[x.id], &ty);
        let node = Node { id, ty, ..x.clone() };
        self.pool.push(node.clone());
        node
    }

    /// The value in this shape: broadcast, reshaped, or cut and then broadcast; some of its elements always remain.
    pub fn fit(&mut self, x: &Node, shape: &[usize]) -> Node {
        let own = x.ty.shape.clone();
        if own == shape {
            return x.clone();
        }
        if let Some(axes) = broadcast_axes(&own, shape) {
            return self.moved(OpKind::Broadcast { axes }, x, shape);
        }
        if own.iter().product::<usize>() == shape.iter().product::<usize>() {
            return self.moved(OpKind::Reshape, x, shape);
        }
        // Axes are matched from the last: one that is too short, or has no partner, is cut to a single element.
        let spare = own.len().saturating_sub(shape.len());
        let lead = shape.len().saturating_sub(own.len());
        let cut: Vec<usize> = (0..own.len())
            .map(|a| match a.checked_sub(spare).and_then(|a| shape.get(a + lead)) {
                Some(&wanted) if own[a] >= wanted => wanted,
                _ => 1,
            })
            .collect();
        let offsets = own.iter().zip(&cut).map(|(n, c)| self.rng.below(n - c + 1)).collect();
        let x = self.moved(OpKind::Slice { offsets }, x, &cut);
        let x = if spare > 0 { self.moved(OpKind::Reshape, &x, &cut[spare..]) } else { x };
        self.fit(&x, shape)
    }

    /// Transpose, reshape, slice, concat, join or split.
    pub fn movement(&mut self) {
        let Some(x) = self.find(|n| !n.ty.shape.is_empty()) else { return self.load() };
        let shape = x.ty.shape.clone();
        let rank = shape.len();
        match self.rng.below(6) {
            0 if rank > 1 => {
                let mut perm: Vec<u8> = (0..rank as u8).collect();
                for i in (1..rank).rev() {
                    perm.swap(i, self.rng.below(i + 1));
                }
                let shape: Vec<usize> = perm.iter().map(|&p| shape[usize::from(p)]).collect();
                self.moved(OpKind::Transpose { perm }, &x, &shape);
            }
            1 => {
                let n: usize = shape.iter().product();
                let inner = *self.rng.pick(&shape);
                self.moved(OpKind::Reshape, &x, &[n / inner, inner]);
            }
            2 => {
                let cut: Vec<usize> = shape.iter().map(|&n| 1 + self.rng.below(n)).collect();
                let offsets = shape.iter().zip(&cut).map(|(n, c)| self.rng.below(n - c + 1)).collect();
                self.moved(OpKind::Slice { offsets }, &x, &cut);
            }
            3 if x.ty.len() <= 1024 => {
                let axis = self.rng.below(rank);
                let y = self.partner(&x);
                let id = self.b.concat(x.id, y.id, axis as u8);
                let mut ty = x.ty.clone();
                ty.shape[axis] *= 2;
                self.float(id, ty, either(&x, &y));
            }
            4 if rank < 3 && x.ty.len() <= 1024 => {
                let y = self.partner(&x);
                let mut ty = x.ty.clone();
                ty.shape.push(2);
                let id = self.emit(OpKind::Join, &[x.id, y.id], &ty);
                self.float(id, ty, either(&x, &y));
            }
            _ if shape.last() == Some(&2) => {
                let ty = TileType::new(x.ty.elem, &shape[..rank - 1]);
                for id in self.b.op(OpKind::Split, &[x.id]) {
                    let node = Node { id, ty: ty.clone(), ..x.clone() };
                    self.pool.push(node);
                }
            }
            _ => {
                let rank = rank + self.rng.below(4 - rank);
                let shape = self.shape(rank);
                self.fit(&x, &shape);
            }
        }
    }

    /// `reduce`, `arg_reduce` or `scan`.
    pub fn reduction(&mut self) {
        use ReduceOp::{And, Max, Min, Or, Prod, Sum, Xor};
        let able = |n: &Node| n.ty.rank() > 0 && (!n.ty.elem.is_float() || has_arithmetic(n.ty.elem));
        let Some(x) = self.find(able) else { return self.load() };
        let (elem, axis) = (x.ty.elem, self.rng.below(x.ty.rank()));
        let n = x.ty.shape[axis];
        let scan = self.rng.one_in(3) && elem != Elem::Bool;
        let op = match elem {
            Elem::Bool => *self.rng.pick(&[And, Or, Xor]),
            e if e.is_int() => *self.rng.pick(&[Sum, Prod, Min, Max, And, Or, Xor]),
            _ if n <= 3 && !scan => *self.rng.pick(&[Sum, Prod, Min, Max]),
            _ => *self.rng.pick(&[Sum, Sum, Min, Max]),
        };
        if self.rng.one_in(5) && x.exact() && elem != Elem::Bool {
            let mut ty = x.ty.with_elem(Elem::I32);
            ty.shape.remove(axis);
            let max = self.rng.one_in(2);
            let id = self.emit(OpKind::ArgReduce { axis: axis as u8, max }, &[x.id], &ty);
            self.discrete(id, ty);
            return;
        }
        let (x, facts) = self.folded(&x, op, n);
        let mut ty = x.ty.clone();
        let kind = match scan {
            true => OpKind::Scan { axis: axis as u8, op, reverse: self.rng.one_in(2) },
            false => {
                ty.shape.remove(axis);
                OpKind::Reduce { axis: axis as u8, op }
            }
        };
        let id = self.emit(kind, &[x.id], &ty);
        self.float(id, ty, facts);
    }

    /// The operand made small enough, and the facts of `n` of its elements folded together.
    fn folded(&mut self, x: &Node, op: ReduceOp, n: usize) -> (Node, Facts) {
        let elem = x.ty.elem;
        if !elem.is_float() {
            return (x.clone(), Facts { mag: 0.0, err: 0.0, frac: Some(0) });
        }
        match op {
            ReduceOp::Sum => {
                let x = self.tame(x, 16384.0 / n as f64);
                let facts = sum(either(&x, &x), n).rounded(elem, n);
                (x, facts)
            }
            ReduceOp::Prod => {
                let x = self.tame(x, 4.0);
                let (m, k) = (x.mag.max(1.0) + x.err, n as i32);
                let f = Facts {
                    mag: m.powi(k),
                    err: n as f64 * x.err * m.powi(k - 1),
                    frac: x.frac.map(|f| f * k),
                };
                (x, f.rounded(elem, n))
            }
            _ => (x.clone(), either(x, x)),
        }
    }

    /// `reduce_with` or `scan_with`: a sum, or the largest together with where it was.
    pub fn closure(&mut self) {
        let able = |n: &Node| {
            n.ty.rank() > 0 && n.ty.elem != Elem::Bool && (n.ty.elem.is_int() || has_arithmetic(n.ty.elem))
        };
        let Some(x) = self.find(able) else { return self.load() };
        let axis = self.rng.below(x.ty.rank());
        let n = x.ty.shape[axis];
        let scan = self.rng.one_in(2);
        let mut ty = x.ty.clone();
        if !scan {
            ty.shape.remove(axis);
        }
        let reverse = self.rng.one_in(2);
        if self.rng.one_in(2) && x.exact() {
            let where_ = self.fresh(Elem::I32, &x.ty.shape);
            let later = |b: &mut crate::ir::Builder, acc: &[crate::ir::ValueId], x: &[crate::ir::ValueId]| {
                // Associative, NaN or not: the right one wins where it is larger.
                let take = b.compare(CmpOp::Gt, x[0], acc[0]);
                vec![b.select(take, x[0], acc[0]), b.select(take, x[1], acc[1])]
            };
            if self.profile.specials && x.ty.elem.is_float() {
                return;
            }
            let tiles = [x.id, where_.id];
            let r = match scan {
                true => self.b.scan_with(axis as u8, reverse, &tiles, later),
                false => self.b.reduce_with(axis as u8, &tiles, later),
            };
            if let [value, place] = r[..] {
                self.float(value, ty.clone(), either(&x, &x));
                self.discrete(place, ty.with_elem(Elem::I32));
            }
            return;
        }
        let (x, mut facts) = self.folded(&x, ReduceOp::Sum, n);
        if x.ty.elem.is_float() && !(facts.err == 0.0 && facts.frac.is_some()) {
            // The closure's own type is the type it rounds in, at each of its steps.
            facts.err += n as f64 * super::bound::ulp(x.ty.elem, facts.mag);
        }
        let add = |b: &mut crate::ir::Builder, acc: &[crate::ir::ValueId], x: &[crate::ir::ValueId]| {
            vec![b.add(acc[0], x[0])]
        };
        let r = match scan {
            true => self.b.scan_with(axis as u8, reverse, &[x.id], add),
            false => self.b.reduce_with(axis as u8, &[x.id], add),
        };
        r.into_iter().for_each(|id| {
            self.float(id, ty.clone(), facts);
        });
    }

    /// `sort`, `top_k` or `histogram`.
    pub fn sorting(&mut self) {
        let able = |n: &Node| {
            n.ty.rank() > 0
                && n.exact()
                && n.ty.elem != Elem::Bool
                && (n.ty.elem.is_int() || has_arithmetic(n.ty.elem))
        };
        let Some(x) = self.find(able) else { return self.load() };
        if self.rng.one_in(3) {
            let x = self.cast(&x, Elem::I32);
            let n = x.ty.len();
            let flat = self.fit(&x, &[n]);
            let mask = self.b.full(Elem::I32, &[n], 15.0);
            let small = self.b.binary(BinaryOp::And, flat.id, mask);
            let bins = 1 + self.rng.below(17);
            let ty = TileType::new(Elem::I32, &[bins]);
            let id = self.emit(OpKind::Histogram { bins }, &[small], &ty);
            self.discrete(id, ty);
            return;
        }
        let mut ty = x.ty.clone();
        let kind = match (self.rng.one_in(2), ty.shape.last_mut()) {
            (true, Some(last)) => {
                let k = 1 + self.rng.below(*last);
                *last = k;
                OpKind::TopK { k }
            }
            _ => OpKind::Sort { descending: self.rng.one_in(2) },
        };
        let index = ty.with_elem(Elem::I32);
        let r = self.b.op_typed(kind, &[x.id], &[Type::Tile(ty.clone()), Type::Tile(index.clone())]);
        if let [value, place] = r[..] {
            self.float(value, ty, either(&x, &x));
            self.discrete(place, index);
        }
    }

    /// `dot`, batched once in four times.
    pub fn dot(&mut self) {
        let elem = match self.elem() {
            e if e.is_float() || e == Elem::I8 => e,
            _ => Elem::F32,
        };
        // Hardware for bf16 may take denormals as zero, which shows where they meet an infinity.
        if self.profile.specials && elem == Elem::BF16 {
            return;
        }
        let [m, k, n] = [0; 3].map(|_| self.shape(1)[0]);
        let batch: &[usize] = if self.rng.one_in(4) { &[2] } else { &[] };
        let shape = |x: usize, y: usize| [batch, &[x, y]].concat();
        let (sa, sb, sc) = (shape(m, k), shape(k, n), shape(m, n));
        if [&sa, &sb, &sc].iter().any(|s| s.iter().product::<usize>() > 2048) {
            return;
        }
        let (a, b) = (self.operand(elem, &sa), self.operand(elem, &sb));
        let out = if elem.is_float() { Elem::F32 } else { Elem::I32 };
        let acc = match self.find(|n| n.ty.elem == out) {
            Some(c) if self.rng.one_in(2) => self.fit(&c, &sc),
            _ => self.constant(out, &sc),
        };
        let acc = self.tame(&acc, 4096.0);
        let id = self.b.dot(a.id, b.id, acc.id);
        if !elem.is_float() {
            self.discrete(id, acc.ty.clone());
            return;
        }
        let products = sum(mul(&a, &b), k);
        let frac = products.frac.zip(acc.frac).map(|(x, y)| x.max(y));
        let f = Facts { mag: products.mag + acc.mag, err: products.err + acc.err, frac };
        self.float(id, acc.ty.clone(), f.rounded(Elem::F32, k));
    }

    fn operand(&mut self, elem: Elem, shape: &[usize]) -> Node {
        let x = match self.find(|n| n.ty.elem == elem) {
            Some(x) if self.rng.one_in(2) => self.fit(&x, shape),
            _ => self.fresh(elem, shape),
        };
        if has_arithmetic(elem) { self.tame(&x, 16.0) } else { x }
    }
}

/// Axes by which a shape broadcasts to a larger one, if it does.
fn broadcast_axes(own: &[usize], shape: &[usize]) -> Option<Vec<u8>> {
    let mut axes = Vec::new();
    let mut next = shape.len();
    // From the last axis backwards, as row vectors usually mean the last.
    for &n in own.iter().rev() {
        let axis = (0..next).rev().find(|&a| n == shape[a] || n == 1)?;
        axes.insert(0, axis as u8);
        next = axis;
    }
    Some(axes)
}
