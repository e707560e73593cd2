//! What the chips do better than the portable way, element-wise.
//!
//! | function | as | error, denormals |
//! | --- | --- | --- |
//! | `exp2` | `ex2.approx.ftz` | 2 ulp (PTX ISA, ex2); denormal arguments count as 0, denormal results become 0 |
//! | `exp` | the same of `x log2 e`, whose rounding error is put back as a factor | 3 ulp; as above |
//! | `rsqrt` | `rsqrt.approx` | 2^-22.9 (PTX ISA, rsqrt); denormals honoured |

use kcc_compiler::emit::{Emit, Hooks, K, V};
use kcc_dsl::ir::{Elem, UnaryOp};

/// The hooks of every chip from sm_80 on.
pub struct Instructions;

fn call(e: &mut Emit, name: &str, x: V) -> V {
    e.pure(x.ty, format!("llvm.call_intrinsic \"{name}\"({x}) : (f32) -> f32"), &[x])
}

impl Hooks for Instructions {
    fn unary(&self, e: &mut Emit, op: UnaryOp, _: Elem, x: V) -> Option<V> {
        match op {
            UnaryOp::Exp2 => Some(call(e, "llvm.nvvm.ex2.approx.ftz.f32", x)),
            UnaryOp::Exp => Some(e.exp_by(x, |e, t| call(e, "llvm.nvvm.ex2.approx.ftz.f32", t))),
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
        e.pack_by_conversion(elem, parts)
    }
}
