//! Two 16-bit values in one 32-bit lane, and what reading and writing them needs.

use super::{Emit, K, Ty, V};
use kcc_dsl::ir::Elem;

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
            let Some(b) = b else {
                let a = self.bits(a, K::I32);
                return self.op2("arith.shrui", a, sixteen);
            };
            return self.interleave(a, b);
        }
        let a = self.widen_int(a, signed, K::I32);
        let mask = self.int_like(ty, 65535);
        let low = self.op2("arith.andi", a, mask);
        let Some(b) = b else { return low };
        let b = self.widen_int(b, signed, K::I32);
        let high = self.op2("arith.shli", b, sixteen);
        self.op2("arith.ori", low, high)
    }

    /// The upper halves of `a` and `b` in turns: where both were just read from memory, one shuffle of what was read.
    fn interleave(&mut self, a: V, b: V) -> V {
        let (ty, lanes) = (a.ty.with(K::I32), a.ty.lanes as usize);
        let (a, b) = (self.to_mem(a, Elem::BF16), self.to_mem(b, Elem::BF16));
        if lanes == 0 {
            let (a, b) = (self.widen_int(a, false, K::I32), self.widen_int(b, false, K::I32));
            let high = self.int2("arith.shli", b, 16);
            return self.op2("arith.ori", a, high);
        }
        let both = Ty::vector(K::I16, 2 * lanes);
        let turns: Vec<String> = (0..2 * lanes).map(|i| (i / 2 + i % 2 * lanes).to_string()).collect();
        let text = format!("vector.shuffle {a}, {b} [{}] : {}, {}", turns.join(", "), a.ty, b.ty);
        let both = self.pure(both, text, &[a, b]);
        self.relane(both, ty.k, lanes)
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
