//! Between the lanes of a wave.

use crate::chips::{Chip, Rows};
use kcc_compiler::emit::{Emit, K, Ty, V};
use kcc_compiler::gpu::Shuffle;

/// Index of the lane in its wave.
fn lane(e: &mut Emit, lanes: u32) -> V {
    let word = Ty::scalar(K::I32);
    let (all, zero) = (e.int(K::I32, -1), e.int(K::I32, 0));
    let low = e.pure(word, format!("rocdl.mbcnt.lo {all}, {zero} : (i32, i32) -> i32"), &[all, zero]);
    if lanes == 32 {
        return low;
    }
    e.pure(word, format!("rocdl.mbcnt.hi {all}, {low} : (i32, i32) -> i32"), &[all, low])
}

/// A 32-bit value of another lane, by way of the data share's crossbar, which needs no memory.
pub(crate) fn shuffle(e: &mut Emit, lanes: u32, how: Shuffle, v: V, by: V) -> V {
    let from = match how {
        Shuffle::Index => by,
        Shuffle::Xor => {
            let own = lane(e, lanes);
            e.op2("arith.xori", own, by)
        }
        Shuffle::Up => {
            let own = lane(e, lanes);
            let (from, zero) = (e.op2("arith.subi", own, by), e.int(K::I32, 0));
            let outside = e.cmpi("slt", from, zero);
            e.select(outside, own, from)
        }
        Shuffle::Down => {
            let own = lane(e, lanes);
            let (from, most) = (e.op2("arith.addi", own, by), e.int(K::I32, i64::from(lanes) - 1));
            let outside = e.cmpi("ugt", from, most);
            e.select(outside, own, from)
        }
    };
    let two = e.int(K::I32, 2);
    let byte = e.op2("arith.shli", from, two);
    let word = e.bits(v, K::I32);
    let read = e.here(Ty::scalar(K::I32), format!("rocdl.ds_bpermute {byte}, {word} : (i32, i32) -> i32"));
    e.bits(read, v.ty.k)
}

/// The word of lane `own ^ by` without the data share, where the chip has instructions for it: DPP within a row of 16
/// lanes (ISA guides, "DPP_CTRL"), then what rows exchange.
pub(crate) fn exchange(e: &mut Emit, chip: &Chip, v: V, by: u32) -> Option<V> {
    let whole = (15, 15);
    match (by, chip.rows) {
        // quad_perm: two bits for each of four lanes.
        (1..=3, _) => {
            let control = (0..4).fold(0, |c, lane| c | (lane ^ by) << (2 * lane));
            Some(dpp(e, v, v, control, whole))
        }
        // row_xmask.
        (4..=15, Rows::Cross) => Some(dpp(e, v, v, 0x160 + by, whole)),
        // row_shl:4 for lanes that have others above, then row_shr:4 for those above.
        (4, _) => {
            let low = dpp(e, v, v, 0x104, (15, 0b0101));
            Some(dpp(e, low, v, 0x114, (15, 0b1010)))
        }
        // row_ror:8.
        (8, _) => Some(dpp(e, v, v, 0x128, whole)),
        (16, Rows::Cross) => {
            let word = e.bits(v, K::I32);
            // Which lane of the other row each of a row reads: four bits each.
            let (low, high) = (e.int(K::I32, 0x7654_3210), e.int(K::I32, 0xfedc_ba98u32 as i32 as i64));
            let text = format!("rocdl.permlanex16 {word}, {word}, {low}, {high}, true, false : i32, i32");
            let read = e.here(Ty::scalar(K::I32), text);
            Some(e.bits(read, v.ty.k))
        }
        (16 | 32, Rows::Swap) => {
            let [below, above] = swap(e, v, by);
            let own = lane(e, chip.lanes);
            let (bit, zero) = (e.int(K::I32, i64::from(by)), e.int(K::I32, 0));
            let bit = e.op2("arith.andi", own, bit);
            let is_above = e.cmpi("ne", bit, zero);
            Some(e.select(is_above, below, above))
        }
        _ => None,
    }
}

/// What the lower and what the upper of lanes `own` and `own ^ by` holds, in both, where one instruction gives them.
pub(crate) fn exchange_both(e: &mut Emit, chip: &Chip, v: V, by: u32) -> Option<[V; 2]> {
    (matches!(by, 16 | 32) && chip.rows == Rows::Swap).then(|| swap(e, v, by))
}

/// `v_permlane16_swap` or `v_permlane32_swap` of a value with itself: rows whose lanes have bit `by` of one trade places with those that
/// have not of the other.
fn swap(e: &mut Emit, v: V, by: u32) -> [V; 2] {
    let word = e.bits(v, K::I32);
    let pair = "!llvm.struct<(i32, i32)>";
    let text = format!("rocdl.permlane{by}.swap {word}, {word}, false, false : (i32, i32) -> {pair}");
    // The pair has no type among the writer's; its parts have.
    let both = e.here(Ty::scalar(K::I32), text);
    [0, 1].map(|i| {
        let part = e.here(Ty::scalar(K::I32), format!("llvm.extractvalue {both}[{i}] : {pair}"));
        e.bits(part, v.ty.k)
    })
}

/// `old` where a row or a bank of four lanes is not in the masks, `v` of another lane elsewhere. With whole masks every
/// control used here has a source for each lane, and what stands for missing ones is LLVM's to choose.
fn dpp(e: &mut Emit, old: V, v: V, control: u32, (rows, banks): (u32, u32)) -> V {
    let whole = (rows, banks) == (15, 15);
    let text = format!("rocdl.update.dpp {old}, {v} with {control}, {rows}, {banks}, {whole} : {}", v.ty);
    e.here(v.ty, text)
}

/// The value of the first active lane, in a scalar register.
pub(crate) fn first(e: &mut Emit, v: V) -> V {
    e.here(v.ty, format!("rocdl.readfirstlane {v} : {}", v.ty))
}
