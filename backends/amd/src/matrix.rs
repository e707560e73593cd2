//! Matrix products of one wave: the shapes of MFMA and WMMA, which lane holds what, and their text.
//!
//! All are 16 rows by 16 columns. With `d` elements of `k` in a lane, lane `l` holds
//!
//! ```text
//!          a                            b                            acc register r
//! MFMA     row l % 16, k d·(l/16) + i   k d·(l/16) + i, col l % 16   row l % 16, col 4·(l/16) + r
//! WMMA     row l % 16, k i              k i, col l % 16              row l % 16, col 2r + l/16
//! ```
//! Both compute the product's transpose, `bᵀ·aᵀ`: what the manual calls its first operand is `b`. So a lane holds much of one
//! row, reductions along rows stay in a lane or two, and the sums lie as the next product's left operand does (MFMA, where `d`
//! is 4) or are one exchange between two lanes away from it (WMMA); memory takes neighbours along a row at once.
//!
//! `f8f6f4` products of 8-bit elements take two runs: of a lane's 32 elements the first 16 lie at k 16·(l/16) + i, the others 64 behind
//! them. A scale belongs to 32 neighbours along k: lane `l` holds that of row (or column) l % 16 and run l/16. Both formats are named by
//! numbers, and without scales (two constant zeros) LLVM selects the instruction that has none.
//!
//! WMMA's operands are the same in both halves of the wave. Sources: "AMD matrix instruction calculator" and the ISA guides'
//! chapters on matrix instructions.

use crate::chips::Matrix;
use kcc_compiler::emit::{Emit, K, Ty, V};
use kcc_compiler::gpu::{Fragments, MmaKind, MmaRow};
use kcc_compiler::layout::{Coord, Dim, LayoutError, Linear};
use kcc_dsl::ir::Elem;
use std::sync::Arc;

/// One instruction, or a few in a row.
#[derive(Clone, Copy, Debug)]
pub struct Product {
    /// Name in the `rocdl` dialect; behind a slash, what tells apart those of one name.
    pub name: &'static str,
    /// Elements of `a` and of `b`.
    pub operands: (Elem, Elem),
    /// Depth of all.
    pub k: u32,
    /// How many there are: where a lane gives less than 16 bytes to one, the elements that it holds side by side go to one after
    /// another, and are read at once.
    pub times: u32,
    /// Whether operands lose mantissa.
    pub reduced: bool,
    /// What the dialect takes for an operand: so many of these, 0 for a scalar.
    takes: (K, u16),
    /// Whether elements are in runs, formats are numbers, and blocks may have scales.
    runs: bool,
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
    Product { name, operands, k, times: 1, reduced: false, takes, runs: false, on }
}

/// `f8f6f4`, whose name is shared by all pairs of formats.
const fn in_runs(name: &'static str, operands: (Elem, Elem)) -> Product {
    Product { runs: true, ..product(name, operands, 128, (K::I32, 8), CDNA4) }
}

const BEFORE_4: &[Matrix] = &[Matrix::Cdna2, Matrix::Cdna3];
const CDNA: &[Matrix] = &[Matrix::Cdna2, Matrix::Cdna3, Matrix::Cdna4];
const CDNA4: &[Matrix] = &[Matrix::Cdna4];
const RDNA3: &[Matrix] = &[Matrix::Wmma];

/// All of them, best first among those that fit a use. CDNA3's 8-bit floats are in other formats (FNUZ) than the DSL's:
/// there the compiler widens operands to f16, which holds each of them.
pub const TABLE: &[Product] = &[
    Product {
        times: 2,
        ..product("mfma.f32.16x16x16f16/2", (Elem::F16, Elem::F16), 32, (K::F16, 4), BEFORE_4)
    },
    Product {
        times: 2,
        ..product("mfma.f32.16x16x16bf16.1k/2", (Elem::BF16, Elem::BF16), 32, (K::I16, 4), BEFORE_4)
    },
    product("mfma.f32.16x16x16f16", (Elem::F16, Elem::F16), 16, (K::F16, 4), BEFORE_4),
    product("mfma.f32.16x16x16bf16.1k", (Elem::BF16, Elem::BF16), 16, (K::I16, 4), BEFORE_4),
    product("mfma.f32.16x16x32.f16", (Elem::F16, Elem::F16), 32, (K::F16, 8), CDNA4),
    product("mfma.f32.16x16x32.bf16", (Elem::BF16, Elem::BF16), 32, (K::BF16, 8), CDNA4),
    product("mfma.i32.16x16x16i8", (Elem::I8, Elem::I8), 16, (K::I32, 0), &[Matrix::Cdna2]),
    product("mfma.i32.16x16x32.i8", (Elem::I8, Elem::I8), 32, (K::I64, 0), &[Matrix::Cdna3]),
    product("mfma.i32.16x16x64.i8", (Elem::I8, Elem::I8), 64, (K::I32, 4), CDNA4),
    in_runs("mfma.scale.f32.16x16x128.f8f6f4/fp8.fp8", (Elem::F8E4M3, Elem::F8E4M3)),
    in_runs("mfma.scale.f32.16x16x128.f8f6f4/fp8.bf8", (Elem::F8E5M2, Elem::F8E4M3)),
    in_runs("mfma.scale.f32.16x16x128.f8f6f4/bf8.fp8", (Elem::F8E4M3, Elem::F8E5M2)),
    in_runs("mfma.scale.f32.16x16x128.f8f6f4/bf8.bf8", (Elem::F8E5M2, Elem::F8E5M2)),
    product("mfma.f32.16x16x32.fp8.fp8", (Elem::F8E4M3, Elem::F8E4M3), 32, (K::I64, 0), CDNA4),
    product("mfma.f32.16x16x32.fp8.bf8", (Elem::F8E5M2, Elem::F8E4M3), 32, (K::I64, 0), CDNA4),
    product("mfma.f32.16x16x32.bf8.fp8", (Elem::F8E4M3, Elem::F8E5M2), 32, (K::I64, 0), CDNA4),
    product("mfma.f32.16x16x32.bf8.bf8", (Elem::F8E5M2, Elem::F8E5M2), 32, (K::I64, 0), CDNA4),
    Product {
        name: "mfma.f32.16x16x8.xf32",
        operands: (Elem::F32, Elem::F32),
        k: 16,
        times: 2,
        reduced: true,
        takes: (K::F32, 2),
        runs: false,
        on: &[Matrix::Cdna3],
    },
    Product { times: 4, ..product("mfma.f32.16x16x4f32", (Elem::F32, Elem::F32), 16, (K::F32, 0), CDNA) },
    product("wmma.f32.16x16x16.f16", (Elem::F16, Elem::F16), 16, (K::F16, 16), RDNA3),
    product("wmma.f32.16x16x16.bf16", (Elem::BF16, Elem::BF16), 16, (K::I16, 16), RDNA3),
    product("wmma.i32.16x16x16.iu8", (Elem::I8, Elem::I8), 16, (K::I32, 4), RDNA3),
];

/// The products of a generation, as the compiler asks for them.
///
/// # Errors
/// None for this table; the type of the layouts' constructors.
pub(crate) fn rows(matrix: Matrix) -> Result<Vec<MmaRow>, LayoutError> {
    let own = TABLE.iter().filter(|p| p.on.contains(&matrix));
    own.flat_map(|p| std::iter::once(p.row(false)).chain(p.deep().then(|| p.row(true)))).collect()
}

/// Behind the name of a product whose operands' order along the depth is that of sums.
const IN_ORDER_OF_SUMS: &str = "/sums";

/// The product of a row.
pub(crate) fn named(name: &str) -> Option<&'static Product> {
    let name = name.strip_suffix(IN_ORDER_OF_SUMS).unwrap_or(name);
    TABLE.iter().find(|p| p.name == name)
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

    /// Whether a lane gives more than the four elements along the depth that it has of sums. As the depth's order does not
    /// matter if both operands have the same, there is one in which it gives 16·j + 4·(l/16) + i for i below 4.
    fn deep(&self) -> bool {
        !self.is_wmma() && self.k > 16
    }

    /// With `sums` the depth in the order in which lanes hold sums.
    fn row(&self, sums: bool) -> Result<MmaRow, LayoutError> {
        let (a, b) = self.operands;
        Ok(MmaRow {
            name: format!("{}{}", self.name, if sums { IN_ORDER_OF_SUMS } else { "" }),
            kind: MmaKind::Sync,
            issues: self.times,
            warps: 1,
            a,
            b,
            acc: if self.sums() == K::I32 { Elem::I32 } else { Elem::F32 },
            reduced: self.reduced,
            m: 16,
            n: 16,
            k: self.k,
            a_layout: Arc::new(self.operand_layout(1, sums)?),
            b_layout: Arc::new(self.operand_layout(0, sums)?),
            acc_layout: Arc::new(self.sums_layout()?),
            scales: if self.runs && !sums { Some(self.scale_layouts()?.map(Arc::new)) } else { None },
        })
    }

    /// Of an operand whose depth lies along that axis.
    fn operand_layout(&self, depth: usize, sums: bool) -> Result<Linear, LayoutError> {
        let held = if self.is_wmma() { self.k } else { self.k / 4 };
        let mut lanes = sixteen(1 - depth);
        let mut registers = steps(depth, 1, held);
        if self.is_wmma() {
            lanes.push([0; 3]);
        } else if sums {
            lanes.extend(steps(depth, 4, 16));
            registers = [steps(depth, 1, 4), steps(depth, 16, self.k)].concat();
        } else if self.runs {
            lanes.extend(steps(depth, held / 2, self.k / 2));
            registers = [steps(depth, 1, held / 2), steps(depth, self.k / 2, self.k)].concat();
        } else {
            lanes.extend(steps(depth, held, self.k));
        }
        let mut extents = [16; 2];
        extents[depth] = self.k;
        Linear::new(&extents, [(Dim::Register, &registers[..]), (Dim::Lane, &lanes)])
    }

    /// Of the scales of `a`, then of `b`, one for 32 elements along the depth.
    fn scale_layouts(&self) -> Result<[Linear; 2], LayoutError> {
        let of = |depth: usize| {
            let lanes = [sixteen(1 - depth), steps(depth, 1, self.k / 32)].concat();
            let mut extents = [16; 2];
            extents[depth] = self.k / 32;
            Linear::new(&extents, [(Dim::Register, &[][..]), (Dim::Lane, &lanes)])
        };
        Ok([of(1)?, of(0)?])
    }

    fn sums_layout(&self) -> Result<Linear, LayoutError> {
        let mut lanes = sixteen(0);
        let registers = if self.is_wmma() {
            lanes.push([0, 1, 0]);
            steps(1, 2, 16)
        } else {
            lanes.extend(steps(1, 4, 16));
            steps(1, 1, 4)
        };
        Linear::new(&[16, 16], [(Dim::Register, &registers[..]), (Dim::Lane, &lanes)])
    }

    /// Whether LLVM moves it into a branch that only some lanes take, though it writes the registers of all: before LLVM 23 these are not
    /// marked as convergent (llvm/llvm-project pull requests 165602, 178314, 178627).
    pub(crate) fn sinks(&self, scaled: bool) -> bool {
        self.is_wmma() || self.runs && scaled
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
    pub(crate) fn emit(&self, e: &mut Emit, given: Fragments<'_>) -> Vec<V> {
        let Fragments { a, b, acc, scales, .. } = given;
        let mut sums = e.vector(acc);
        let each = (a.len() / self.times as usize).max(1);
        for (a, b) in a.chunks(each).zip(b.chunks(each)) {
            sums = self.one(e, a, b, sums, scales);
        }
        (0..acc.len()).map(|i| e.extract(sums, i)).collect()
    }

    /// Writes one instruction.
    fn one(&self, e: &mut Emit, a: &[V], b: &[V], sums: V, scales: Option<[V; 2]>) -> V {
        let (x, y) = (self.operand(e, b), self.operand(e, a));
        let types = format!("{}, {}, {}", x.ty, y.ty, sums.ty);
        let name = self.name.split('/').next().unwrap_or(self.name);
        let text = if self.is_wmma() {
            let signed = if self.sums() == K::I32 { " {signA = true, signB = true}" } else { "" };
            format!("rocdl.{name} {x}, {y}, {sums}{signed} : ({types}) -> {}", sums.ty)
        } else {
            let no = e.int(K::I32, 0);
            let modes = if self.runs {
                let format = |e: &mut Emit, elem| e.int(K::I32, i64::from(elem == Elem::F8E5M2));
                let formats = [format(e, self.operands.1), format(e, self.operands.0)];
                let [of_a, of_b] = scales.unwrap_or([no; 2]);
                // Each scale in the lowest byte of its register.
                vec![formats[0], formats[1], no, of_b, no, of_a]
            } else {
                vec![no; 3]
            };
            let listed: Vec<String> = modes.iter().map(V::to_string).collect();
            format!(
                "rocdl.{name} {x}, {y}, {sums}, {} : ({types}{}) -> {}",
                listed.join(", "),
                ", i32".repeat(modes.len()),
                sums.ty
            )
        };
        e.here(sums.ty, text)
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
            let row = p.row(false).expect("layouts");
            let lanes = if p.is_wmma() { 32 } else { 64 };
            let held = if p.is_wmma() { p.k } else { p.k / 4 };
            let mut seen = HashSet::new();
            for l in 0..lanes {
                for i in 0..held {
                    let deep = match (p.is_wmma(), p.runs) {
                        (true, _) => i,
                        (false, false) => held * (l / 16) + i,
                        (false, true) => 64 * (i / 16) + 16 * (l / 16) + i % 16,
                    };
                    assert_eq!(row.a_layout.at(i, l, 0), [l % 16, deep, 0], "{}", p.name);
                    assert_eq!(row.b_layout.at(i, l, 0), [deep, l % 16, 0], "{}", p.name);
                }
                if let Some([of_a, of_b]) = &row.scales {
                    assert_eq!(of_a.at(0, l, 0), [l % 16, l / 16, 0], "{}", p.name);
                    assert_eq!(of_b.at(0, l, 0), [l / 16, l % 16, 0], "{}", p.name);
                }
                for r in 0..256 / lanes {
                    let (m, n) =
                        if p.is_wmma() { (l % 16, 2 * r + l / 16) } else { (l % 16, 4 * (l / 16) + r) };
                    assert_eq!(row.acc_layout.at(r, l, 0), [m, n, 0], "{}", p.name);
                    seen.insert((m, n));
                }
            }
            assert_eq!(seen.len(), 256, "{}", p.name);
        }
    }

    /// Each element along the depth once, in the lanes that hold that column of sums.
    #[test]
    fn depths_in_the_order_of_sums_hold_what_sums_do() {
        for p in TABLE.iter().filter(|p| p.deep()) {
            let row = p.row(true).expect("layouts");
            for l in 0..64 {
                for i in 0..p.k / 4 {
                    let deep = 16 * (i / 4) + 4 * (l / 16) + i % 4;
                    assert_eq!(row.a_layout.at(i, l, 0), [l % 16, deep, 0], "{}", p.name);
                    assert_eq!(row.b_layout.at(i, l, 0), [deep, l % 16, 0], "{}", p.name);
                }
            }
            assert_eq!(row.a_layout.basis(Dim::Lane), row.acc_layout.basis(Dim::Lane), "{}", p.name);
        }
    }
}
