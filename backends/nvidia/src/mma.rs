//! Matrix products of one warp: the shapes of `mma.sync`, which lane holds what, and their text.
//!
//! Every shape here is 16 rows by 8 columns by 32 bytes of `k`, and differs only in how many elements a 32-bit word holds
//! (`e`). Lane `4·g + t` holds, word by word:
//!
//! ```text
//! a   word 0: row g, k e·t…     word 1: row g+8     word 2: row g, k e·t+4e…     word 3: row g+8, k e·t+4e…
//! b   word 0: k e·t…, col g     word 1: k e·t+4e…, col g
//! c   0: row g, col 2t     1: row g, col 2t+1     2: row g+8, col 2t     3: row g+8, col 2t+1
//! ```

use crate::asm::Asm;
use kcc_compiler::emit::{Emit, K, Ty, V};
use kcc_compiler::gpu::{MmaKind, MmaRow};
use kcc_compiler::layout::{Coord, Dim, LayoutError, Linear};
use kcc_dsl::ir::Elem;
use std::sync::Arc;

/// One shape of `mma.sync`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mma {
    /// Element type of `a`; `F32` stands for its tf32 form.
    pub a: Elem,
    /// Element type of `b`.
    pub b: Elem,
    /// Element type of the accumulator.
    pub acc: Elem,
    /// Elements along `k`.
    pub k: u32,
    /// Compute capability times ten from which it exists.
    pub since: u32,
}

const fn row(a: Elem, b: Elem, acc: Elem, k: u32, since: u32) -> Mma {
    Mma { a, b, acc, k, since }
}

/// PTX ISA, "Matrix multiply-accumulate operation using mma instruction": m16n8k8 tf32, m16n8k16 f16 and bf16, m16n8k32 s8,
/// m16n8k32 e4m3 and e5m2.
pub const TABLE: &[Mma] = &[
    row(Elem::F16, Elem::F16, Elem::F32, 16, 80),
    row(Elem::BF16, Elem::BF16, Elem::F32, 16, 80),
    row(Elem::F32, Elem::F32, Elem::F32, 8, 80),
    row(Elem::I8, Elem::I8, Elem::I32, 32, 80),
    row(Elem::F8E4M3, Elem::F8E4M3, Elem::F32, 32, 89),
    row(Elem::F8E4M3, Elem::F8E5M2, Elem::F32, 32, 89),
    row(Elem::F8E5M2, Elem::F8E4M3, Elem::F32, 32, 89),
    row(Elem::F8E5M2, Elem::F8E5M2, Elem::F32, 32, 89),
];

/// The rows of a chip of that compute capability (times ten), as the compiler asks for them.
///
/// # Errors
/// None for this table; the type of the layouts' constructors.
pub fn rows(capability: u32) -> Result<Vec<MmaRow>, LayoutError> {
    TABLE.iter().filter(|m| m.since <= capability).map(Mma::row).collect()
}

/// The row of that name.
pub fn find(name: &str) -> Option<&'static Mma> {
    TABLE.iter().find(|m| m.name() == name)
}

impl Mma {
    /// `mma.m16n8k16.bf16.bf16`
    pub fn name(&self) -> String {
        let elem = |elem| match elem {
            Elem::F32 => "tf32",
            Elem::I8 => "s8",
            Elem::F8E4M3 => "e4m3",
            Elem::F8E5M2 => "e5m2",
            Elem::BF16 => "bf16",
            _ => "f16",
        };
        format!("mma.m16n8k{}.{}.{}", self.k, elem(self.a), elem(self.b))
    }

    /// The row as the compiler knows it.
    fn row(&self) -> Result<MmaRow, LayoutError> {
        Ok(MmaRow {
            name: self.name(),
            m: 16,
            n: 8,
            k: self.k,
            a: self.a,
            b: self.b,
            acc: self.acc,
            reduced: self.a == Elem::F32,
            kind: MmaKind::Sync,
            issues: 1,
            warps: 1,
            a_layout: Arc::new(self.fragment_a()?),
            b_layout: Arc::new(self.fragment_b()?),
            acc_layout: Arc::new(self.fragment_acc()?),
            scales: None,
        })
    }

    /// Elements in a 32-bit word of an operand.
    pub fn per_word(&self) -> u32 {
        self.k / 8
    }

    /// Where the elements of `a` (16 by `k`) are.
    fn fragment_a(&self) -> Result<Linear, LayoutError> {
        let e = self.per_word();
        let mut registers: Vec<Coord> = (0..e.trailing_zeros()).map(|bit| [0, 1 << bit, 0]).collect();
        registers.extend([[8, 0, 0], [0, 4 * e, 0]]);
        let lanes = [[0, e, 0], [0, 2 * e, 0], [1, 0, 0], [2, 0, 0], [4, 0, 0]];
        Linear::new(&[16, self.k], [(Dim::Register, &registers[..]), (Dim::Lane, &lanes)])
    }

    /// Where the elements of `b` (`k` by 8) are.
    fn fragment_b(&self) -> Result<Linear, LayoutError> {
        let e = self.per_word();
        let mut registers: Vec<Coord> = (0..e.trailing_zeros()).map(|bit| [1 << bit, 0, 0]).collect();
        registers.push([4 * e, 0, 0]);
        let lanes = [[e, 0, 0], [2 * e, 0, 0], [0, 1, 0], [0, 2, 0], [0, 4, 0]];
        Linear::new(&[self.k, 8], [(Dim::Register, &registers[..]), (Dim::Lane, &lanes)])
    }

    /// Where the elements of the accumulator (16 by 8) are.
    fn fragment_acc(&self) -> Result<Linear, LayoutError> {
        let lanes = [[0, 2, 0], [0, 4, 0], [1, 0, 0], [2, 0, 0], [4, 0, 0]];
        Linear::new(&[16, 8], [(Dim::Register, &[[0, 1, 0], [8, 0, 0]][..]), (Dim::Lane, &lanes)])
    }

    /// Writes `a · b + c` of one warp, all lanes together. `a` (4) and `b` (2) are 32-bit words, `c` and the result 4 elements;
    /// `None` for other counts.
    pub fn emit(&self, e: &mut Emit, a: &[V], b: &[V], c: &[V]) -> Option<Vec<V>> {
        let mut words = |values: &[V]| -> Vec<V> { values.iter().map(|v| e.bits(*v, K::I32)).collect() };
        let (a, b) = (words(a), words(b));
        let (a, b): ([V; 4], [V; 2]) = (a.try_into().ok()?, b.try_into().ok()?);
        let c: [V; 4] = c.try_into().ok()?;
        let k = if self.acc == Elem::I32 { K::I32 } else { K::F32 };
        let result = format!("!llvm.struct<({k}, {k}, {k}, {k})>");
        let text = match self.a {
            Elem::F8E4M3 | Elem::F8E5M2 => self.intrinsic(&a, &b, &c, &result),
            _ => self.operation(e, &a, &b, &c, &result),
        };
        let ty = Ty::scalar(k);
        let whole = e.here(ty, text);
        Some((0..4).map(|i| e.here(ty, format!("llvm.extractvalue {whole}[{i}] : {result}"))).collect())
    }

    /// The operation of MLIR; f16 operands are vectors there.
    fn operation(&self, e: &mut Emit, a: &[V; 4], b: &[V; 2], c: &[V; 4], result: &str) -> String {
        let (mut a, mut b) = (*a, *b);
        let (word, types) = match self.a {
            Elem::F16 => {
                let pair = Ty::vector(K::F16, 2);
                let mut cast =
                    |v: &mut V| *v = e.pure(pair, format!("llvm.bitcast {v} : i32 to {pair}"), &[*v]);
                a.iter_mut().for_each(&mut cast);
                b.iter_mut().for_each(&mut cast);
                (pair.to_string(), String::new())
            }
            elem => {
                let name = match elem {
                    Elem::BF16 => "bf16",
                    Elem::I8 => "s8",
                    _ => "tf32",
                };
                let mut types = format!(
                    "multiplicandAPtxType = #nvvm.mma_type<{name}>, multiplicandBPtxType = #nvvm.mma_type<{name}>, "
                );
                if self.acc == Elem::I32 {
                    types.push_str("intOverflowBehavior = #nvvm.mma_int_overflow<wrapped>, ");
                }
                ("i32".to_owned(), types)
            }
        };
        format!(
            "nvvm.mma.sync A[{}] B[{}] C[{}] {{layoutA = #nvvm.mma_layout<row>, layoutB = #nvvm.mma_layout<col>, {types}shape = \
             #nvvm.shape<m = 16, n = 8, k = {}>}} : ({word}, {word}, {}) -> {result}",
            list(&a),
            list(&b),
            list(c),
            self.k,
            c[0].ty,
        )
    }

    /// The operation of MLIR refuses 8-bit floats; the intrinsic behind it takes them.
    fn intrinsic(&self, a: &[V; 4], b: &[V; 2], c: &[V; 4], result: &str) -> String {
        let name = |elem| if elem == Elem::F8E4M3 { "e4m3" } else { "e5m2" };
        format!(
            "llvm.call_intrinsic \"llvm.nvvm.mma.m16n8k32.row.col.f32.{}.{}.f32\"({}, {}, {}) : (i32, i32, i32, i32, i32, i32, \
             f32, f32, f32, f32) -> {result}",
            name(self.a),
            name(self.b),
            list(a),
            list(b),
            list(c),
        )
    }
}

/// Reads `count` (1, 2, 4) 8×8 matrices of 16-bit elements from shared memory: lane `8·i + r` gives the address of row `r` of
/// matrix `i`; word `i` of lane `4·g + t` is row `g`, elements `2t` and `2t+1` of matrix `i`. With `transpose`, of its
/// transpose. Rows are 16 bytes, aligned. PTX ISA, "ldmatrix".
pub fn ldmatrix(e: &mut Emit, address: V, count: u32, transpose: bool) -> Vec<V> {
    let layout = if transpose { "col" } else { "row" };
    let words = vec!["i32"; count as usize].join(", ");
    let result = if count == 1 { words } else { format!("!llvm.struct<({words})>") };
    let word = Ty::scalar(K::I32);
    let whole = e.here(
        word,
        format!(
            "nvvm.ldmatrix {address} {{num = {count} : i32, layout = #nvvm.mma_layout<{layout}>, shape = \
             #nvvm.ld_st_matrix_shape<m = 8, n = 8>, eltType = #nvvm.ld_st_matrix_elt_type<b16>}} : (!llvm.ptr<3>) -> {result}"
        ),
    );
    if count == 1 {
        return vec![whole];
    }
    (0..count).map(|i| e.here(word, format!("llvm.extractvalue {whole}[{i}] : {result}"))).collect()
}

/// Starts a copy of 4, 8 or 16 bytes from global to shared memory, both aligned to that; where `valid` (bytes, an `i32`) is
/// given, what lies beyond it is zeros, and 0 reads nothing; so does an `i1` that does not hold. PTX ISA, "cp.async".
pub fn copy_async(e: &mut Emit, shared: V, global: V, bytes: u32, valid: Option<V>) {
    // Only 16 bytes may pass by the first-level cache.
    let cache = if bytes == 16 { "cg" } else { "ca" };
    if let Some(inside) = valid.filter(|v| v.ty.k == K::I1) {
        let yes = e.int(K::I1, 1);
        let outside = e.op2("arith.xori", inside, yes);
        let mut asm = Asm::new("", Ty::scalar(K::I32), 0);
        let (to, from, ignore) =
            (asm.operand("r", shared), asm.operand("l", global), asm.operand("b", outside));
        asm.line(format!("cp.async.{cache}.shared.global [{to}], [{from}], {bytes}, {ignore};"));
        asm.emit(e);
        return;
    }
    let (value, ty) = valid.map_or_else(Default::default, |v| (format!(", {v}"), ", i32".to_owned()));
    e.line(format!(
        "nvvm.cp.async.shared.global {shared}, {global}, {bytes}, cache = {cache}{value} : !llvm.ptr<3>, !llvm.ptr<1>{ty}"
    ));
}

/// Ends a group of copies.
pub fn copy_async_commit(e: &mut Emit) {
    e.line("nvvm.cp.async.commit.group".into());
}

/// Waits until all but the last `pending` groups of this thread have landed.
pub fn copy_async_wait(e: &mut Emit, pending: u32) {
    e.line(format!("nvvm.cp.async.wait.group {pending}"));
}

fn list(values: &[V]) -> String {
    values.iter().map(V::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Figures of the PTX manual for m16n8k16 with 16-bit elements, written out: `a0, a1: (g, 2t + i)`, `a2, a3: (g+8, 2t + i)`,
    /// `a4, a5: (g, 2t + 8 + i)`, `a6, a7: (g+8, 2t + 8 + i)`; `b0, b1: (2t + i, g)`, `b2, b3: (2t + 8 + i, g)`.
    #[test]
    fn fragments_of_16_bit_elements_are_those_of_the_manual() {
        let mma = TABLE[0];
        for lane in 0..32u32 {
            let (g, t) = (lane / 4, lane % 4);
            for i in 0..8u32 {
                let row = if i % 4 < 2 { g } else { g + 8 };
                let col = 2 * t + i % 2 + if i >= 4 { 8 } else { 0 };
                assert_eq!(at(mma.fragment_a(), i, lane), [row, col]);
            }
            for i in 0..4u32 {
                assert_eq!(at(mma.fragment_b(), i, lane), [2 * t + i % 2 + if i >= 2 { 8 } else { 0 }, g]);
                assert_eq!(at(mma.fragment_acc(), i, lane), [if i < 2 { g } else { g + 8 }, 2 * t + i % 2]);
            }
        }
    }

    /// m16n8k32: `a`: row g for i in 0..4 and 8..12, else g+8; column `4t + i % 4`, 16 more from i = 8 on.
    #[test]
    fn fragments_of_8_bit_elements_are_those_of_the_manual() {
        let mma = TABLE[3];
        for lane in 0..32u32 {
            let (g, t) = (lane / 4, lane % 4);
            for i in 0..16u32 {
                let row = if i < 4 || (8..12).contains(&i) { g } else { g + 8 };
                assert_eq!(at(mma.fragment_a(), i, lane), [row, 4 * t + i % 4 + if i >= 8 { 16 } else { 0 }]);
            }
            for i in 0..8u32 {
                assert_eq!(at(mma.fragment_b(), i, lane), [4 * t + i % 4 + if i >= 4 { 16 } else { 0 }, g]);
            }
        }
    }

    /// m16n8k8 tf32: `a0: (g, t)`, `a1: (g+8, t)`, `a2: (g, t+4)`, `a3: (g+8, t+4)`; `b0: (t, g)`, `b1: (t+4, g)`.
    #[test]
    fn fragments_of_tf32_are_those_of_the_manual() {
        let mma = TABLE[2];
        for lane in 0..32u32 {
            let (g, t) = (lane / 4, lane % 4);
            let a: Vec<_> = (0..4).map(|i| at(mma.fragment_a(), i, lane)).collect();
            assert_eq!(a, [[g, t], [g + 8, t], [g, t + 4], [g + 8, t + 4]]);
            let b: Vec<_> = (0..2).map(|i| at(mma.fragment_b(), i, lane)).collect();
            assert_eq!(b, [[t, g], [t + 4, g]]);
        }
    }

    fn at(f: Result<Linear, LayoutError>, register: u32, lane: u32) -> [u32; 2] {
        let [row, col, _] = f.expect("the tables are layouts").at(register, lane, 0);
        [row, col]
    }
}
