//! Reductions: the neutral element, one step, and the fold of a vector into a scalar.
//!
//! Sums and products of narrow floats are carried in `f32`; round the final value once with [`Emit::round`].

use super::{Emit, K, Ty, V};
use kcc_dsl::ir::{Const, Elem, ReduceOp};

impl Emit {
    /// The neutral element, scalar and in register form.
    pub fn identity(&mut self, op: ReduceOp, elem: Elem) -> V {
        let bits = 8 * elem.bytes() as u32;
        let (least, largest) = match elem {
            _ if elem.is_signed() => (i64::MIN >> (64 - bits), i64::MAX >> (64 - bits)),
            // -1 wraps to the largest value.
            _ => (0, -1),
        };
        // A constant of an 8-bit float saturates, but f8e5m2 has infinities, and data may hold them.
        if elem == Elem::F8E5M2 && matches!(op, ReduceOp::Min | ReduceOp::Max) {
            return self.f32(if op == ReduceOp::Min { f32::INFINITY } else { f32::NEG_INFINITY });
        }
        let c = match op {
            ReduceOp::Min if elem.is_float() => Const::float(f32::INFINITY),
            ReduceOp::Max if elem.is_float() => Const::float(f32::NEG_INFINITY),
            ReduceOp::Min => Const::Int(largest),
            ReduceOp::Max => Const::Int(least),
            ReduceOp::Prod => Const::Int(1),
            ReduceOp::And => Const::Int(-1),
            ReduceOp::Sum | ReduceOp::Or | ReduceOp::Xor => Const::Int(0),
        };
        self.constant(elem, c)
    }

    /// One step of a reduction. For `Min` and `Max` the accumulator is never NaN (it starts at the identity), so one
    /// instruction that keeps the accumulator where `x` is NaN is enough.
    pub fn combine(&mut self, op: ReduceOp, elem: Elem, acc: V, x: V) -> V {
        let (acc, x) = self.unify(acc, x);
        let signed = elem.is_signed();
        let name = match op {
            ReduceOp::Sum if elem.is_float() => return self.fop2("arith.addf", acc, x),
            ReduceOp::Prod if elem.is_float() => return self.fop2("arith.mulf", acc, x),
            ReduceOp::Min | ReduceOp::Max if elem.is_float() => {
                if let Some(y) = self.hooks.min_max(self, op == ReduceOp::Max, acc, x) {
                    return y;
                }
                let better = self.cmpf(if op == ReduceOp::Max { "ogt" } else { "olt" }, x, acc);
                return self.select(better, x, acc);
            }
            ReduceOp::Sum => "arith.addi",
            ReduceOp::Prod => "arith.muli",
            ReduceOp::Min if signed => "arith.minsi",
            ReduceOp::Min => "arith.minui",
            ReduceOp::Max if signed => "arith.maxsi",
            ReduceOp::Max => "arith.maxui",
            ReduceOp::And => "arith.andi",
            ReduceOp::Or => "arith.ori",
            ReduceOp::Xor => "arith.xori",
        };
        self.op2(name, acc, x)
    }

    /// Folds the lanes of a vector into a scalar, halving each time (a scalar is returned as it is); the number
    /// of lanes is a power of two. No lane may be
    /// NaN for `Min` and `Max`: fold values that went through [`Emit::combine`].
    pub fn horizontal(&mut self, op: ReduceOp, elem: Elem, v: V) -> V {
        if v.ty.k == K::I1 && v.ty.is_vector() {
            // A vector of bits is a mask register: no shuffles.
            let name = match op {
                ReduceOp::And | ReduceOp::Prod | ReduceOp::Min => "and",
                ReduceOp::Or | ReduceOp::Max => "or",
                ReduceOp::Xor | ReduceOp::Sum => "xor",
            };
            let text = format!("vector.reduction <{name}>, {v} : {} into i1", v.ty);
            return self.pure(Ty::scalar(K::I1), text, &[v]);
        }
        let mut v = v;
        while v.ty.lanes > 1 {
            let half = v.ty.lanes as usize / 2;
            let (low, high) = (self.lanes(v, 0, half), self.lanes(v, half, half));
            v = self.combine(op, elem, low, high);
        }
        if v.ty.is_vector() { self.extract(v, 0) } else { v }
    }

    /// `count` lanes from lane `first` on.
    fn lanes(&mut self, v: V, first: usize, count: usize) -> V {
        let list: Vec<String> = (first..first + count).map(|i| i.to_string()).collect();
        let text = format!("vector.shuffle {v}, {v} [{}] : {}, {}", list.join(", "), v.ty, v.ty);
        self.pure(Ty::vector(v.ty.k, count), text, &[v])
    }
}
