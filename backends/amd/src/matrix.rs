//! Matrix products of one wave: the shapes of MFMA and WMMA, which lane holds what, and their text.
//!
//! All are 16 rows by 16 columns. With `d` elements of `k` in a lane, lane `l` holds
//!
//! ```text
//!          a                            b                            acc register r
//! MFMA     row l % 16, k d·(l/16) + i   k d·(l/16) + i, col l % 16   row 4·(l/16) + r, col l % 16
//! WMMA     row l % 16, k i              k i, col l % 16              row 2r + l/16,    col l % 16
//! ```
//! WMMA's operands are the same in both halves of the wave. Sources: "AMD matrix instruction calculator" and the ISA guides'
//! chapters on matrix instructions.

use crate::chips::Matrix;
use kcc_compiler::emit::{Emit, K, Ty, V};
use kcc_compiler::gpu::{MmaKind, MmaRow};
use kcc_compiler::layout::{Coord, Dim, LayoutError, Linear};
use kcc_dsl::ir::Elem;
use std::sync::Arc;

/// One instruction.
#[derive(Clone, Copy, Debug)]
pub struct Product {
    /// Name in the `rocdl` dialect.
    pub name: &'static str,
    /// Elements of `a` and of `b`.
    pub operands: (Elem, Elem),
    /// Depth.
    pub k: u32,
    /// Whether operands lose mantissa.
    pub reduced: bool,
    /// What the dialect takes for an operand: so many of these, 0 for a scalar.
    takes: (K, u16),
    /// Generations that have it and are best served by it.
    on: &'static [Matrix],
}

const fn product(
    name: &'static str,
    operands: (Elem, Elem),
    k: u32,
    takes: (K, u16),
    on: &'static [Matrix],
) -> Product {
    Product { name, operands, k, reduced: false, takes, on }
}

const BEFORE_4: &[Matrix] = &[Matrix::Cdna2, Matrix::Cdna3];
const CDNA: &[Matrix] = &[Matrix::Cdna2, Matrix::Cdna3, Matrix::Cdna4];
const CDNA4: &[Matrix] = &[Matrix::Cdna4];
const RDNA3: &[Matrix] = &[Matrix::Wmma];

/// All of them, best first among those that fit a use. CDNA3's 8-bit floats are in other formats (FNUZ) than the DSL's:
/// there the compiler widens operands to f16, which holds each of them.
pub const TABLE: &[Product] = &[
    product("mfma.f32.16x16x16f16", (Elem::F16, Elem::F16), 16, (K::F16, 4), BEFORE_4),
    product("mfma.f32.16x16x16bf16.1k", (Elem::BF16, Elem::BF16), 16, (K::I16, 4), BEFORE_4),
    product("mfma.f32.16x16x32.f16", (Elem::F16, Elem::F16), 32, (K::F16, 8), CDNA4),
    product("mfma.f32.16x16x32.bf16", (Elem::BF16, Elem::BF16), 32, (K::BF16, 8), CDNA4),
    product("mfma.i32.16x16x16i8", (Elem::I8, Elem::I8), 16, (K::I32, 0), &[Matrix::Cdna2]),
    product("mfma.i32.16x16x32.i8", (Elem::I8, Elem::I8), 32, (K::I64, 0), &[Matrix::Cdna3]),
    product("mfma.i32.16x16x64.i8", (Elem::I8, Elem::I8), 64, (K::I32, 4), CDNA4),
    product("mfma.f32.16x16x32.fp8.fp8", (Elem::F8E4M3, Elem::F8E4M3), 32, (K::I64, 0), CDNA4),
    product("mfma.f32.16x16x32.fp8.bf8", (Elem::F8E4M3, Elem::F8E5M2), 32, (K::I64, 0), CDNA4),
    product("mfma.f32.16x16x32.bf8.fp8", (Elem::F8E5M2, Elem::F8E4M3), 32, (K::I64, 0), CDNA4),
    product("mfma.f32.16x16x32.bf8.bf8", (Elem::F8E5M2, Elem::F8E5M2), 32, (K::I64, 0), CDNA4),
    Product {
        name: "mfma.f32.16x16x8.xf32",
        operands: (Elem::F32, Elem::F32),
        k: 8,
        reduced: true,
        takes: (K::F32, 2),
        on: &[Matrix::Cdna3],
    },
    product("mfma.f32.16x16x4f32", (Elem::F32, Elem::F32), 4, (K::F32, 0), CDNA),
    product("wmma.f32.16x16x16.f16", (Elem::F16, Elem::F16), 16, (K::F16, 16), RDNA3),
    product("wmma.f32.16x16x16.bf16", (Elem::BF16, Elem::BF16), 16, (K::I16, 16), RDNA3),
    product("wmma.i32.16x16x16.iu8", (Elem::I8, Elem::I8), 16, (K::I32, 4), RDNA3),
];

/// The products of a generation, as the compiler asks for them.
///
/// # Errors
/// None for this table; the type of the layouts' constructors.
pub(crate) fn rows(matrix: Matrix) -> Result<Vec<MmaRow>, LayoutError> {
    TABLE.iter().filter(|p| p.on.contains(&matrix)).map(Product::row).collect()
}

/// The columns (or rows) 1, 2, 4 and 8 of an axis, for the lower four bits of a lane.
fn sixteen(axis: usize) -> Vec<Coord> {
    steps(axis, 1, 16)
}

/// `from`, `2·from`, … below `to` along an axis.
fn steps(axis: usize, from: u32, to: u32) -> Vec<Coord> {
    let powers = std::iter::successors(Some(from), |step| Some(step * 2));
    powers
        .take_while(|step| *step < to)
        .map(|step| {
            let mut c = [0; 3];
            c[axis] = step;
            c
        })
        .collect()
}

impl Product {
    fn is_wmma(&self) -> bool {
        self.name.starts_with("wmma")
    }

    fn sums(&self) -> K {
        if self.operands.0 == Elem::I8 { K::I32 } else { K::F32 }
    }

    fn row(&self) -> Result<MmaRow, LayoutError> {
        let (a, b) = self.operands;
        Ok(MmaRow {
            name: self.name.to_owned(),
            kind: MmaKind::Sync,
            warps: 1,
            a,
            b,
            acc: if self.sums() == K::I32 { Elem::I32 } else { Elem::F32 },
            reduced: self.reduced,
            m: 16,
            n: 16,
            k: self.k,
            a_layout: Arc::new(self.operand_layout(1)?),
            b_layout: Arc::new(self.operand_layout(0)?),
            acc_layout: Arc::new(self.sums_layout()?),
        })
    }

    /// Of an operand whose depth lies along that axis.
    fn operand_layout(&self, depth: usize) -> Result<Linear, LayoutError> {
        let held = if self.is_wmma() { self.k } else { self.k / 4 };
        let mut lanes = sixteen(1 - depth);
        if self.is_wmma() {
            lanes.push([0; 3]);
        } else {
            lanes.extend(steps(depth, held, self.k));
        }
        let mut extents = [16; 2];
        extents[depth] = self.k;
        Linear::new(&extents, [(Dim::Register, &steps(depth, 1, held)[..]), (Dim::Lane, &lanes)])
    }

    fn sums_layout(&self) -> Result<Linear, LayoutError> {
        let mut lanes = sixteen(1);
        let registers = if self.is_wmma() {
            lanes.push([1, 0, 0]);
            steps(0, 2, 16)
        } else {
            lanes.extend(steps(0, 4, 16));
            steps(0, 1, 4)
        };
        Linear::new(&[16, 16], [(Dim::Register, &registers[..]), (Dim::Lane, &lanes)])
    }

    /// Words as the operand that the dialect takes.
    fn operand(&self, e: &mut Emit, words: &[V]) -> V {
        let (k, count) = self.takes;
        let whole = if words.len() == 1 { words[0] } else { e.vector(words) };
        let ty = if count == 0 { Ty::scalar(k) } else { Ty::vector(k, count.into()) };
        if whole.ty == ty {
            return whole;
        }
        e.pure(ty, format!("llvm.bitcast {whole} : {} to {ty}", whole.ty), &[whole])
    }

    /// Writes `a · b + acc`.
    pub(crate) fn emit(&self, e: &mut Emit, a: &[V], b: &[V], acc: &[V]) -> Vec<V> {
        let (x, y, sums) = (self.operand(e, a), self.operand(e, b), e.vector(acc));
        let types = format!("{}, {}, {}", x.ty, y.ty, sums.ty);
        let name = self.name;
        let text = if self.is_wmma() {
            let signed = if self.sums() == K::I32 { " {signA = true, signB = true}" } else { "" };
            format!("rocdl.{name} {x}, {y}, {sums}{signed} : ({types}) -> {}", sums.ty)
        } else {
            let no = e.int(K::I32, 0);
            format!(
                "rocdl.{name} {x}, {y}, {sums}, {no}, {no}, {no} : ({types}, i32, i32, i32) -> {}",
                sums.ty
            )
        };
        let all = e.here(sums.ty, text);
        (0..acc.len()).map(|i| e.extract(all, i)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// Each element of a tile is held; the formulas at the top of this file, lane by lane.
    #[test]
    fn lanes_hold_what_the_manuals_say() {
        for p in TABLE {
            let row = p.row().expect("layouts");
            let lanes = if p.is_wmma() { 32 } else { 64 };
            let held = if p.is_wmma() { p.k } else { p.k / 4 };
            let mut seen = HashSet::new();
            for l in 0..lanes {
                for i in 0..held {
                    let deep = if p.is_wmma() { i } else { held * (l / 16) + i };
                    assert_eq!(row.a_layout.at(i, l, 0), [l % 16, deep, 0], "{}", p.name);
                    assert_eq!(row.b_layout.at(i, l, 0), [deep, l % 16, 0], "{}", p.name);
                }
                for r in 0..256 / lanes {
                    let m = if p.is_wmma() { 2 * r + l / 16 } else { 4 * (l / 16) + r };
                    assert_eq!(row.acc_layout.at(r, l, 0), [m, l % 16, 0], "{}", p.name);
                    seen.insert((m, l % 16));
                }
            }
            assert_eq!(seen.len(), 256, "{}", p.name);
        }
    }
}
