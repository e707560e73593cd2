//! Integers and bits of up to 32 bits.

use super::elementwise::{Row, lanes, row};
use super::source::Type::{B16, B32, Mask};

const ONE: &[super::Type] = &[B32];
const TWO: &[super::Type] = &[B32, B32];
const THREE: &[super::Type] = &[B32, B32, B32];
const HALF: &[super::Type] = &[B16];
const HALVES: &[super::Type] = &[B16, B16];
const THREE_HALVES: &[super::Type] = &[B16, B16, B16];

fn i(x: u32) -> i32 {
    x as i32
}

fn h(x: u32) -> i32 {
    i32::from(x as i16)
}

fn u24(x: u32) -> u64 {
    u64::from(x & 0xff_ffff)
}

fn i24(x: u32) -> i64 {
    i64::from((x << 8) as i32 >> 8)
}

fn pair(high: u32, low: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

fn median<T: Ord>(a: T, b: T, c: T) -> T {
    let mut all = [a, b, c];
    all.sort();
    let [_, middle, _] = all;
    middle
}

fn field(x: u32, offset: u32, width: u32, signed: bool) -> u32 {
    let width = width & 31;
    if width == 0 {
        return 0;
    }
    let top = (x >> (offset & 31)) << (32 - width);
    if signed { (i(top) >> (32 - width)) as u32 } else { top >> (32 - width) }
}

/// `v_perm_b32`: bytes of two registers, signs, zeros and ones.
fn permute(a: u32, b: u32, selector: u32) -> u32 {
    let bytes = pair(a, b).to_le_bytes();
    let pick = |s: u8| match s {
        0..=7 => bytes[usize::from(s)],
        8..=11 if bytes[usize::from(s - 8) * 2 + 1] & 0x80 == 0 => 0,
        12 => 0,
        _ => 0xff,
    };
    u32::from_le_bytes(selector.to_le_bytes().map(pick))
}

/// `v_bitop3`: bit k of the table is the result where the three bits are k.
pub(super) fn by_truth_table(table: u32, a: u32, b: u32, c: u32) -> u32 {
    let of = |x: u32, set: u32| if set == 0 { !x } else { x };
    (0..8).filter(|k| table >> k & 1 == 1).fold(0, |all, k| all | of(a, k & 4) & of(b, k & 2) & of(c, k & 1))
}

pub(super) const TABLE: &[Row] = &[
    row("v_mov_b32", ONE, B32, lanes!(|a| a)),
    row("v_mov_b16", HALF, B16, lanes!(|a| a)),
    row("v_accvgpr_read_b32", ONE, B32, lanes!(|a| a)),
    row("v_accvgpr_write_b32", ONE, B32, lanes!(|a| a)),
    row("v_accvgpr_mov_b32", ONE, B32, lanes!(|a| a)),
    row("v_not_b32", ONE, B32, lanes!(|a| !a)),
    row("v_bfrev_b32", ONE, B32, lanes!(|a| a.reverse_bits())),
    row("v_ffbh_u32", ONE, B32, lanes!(|a| if a == 0 { u32::MAX } else { a.leading_zeros() })),
    row("v_clz_i32_u32", ONE, B32, lanes!(|a| if a == 0 { u32::MAX } else { a.leading_zeros() })),
    row("v_ffbl_b32", ONE, B32, lanes!(|a| if a == 0 { u32::MAX } else { a.trailing_zeros() })),
    row("v_ctz_i32_b32", ONE, B32, lanes!(|a| if a == 0 { u32::MAX } else { a.trailing_zeros() })),
    row("v_cndmask_b32", &[B32, B32, Mask], B32, lanes!(|a, b, m| if m == 1 { b } else { a })),
    row("v_cndmask_b16", &[B16, B16, Mask], B16, lanes!(|a, b, m| if m == 1 { b } else { a })),
    row("v_add_u32", TWO, B32, lanes!(|a, b| a.wrapping_add(b))),
    row("v_add_i32", TWO, B32, lanes!(|a, b| a.wrapping_add(b))),
    row("v_sub_u32", TWO, B32, lanes!(|a, b| a.wrapping_sub(b))),
    row("v_sub_i32", TWO, B32, lanes!(|a, b| a.wrapping_sub(b))),
    row("v_subrev_u32", TWO, B32, lanes!(|a, b| b.wrapping_sub(a))),
    row("v_add_u32 clamp", TWO, B32, lanes!(|a, b| a.saturating_add(b))),
    row("v_sub_u32 clamp", TWO, B32, lanes!(|a, b| a.saturating_sub(b))),
    row("v_add_i32 clamp", TWO, B32, lanes!(|a, b| i(a).saturating_add(i(b)) as u32)),
    row("v_sub_i32 clamp", TWO, B32, lanes!(|a, b| i(a).saturating_sub(i(b)) as u32)),
    row("v_and_b32", TWO, B32, lanes!(|a, b| a & b)),
    row("v_or_b32", TWO, B32, lanes!(|a, b| a | b)),
    row("v_xor_b32", TWO, B32, lanes!(|a, b| a ^ b)),
    row("v_xnor_b32", TWO, B32, lanes!(|a, b| !(a ^ b))),
    row("v_lshlrev_b32", TWO, B32, lanes!(|a, b| b << (a & 31))),
    row("v_lshrrev_b32", TWO, B32, lanes!(|a, b| b >> (a & 31))),
    row("v_ashrrev_i32", TWO, B32, lanes!(|a, b| (i(b) >> (a & 31)) as u32)),
    row("v_mul_lo_u32", TWO, B32, lanes!(|a, b| a.wrapping_mul(b))),
    row("v_mul_hi_u32", TWO, B32, lanes!(|a, b| ((u64::from(a) * u64::from(b)) >> 32) as u32)),
    row("v_mul_hi_i32", TWO, B32, lanes!(|a, b| ((i64::from(i(a)) * i64::from(i(b))) >> 32) as u32)),
    row("v_mul_u32_u24", TWO, B32, lanes!(|a, b| (u24(a) * u24(b)) as u32)),
    row("v_mul_hi_u32_u24", TWO, B32, lanes!(|a, b| ((u24(a) * u24(b)) >> 32) as u32)),
    row("v_mul_i32_i24", TWO, B32, lanes!(|a, b| (i24(a) * i24(b)) as u32)),
    row("v_max_u32", TWO, B32, lanes!(|a, b| a.max(b))),
    row("v_min_u32", TWO, B32, lanes!(|a, b| a.min(b))),
    row("v_max_i32", TWO, B32, lanes!(|a, b| i(a).max(i(b)) as u32)),
    row("v_min_i32", TWO, B32, lanes!(|a, b| i(a).min(i(b)) as u32)),
    row("v_bfm_b32", TWO, B32, lanes!(|a, b| ((1 << (a & 31)) - 1) << (b & 31))),
    row("v_bcnt_u32_b32", TWO, B32, lanes!(|a, b| a.count_ones().wrapping_add(b))),
    row("v_add3_u32", THREE, B32, lanes!(|a, b, c| a.wrapping_add(b).wrapping_add(c))),
    row("v_lshl_add_u32", THREE, B32, lanes!(|a, b, c| (a << (b & 31)).wrapping_add(c))),
    row("v_add_lshl_u32", THREE, B32, lanes!(|a, b, c| a.wrapping_add(b) << (c & 31))),
    row("v_lshl_or_b32", THREE, B32, lanes!(|a, b, c| a << (b & 31) | c)),
    row("v_and_or_b32", THREE, B32, lanes!(|a, b, c| a & b | c)),
    row("v_or3_b32", THREE, B32, lanes!(|a, b, c| a | b | c)),
    row("v_xor3_b32", THREE, B32, lanes!(|a, b, c| a ^ b ^ c)),
    row("v_xad_u32", THREE, B32, lanes!(|a, b, c| (a ^ b).wrapping_add(c))),
    row("v_bfi_b32", THREE, B32, lanes!(|a, b, c| a & b | !a & c)),
    row("v_bfe_u32", THREE, B32, lanes!(|a, b, c| field(a, b, c, false))),
    row("v_bfe_i32", THREE, B32, lanes!(|a, b, c| field(a, b, c, true))),
    row("v_perm_b32", THREE, B32, lanes!(|a, b, c| permute(a, b, c))),
    row("v_alignbit_b32", THREE, B32, lanes!(|a, b, c| (pair(a, b) >> (c & 31)) as u32)),
    row("v_alignbyte_b32", THREE, B32, lanes!(|a, b, c| (pair(a, b) >> (8 * (c & 3))) as u32)),
    row("v_mad_u32_u24", THREE, B32, lanes!(|a, b, c| ((u24(a) * u24(b)) as u32).wrapping_add(c))),
    row("v_mad_i32_i24", THREE, B32, lanes!(|a, b, c| ((i24(a) * i24(b)) as u32).wrapping_add(c))),
    row("v_med3_i32", THREE, B32, lanes!(|a, b, c| median(i(a), i(b), i(c)) as u32)),
    row("v_med3_u32", THREE, B32, lanes!(|a, b, c| median(a, b, c))),
    row("v_max3_u32", THREE, B32, lanes!(|a, b, c| a.max(b).max(c))),
    row("v_min3_u32", THREE, B32, lanes!(|a, b, c| a.min(b).min(c))),
    row("v_max3_i32", THREE, B32, lanes!(|a, b, c| i(a).max(i(b)).max(i(c)) as u32)),
    row("v_min3_i32", THREE, B32, lanes!(|a, b, c| i(a).min(i(b)).min(i(c)) as u32)),
    row("v_maxmin_u32", THREE, B32, lanes!(|a, b, c| a.max(b).min(c))),
    row("v_minmax_u32", THREE, B32, lanes!(|a, b, c| a.min(b).max(c))),
    row("v_maxmin_i32", THREE, B32, lanes!(|a, b, c| i(a).max(i(b)).min(i(c)) as u32)),
    row("v_minmax_i32", THREE, B32, lanes!(|a, b, c| i(a).min(i(b)).max(i(c)) as u32)),
    // 16 bits.
    row("v_add_u16", HALVES, B16, lanes!(|a, b| a.wrapping_add(b))),
    row("v_add_i16", HALVES, B16, lanes!(|a, b| a.wrapping_add(b))),
    row("v_sub_u16", HALVES, B16, lanes!(|a, b| a.wrapping_sub(b))),
    row("v_sub_i16", HALVES, B16, lanes!(|a, b| a.wrapping_sub(b))),
    row("v_subrev_u16", HALVES, B16, lanes!(|a, b| b.wrapping_sub(a))),
    row("v_mul_lo_u16", HALVES, B16, lanes!(|a, b| a.wrapping_mul(b))),
    // Leaves the upper half of its register on CDNA too (LLVM, `zeroesHigh16BitsOfDest`).
    Row {
        keeps: true,
        ..row("v_mad_u16", THREE_HALVES, B16, lanes!(|a, b, c| a.wrapping_mul(b).wrapping_add(c)))
    },
    row("v_mad_legacy_u16", THREE_HALVES, B16, lanes!(|a, b, c| a.wrapping_mul(b).wrapping_add(c))),
    row("v_mad_legacy_i16", THREE_HALVES, B16, lanes!(|a, b, c| a.wrapping_mul(b).wrapping_add(c))),
    row("v_lshlrev_b16", HALVES, B16, lanes!(|a, b| b << (a & 15))),
    row("v_lshrrev_b16", HALVES, B16, lanes!(|a, b| b >> (a & 15))),
    row("v_ashrrev_i16", HALVES, B16, lanes!(|a, b| (h(b) >> (a & 15)) as u32)),
    row("v_and_b16", HALVES, B16, lanes!(|a, b| a & b)),
    row("v_or_b16", HALVES, B16, lanes!(|a, b| a | b)),
    row("v_xor_b16", HALVES, B16, lanes!(|a, b| a ^ b)),
    row("v_not_b16", HALF, B16, lanes!(|a| !a)),
    row("v_max_u16", HALVES, B16, lanes!(|a, b| a.max(b))),
    row("v_min_u16", HALVES, B16, lanes!(|a, b| a.min(b))),
    row("v_max_i16", HALVES, B16, lanes!(|a, b| h(a).max(h(b)) as u32)),
    row("v_min_i16", HALVES, B16, lanes!(|a, b| h(a).min(h(b)) as u32)),
    row("v_max3_u16", THREE_HALVES, B16, lanes!(|a, b, c| a.max(b).max(c))),
    row("v_min3_u16", THREE_HALVES, B16, lanes!(|a, b, c| a.min(b).min(c))),
    row("v_med3_u16", THREE_HALVES, B16, lanes!(|a, b, c| median(a, b, c))),
    row("v_max3_i16", THREE_HALVES, B16, lanes!(|a, b, c| h(a).max(h(b)).max(h(c)) as u32)),
    row("v_min3_i16", THREE_HALVES, B16, lanes!(|a, b, c| h(a).min(h(b)).min(h(c)) as u32)),
    row("v_med3_i16", THREE_HALVES, B16, lanes!(|a, b, c| median(h(a), h(b), h(c)) as u32)),
    row("v_cvt_i32_i16", HALF, B32, lanes!(|a| h(a) as u32)),
    row("v_cvt_u32_u16", HALF, B32, lanes!(|a| a)),
    row("v_pack_b32_f16", HALVES, B32, lanes!(|a, b| a | b << 16)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_permuted_as_documented() {
        assert_eq!(permute(0x8899_aabb, 0x1122_3344, 0x0706_0100), 0x8899_3344);
        assert_eq!(permute(0x8899_aabb, 0x1122_3344, 0x0c0d_0b0a), 0x00ff_ffff);
        assert_eq!(by_truth_table(0xe8, 0b1100, 0b1010, 0b1001) & 15, 0b1000);
    }
}
