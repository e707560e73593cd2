//! The vector instructions of a chip, as the lowering and the writer ask for them.

use kcc_compiler::emit::{Emit, Hooks, K, Portable, Ty, V};
use kcc_dsl::ir::Elem;

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
    /// AMX with bf16 (`tdpbf16ps`).
    pub amx: bool,
}

impl Isa {
    /// What the writer may use.
    pub fn hooks(self) -> &'static dyn Hooks {
        match (self.avx512, self.bf16) {
            (true, true) => &Avx512 { bf16: true },
            (true, false) => &Avx512 { bf16: false },
            _ => &Portable,
        }
    }
}

/// Instructions on whole AVX-512 registers.
struct Avx512 {
    /// Whether `vcvtneps2bf16` exists.
    bf16: bool,
}

/// The class of denormal numbers in the mask of `vfpclassps`.
const DENORMAL: i64 = 0x20;

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

    /// `vcvtneps2bf16` rounds as [`Emit::round`] does, except that it takes denormal numbers for zero: a vector that
    /// holds one goes the portable way.
    fn round(&self, e: &mut Emit, elem: Elem, v: V) -> Option<V> {
        if !self.bf16 || elem != Elem::BF16 || v.ty.lanes != 16 {
            return None;
        }
        let (class, zero) = (e.int(K::I32, DENORMAL), e.int(K::I16, 0));
        let ints = v.ty.with(K::I32);
        let (one, half) = (e.int_like(ints, 1), e.int_like(ints, 0x7fff));
        let (sixteen, quiet) = (e.int_like(ints, 16), e.int_like(ints, 0x0040_0000));
        let found = e.pure(
            v.ty.with(K::I1),
            format!(
                "llvm.call_intrinsic \"llvm.x86.avx512.fpclass.ps.512\"({v}, {class}) : ({}, i32) -> {}",
                v.ty,
                v.ty.with(K::I1)
            ),
            &[v],
        );
        let found = e.pure(
            Ty::vector(K::I16, 1),
            format!("vector.bitcast {found} : vector<16xi1> to vector<1xi16>"),
            &[found],
        );
        let found = e.extract(found, 0);
        let any = e.cmpi("ne", found, zero);
        let text = format!(
            "scf.if {any} -> (vector<16xi16>) {{\n\
             %bits = arith.bitcast {v} : {float} to {ints}\n\
             %high = arith.shrui %bits, {sixteen} : {ints}\n\
             %odd = arith.andi %high, {one} : {ints}\n\
             %biased = arith.addi %bits, {half} : {ints}\n\
             %rounded = arith.addi %biased, %odd : {ints}\n\
             %quiet = arith.ori %bits, {quiet} : {ints}\n\
             %nan = arith.cmpf uno, {v}, {v} : {float}\n\
             %chosen = arith.select %nan, %quiet, %rounded : vector<16xi1>, {ints}\n\
             %kept = arith.shrui %chosen, {sixteen} : {ints}\n\
             %low = arith.trunci %kept : {ints} to vector<16xi16>\n\
             scf.yield %low : vector<16xi16>\n\
             }} else {{\n\
             %narrow = llvm.call_intrinsic \"llvm.x86.avx512bf16.cvtneps2bf16.512\"({v}) : ({float}) -> vector<16xbf16>\n\
             %low = arith.bitcast %narrow : vector<16xbf16> to vector<16xi16>\n\
             scf.yield %low : vector<16xi16>\n\
             }}",
            float = v.ty,
        );
        let low = e.pure(v.ty.with(K::I16), text, &[v, any]);
        Some(e.from_mem(low, Elem::BF16))
    }
}
