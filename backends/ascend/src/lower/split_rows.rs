//! Shares the rows of tiles between the two vector cores of a group.
//!
//! ```text
//! core 0: rows 0 .. M/2      core 1: rows M/2 .. M       of products' results and of all that goes with them, row by row
//! ```
//! Values whose rows belong together form a class. A class that some operation needs whole (a reduction over rows, a
//! transposition) is computed by both cores, and written by the first.

use kcc_dsl::ir::{Block, Kernel, Op, OpKind, TileType, ValueId};
use std::collections::HashMap;

/// Classes of values, as a forest.
struct Classes<'k> {
    kernel: &'k Kernel,
    /// A product's left operand goes with its result.
    left: bool,
    parent: Vec<usize>,
    whole: Vec<bool>,
}

/// The types of half a tile, for values that are shared out.
pub(super) fn run(kernel: &Kernel) -> HashMap<ValueId, TileType> {
    shares(kernel, false, 2, 0).into_iter().map(|(v, t)| (v, fewer_rows(&t, 2))).collect()
}

/// A tile with that part of the rows.
pub(super) fn fewer_rows(t: &TileType, by: usize) -> TileType {
    let mut part = t.clone();
    part.shape[0] /= by;
    part
}

/// Values whose rows may be shared out, with their types: rows are a multiple of `by`, and a tile of the class has at least so many
/// bytes. With `left`, rows of a product's left operand are those of its result.
pub(super) fn shares(kernel: &Kernel, left: bool, by: usize, least: usize) -> HashMap<ValueId, TileType> {
    let n = kernel.values.len();
    let mut c = Classes { kernel, left, parent: (0..n).collect(), whole: vec![false; n] };
    c.block(&kernel.body);
    let mut large = vec![0; n];
    for v in 0..n {
        let (t, r) = (c.tile(ValueId(v as u32)), c.root(v));
        if t.is_none_or(|t| t.rank() == 0 || t.shape[0] % by != 0) {
            c.whole[r] = true;
        }
        large[r] = large[r].max(t.map_or(0, |t| t.len() * t.elem.bytes()));
    }
    let mut out = HashMap::new();
    for v in 0..n {
        let (id, r) = (ValueId(v as u32), c.root(v));
        if let (Some(t), false) = (c.tile(id), c.whole[r] || large[r] < least) {
            out.insert(id, t.clone());
        }
    }
    out
}

impl<'k> Classes<'k> {
    fn tile(&self, v: ValueId) -> Option<&'k TileType> {
        self.kernel.ty(v).tile()
    }

    fn root(&mut self, v: usize) -> usize {
        let mut r = v;
        while self.parent[r] != r {
            r = self.parent[r];
        }
        self.parent[v] = r;
        r
    }

    /// The rows of all of them go together.
    fn link(&mut self, values: &[ValueId]) {
        let tiles: Vec<usize> = values
            .iter()
            .filter(|v| self.tile(**v).is_some_and(|t| t.rank() > 0))
            .map(|v| v.0 as usize)
            .collect();
        for pair in tiles.windows(2) {
            let (a, b) = (self.root(pair[0]), self.root(pair[1]));
            self.parent[a] = b;
            self.whole[b] |= self.whole[a];
        }
    }

    fn keep_whole(&mut self, values: &[ValueId]) {
        for v in values {
            let r = self.root(v.0 as usize);
            self.whole[r] = true;
        }
    }

    fn block(&mut self, b: &Block) {
        for op in &b.ops {
            for r in &op.regions {
                self.block(r);
            }
            self.op(op);
        }
    }

    fn op(&mut self, op: &Op) {
        let all: Vec<ValueId> = op.operands.iter().chain(&op.results).copied().collect();
        let rows = |c: &Self, v: ValueId| c.tile(v).and_then(|t| t.shape.first().copied());
        let linked_if = |c: &mut Self, ok: bool| if ok { c.link(&all) } else { c.keep_whole(&all) };
        match &op.kind {
            k if k.is_elementwise() => self.link(&all),
            OpKind::Dot { .. } if self.left => {
                let batched = self.tile(op.results[0]).is_some_and(|t| t.rank() > 2);
                self.link(&[op.operands[0], op.operands[2], op.results[0]]);
                if batched { self.link(&all) } else { self.keep_whole(&all[1..2]) }
            }
            OpKind::Dot { .. } => self.link(&[op.operands[2], op.results[0]]),
            OpKind::Broadcast { axes } => {
                let (x, r) = (op.operands[0], op.results[0]);
                if axes.first() == Some(&0) && rows(self, x) == rows(self, r) {
                    self.link(&all);
                } else {
                    self.keep_whole(&[x]);
                }
            }
            OpKind::Reshape => {
                let same = rows(self, op.operands[0]) == rows(self, op.results[0]);
                linked_if(self, same);
            }
            OpKind::Transpose { perm } => linked_if(self, perm[0] == 0),
            OpKind::Join | OpKind::Split => self.link(&all),
            OpKind::Slice { offsets } => {
                let same =
                    offsets.first() == Some(&0) && rows(self, op.operands[0]) == rows(self, op.results[0]);
                linked_if(self, same);
            }
            OpKind::Concat { axis } => linked_if(self, *axis != 0),
            OpKind::LoadRows { .. } => self.link(&[op.operands[1], op.results[0]]),
            OpKind::StoreRows { .. } => self.link(&[op.operands[1], op.operands[3]]),
            OpKind::Gather | OpKind::Scatter | OpKind::Atomic { .. } | OpKind::AtomicCas { .. } => {
                self.link(&all[1..]);
            }
            OpKind::Reduce { axis, .. } | OpKind::ArgReduce { axis, .. } | OpKind::ReduceWith { axis } => {
                linked_if(self, *axis != 0);
            }
            OpKind::Scan { axis, .. } | OpKind::ScanWith { axis, .. } => linked_if(self, *axis != 0),
            OpKind::Sort { .. } | OpKind::TopK { .. } => {
                let deep = self.tile(op.operands[0]).is_some_and(|t| t.rank() > 1);
                linked_if(self, deep);
            }
            OpKind::For { .. } => {
                let region = &op.regions[0];
                for (i, r) in op.results.iter().enumerate() {
                    self.link(&[op.operands[3 + i], region.args[1 + i], region.yields[i], *r]);
                }
            }
            OpKind::While => {
                let (h, b) = (&op.regions[0], &op.regions[1]);
                for (i, r) in op.results.iter().enumerate() {
                    self.link(&[op.operands[i], h.args[i], h.yields[1 + i], b.args[i], b.yields[i], *r]);
                }
            }
            OpKind::If => {
                for (i, r) in op.results.iter().enumerate() {
                    self.link(&[op.regions[0].yields[i], op.regions[1].yields[i], *r]);
                }
            }
            OpKind::Load { .. } | OpKind::Store { .. } | OpKind::Arange | OpKind::Constant(_) => {}
            _ => self.keep_whole(&all),
        }
    }
}
