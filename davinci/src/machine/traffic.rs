//! What instructions move from or to global memory, for runs that only count cycles.

use super::code::num;
use super::context::Globals;
use super::cost::Moved;
use crate::ir::*;

/// Notes a piece of global memory.
fn piece(g: &mut Globals, m: &mut Moved, at: &Global, off: i64, len: i64) {
    let (which, origin) = match at.param {
        None => (g.params.len(), 0),
        Some(p) => (p as usize, g.origins[p as usize]),
    };
    let from = origin + num(&at.offset) + off;
    if from >= 0 && len > 0 {
        g.touch(which, from as usize, len as u64, m);
    }
}

/// What an instruction moves.
pub(super) fn of(g: &mut Globals, i: &Instr) -> Moved {
    let mut m = Moved::default();
    match i {
        Instr::CopyIn(i) => {
            for b in 0..num(&i.blocks) {
                piece(g, &mut m, &i.src, b * (num(&i.bytes) + num(&i.src_gap)), num(&i.bytes));
            }
        }
        Instr::CopyOut(i) => {
            for b in 0..num(&i.blocks) {
                piece(g, &mut m, &i.dst, b * (num(&i.bytes) + num(&i.dst_gap)), num(&i.bytes));
            }
        }
        Instr::CopyL1(i) => {
            for b in 0..num(&i.blocks) {
                let len = 32 * num(&i.length);
                piece(g, &mut m, &i.src, b * (len + 32 * num(&i.src_gap)), len);
            }
        }
        Instr::NdToNz(i) => {
            let w = i.elem.bytes() as i64;
            for n in 0..num(&i.matrices) {
                for r in 0..num(&i.rows) {
                    let off = w * (n * num(&i.src_matrix) + r * num(&i.src_row));
                    piece(g, &mut m, &i.src, off, w * num(&i.columns));
                }
            }
        }
        Instr::Fixpipe(i) => {
            let w = if i.quant == Quant::None { 4 } else { 2 };
            for r in 0..num(&i.m) {
                piece(g, &mut m, &i.dst, w * r * num(&i.dst_stride), w * num(&i.n));
            }
        }
        _ => {}
    }
    m
}
