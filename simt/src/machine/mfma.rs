//! MFMA and WMMA: which element of a matrix each lane holds, and the products.
//!
//! ISA guides, "Matrix arithmetic instructions" (MI200, MI300, MI350) and "WMMA" (RDNA3). A lane of MFMA holds
//! `e = m·k·blocks / 64` elements of A, neighbours along K:
//!
//! ```text
//! A  lane l, element i: row l mod m, block (l div m) mod blocks, k = (l div (m·blocks))·e + i; B likewise by columns
//! D  m = 32: register r: block r div 16, row 8·(r mod 16 div 4) + 4·(l div 32) + r mod 4, column l mod 32
//!    m = 16: register r: block r div 4, row 4·(l div 16) + r mod 4, column l mod 16
//!    m = 4:  register r: block l div 4, row r, column l mod 4
//! ```
//! Operands of eight bits with 32 elements a lane are two runs of sixteen, half of K apart. A scale belongs to 32
//! neighbours along K: lane `l` holds that of row `l mod m` and the `l div m`th run of K.
//!
//! WMMA (wave of 32): lanes `l` and `l + 16` hold the same row of A (column of B), all sixteen of K; register r of D is
//! row `2·r + l div 16`, column `l mod 16`.
//!
//! Products are exact and are summed in f64, the sum rounded once. The hardware rounds more often; a kernel's tolerance has
//! to cover both.

use super::Run;
use super::arith::signed;
use super::chip::Matrices;
use super::step::{Flow, Slice};
use crate::error::FaultKind;
use crate::float::{decode, encode, f32_of};
use crate::narrow::{self, Narrow};
use crate::program::{Inst, Matrix, MatrixType, MmaType, Since, Slot};
use crate::text::Scalar;

/// Row (or column), block and k of an operand's element.
fn operand_at(
    matrix: &Matrix,
    ty: MatrixType,
    rows: usize,
    lane: usize,
    element: usize,
) -> (usize, usize, usize) {
    if matrix.wmma {
        return (lane % 16, 0, element);
    }
    let (k, blocks) = (usize::from(matrix.k), usize::from(matrix.blocks));
    let each = rows * k * blocks / 64;
    let group = lane / (rows * blocks);
    let at = if ty.bits() == 8 && each == 32 {
        element / 16 * (k / 2) + group * 16 + element % 16
    } else {
        group * each + element
    };
    (lane % rows, lane / rows % blocks, at)
}

/// Block, row and column of a result.
fn result_at(matrix: &Matrix, lane: usize, register: usize) -> (usize, usize, usize) {
    if matrix.wmma {
        return (0, 2 * register + lane / 16, lane % 16);
    }
    match matrix.m {
        32 => {
            let within = register % 16;
            (register / 16, 8 * (within / 4) + 4 * (lane / 32) + within % 4, lane % 32)
        }
        16 => (register / 4, 4 * (lane / 16) + register % 4, lane % 16),
        _ => (lane / 4, register, lane % 4),
    }
}

/// Element `index` of a value that lies in slots of `bits` bits, one after the other.
fn raw(words: &[u64], bits: u32, index: usize, width: u32) -> u64 {
    let at = index as u32 * width;
    let (word, shift) = ((at / bits) as usize, at % bits);
    let mut value = words[word] >> shift;
    // Elements of six bits may straddle two words.
    if shift + width > bits {
        value |= words[word + 1] << (bits - shift);
    }
    if width == 64 { value } else { value & ((1 << width) - 1) }
}

/// One matrix operand: values by block, then row, then k; and the rows that undefined values spoil.
struct Operand {
    values: Vec<f64>,
    bad: Vec<bool>,
}

impl Slice<'_, '_, '_> {
    pub(super) fn matrix(&mut self, matrix: &Matrix, src: &[Slot], dst: &[Slot], inst: &Inst) -> Run<Flow> {
        self.matrix_exists(matrix, inst)?;
        if self.converge(None, inst)?.is_none() {
            return Ok(Flow::Block);
        }
        let (m, n, k) = (usize::from(matrix.m), usize::from(matrix.n), usize::from(matrix.k));
        let blocks = usize::from(matrix.blocks);
        let width = self.warp.width;
        let (na, nb) = (usize::from(matrix.a_slots.0), usize::from(matrix.b_slots.0));
        let nc = dst.len();
        let (scale_a, scale_b) = match (matrix.scales, &src[na + nb + nc..]) {
            (Some((select_a, select_b)), &[a, b]) => (Some((a, select_a)), Some((b, select_b))),
            _ => (None, None),
        };
        let a = self.operand(matrix, matrix.a, m, &src[..na], matrix.a_slots.1, scale_a, inst)?;
        let b = self.operand(matrix, matrix.b, n, &src[na..na + nb], matrix.b_slots.1, scale_b, inst)?;
        let c = &src[na + nb..na + nb + nc];
        let halves = matrix.wmma && matches!(matrix.d, MmaType::F16 | MmaType::BF16);
        let scalar = match matrix.d {
            MmaType::F16 => Scalar::F16,
            MmaType::BF16 => Scalar::BF16,
            _ => Scalar::F32,
        };
        let flush = self.machine.chip.waves.is_some_and(|waves| waves.flushes_halves)
            && matches!(matrix.a, MatrixType::F16 | MatrixType::BF16);
        let lanes = self.warp.lanes;
        for register in 0..nc {
            // Results of 16 bits lie in every second element; the others are not written.
            if halves && register % 2 != usize::from(matrix.upper) {
                self.warp.poison[dst[register] as usize] |= lanes;
                continue;
            }
            let mut out = [0u64; 64];
            let mut poison = self.warp.poison[c[register] as usize];
            for (lane, out) in out[..width].iter_mut().enumerate() {
                let (block, row, column) =
                    result_at(matrix, lane, if halves { register / 2 } else { register });
                let (at_a, at_b) = (block * m + row, block * n + column);
                let products = a.values[at_a * k..][..k].iter().zip(&b.values[at_b * k..][..k]);
                let start = self.warp.get(c[register], lane);
                *out = if matrix.d == MmaType::S32 {
                    let sum: i64 = products.map(|(x, y)| (x * y) as i64).sum();
                    (signed(start, 32).wrapping_add(sum) as u64) & 0xffff_ffff
                } else {
                    let sum: f64 = products.map(|(x, y)| x * y).sum();
                    let value = encode(scalar, sum + decode(scalar, start));
                    if flush && f32_of(value).is_subnormal() { value & 0x8000_0000 } else { value }
                };
                poison |= u64::from(a.bad[at_a] || b.bad[at_b]) << lane;
            }
            self.warp.write(dst[register], lanes, &out[..width], poison);
        }
        self.machine.stats.mma_products += (m * n * k * blocks) as u64;
        Ok(Flow::Next)
    }

    fn matrix_exists(&self, matrix: &Matrix, inst: &Inst) -> Run<()> {
        let Some(waves) = self.machine.chip.waves else { return Ok(()) };
        let xf32 = matrix.a == MatrixType::XF32;
        let there = match (waves.matrix, matrix.since) {
            (_, Since::OnlyCdna3) => waves.xf32 && xf32,
            (Matrices::Rdna3, since) => since == Since::Rdna3,
            (Matrices::Cdna2, since) => matches!(since, Since::Cdna2 | Since::OnlyCdna2),
            (Matrices::Cdna3, since) => matches!(since, Since::Cdna2 | Since::Cdna3),
            (Matrices::Cdna4, since) => matches!(since, Since::Cdna2 | Since::Cdna3 | Since::Cdna4),
        };
        if there {
            return Ok(());
        }
        let message = format!("{} has no such matrix instruction", self.machine.chip.name);
        self.fail(FaultKind::Chip, message, inst, self.mask())
    }

    #[allow(clippy::too_many_arguments)]
    fn operand(
        &self,
        matrix: &Matrix,
        ty: MatrixType,
        rows: usize,
        slots: &[Slot],
        bits: u8,
        scale: Option<(Slot, u8)>,
        inst: &Inst,
    ) -> Run<Operand> {
        let ty = match ty {
            MatrixType::Fp8(wide) => MatrixType::Narrow(self.fp8(wide, inst)?),
            other => other,
        };
        let (k, blocks, width) = (usize::from(matrix.k), usize::from(matrix.blocks), self.warp.width);
        let flush = self.machine.chip.waves.is_some_and(|waves| waves.flushes_halves);
        let each = if matrix.wmma { k } else { rows * k * blocks / 64 };
        let mut operand =
            Operand { values: vec![f64::NAN; rows * k * blocks], bad: vec![false; rows * blocks] };
        let mut words = vec![0u64; slots.len()];
        for lane in 0..width {
            let mut bad = false;
            for (word, &slot) in words.iter_mut().zip(slots) {
                *word = self.warp.get(slot, lane);
                bad |= self.warp.poison[slot as usize] >> lane & 1 != 0;
            }
            for index in 0..each {
                let code = raw(&words, u32::from(bits), index, ty.bits());
                let (row, block, at) = operand_at(matrix, ty, rows, lane, index);
                let place = (block * rows + row) * k + at;
                let mut value = value(ty, code, flush);
                if let Some((slot, select)) = scale {
                    // The scale lies in the lane of its run of K.
                    let from = row + rows * (at / 32);
                    let code = self.warp.get(slot, from) >> (8 * u32::from(select));
                    value *= narrow::scale(code);
                    operand.bad[row] |= self.warp.poison[slot as usize] >> from & 1 != 0;
                }
                if matrix.wmma && lane >= 16 {
                    let first = operand.values[place];
                    if !bad && first.to_bits() != value.to_bits() && !(first.is_nan() && value.is_nan()) {
                        let message = format!(
                            "lanes {} and {lane} hold different elements, where WMMA wants the same",
                            lane - 16
                        );
                        return self.fail(FaultKind::Collective, message, inst, 1 << lane);
                    }
                }
                operand.values[place] = value;
                operand.bad[block * rows + row] |= bad;
            }
        }
        Ok(operand)
    }
}

fn value(ty: MatrixType, code: u64, flush: bool) -> f64 {
    let half = |scalar: Scalar, subnormal: bool| {
        let value = decode(scalar, code);
        if flush && subnormal { 0f64.copysign(value) } else { value }
    };
    match ty {
        MatrixType::F16 => half(Scalar::F16, code & 0x7c00 == 0),
        MatrixType::BF16 => half(Scalar::BF16, code & 0x7f80 == 0),
        MatrixType::F32 => decode(Scalar::F32, code),
        // The ten highest bits of the mantissa.
        MatrixType::XF32 => decode(Scalar::F32, code & !0x1fff),
        MatrixType::S8 => signed(code, 8) as f64,
        MatrixType::S4 => signed(code, 4) as f64,
        MatrixType::U8 | MatrixType::U4 => code as f64,
        MatrixType::Narrow(narrow) => narrow.decode(code),
        // Replaced by the chip's format before.
        MatrixType::Fp8(wide) => if wide { Narrow::E5M2 } else { Narrow::E4M3 }.decode(code),
    }
}
