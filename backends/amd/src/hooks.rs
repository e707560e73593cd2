//! What the chips do better than the portable way, element-wise.
//!
//! `exp2` is `v_exp_f32`: 1 ulp (ISA guides), denormal arguments count as 0 and denormal results become 0.

use kcc_compiler::emit::{Emit, Hooks, V};
use kcc_dsl::ir::{Elem, UnaryOp};

/// The hooks of every chip.
pub(crate) struct Functions;

fn power_of_two(e: &mut Emit, x: V) -> V {
    e.pure(x.ty, format!("rocdl.exp2 {x} f32 -> f32"), &[x])
}

impl Hooks for Functions {
    fn unary(&self, e: &mut Emit, op: UnaryOp, _: Elem, x: V) -> Option<V> {
        match op {
            UnaryOp::Exp2 => Some(power_of_two(e, x)),
            UnaryOp::Exp => Some(e.exp_by(x, power_of_two)),
            _ => None,
        }
    }

    fn pack(&self, e: &mut Emit, elem: Elem, parts: &[V]) -> Option<V> {
        e.pack_by_conversion(elem, parts)
    }
}
