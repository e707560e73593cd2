//! Element-wise steps, conversions, and making a value fit a type.

use super::bound::{Facts, Node, add, either, function, mul};
use super::generate::Gen;
use crate::ir::{BinaryOp, CmpOp, Const, Elem, OpKind, TileType, UnaryOp};

/// Whether the type has arithmetic here; 8-bit floats are only moved, converted and multiplied by `dot`.
pub(super) fn has_arithmetic(elem: Elem) -> bool {
    matches!(elem, Elem::F16 | Elem::BF16 | Elem::F32)
}

fn is_f8(elem: Elem) -> bool {
    matches!(elem, Elem::F8E4M3 | Elem::F8E5M2)
}

impl Gen<'_> {
    /// One element-wise operation on a value of the pool.
    pub fn elementwise(&mut self) {
        let Some(a) = self.find(|n| !is_f8(n.ty.elem) && !n.is_loose()) else { return self.load() };
        if self.rng.one_in(8) {
            let elem = self.elem();
            self.cast(&a, elem);
            return;
        }
        if self.rng.one_in(8) {
            self.select(&a);
            return;
        }
        match a.ty.elem {
            Elem::Bool => self.logic(&a),
            e if e.is_int() => self.integer(&a),
            _ => self.arithmetic(&a),
        }
    }

    /// Another value of the type of `a`, from the pool if one can be made to fit.
    pub fn partner(&mut self, a: &Node) -> Node {
        let (elem, id) = (a.ty.elem, a.id);
        match self.find(|n| n.ty.elem == elem && n.id != id) {
            Some(b) if !self.rng.one_in(5) => self.fit(&b, &a.ty.shape),
            _ => self.fresh(elem, &a.ty.shape),
        }
    }

    fn logic(&mut self, a: &Node) {
        let b = self.partner(a);
        let op = *self.rng.pick(&[BinaryOp::And, BinaryOp::Or, BinaryOp::Xor]);
        let id = match self.rng.below(4) {
            0 => self.b.unary(UnaryOp::Not, a.id),
            1 => self.b.compare(CmpOp::Ne, a.id, b.id),
            _ => self.b.binary(op, a.id, b.id),
        };
        self.discrete(id, a.ty.clone());
    }

    fn integer(&mut self, a: &Node) {
        use BinaryOp::{Add, And, Div, Max, Min, Mul, MulHi, Or, Rem, Shl, Shr, Sub, Xor};
        let b = self.partner(a);
        match self.rng.below(8) {
            0 => {
                let op = *self.rng.pick(&[UnaryOp::Neg, UnaryOp::Not, UnaryOp::Abs]);
                let id = self.b.unary(op, a.id);
                self.discrete(id, a.ty.clone());
            }
            1 => {
                let op = *self.rng.pick(CmpOp::ALL);
                let id = self.b.compare(op, a.id, b.id);
                self.discrete(id, a.ty.with_elem(Elem::Bool));
            }
            2 if matches!(a.ty.elem, Elem::I32 | Elem::U32) => {
                let to = if a.ty.elem == Elem::I32 { Elem::U32 } else { Elem::I32 };
                let id = self.b.bitcast(a.id, to);
                self.discrete(id, a.ty.with_elem(to));
            }
            _ => {
                let op = *self.rng.pick(&[Add, And, Div, Max, Min, Mul, MulHi, Or, Rem, Shl, Shr, Sub, Xor]);
                let id = self.b.binary(op, a.id, b.id);
                self.discrete(id, a.ty.clone());
            }
        }
    }

    fn arithmetic(&mut self, a: &Node) {
        let elem = a.ty.elem;
        let ty = a.ty.clone();
        let b = self.partner(a);
        let float = |g: &mut Self, id, f: Facts| {
            g.float(id, ty.clone(), f.rounded(elem, 0));
        };
        let exact = |g: &mut Self, id, f: Facts| {
            g.float(id, ty.clone(), f);
        };
        match self.rng.below(14) {
            0 | 1 => {
                let (a, b) = (self.tame(a, 1000.0), self.tame(&b, 1000.0));
                let subtract = self.rng.one_in(2);
                let id = if subtract { self.b.sub(a.id, b.id) } else { self.b.add(a.id, b.id) };
                float(self, id, add(&a, &b));
            }
            2 | 3 => {
                let (a, b) = (self.tame(a, 64.0), self.tame(&b, 64.0));
                let id = self.b.mul(a.id, b.id);
                float(self, id, mul(&a, &b));
            }
            4 => {
                let (a, b) = (self.tame(a, 64.0), self.tame(&b, 64.0));
                let c = self.partner(&a);
                let c = self.tame(&c, 1000.0);
                let id = self.b.fma(a.id, b.id, c.id);
                let product = mul(&a, &b);
                let frac = product.frac.zip(c.frac).map(|(x, y)| x.max(y));
                // Two roundings where there should be one are not forgiven by more than the one counted here.
                let f = Facts { mag: product.mag + c.mag, err: product.err + c.err, frac };
                float(self, id, f);
            }
            5 => {
                let (a, b) = (self.tame(a, 1000.0), self.away_from_zero(&b, 1.0));
                let id = self.b.div(a.id, b.id);
                float(self, id, Facts { mag: a.mag, err: a.err + a.mag * b.err, frac: None });
            }
            6 => {
                use BinaryOp::{Max, MaxNan, Min, MinNan};
                let op = *self.rng.pick(&[Max, MaxNan, Min, MinNan]);
                let id = self.b.binary(op, a.id, b.id);
                exact(self, id, either(a, &b));
            }
            7 => {
                let op = *self.rng.pick(&[UnaryOp::Neg, UnaryOp::Abs]);
                let id = self.b.unary(op, a.id);
                exact(self, id, either(a, a));
            }
            8 if a.exact() && b.exact() => {
                let op = *self.rng.pick(CmpOp::ALL);
                let id = self.b.compare(op, a.id, b.id);
                self.discrete(id, ty.with_elem(Elem::Bool));
            }
            9 if a.exact() => {
                let op = *self.rng.pick(&[UnaryOp::Floor, UnaryOp::Ceil, UnaryOp::Round]);
                let id = self.b.unary(op, a.id);
                exact(self, id, Facts { mag: a.mag + 1.0, err: 0.0, frac: Some(0) });
            }
            10 if elem == Elem::F32 && a.exact() && b.exact() => {
                let b = self.away_from_zero(&b, 1.0);
                if b.exact() {
                    let id = self.b.binary(BinaryOp::Rem, a.id, b.id);
                    let frac = a.frac.zip(b.frac).map(|(x, y)| x.max(y));
                    exact(self, id, Facts { mag: a.mag.min(b.mag), err: 0.0, frac });
                }
            }
            11 if elem == Elem::F32 && a.raw => {
                let id = self.b.bitcast(a.id, Elem::I32);
                self.discrete(id, ty.with_elem(Elem::I32));
            }
            _ if self.profile.functions => self.function(a),
            _ => {
                let id = self.b.unary(UnaryOp::Abs, a.id);
                exact(self, id, either(a, a));
            }
        }
    }

    fn function(&mut self, a: &Node) {
        use UnaryOp::{Cos, Erf, Exp, Exp2, Log, Log2, Rsqrt, Sin, Sqrt, Tanh};
        let op = *self.rng.pick(&[Exp, Exp2, Log, Log2, Sin, Cos, Tanh, Erf, Sqrt, Rsqrt]);
        let x = match op {
            Exp | Exp2 => self.tame(a, 4.0),
            Log | Log2 | Sqrt | Rsqrt => self.away_from_zero(a, 0.5),
            _ => self.tame(a, 16.0),
        };
        let id = self.b.unary(op, x.id);
        self.float(id, x.ty.clone(), function(op, &x));
    }

    fn select(&mut self, a: &Node) {
        let b = self.partner(a);
        let mask = match self.find(|n| n.ty.elem == Elem::Bool) {
            Some(m) => self.fit(&m, &a.ty.shape),
            None => self.fresh(Elem::Bool, &a.ty.shape),
        };
        let id = self.b.select(mask.id, a.id, b.id);
        self.float(id, a.ty.clone(), either(a, &b));
    }

    /// `|x| + c`, which is at least `c`.
    fn away_from_zero(&mut self, x: &Node, c: f32) -> Node {
        let x = self.tame(x, 64.0);
        let elem = x.ty.elem;
        let magnitude = self.b.unary(UnaryOp::Abs, x.id);
        let constant = self.b.full(elem, &x.ty.shape, c);
        let id = self.b.add(magnitude, constant);
        let facts = Facts { mag: x.mag + f64::from(c), err: x.err, frac: x.frac.map(|f| f.max(1)) };
        self.float(id, x.ty.clone(), facts.rounded(elem, 0))
    }

    /// The value itself if it is known to be at most `bound` in magnitude, else clamped to that (a power of two).
    pub fn tame(&mut self, x: &Node, bound: f64) -> Node {
        let bound = 2f64.powi(bound.log2().floor() as i32);
        if x.mag <= bound || !x.ty.elem.is_float() {
            return x.clone();
        }
        let shape = &x.ty.shape;
        let (lo, hi) =
            (self.b.full(x.ty.elem, shape, -bound as f32), self.b.full(x.ty.elem, shape, bound as f32));
        let id = self.b.binary(BinaryOp::Max, x.id, lo);
        let id = self.b.binary(BinaryOp::Min, id, hi);
        let frac = x.frac.map(|f| f.max(-(bound.log2() as i32)).max(0));
        self.float(id, x.ty.clone(), Facts { mag: bound, err: x.err, frac })
    }

    /// Converts a value; what cannot be converted without deciding on a rounded value is replaced by a fresh one.
    pub fn cast(&mut self, x: &Node, to: Elem) -> Node {
        let from = x.ty.elem;
        if from == to {
            return x.clone();
        }
        let ty = x.ty.with_elem(to);
        if from.is_float() && to.is_float() {
            let x = match to {
                Elem::F8E4M3 | Elem::F8E5M2 => self.tame(x, 256.0),
                Elem::F16 => self.tame(x, 4096.0),
                _ => x.clone(),
            };
            let id = self.b.cast(x.id, to);
            // An infinity becomes the largest finite value of an 8-bit float.
            let mag = match to {
                Elem::F8E4M3 if self.profile.specials => 448.0,
                Elem::F8E5M2 if self.profile.specials => 57344.0,
                _ => x.mag,
            };
            let facts = Facts { mag, err: x.err, frac: x.frac }.rounded(to, 0);
            // A conversion of equal values gives equal values, rounded or not.
            let err = if x.exact() { 0.0 } else { facts.err };
            return self.float(id, ty, Facts { err, ..facts });
        }
        if from.is_float() && !x.exact() {
            return self.fresh(to, &x.ty.shape);
        }
        if from.is_int() && to.is_float() {
            let mask = self.b.constant(from, &x.ty.shape, Const::Int(15));
            let small = self.b.binary(BinaryOp::And, x.id, mask);
            let id = self.b.cast(small, to);
            return self.float(id, ty, Facts { mag: 16.0, err: 0.0, frac: Some(0) });
        }
        let id = self.b.cast(x.id, to);
        if to.is_float() {
            return self.float(id, ty, Facts { mag: 1.0, err: 0.0, frac: Some(0) });
        }
        self.discrete(id, ty)
    }

    /// A tile of one random constant.
    pub fn constant(&mut self, elem: Elem, shape: &[usize]) -> Node {
        let ty = TileType::new(elem, shape);
        let c = self.random_const(elem);
        let id = self.emit(OpKind::Constant(c), &[], &ty);
        if elem.is_float() {
            return self.float(id, ty, Facts { mag: 4.0, err: 0.0, frac: Some(1) });
        }
        self.discrete(id, ty)
    }

    /// A constant; floats are halves up to 4 in magnitude, which every float type has.
    pub fn random_const(&mut self, elem: Elem) -> Const {
        match elem {
            Elem::Bool => Const::Bool(self.rng.one_in(2)),
            e if e.is_float() => Const::float(self.rng.range(-6, 6) as f32 / 2.0),
            _ => Const::Int(self.rng.int()),
        }
    }
}
