//! Two 16-bit values in one 32-bit lane, and what reading and writing them needs.

use super::{Emit, K, Ty, V};

impl Emit {
    /// Reinterprets a vector's bits with other lanes.
    pub fn relane(&mut self, v: V, k: K, lanes: usize) -> V {
        let ty = Ty::vector(k, lanes);
        if v.ty == ty {
            return v;
        }
        self.pure(ty, format!("vector.bitcast {v} : {} to {ty}", v.ty), &[v])
    }

    /// Integers extended to a wider kind.
    pub fn widen_int(&mut self, v: V, signed: bool, k: K) -> V {
        if v.ty.k == k {
            return v;
        }
        self.conv(if signed { "arith.extsi" } else { "arith.extui" }, v, k)
    }

    /// Two 16-bit values per 32-bit lane: `a` low, `b` (or zero) high. bf16 comes as f32 that bf16 represents.
    pub fn pair(&mut self, bf16: bool, signed: bool, a: V, b: Option<V>) -> V {
        let ty = a.ty.with(K::I32);
        let sixteen = self.int_like(ty, 16);
        if bf16 {
            let a = self.bits(a, K::I32);
            let low = self.op2("arith.shrui", a, sixteen);
            let Some(b) = b else { return low };
            let b = self.bits(b, K::I32);
            let mask = self.int_like(ty, -65536);
            let high = self.op2("arith.andi", b, mask);
            return self.op2("arith.ori", low, high);
        }
        let a = self.widen_int(a, signed, K::I32);
        let mask = self.int_like(ty, 65535);
        let low = self.op2("arith.andi", a, mask);
        let Some(b) = b else { return low };
        let b = self.widen_int(b, signed, K::I32);
        let high = self.op2("arith.shli", b, sixteen);
        self.op2("arith.ori", low, high)
    }

    /// Reads a value with less than its natural alignment.
    pub fn load_unaligned(&mut self, floor: u16, p: V, ty: Ty, align: usize) -> V {
        self.reading(
            floor,
            ty,
            format!("llvm.load {p} {{alignment = {align} : i64}} : !llvm.ptr -> {ty}"),
            &[p],
        )
    }
}
