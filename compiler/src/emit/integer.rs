//! Integer and `bool` operations of two operands, with the guards that make every input defined.

use super::{Emit, K, V};
use kcc_dsl::ir::{BinaryOp, Const, Elem};

impl Emit {
    pub(super) fn int_binary(&mut self, op: BinaryOp, elem: Elem, a: V, b: V, b_const: Option<Const>) -> V {
        let signed = elem.is_signed();
        let known = match b_const {
            Some(Const::Int(i)) => Some(i),
            _ => None,
        };
        match op {
            BinaryOp::Add => self.op2("arith.addi", a, b),
            BinaryOp::Sub => self.op2("arith.subi", a, b),
            BinaryOp::Mul => self.op2("arith.muli", a, b),
            BinaryOp::And => self.op2("arith.andi", a, b),
            BinaryOp::Or => self.op2("arith.ori", a, b),
            BinaryOp::Xor => self.op2("arith.xori", a, b),
            BinaryOp::Min | BinaryOp::MinNan => {
                self.op2(if signed { "arith.minsi" } else { "arith.minui" }, a, b)
            }
            BinaryOp::Max | BinaryOp::MaxNan => {
                self.op2(if signed { "arith.maxsi" } else { "arith.maxui" }, a, b)
            }
            BinaryOp::Div => self.divide(signed, a, b, known),
            BinaryOp::Rem => self.remainder(signed, a, b, known),
            BinaryOp::Shl | BinaryOp::Shr => {
                let name = match (op, signed) {
                    (BinaryOp::Shl, _) => "arith.shli",
                    (_, true) => "arith.shrsi",
                    (_, false) => "arith.shrui",
                };
                self.shift(name, a, b, known)
            }
            BinaryOp::MulHi => self.mul_hi(signed, a, b),
        }
    }

    /// Shift amounts count modulo the width.
    fn shift(&mut self, name: &str, a: V, b: V, known: Option<i64>) -> V {
        let last = bit_width(a.ty.k) - 1;
        match known {
            Some(c) => self.int2(name, a, c & last),
            None => {
                let amount = self.int2("arith.andi", b, last);
                self.op2(name, a, amount)
            }
        }
    }

    fn divide(&mut self, signed: bool, a: V, b: V, known: Option<i64>) -> V {
        let name = if signed { "arith.divsi" } else { "arith.divui" };
        if known.is_some_and(|c| is_plain_divisor(a.ty.k, c)) {
            return self.op2(name, a, b);
        }
        let zero = self.int_like(a.ty, 0);
        let by_zero = self.cmpi("eq", b, zero);
        let divisor = self.safe_divisor(signed, b, by_zero);
        let mut quotient = self.quotient(signed, a, divisor);
        if signed {
            // The safe divisor turned -1 into 1.
            let negated = self.op2("arith.subi", zero, a);
            let ones = self.int_like(b.ty, -1);
            let by_minus_one = self.cmpi("eq", b, ones);
            quotient = self.select(by_minus_one, negated, quotient);
        }
        self.select(by_zero, zero, quotient)
    }

    fn remainder(&mut self, signed: bool, a: V, b: V, known: Option<i64>) -> V {
        if known.is_some_and(|c| is_plain_divisor(a.ty.k, c)) {
            return self.op2(if signed { "arith.remsi" } else { "arith.remui" }, a, b);
        }
        // Division by 1 leaves 0, which is what 0 and -1 must give.
        let zero = self.int_like(a.ty, 0);
        let by_zero = self.cmpi("eq", b, zero);
        let divisor = self.safe_divisor(signed, b, by_zero);
        if !a.ty.is_vector() || a.ty.k == K::I64 {
            return self.op2(if signed { "arith.remsi" } else { "arith.remui" }, a, divisor);
        }
        let quotient = self.quotient(signed, a, divisor);
        let whole = self.op2("arith.muli", quotient, divisor);
        self.op2("arith.subi", a, whole)
    }

    /// `b`, but 1 in place of 0 and (signed) of -1.
    fn safe_divisor(&mut self, signed: bool, b: V, by_zero: V) -> V {
        let one = self.int_like(b.ty, 1);
        let divisor = self.select(by_zero, one, b);
        if !signed {
            return divisor;
        }
        let ones = self.int_like(b.ty, -1);
        let by_minus_one = self.cmpi("eq", b, ones);
        self.select(by_minus_one, one, divisor)
    }

    /// Truncating quotient by a divisor that is neither 0 nor (signed) -1. There is no vector instruction for it;
    /// vectors go through a float type with more than twice the bits, whose rounded quotient cannot reach the next
    /// integer.
    fn quotient(&mut self, signed: bool, a: V, b: V) -> V {
        let float = match a.ty.k {
            K::I8 => K::F32,
            K::I16 | K::I32 => K::F64,
            _ => return self.op2(if signed { "arith.divsi" } else { "arith.divui" }, a, b),
        };
        if !a.ty.is_vector() {
            return self.op2(if signed { "arith.divsi" } else { "arith.divui" }, a, b);
        }
        let (to, from) =
            if signed { ("arith.sitofp", "arith.fptosi") } else { ("arith.uitofp", "arith.fptoui") };
        let (x, y) = (self.conv(to, a, float), self.conv(to, b, float));
        let q = self.op2("arith.divf", x, y);
        self.conv(from, q, a.ty.k)
    }

    /// High half of the double-width product.
    fn mul_hi(&mut self, signed: bool, a: V, b: V) -> V {
        let k = a.ty.k;
        let wide = match k {
            K::I8 => K::I16,
            K::I16 => K::I32,
            K::I32 => K::I64,
            K::I64 => return self.mul_hi_i64(a, b),
            _ => return self.int_like(a.ty, 0),
        };
        let extend = if signed { "arith.extsi" } else { "arith.extui" };
        let (x, y) = (self.conv(extend, a, wide), self.conv(extend, b, wide));
        let product = self.op2("arith.muli", x, y);
        let high = self.int2("arith.shrui", product, bit_width(k));
        self.conv("arith.trunci", high, k)
    }

    /// Signed, from four products of 32-bit halves; `a = a1 · 2^32 + a0` with `a0` unsigned.
    fn mul_hi_i64(&mut self, a: V, b: V) -> V {
        const LOW: i64 = 0xffff_ffff;
        let (a0, a1) = (self.int2("arith.andi", a, LOW), self.int2("arith.shrsi", a, 32));
        let (b0, b1) = (self.int2("arith.andi", b, LOW), self.int2("arith.shrsi", b, 32));
        let low = self.op2("arith.muli", a0, b0);
        let carry = self.int2("arith.shrui", low, 32);
        let cross = self.op2("arith.muli", a1, b0);
        let cross = self.op2("arith.addi", cross, carry);
        let cross_low = self.int2("arith.andi", cross, LOW);
        let cross_high = self.int2("arith.shrsi", cross, 32);
        let other = self.op2("arith.muli", a0, b1);
        let other = self.op2("arith.addi", other, cross_low);
        let other_high = self.int2("arith.shrsi", other, 32);
        let high = self.op2("arith.muli", a1, b1);
        let high = self.op2("arith.addi", high, cross_high);
        self.op2("arith.addi", high, other_high)
    }
}

fn bit_width(k: K) -> i64 {
    if k == K::I1 { 1 } else { 8 * k.bytes() as i64 }
}

/// Whether a constant, wrapped to kind `k`, is neither 0 nor -1.
fn is_plain_divisor(k: K, c: i64) -> bool {
    let low = if k == K::I64 { c } else { c << (64 - bit_width(k)) >> (64 - bit_width(k)) };
    low != 0 && low != -1
}
