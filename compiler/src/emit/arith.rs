//! Element-wise operations of one, two and three operands.

use super::{Emit, K, V};
use kcc_dsl::ir::{BinaryOp, CmpOp, Const, Elem, UnaryOp};

impl Emit {
    /// An operation of one operand, by the rules of [`UnaryOp`].
    pub fn unary(&mut self, op: UnaryOp, elem: Elem, x: V) -> V {
        if !elem.is_float() {
            return self.int_unary(op, elem, x);
        }
        if let Some(y) = self.hooks.unary(self, op, elem, x) {
            return self.round(elem, y);
        }
        let short = !matches!(elem, Elem::F32 | Elem::F16);
        let y = match op {
            UnaryOp::Not => return x,
            // A value of a narrow type stays one under these.
            UnaryOp::Neg => return self.op1("arith.negf", x),
            UnaryOp::Abs => return self.op1("math.absf", x),
            UnaryOp::Floor => return self.op1("math.floor", x),
            UnaryOp::Ceil => return self.op1("math.ceil", x),
            UnaryOp::Round => return self.op1("math.roundeven", x),
            UnaryOp::Exp => self.exp(x),
            UnaryOp::Exp2 if short => self.exp2_fast(x),
            UnaryOp::Exp2 => self.exp2(x),
            UnaryOp::Log => self.log(x),
            UnaryOp::Log2 => self.log2(x),
            UnaryOp::Sin => self.sin(x),
            UnaryOp::Cos => self.cos(x),
            UnaryOp::Tanh => self.tanh(x),
            UnaryOp::Erf => self.erf(x),
            UnaryOp::Sqrt => self.op1("math.sqrt", x),
            UnaryOp::Rsqrt => self.rsqrt(x),
        };
        self.round(elem, y)
    }

    fn int_unary(&mut self, op: UnaryOp, elem: Elem, x: V) -> V {
        match op {
            UnaryOp::Not => self.int2("arith.xori", x, -1),
            UnaryOp::Neg => {
                let zero = self.int_like(x.ty, 0);
                self.op2("arith.subi", zero, x)
            }
            UnaryOp::Abs if elem.is_signed() => {
                let zero = self.int_like(x.ty, 0);
                let negated = self.op2("arith.subi", zero, x);
                self.op2("arith.maxsi", x, negated)
            }
            _ => x,
        }
    }

    /// An operation of two operands, by the rules of [`BinaryOp`]. `b_const` is the value of `b` where that is
    /// known; guards that it makes needless are left out.
    pub fn binary(&mut self, op: BinaryOp, elem: Elem, a: V, b: V, b_const: Option<Const>) -> V {
        let (a, b) = self.unify(a, b);
        if !elem.is_float() {
            return self.int_binary(op, elem, a, b, b_const);
        }
        let y = match op {
            BinaryOp::Add => self.float2("arith.addf", elem, a, b),
            BinaryOp::Sub => self.float2("arith.subf", elem, a, b),
            BinaryOp::Mul => self.float2("arith.mulf", elem, a, b),
            BinaryOp::Div => self.op2("arith.divf", a, b),
            BinaryOp::Rem => self.fmod(a, b),
            BinaryOp::Min | BinaryOp::Max => {
                return self.float_min_max(op == BinaryOp::Max, elem, a, b, b_const);
            }
            BinaryOp::MinNan => return self.op2("arith.minimumf", a, b),
            BinaryOp::MaxNan => return self.op2("arith.maximumf", a, b),
            BinaryOp::And
            | BinaryOp::Or
            | BinaryOp::Xor
            | BinaryOp::Shl
            | BinaryOp::Shr
            | BinaryOp::MulHi => return a,
        };
        self.round(elem, y)
    }

    /// Only `f32` may be contracted: a narrow product is rounded before the sum.
    fn float2(&mut self, name: &str, elem: Elem, a: V, b: V) -> V {
        if elem == Elem::F32 { self.fop2(name, a, b) } else { self.op2(name, a, b) }
    }

    /// minimumNumber and maximumNumber. With a constant that is not NaN one comparison decides: where it fails, by
    /// NaN or by a tie of zeros, the constant is the answer.
    fn float_min_max(&mut self, max: bool, elem: Elem, a: V, b: V, b_const: Option<Const>) -> V {
        if let Some(y) = self.hooks.min_max(self, max, a, b) {
            return y;
        }
        let known = b_const.and_then(Const::as_f32).map(|c| super::round::round_to(elem, c));
        if let Some(c) = known.filter(|c| !c.is_nan()) {
            // max(-0, +0) = +0 and min(+0, -0) = -0: on a tie of zeros take the constant if it is the one that
            // wins, else the other operand.
            let constant_wins_tie = c.is_sign_positive() == max;
            let predicate = match (max, c == 0.0 && !constant_wins_tie) {
                (true, false) => "ogt",
                (true, true) => "oge",
                (false, false) => "olt",
                (false, true) => "ole",
            };
            let chosen = self.cmpf(predicate, a, b);
            return self.select(chosen, a, b);
        }
        self.extremum(max, a, b)
    }

    /// minimumNumber or maximumNumber as LLVM's intrinsic.
    pub fn extremum(&mut self, max: bool, a: V, b: V) -> V {
        self.intrinsic2(if max { "llvm.maximumnum" } else { "llvm.minimumnum" }, a, b)
    }

    /// An LLVM intrinsic overloaded on its one operand and result type.
    fn intrinsic2(&mut self, name: &str, a: V, b: V) -> V {
        let ty = a.ty;
        self.pure(ty, format!("llvm.call_intrinsic \"{name}\"({a}, {b}) : ({ty}, {ty}) -> {ty}"), &[a, b])
    }

    /// A comparison, by the rules of [`CmpOp`]; the result is `i1`.
    pub fn compare(&mut self, op: CmpOp, elem: Elem, a: V, b: V) -> V {
        if elem.is_float() {
            let predicate = match op {
                CmpOp::Lt => "olt",
                CmpOp::Le => "ole",
                CmpOp::Gt => "ogt",
                CmpOp::Ge => "oge",
                CmpOp::Eq => "oeq",
                CmpOp::Ne => "une",
            };
            return self.cmpf(predicate, a, b);
        }
        let predicate = match (op, elem.is_signed()) {
            (CmpOp::Eq, _) => "eq",
            (CmpOp::Ne, _) => "ne",
            (CmpOp::Lt, true) => "slt",
            (CmpOp::Le, true) => "sle",
            (CmpOp::Gt, true) => "sgt",
            (CmpOp::Ge, true) => "sge",
            (CmpOp::Lt, false) => "ult",
            (CmpOp::Le, false) => "ule",
            (CmpOp::Gt, false) => "ugt",
            (CmpOp::Ge, false) => "uge",
        };
        self.cmpi(predicate, a, b)
    }

    /// `a * b + c`; floats with one rounding, integers wrap.
    pub fn fma_elem(&mut self, elem: Elem, a: V, b: V, c: V) -> V {
        if elem == Elem::F32 {
            return self.fma(a, b, c);
        }
        if elem.is_float() {
            return self.fma_narrow(elem, a, b, c);
        }
        let product = self.op2("arith.muli", a, b);
        self.op2("arith.addi", product, c)
    }

    /// The product of two narrow floats is exact in `f64`. So is the sum, as far as it matters, except in `bf16`,
    /// whose exponents lie far apart: there what the addition lost (Knuth's TwoSum) makes the sum odd.
    fn fma_narrow(&mut self, elem: Elem, a: V, b: V, c: V) -> V {
        let (a, b) = self.unify(a, b);
        let (a, b) = (self.conv("arith.extf", a, K::F64), self.conv("arith.extf", b, K::F64));
        let product = self.op2("arith.mulf", a, b);
        let c = self.conv("arith.extf", c, K::F64);
        let (product, c) = self.unify(product, c);
        let mut sum = self.op2("arith.addf", product, c);
        if elem == Elem::BF16 {
            let c_part = self.op2("arith.subf", sum, product);
            let product_part = self.op2("arith.subf", sum, c_part);
            let c_lost = self.op2("arith.subf", c, c_part);
            let product_lost = self.op2("arith.subf", product, product_part);
            let lost = self.op2("arith.addf", c_lost, product_lost);
            sum = self.make_odd(sum, lost);
        }
        self.round_wide(elem, sum)
    }
}
