//! Which element of a matrix each register of each lane holds.
//!
//! PTX ISA, "Matrix fragments for mma.m16n8k…": lanes form eight groups of four. With `group = lane / 4` and
//! `member = lane % 4`, a 32-bit register holds `e = 32 / bits` neighbours along K:
//!
//! ```text
//! A  register r: row group + 8·(r mod 2),  columns member·e … + 4·e·(r div 2)
//! B  register r: rows member·e … + 4·e·r,  column group
//! C  register r: row group + 8·(r div 2),  column 2·member + r mod 2
//! ```

use crate::float::{Fp8, bf16_value, tf32_value};
use crate::program::{Mma, MmaType};

/// Elements in a 32-bit register; f64 takes a register of its own.
pub(super) fn per_word(ty: MmaType) -> usize {
    (32 / ty.bits()).max(1) as usize
}

/// Registers of A, B and C (and D) of a lane; `None` when the instruction does not exist.
pub(crate) fn fragment_words(mma: &Mma) -> Option<(usize, usize, usize)> {
    use MmaType::{BF16, E4M3, E5M2, F16, F32, F64, S8, S32, TF32, U8};
    let int = |ty| matches!(ty, S8 | U8);
    let fp8 = |ty| matches!(ty, E4M3 | E5M2);
    let (na, nb) = match (mma.m, mma.n, mma.k, mma.a) {
        (16, 8, 8, F16 | BF16) => (2, 1),
        (16, 8, 16, F16 | BF16) => (4, 2),
        (16, 8, 4, TF32) => (2, 1),
        (16, 8, 8, TF32) => (4, 2),
        (8, 8, 16, S8 | U8) => (1, 1),
        (16, 8, 16, S8 | U8 | E4M3 | E5M2) => (2, 1),
        (16, 8, 32, S8 | U8 | E4M3 | E5M2) => (4, 2),
        (8, 8, 4, F64) => (1, 1),
        _ => return None,
    };
    let same_kind = mma.a == mma.b || int(mma.a) && int(mma.b) || fp8(mma.a) && fp8(mma.b);
    let results = match (mma.a, mma.d) {
        (F16, F16) => 2,
        (F16 | BF16 | TF32, F32) => 4,
        (E4M3 | E5M2, F32) => 4,
        (E4M3 | E5M2, F16) => 2,
        (S8 | U8, S32) => {
            if mma.m == 8 {
                2
            } else {
                4
            }
        }
        (F64, F64) => 2,
        _ => return None,
    };
    same_kind.then_some((na, nb, results))
}

/// Row and column of element `index` of register `register` of A.
pub(super) fn a_at(lane: usize, register: usize, index: usize, e: usize) -> (usize, usize) {
    (lane / 4 + 8 * (register % 2), lane % 4 * e + index + 4 * e * (register / 2))
}

/// Row (along K) and column of element `index` of register `register` of B.
pub(super) fn b_at(lane: usize, register: usize, index: usize, e: usize) -> (usize, usize) {
    (lane % 4 * e + index + 4 * e * register, lane / 4)
}

/// Row and column of element `index` of C and D.
pub(super) fn c_at(lane: usize, index: usize) -> (usize, usize) {
    (lane / 4 + 8 * (index / 2), lane % 4 * 2 + index % 2)
}

/// Element `index` of a register as a number; exact in f64 for every type.
pub(super) fn element(ty: MmaType, word: u64, index: usize) -> f64 {
    let bits = ty.bits();
    let part = if bits >= 32 { word } else { word >> (bits * index as u32) & ((1 << bits) - 1) };
    number(ty, part)
}

/// A number from its bits.
pub(super) fn number(ty: MmaType, bits: u64) -> f64 {
    match ty {
        MmaType::F16 => half::f16::from_bits(bits as u16).to_f64(),
        MmaType::BF16 => f64::from(bf16_value(bits as u16)),
        MmaType::TF32 => f64::from(tf32_value(bits as u32)),
        MmaType::F32 => f64::from(f32::from_bits(bits as u32)),
        MmaType::F64 => f64::from_bits(bits),
        MmaType::S8 => f64::from(bits as u8 as i8),
        MmaType::U8 => f64::from(bits as u8),
        MmaType::S32 => f64::from(bits as u32 as i32),
        MmaType::E4M3 => f64::from(Fp8::E4M3.decode(bits as u8)),
        MmaType::E5M2 => f64::from(Fp8::E5M2.decode(bits as u8)),
    }
}

/// A result back to bits: floats rounded once, integers wrapped or saturated.
pub(super) fn result(ty: MmaType, value: f64, saturate: bool) -> u64 {
    match ty {
        MmaType::F16 => u64::from(half::f16::from_f64(value).to_bits()),
        MmaType::F64 => value.to_bits(),
        // Sums of products of bytes are exact in f64.
        MmaType::S32 if saturate => {
            u64::from((value as i64).clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32 as u32)
        }
        MmaType::S32 => u64::from(value as i64 as i32 as u32),
        _ => u64::from((value as f32).to_bits()),
    }
}
