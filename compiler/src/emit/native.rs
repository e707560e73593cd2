//! Element-wise functions from what several targets have as instructions: a power of two, conversions to 16-bit floats.

use super::{Emit, K, Ty, V};
use kcc_dsl::ir::Elem;

/// `log2 e` as the sum of two `f32`.
const LOG2_E: f32 = std::f32::consts::LOG2_E;
const LOG2_E_LOW: f32 = 1.925_963_e-8;

impl Emit {
    /// `e^x` of `f32` from the target's power of two, whose results below `2^-126` may be 0: 3 ulp if `exp2` has 2.
    pub fn exp_by(&mut self, x: V, exp2: impl FnOnce(&mut Emit, V) -> V) -> V {
        // Beyond these the result is infinity or 0 already; NaN passes.
        let (least, most) = (self.f32(-126.0), self.f32(89.0));
        let x = self.op2("arith.maximumf", x, least);
        let x = self.op2("arith.minimumf", x, most);
        let (high, low) = (self.f32(LOG2_E), self.f32(LOG2_E_LOW));
        let t = self.op2("arith.mulf", x, high);
        let negated = self.op1("arith.negf", t);
        let lost = self.fma(x, high, negated);
        let lost = self.fma(x, low, lost);
        let y = exp2(self, t);
        // 2^lost = 1 + lost ln 2, as lost is below 2^-17.
        let ln2 = self.f32(std::f32::consts::LN_2);
        let factor = self.op2("arith.mulf", lost, ln2);
        self.fma(y, factor, y)
    }

    /// 16-bit floats packed by the target's conversion of vectors; `None` for other elements.
    pub fn pack_by_conversion(&mut self, elem: Elem, parts: &[V]) -> Option<V> {
        let k = match elem {
            Elem::F16 => K::F16,
            Elem::BF16 => K::BF16,
            _ => return None,
        };
        let wide = self.vector(parts);
        let narrow = self.conv("arith.truncf", wide, k);
        let text = format!("llvm.bitcast {narrow} : {} to i32", narrow.ty);
        Some(self.pure(Ty::scalar(K::I32), text, &[narrow]))
    }
}
