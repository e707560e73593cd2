//! Loops and branches. A float that a loop carries grows by addition only, so that its bound is known; integers may
//! do anything.

use super::bound::{Facts, Node, add, either};
use super::elementwise::has_arithmetic;
use super::generate::Gen;
use crate::ir::{BinaryOp, Builder, CmpOp, Elem, TileType, ValueId};

/// Most iterations of a loop.
const TRIPS: usize = 5;

impl Gen<'_> {
    /// Runs `f` on this generator while a closure of the builder holds the builder.
    fn inside<R>(&mut self, b: &mut Builder, f: impl FnOnce(&mut Self) -> R) -> R {
        std::mem::swap(&mut self.b, b);
        let r = f(self);
        std::mem::swap(&mut self.b, b);
        r
    }

    /// Takes the builder out, for a call of its own that takes closures.
    fn take(&mut self) -> Builder {
        std::mem::replace(&mut self.b, Builder::new("placeholder"))
    }

    /// A `for`, a `while` or an `if`.
    pub fn control(&mut self, depth: usize) {
        match self.rng.below(5) {
            0 | 1 => self.for_loop(depth),
            2 => self.while_loop(depth),
            _ => self.branch(depth),
        }
    }

    fn carried(&mut self) -> Vec<Node> {
        let n = 1 + self.rng.below(3);
        (0..n)
            .map(|_| {
                let elem = match self.elem() {
                    e if e.is_float() && !has_arithmetic(e) => Elem::F32,
                    e => e,
                };
                let rank = self.rng.below(3);
                let shape = self.shape(rank);
                match self.find(|n| n.ty.elem == elem && !n.is_loose()) {
                    Some(x) if self.rng.one_in(2) => {
                        let x = self.fit(&x, &shape);
                        self.tame(&x, 1000.0)
                    }
                    _ => self.fresh(elem, &shape),
                }
            })
            .collect()
    }

    fn for_loop(&mut self, depth: usize) {
        let init = self.carried();
        let (lo, step) = (self.rng.range(-2, 2) as i32, self.rng.range(1, 3) as i32);
        let hi = match self.rng.below(3) {
            0 => {
                let lo = self.b.i32(lo);
                let step = self.b.i32(step);
                let n = self.b.mul(self.trips, step);
                self.b.add(lo, n)
            }
            _ => {
                let n = self.rng.range(0, TRIPS as i64) as i32;
                self.b.i32(lo + n * step - i32::from(n > 0 && self.rng.one_in(3)) * (step - 1))
            }
        };
        let range = [self.b.i32(lo), hi, self.b.i32(step)];
        let ids: Vec<ValueId> = init.iter().map(|n| n.id).collect();
        let mut facts = Vec::new();
        let mut b = self.take();
        let results = b.for_(range, &ids, |b, iv, carried| {
            self.inside(b, |g| g.body(&init, carried, iv, depth, &mut facts))
        });
        self.b = b;
        self.results(&results, &init, &facts);
    }

    fn while_loop(&mut self, depth: usize) {
        let init = self.carried();
        let zero = self.b.i32(0);
        let limit = match self.rng.one_in(2) {
            true => self.trips,
            false => {
                let n = self.rng.range(0, TRIPS as i64) as i32;
                self.b.i32(n)
            }
        };
        let ids: Vec<ValueId> = [zero].into_iter().chain(init.iter().map(|n| n.id)).collect();
        let mut facts = Vec::new();
        let mut b = self.take();
        let results = b.while_(
            &ids,
            |b, c| (b.compare(CmpOp::Lt, c[0], limit), c.to_vec()),
            |b, c| {
                self.inside(b, |g| {
                    let mut yields = g.body(&init, &c[1..], c[0], depth, &mut facts);
                    let one = g.b.i32(1);
                    yields.insert(0, g.b.add(c[0], one));
                    yields
                })
            },
        );
        self.b = b;
        if let Some(&count) = results.first() {
            self.discrete(count, TileType::scalar(Elem::I32));
            self.results(&results[1..], &init, &facts);
        }
    }

    /// One iteration: the next carried values, and what they are after at most [`TRIPS`] of them.
    fn body(
        &mut self,
        init: &[Node],
        carried: &[ValueId],
        iv: ValueId,
        depth: usize,
        facts: &mut Vec<Facts>,
    ) -> Vec<ValueId> {
        let before = self.pool.len();
        self.loops.push(iv);
        self.discrete(iv, TileType::scalar(Elem::I32));
        for (n, &id) in init.iter().zip(carried).filter(|(n, _)| !n.ty.elem.is_float()) {
            self.discrete(id, n.ty.clone());
        }
        let steps = 1 + self.rng.below(4);
        self.steps(steps, depth + 1);
        let next = init.iter().zip(carried).map(|(n, &id)| self.update(n, id, facts)).collect();
        self.loops.pop();
        self.pool.truncate(before);
        next
    }

    fn update(&mut self, init: &Node, id: ValueId, facts: &mut Vec<Facts>) -> ValueId {
        let elem = init.ty.elem;
        let x = self.partner(init);
        if !elem.is_float() {
            facts.push(either(init, init));
            let op = match elem {
                Elem::Bool => BinaryOp::Xor,
                _ => *self.rng.pick(&[
                    BinaryOp::Add,
                    BinaryOp::Mul,
                    BinaryOp::Xor,
                    BinaryOp::Max,
                    BinaryOp::Sub,
                ]),
            };
            return self.b.binary(op, id, x.id);
        }
        if self.rng.one_in(3) {
            facts.push(either(init, &x));
            return self.b.binary(BinaryOp::Max, id, x.id);
        }
        let x = self.tame(&x, 1000.0);
        // After n of them: init + n x, each sum rounded to the type.
        let all = Node { mag: TRIPS as f64 * x.mag, err: TRIPS as f64 * x.err, ..x.clone() };
        let mut f = add(init, &all).rounded(elem, 0);
        if f.err > 0.0 {
            f.err += TRIPS as f64 * super::bound::ulp(elem, f.mag);
        }
        facts.push(f);
        self.b.add(id, x.id)
    }

    fn results(&mut self, ids: &[ValueId], init: &[Node], facts: &[Facts]) {
        for ((&id, n), &f) in ids.iter().zip(init).zip(facts) {
            self.float(id, n.ty.clone(), f);
        }
    }

    fn branch(&mut self, depth: usize) {
        let condition = self.condition();
        let wanted = self.carried();
        let mut sides: Vec<Vec<Node>> = Vec::new();
        let mut b = self.take();
        let sides_of = std::cell::RefCell::new((self, &mut sides));
        let side = |b: &mut Builder| {
            let (g, sides) = &mut *sides_of.borrow_mut();
            g.inside(b, |g| {
                let before = g.pool.len();
                let steps = 1 + g.rng.below(3);
                g.steps(steps, depth + 1);
                let values: Vec<Node> = wanted.iter().map(|n| g.partner(n)).collect();
                g.pool.truncate(before);
                let ids = values.iter().map(|n| n.id).collect();
                sides.push(values);
                ids
            })
        };
        let results = b.if_(condition, side, side);
        let (g, _) = sides_of.into_inner();
        g.b = b;
        if let [then, otherwise] = &sides[..] {
            let facts: Vec<Facts> = then.iter().zip(otherwise).map(|(a, b)| either(a, b)).collect();
            g.results(&results, &wanted, &facts);
        }
    }

    /// A scalar truth value that differs between programs, iterations or launches.
    fn condition(&mut self) -> ValueId {
        if let Some(c) = self.find(|n| n.ty == TileType::scalar(Elem::Bool)) {
            return c.id;
        }
        let x = self.find(|n| n.ty == TileType::scalar(Elem::I32)).map_or(self.trips, |n| n.id);
        let limit = self.rng.range(-1, 3) as i32;
        let limit = self.b.i32(limit);
        let op = *self.rng.pick(CmpOp::ALL);
        self.b.compare(op, x, limit)
    }
}
