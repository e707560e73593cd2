//! Pairs whose axis goes elsewhere at once are put together where they go.
//!
//! ```text
//! low.join(high)   [32, 64, 2]  ─ transpose ─▶  [32, 2, 64]      a row of two takes 32 bytes, as any row does
//! low [32, 1, 64], high [32, 1, 64]  ─ concat ─▶  [32, 2, 64]    rows of 64: no more than their elements
//! ```
//! So four-bit weights are unpacked: two halves of a byte, whose rows alternate.

use kcc_dsl::ir::{Block, Kernel, LocId, Op, OpKind, TileType, Type, ValueId};
use std::collections::HashMap;

/// The kernel with such pairs; nothing if it has none.
pub(crate) fn run(kernel: &Kernel) -> Option<Kernel> {
    let mut w =
        Weaver { values: kernel.values.clone(), pairs: HashMap::new(), uses: HashMap::new(), any: false };
    w.look(&kernel.body);
    let mut body = kernel.body.clone();
    w.block(&mut body);
    w.any.then(|| Kernel { values: w.values, body, ..kernel.clone() })
}

struct Weaver {
    values: Vec<Type>,
    /// Operands of each `join`, by its result.
    pairs: HashMap<ValueId, [ValueId; 2]>,
    /// How many operations take the result of a `join`.
    uses: HashMap<ValueId, usize>,
    any: bool,
}

impl Weaver {
    fn look(&mut self, b: &Block) {
        for op in &b.ops {
            if let (OpKind::Join, [x, y]) = (&op.kind, &op.operands[..]) {
                self.pairs.insert(op.results[0], [*x, *y]);
            }
            op.operands.iter().for_each(|v| *self.uses.entry(*v).or_default() += 1);
            op.regions.iter().for_each(|r| self.look(r));
        }
        b.yields.iter().for_each(|v| *self.uses.entry(*v).or_default() += 1);
    }

    /// Where the axis of a pair goes, if the other axes keep their order.
    fn goes_to(perm: &[u8]) -> Option<usize> {
        let last = perm.len() - 1;
        let to = perm.iter().position(|a| usize::from(*a) == last)?;
        let others = perm.iter().filter(|a| usize::from(**a) != last);
        (to != last && others.enumerate().all(|(i, a)| i == usize::from(*a))).then_some(to)
    }

    fn block(&mut self, b: &mut Block) {
        let mut ops = Vec::with_capacity(b.ops.len());
        for mut op in std::mem::take(&mut b.ops) {
            op.regions.iter_mut().for_each(|r| self.block(r));
            match self.woven(&op) {
                Some(new) => ops.extend(new),
                None => ops.push(op),
            }
        }
        // A pair that nobody takes any more; those that take it come behind it, in this block or within it.
        ops.retain(|op| op.kind != OpKind::Join || self.uses.get(&op.results[0]).is_none_or(|n| *n > 0));
        b.ops = ops;
    }

    fn woven(&mut self, op: &Op) -> Option<[Op; 3]> {
        let OpKind::Transpose { perm } = &op.kind else { return None };
        let pair = *self.pairs.get(&op.operands[0])?;
        let to = Self::goes_to(perm)?;
        self.any = true;
        *self.uses.entry(op.operands[0]).or_default() -= 1;
        let rows = pair.map(|v| self.with_axis(v, to, op.loc));
        let operands = rows.iter().map(|r| r.results[0]).collect();
        let kind = OpKind::Concat { axis: to as u8 };
        let [x, y] = rows;
        Some([x, y, Op { kind, operands, ..op.clone() }])
    }

    /// The value with an axis of one at that place.
    fn with_axis(&mut self, v: ValueId, at: usize, loc: LocId) -> Op {
        let ty = match &self.values[v.0 as usize] {
            Type::Tile(t) => {
                let mut shape = t.shape.clone();
                shape.insert(at, 1);
                Type::Tile(TileType { shape, ..t.clone() })
            }
            other => other.clone(),
        };
        self.values.push(ty);
        let result = ValueId(self.values.len() as u32 - 1);
        Op { kind: OpKind::Reshape, operands: vec![v], results: vec![result], regions: Vec::new(), loc }
    }
}
