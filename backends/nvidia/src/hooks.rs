//! What the chips do better than the portable way, element-wise.
//!
//! | function | as | error, denormals |
//! | --- | --- | --- |
//! | `exp2` | `ex2.approx.ftz` | 2 ulp (PTX ISA, ex2); denormal arguments count as 0, denormal results become 0 |
//! | `exp` | the same of `x log2 e`, whose rounding error is put back as a factor | 3 ulp; as above |
//! | `rsqrt` | `rsqrt.approx` | 2^-22.9 (PTX ISA, rsqrt); denormals honoured |

use kcc_compiler::emit::{Emit, Hooks, K, Ty, V};
use kcc_dsl::ir::{Elem, UnaryOp};

/// The hooks of every chip from sm_80 on.
pub struct Instructions;

/// `log2 e` as the sum of two `f32`.
const LOG2_E: f32 = std::f32::consts::LOG2_E;
const LOG2_E_LOW: f32 = 1.925_963_e-8;

fn call(e: &mut Emit, name: &str, x: V) -> V {
    e.pure(x.ty, format!("llvm.call_intrinsic \"{name}\"({x}) : (f32) -> f32"), &[x])
}

impl Instructions {
    fn exp(&self, e: &mut Emit, x: V) -> V {
        // Beyond these the result is infinity or 0 already; NaN passes.
        let (least, most) = (e.f32(-126.0), e.f32(89.0));
        let x = e.op2("arith.maximumf", x, least);
        let x = e.op2("arith.minimumf", x, most);
        let (high, low) = (e.f32(LOG2_E), e.f32(LOG2_E_LOW));
        let t = e.op2("arith.mulf", x, high);
        let negated = e.op1("arith.negf", t);
        let lost = e.fma(x, high, negated);
        let lost = e.fma(x, low, lost);
        let y = call(e, "llvm.nvvm.ex2.approx.ftz.f32", t);
        // 2^lost = 1 + lost ln 2, as lost is below 2^-17.
        let ln2 = e.f32(std::f32::consts::LN_2);
        let factor = e.op2("arith.mulf", lost, ln2);
        e.fma(y, factor, y)
    }
}

impl Hooks for Instructions {
    fn unary(&self, e: &mut Emit, op: UnaryOp, _: Elem, x: V) -> Option<V> {
        match op {
            UnaryOp::Exp2 => Some(call(e, "llvm.nvvm.ex2.approx.ftz.f32", x)),
            UnaryOp::Exp => Some(self.exp(e, x)),
            UnaryOp::Rsqrt => Some(call(e, "llvm.nvvm.rsqrt.approx.f", x)),
            _ => None,
        }
    }

    /// `cvt.rn.bf16.f32`.
    fn round(&self, e: &mut Emit, elem: Elem, v: V) -> Option<V> {
        if elem != Elem::BF16 {
            return None;
        }
        let narrow = e.conv("arith.truncf", v, K::BF16);
        Some(e.conv("arith.extf", narrow, K::F32))
    }

    /// `min.f32`, `max.f32`: IEEE 754-2019 minimumNumber and maximumNumber (PTX ISA, min and max: +0 exceeds -0).
    fn min_max(&self, e: &mut Emit, max: bool, a: V, b: V) -> Option<V> {
        let name = if max { "llvm.nvvm.fmax.f" } else { "llvm.nvvm.fmin.f" };
        Some(e.pure(a.ty, format!("llvm.call_intrinsic \"{name}\"({a}, {b}) : (f32, f32) -> f32"), &[a, b]))
    }

    /// `cvt.rn.f16x2.f32`, `cvt.rn.bf16x2.f32`.
    fn pack(&self, e: &mut Emit, elem: Elem, parts: &[V]) -> Option<V> {
        let k = match elem {
            Elem::F16 => K::F16,
            Elem::BF16 => K::BF16,
            _ => return None,
        };
        let wide = e.vector(parts);
        let narrow = e.conv("arith.truncf", wide, k);
        Some(e.pure(Ty::scalar(K::I32), format!("llvm.bitcast {narrow} : {} to i32", narrow.ty), &[narrow]))
    }
}
