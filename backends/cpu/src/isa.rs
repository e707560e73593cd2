//! The vector instructions of a chip, as the lowering and the writer ask for them.

use kcc_compiler::emit::{Emit, Hooks, K, Portable, V};

/// What a chip can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Isa {
    /// f32 lanes of a register block vector: 16 (AVX-512) or 8 (AVX2).
    pub lanes: usize,
    /// AVX-512 F, BW, DQ, VL, CD.
    pub avx512: bool,
    /// AVX-512-BF16 (`vdpbf16ps`).
    pub bf16: bool,
    /// AVX-512-VNNI.
    pub vnni: bool,
}

impl Isa {
    /// What the writer may use.
    pub fn hooks(self) -> &'static dyn Hooks {
        if self.avx512 { &Avx512 } else { &Portable }
    }
}

/// Instructions on whole AVX-512 registers.
struct Avx512;

impl Hooks for Avx512 {
    /// `vreduceps`.
    fn fraction(&self, e: &mut Emit, x: V) -> Option<V> {
        if x.ty.lanes != 16 {
            return None;
        }
        let (floor, all, mode) = (e.int(K::I32, 9), e.int(K::I16, -1), e.int(K::I32, 4));
        let ty = x.ty;
        let text = format!(
            "llvm.call_intrinsic \"llvm.x86.avx512.mask.reduce.ps.512\"({x}, {floor}, {x}, {all}, {mode}) : \
             ({ty}, i32, {ty}, i16, i32) -> {ty}"
        );
        Some(e.pure(ty, text, &[x]))
    }

    /// `vscalefps`.
    fn scale(&self, e: &mut Emit, p: V, n: V) -> Option<V> {
        if p.ty.lanes != 16 {
            return None;
        }
        let (all, mode) = (e.int(K::I16, -1), e.int(K::I32, 4));
        let ty = p.ty;
        let text = format!(
            "llvm.call_intrinsic \"llvm.x86.avx512.mask.scalef.ps.512\"({p}, {n}, {p}, {all}, {mode}) : \
             ({ty}, {ty}, {ty}, i16, i32) -> {ty}"
        );
        Some(e.pure(ty, text, &[p, n]))
    }
}
