//! Sums of narrow numbers in `f32`, a piece of each row at a time.
//!
//! ```text
//! w = cast(p)  f32, whole      sum(w)                    the tile's bytes twice over, and half as many to fold in
//! a = cast(p[0..64])           a += cast(p[64..128]) …   64 numbers of each row, twice
//! ```
//! The same work in a fraction of the room, which a vector core then has for what is copied in meanwhile.

use super::values::Held;
use super::{Lower, pitch, rows, width};
use kcc_compiler::Error;
use kcc_davinci::ir::*;
use kcc_dsl::ir::{Block, Elem, Kernel, Op, OpKind, ReduceOp, TileType, ValueId};
use std::collections::HashMap;

/// Elements of a row's piece: a repeat.
const PIECE: i64 = 64;

fn narrow(t: &TileType) -> bool {
    matches!(t.elem, Elem::F16 | Elem::BF16)
}

/// The kernel with sums that take narrow numbers as they are, where they were widened for nothing else; nothing if it has none.
pub(crate) fn run(kernel: &Kernel) -> Option<Kernel> {
    let mut uses: HashMap<ValueId, usize> = HashMap::new();
    let mut casts: HashMap<ValueId, ValueId> = HashMap::new();
    kernel.walk(&mut |op| {
        op.operands.iter().for_each(|v| *uses.entry(*v).or_default() += 1);
        op.regions.iter().flat_map(|r| &r.yields).for_each(|v| *uses.entry(*v).or_default() += 1);
        if let (OpKind::Cast, [x], [r]) = (&op.kind, &op.operands[..], &op.results[..]) {
            let tiles = kernel.ty(*x).tile().zip(kernel.ty(*r).tile());
            if tiles.is_some_and(|(x, r)| narrow(x) && r.elem == Elem::F32 && in_pieces(x)) {
                casts.insert(*r, *x);
            }
        }
    });
    kernel.body.yields.iter().for_each(|v| *uses.entry(*v).or_default() += 1);
    let mut sums = HashMap::new();
    kernel.walk(&mut |op| {
        let OpKind::Reduce { axis, op: ReduceOp::Sum } = op.kind else { return };
        let v = op.operands[0];
        let last = kernel.ty(v).tile().is_some_and(|t| usize::from(axis) + 1 == t.rank());
        if let (Some(x), true, Some(1)) = (casts.get(&v), last, uses.get(&v)) {
            sums.insert(v, *x);
        }
    });
    if sums.is_empty() {
        return None;
    }
    let mut kernel = kernel.clone();
    replace(&mut kernel.body, &sums);
    Some(kernel)
}

fn replace(b: &mut Block, sums: &HashMap<ValueId, ValueId>) {
    b.ops.retain(|op: &Op| op.results.first().is_none_or(|r| !sums.contains_key(r)));
    for op in &mut b.ops {
        op.operands.iter_mut().for_each(|v| *v = sums.get(v).copied().unwrap_or(*v));
        op.regions.iter_mut().for_each(|r| replace(r, sums));
    }
}

/// Whether rows are whole pieces, more than one, near enough for an instruction's strides.
fn in_pieces(t: &TileType) -> bool {
    t.rank() > 0 && !t.is_empty() && width(t) == pitch(t) && pitch(t) > PIECE && pitch(t) <= 2040
}

impl Lower<'_> {
    /// The sum of each row of narrow numbers, in `f32`; nothing if it goes by whole tiles.
    pub(super) fn wide_sum(&mut self, x: ValueId, out: &TileType) -> Result<Option<Held>, Error> {
        let t = self.tile(x)?.clone();
        if !narrow(&t) || !in_pieces(&t) || matches!(self.get(x)?, Held::Splat(_)) {
            return Ok(None);
        }
        let (from, n, p) = (self.in_buffer(x)?, rows(&t), pitch(&t));
        let [sums, more] = [(); 2].map(|()| self.space(Elem::F32, 4 * n * PIECE));
        for column in (0..p).step_by(PIECE as usize) {
            let dst = if column == 0 { sums } else { more };
            for first in (0..n).step_by(255) {
                self.issue(Cast {
                    to: Elem::F32,
                    from: t.elem,
                    rounding: Rounding::None,
                    dst: Local::new(dst, 4 * first * PIECE),
                    src: Local::new(from, 2 * (first * p + column)),
                    span: Span::Repeat { lanes: PIECE.into(), times: 255.min(n - first).into() },
                    dst_stride: Stride { block: 1, repeat: (PIECE / 8) as u8 },
                    src_stride: Stride { block: 1, repeat: (p / 16) as u8 },
                });
            }
            if column > 0 {
                self.at_span(Binary::Add, Local::new(sums, 0), Local::new(more, 0), n * PIECE);
            }
        }
        let mut shape = t.shape.clone();
        shape.pop();
        shape.push(PIECE as usize);
        let (piece, whole) = (TileType::new(Elem::F32, &shape), (sums, PIECE));
        self.fold_rows((whole, whole), &piece, Binary::Add, ReduceOp::Sum, 0.0, out).map(Some)
    }
}
