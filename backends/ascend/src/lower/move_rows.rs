//! Moves rows of tiles with vector instructions: slices, transpositions, parts put together.
//!
//! ```text
//! row by row    dst[i, ..] = src[f(i), ..]      copies of 256 bytes of many rows at once, where rows start at blocks of 32 bytes
//! gathered      dst[i, j] = src[g(i) + j · s]    one gather a row: the offsets are the same for all, the first byte moves on
//! ```
//! What neither does (rows that end up between blocks, bytes) goes an element at a time in the scalar unit.

use super::{BLOCK, Lower};
use kcc_davinci::ir::*;
use kcc_dsl::ir::Elem;

/// Rows that are written out one after another; more would make long programs.
const UNROLLED: usize = 256;

/// Elements that go from one buffer to another, in bytes: `dst + Σ i_a · to_a = src + Σ i_a · from_a`.
#[derive(Clone, Debug)]
pub(super) struct Move {
    pub elem: Elem,
    pub shape: Vec<usize>,
    pub src: (u32, i64),
    pub from: Vec<i64>,
    pub dst: (u32, i64),
    pub to: Vec<i64>,
}

impl Lower<'_> {
    /// Moves rows; `false` if there is no way to.
    pub(super) fn move_rows(&mut self, m: &Move) -> bool {
        let w = m.elem.bytes() as i64;
        let Some((n, leading)) = m.shape.split_last() else { return false };
        let (n, rows) = (*n as i64, leading.iter().product::<usize>());
        let last = m.shape.len() - 1;
        let blocks = |at: i64, by: &[i64]| at % BLOCK == 0 && by.iter().all(|s| s % BLOCK == 0);
        if rows == 0 || n == 0 {
            return true;
        }
        if rows > UNROLLED || m.to[last] != w || !blocks(m.dst.1, &m.to[..last]) {
            return false;
        }
        if m.from[last] == w && blocks(m.src.1, &m.from[..last]) {
            self.copy_rows(m, n * w);
            return true;
        }
        if !matches!(w, 2 | 4) {
            return false;
        }
        // The offsets of a row's elements from its first.
        let offsets = self.space(Elem::I32, 4 * ((n + 63) / 64 * 64));
        let at = Local::new(offsets, 0);
        self.issue(Iota { elem: Elem::I32, dst: at.clone(), first: 0.into(), n: n.into() });
        self.issue(VScalar {
            op: WithScalar::Mul,
            elem: Elem::I32,
            dst: at.clone(),
            src: at.clone(),
            scalar: m.from[last].into(),
            span: Span::Count { n: n.into() },
            dst_stride: Stride::DENSE,
            src_stride: Stride::DENSE,
        });
        // The base is any byte; the operand itself starts at a block.
        for (from, to) in places(m) {
            self.issue(Gather {
                elem: m.elem,
                dst: Local::new(m.dst.0, to),
                src: Local::new(m.src.0, 0),
                offsets: at.clone(),
                base: from.into(),
                n: n.into(),
            });
        }
        true
    }

    /// Copies of `bytes` bytes of each row, many rows at a time where they are near enough.
    fn copy_rows(&mut self, m: &Move, bytes: i64) {
        let halves = (bytes + 1) / 2;
        let near = |by: i64| u8::try_from(by / BLOCK).ok();
        let axis = m.shape.len().checked_sub(2);
        let strided = axis.and_then(|a| Some((m.shape[a] as i64, near(m.to[a])?, near(m.from[a])?)));
        let (rows, to, from) = strided.unwrap_or((1, 8, 8));
        for (n, (src, dst)) in places(m).into_iter().enumerate() {
            // With strides, the first of every `rows` rows stands for all of them.
            if n as i64 % rows != 0 {
                continue;
            }
            for piece in (0..halves).step_by(128) {
                for first in (0..rows).step_by(255) {
                    let row = |start: i64, by: u8| start + 2 * piece + first * i64::from(by) * BLOCK;
                    let place = Local::new(m.src.0, row(src, from));
                    self.issue(VBinary {
                        op: Binary::Or,
                        elem: Elem::I16,
                        dst: Local::new(m.dst.0, row(dst, to)),
                        a: place.clone(),
                        b: place,
                        span: Span::Repeat {
                            lanes: 128.min(halves - piece).into(),
                            times: 255.min(rows - first).into(),
                        },
                        dst_stride: Stride { block: 1, repeat: to },
                        a_stride: Stride { block: 1, repeat: from },
                        b_stride: Stride { block: 1, repeat: from },
                    });
                }
            }
        }
    }
}

/// The first bytes of each row, in the operand and in the result.
fn places(m: &Move) -> Vec<(i64, i64)> {
    let mut out = vec![(m.src.1, m.dst.1)];
    for a in 0..m.shape.len() - 1 {
        let step = |(s, d): (i64, i64)| {
            (0..m.shape[a] as i64).map(move |i| (s + i * m.from[a], d + i * m.to[a])).collect::<Vec<_>>()
        };
        out = out.into_iter().flat_map(step).collect();
    }
    out
}
