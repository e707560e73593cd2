//! Between the lanes of a wave.

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

/// The value of the first active lane, in a scalar register.
pub(crate) fn first(e: &mut Emit, v: V) -> V {
    e.here(v.ty, format!("rocdl.readfirstlane {v} : {}", v.ty))
}
