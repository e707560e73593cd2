//! Scalar arithmetic as tables ("SOP2", "SOP1", "SOPC", "SOPK" in AMD's documents): results, and what SCC becomes.

use std::cmp::Ordering;

/// Result of two numbers and SCC, and the new SCC if it is written.
pub(super) type Narrow = fn(u32, u32, bool) -> (u32, Option<bool>);
pub(super) type Wide = fn(u64, u64, bool) -> (u64, Option<bool>);

fn nonzero(r: u32) -> (u32, Option<bool>) {
    (r, Some(r != 0))
}

fn nonzero64(r: u64) -> (u64, Option<bool>) {
    (r, Some(r != 0))
}

fn keep(r: u32) -> (u32, Option<bool>) {
    (r, None)
}

fn carry(r: u64) -> (u32, Option<bool>) {
    (r as u32, Some(r >> 32 != 0))
}

fn overflow(r: i64) -> (u32, Option<bool>) {
    (r as u32, Some(i64::from(r as i32) != r))
}

fn s(a: u32) -> i64 {
    i64::from(a as i32)
}

fn u(a: u32) -> u64 {
    u64::from(a)
}

/// A field of bits: `b` has its offset in the low bits, its width from bit 16 on.
fn field(a: u64, b: u32, bits: u32, signed: bool) -> u64 {
    let (offset, width) = (b & (bits - 1), (b >> 16 & 127).min(bits));
    if width == 0 {
        return 0;
    }
    let shifted = (a >> offset) << (64 - width);
    if signed { (shifted as i64 >> (64 - width)) as u64 } else { shifted >> (64 - width) }
}

fn lowest(a: u64) -> u32 {
    if a == 0 { u32::MAX } else { a.trailing_zeros() }
}

fn highest(a: u32) -> u32 {
    if a == 0 { u32::MAX } else { a.leading_zeros() }
}

/// Two operands of 32 bits.
pub(super) const NARROW: &[(&str, Narrow)] = &[
    ("s_add_u32", |a, b, _| carry(u(a) + u(b))),
    ("s_addc_u32", |a, b, c| carry(u(a) + u(b) + u64::from(c))),
    ("s_sub_u32", |a, b, _| (a.wrapping_sub(b), Some(a < b))),
    ("s_subb_u32", |a, b, c| (a.wrapping_sub(b).wrapping_sub(c.into()), Some(u(a) < u(b) + u64::from(c)))),
    ("s_add_i32", |a, b, _| overflow(s(a) + s(b))),
    ("s_sub_i32", |a, b, _| overflow(s(a) - s(b))),
    ("s_addk_i32", |a, b, _| overflow(s(a) + s(b))),
    ("s_mulk_i32", |a, b, _| keep(a.wrapping_mul(b))),
    ("s_and_b32", |a, b, _| nonzero(a & b)),
    ("s_or_b32", |a, b, _| nonzero(a | b)),
    ("s_xor_b32", |a, b, _| nonzero(a ^ b)),
    ("s_andn2_b32", |a, b, _| nonzero(a & !b)),
    ("s_and_not1_b32", |a, b, _| nonzero(a & !b)),
    ("s_orn2_b32", |a, b, _| nonzero(a | !b)),
    ("s_or_not1_b32", |a, b, _| nonzero(a | !b)),
    ("s_xnor_b32", |a, b, _| nonzero(!(a ^ b))),
    ("s_nand_b32", |a, b, _| nonzero(!(a & b))),
    ("s_nor_b32", |a, b, _| nonzero(!(a | b))),
    ("s_lshl_b32", |a, b, _| nonzero(a << (b & 31))),
    ("s_lshr_b32", |a, b, _| nonzero(a >> (b & 31))),
    ("s_ashr_i32", |a, b, _| nonzero((a as i32 >> (b & 31)) as u32)),
    ("s_mul_i32", |a, b, _| keep(a.wrapping_mul(b))),
    ("s_mul_hi_u32", |a, b, _| keep(((u(a) * u(b)) >> 32) as u32)),
    ("s_mul_hi_i32", |a, b, _| keep(((s(a) * s(b)) >> 32) as u32)),
    ("s_min_i32", |a, b, _| (s(a).min(s(b)) as u32, Some(s(a) < s(b)))),
    ("s_max_i32", |a, b, _| (s(a).max(s(b)) as u32, Some(s(a) > s(b)))),
    ("s_min_u32", |a, b, _| (a.min(b), Some(a < b))),
    ("s_max_u32", |a, b, _| (a.max(b), Some(a > b))),
    ("s_bfe_u32", |a, b, _| nonzero(field(u(a), b, 32, false) as u32)),
    ("s_bfe_i32", |a, b, _| nonzero(field(u(a), b, 32, true) as u32)),
    ("s_bfm_b32", |a, b, _| keep(((1 << (a & 31)) - 1) << (b & 31))),
    ("s_lshl1_add_u32", |a, b, _| carry((u(a) << 1) + u(b))),
    ("s_lshl2_add_u32", |a, b, _| carry((u(a) << 2) + u(b))),
    ("s_lshl3_add_u32", |a, b, _| carry((u(a) << 3) + u(b))),
    ("s_lshl4_add_u32", |a, b, _| carry((u(a) << 4) + u(b))),
    ("s_cselect_b32", |a, b, c| keep(if c { a } else { b })),
    ("s_pack_ll_b32_b16", |a, b, _| keep(a & 0xffff | b << 16)),
    ("s_pack_lh_b32_b16", |a, b, _| keep(a & 0xffff | b & 0xffff_0000)),
    ("s_pack_hh_b32_b16", |a, b, _| keep(a >> 16 | b & 0xffff_0000)),
    ("s_pack_hl_b32_b16", |a, b, _| keep(a >> 16 | b << 16)),
    ("s_absdiff_i32", |a, b, _| nonzero((s(a) - s(b)).unsigned_abs() as u32)),
    // One operand.
    ("s_mov_b32", |a, _, _| keep(a)),
    ("s_not_b32", |a, _, _| nonzero(!a)),
    ("s_brev_b32", |a, _, _| keep(a.reverse_bits())),
    ("s_abs_i32", |a, _, _| nonzero(a.cast_signed().unsigned_abs())),
    ("s_sext_i32_i8", |a, _, _| keep(i32::from(a as i8) as u32)),
    ("s_sext_i32_i16", |a, _, _| keep(i32::from(a as i16) as u32)),
    ("s_bcnt1_i32_b32", |a, _, _| nonzero(a.count_ones())),
    ("s_flbit_i32_b32", |a, _, _| keep(highest(a))),
    ("s_clz_i32_u32", |a, _, _| keep(highest(a))),
    ("s_ff1_i32_b32", |a, _, _| keep(lowest(u(a)))),
    ("s_ctz_i32_b32", |a, _, _| keep(lowest(u(a)))),
];

/// First operand and result of 64 bits; the second as the instruction has it.
pub(super) const WIDE: &[(&str, Wide)] = &[
    ("s_and_b64", |a, b, _| nonzero64(a & b)),
    ("s_or_b64", |a, b, _| nonzero64(a | b)),
    ("s_xor_b64", |a, b, _| nonzero64(a ^ b)),
    ("s_andn2_b64", |a, b, _| nonzero64(a & !b)),
    ("s_and_not1_b64", |a, b, _| nonzero64(a & !b)),
    ("s_orn2_b64", |a, b, _| nonzero64(a | !b)),
    ("s_or_not1_b64", |a, b, _| nonzero64(a | !b)),
    ("s_xnor_b64", |a, b, _| nonzero64(!(a ^ b))),
    ("s_nand_b64", |a, b, _| nonzero64(!(a & b))),
    ("s_nor_b64", |a, b, _| nonzero64(!(a | b))),
    ("s_cselect_b64", |a, b, c| (if c { a } else { b }, None)),
    ("s_mul_u64", |a, b, _| (a.wrapping_mul(b), None)),
    ("s_mov_b64", |a, _, _| (a, None)),
    ("s_not_b64", |a, _, _| nonzero64(!a)),
    ("s_brev_b64", |a, _, _| (a.reverse_bits(), None)),
];

/// The same with a second operand of 32 bits.
pub(super) const SHIFTS: &[(&str, Wide)] = &[
    ("s_lshl_b64", |a, b, _| nonzero64(a << (b & 63))),
    ("s_lshr_b64", |a, b, _| nonzero64(a >> (b & 63))),
    ("s_ashr_i64", |a, b, _| nonzero64((a as i64 >> (b & 63)) as u64)),
    ("s_bfe_u64", |a, b, _| nonzero64(field(a, b as u32, 64, false))),
    ("s_bfe_i64", |a, b, _| nonzero64(field(a, b as u32, 64, true))),
];

/// One operand of 64 bits, a result of 32.
pub(super) const NARROWING: &[(&str, Wide)] = &[
    ("s_bcnt1_i32_b64", |a, _, _| nonzero64(a.count_ones().into())),
    ("s_ff1_i32_b64", |a, _, _| (lowest(a).into(), None)),
    ("s_ctz_i32_b64", |a, _, _| (lowest(a).into(), None)),
    ("s_flbit_i32_b64", |a, _, _| (if a == 0 { u64::MAX } else { a.leading_zeros().into() }, None)),
];

/// What SCC becomes.
pub(super) type Test = fn(u64, u64) -> bool;

/// Whether an order is accepted.
pub(super) type Relation = fn(Ordering) -> bool;

/// Relations of `s_cmp` and `s_cmpk`.
pub(super) const RELATIONS: &[(&str, Relation)] = &[
    ("eq", |o| o.is_eq()),
    ("lg", |o| o.is_ne()),
    ("gt", |o| o.is_gt()),
    ("ge", |o| o.is_ge()),
    ("lt", |o| o.is_lt()),
    ("le", |o| o.is_le()),
];

/// Tests of a bit.
pub(super) const BITS: &[(&str, Test)] =
    &[("s_bitcmp0_b32", |a, b| a >> (b & 31) & 1 == 0), ("s_bitcmp1_b32", |a, b| a >> (b & 31) & 1 == 1)];
