//! `rsqrt`. (`sqrt`, `floor`, `ceil` and `round` are single instructions.)

use super::Emit;
use crate::emit::V;

impl Emit {
    /// `1 / √x`: two correctly rounded operations, right for 0, infinity, negative numbers and denormals.
    /// Error: 1.48 ulp.
    pub fn rsqrt(&mut self, x: V) -> V {
        let root = self.op1("math.sqrt", x);
        let one = self.f32_like(x.ty, 1.0);
        self.op2("arith.divf", one, root)
    }
}
