//! Comparisons of a number for each row with a number for each column, as masks have them, some rows at a time.
//!
//! ```text
//! keys.row() >= limit.col()      two matrices of i32 and their maximum: 192 KiB for 64 × 256
//! k: keys, over and over         16 rows of it
//! m = max(k, limit of each row)  16 rows, one part after another
//! mask = m == k
//! ```
//! The unit compares `i32` for equality only.

use super::values::Held;
use super::{Lower, flat, pitch, rows};
use kcc_compiler::Error;
use kcc_davinci::ir::*;
use kcc_dsl::ir::{CmpOp, Elem, TileType, ValueId};

/// Bytes of a part.
const PART: i64 = 16 << 10;

/// Rows of a part, a multiple of 8: their masks are whole blocks.
fn part(t: &TileType) -> i64 {
    (PART / (4 * pitch(t)) / 8 * 8).clamp(8, 248)
}

/// Whether a matrix of `i32` is more than a part.
pub(super) fn large(t: &TileType) -> bool {
    pitch(t) <= 2040 && 4 * flat(t) > PART
}

impl Lower<'_> {
    /// The mask of a comparison of vectors along the two axes of a large matrix; nothing if it is no such comparison.
    pub(super) fn compare_along(&mut self, c: CmpOp, x: ValueId, y: ValueId) -> Result<Option<u32>, Error> {
        let t = self.tile(x)?.clone();
        let (columns, each, first) = match (self.get(x)?, self.get(y)?) {
            (Held::Along(a, 1), each @ (Held::Along(_, 0) | Held::Splat(_))) => (a, each, true),
            (each @ (Held::Along(_, 0) | Held::Splat(_)), Held::Along(b, 1)) => (b, each, false),
            _ => return Ok(None),
        };
        // a ≥ b is max(a, b) = a, and min(a, b) = b.
        let op = match (c, first) {
            (CmpOp::Ge | CmpOp::Lt, true) | (CmpOp::Le | CmpOp::Gt, false) => Binary::Max,
            (CmpOp::Le | CmpOp::Gt, true) | (CmpOp::Ge | CmpOp::Lt, false) => Binary::Min,
            _ => return Ok(None),
        };
        let (bools, n, p) = (t.with_elem(Elem::Bool), part(&t), pitch(&t));
        let mask = self.buffer(&bools);
        // A block of 32 bytes for each row, or one for all.
        let (blocks, step) = match each {
            Held::Along(b, _) => (self.blocks_of(b, &t), 1),
            other => {
                let one = self.space(Elem::I32, 32);
                let scalar = if let Held::Splat(s) = other { s } else { 0.into() };
                let (dst, span) = (Local::new(one, 0), Span::Count { n: 8.into() });
                self.issue(Duplicate { elem: Elem::I32, dst, scalar, span, dst_stride: Stride::DENSE });
                (one, 0)
            }
        };
        let piece = TileType::new(Elem::I32, &[n as usize, p as usize]);
        let (keys, most) = (self.buffer(&piece), self.buffer(&piece));
        self.copy_pieces(keys, (columns, Stride { block: 1, repeat: 0 }, 256), &piece);
        let wide = Stride { block: 1, repeat: (p / 8) as u8 };
        for start in (0..rows(&t)).step_by(n as usize) {
            let times = n.min(rows(&t) - start);
            for column in (0..p).step_by(64) {
                self.issue(VBinary {
                    op,
                    elem: Elem::I32,
                    dst: Local::new(most, 4 * column),
                    a: Local::new(keys, 4 * column),
                    b: Local::new(blocks, 32 * start * step),
                    span: Span::Repeat { lanes: 64.into(), times: times.into() },
                    dst_stride: wide,
                    a_stride: wide,
                    b_stride: Stride { block: 0, repeat: step as u8 },
                });
            }
            self.issue(CompareTo {
                op: Compare::Eq,
                elem: Elem::I32,
                dst: Local::new(mask, start * p / 8),
                a: Local::new(most, 0),
                b: Local::new(keys, 0),
                n: (times * p).into(),
            });
        }
        let negated = matches!(c, CmpOp::Gt | CmpOp::Lt);
        Ok(Some(if negated { self.flipped(mask, &bools) } else { mask }))
    }
}
