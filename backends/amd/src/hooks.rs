//! What the chips do better than the portable way, element-wise.
//!
//! `exp2` is `v_exp_f32`: 1 ulp (ISA guides), denormal arguments count as 0 and denormal results become 0.

use kcc_compiler::emit::{Emit, Hooks, V};
use kcc_dsl::ir::{Elem, UnaryOp};

/// The hooks of a chip.
pub(crate) struct Functions {
    /// Two `f32` become bf16 by one instruction. Without it the conversion takes several, and what is a bf16 already is
    /// packed without.
    pub packs_bf16: bool,
}

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

    /// `v_min_f32`, `v_max_f32`: outside of the mode of IEEE 754-2008 any NaN loses, and -0 is less than +0 (ISA guides).
    fn min_max(&self, e: &mut Emit, max: bool, a: V, b: V) -> Option<V> {
        Some(e.extremum(max, a, b))
    }

    fn pack(&self, e: &mut Emit, elem: Elem, parts: &[V]) -> Option<V> {
        if elem == Elem::BF16 && !self.packs_bf16 { None } else { e.pack_by_conversion(elem, parts) }
    }
}
