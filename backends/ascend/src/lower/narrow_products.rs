//! Rounds products on their way out of the accumulators, where nothing takes them but a conversion to 16 bits.
//!
//! ```text
//! s = dot(q, k)  f32 ─▶ workspace, 4 bytes each ─▶ f32 ─ clamp ─ cast ─▶ f16
//! s = dot(q, k)  f32 ─ fixpipe cuts and rounds ─▶ workspace, 2 bytes each ─▶ f16
//! ```
//! The product's result takes the conversion's type: half the bytes through the second-level cache, half the room of a vector core, and no
//! conversion there. On that way out `f16` is cut to its finite range, so that a conversion must be one of what was clamped to it; `bf16` is not.
//! Products that add to something keep their type, since that is added in `f32` behind them.

use kcc_dsl::ir::{BinaryOp, Block, Const, Elem, Kernel, Op, OpKind, TileType, ValueId};
use std::collections::{HashMap, HashSet};

/// The largest finite `f16`.
const MOST: f32 = 65504.0;

/// The kernel with such products; nothing if it has none.
pub(crate) fn run(kernel: &Kernel) -> Option<Kernel> {
    let mut f = Finder { kernel, constants: HashMap::new(), products: HashMap::new(), uses: HashMap::new() };
    f.look(&kernel.body);
    let (mut casts, mut gone) = (HashMap::new(), HashSet::new());
    kernel.walk(&mut |op| {
        if let Some(p) = f.rounded(op) {
            casts.insert(p.dot, op.results[0]);
            gone.extend(p.steps);
            gone.insert(op.results[0]);
        }
    });
    if casts.is_empty() {
        return None;
    }
    let mut kernel = kernel.clone();
    replace(&mut kernel.body, &casts, &gone);
    Some(kernel)
}

/// A product, and what it was cut to since.
#[derive(Clone)]
struct Product {
    dot: ValueId,
    steps: Vec<ValueId>,
    low: bool,
    high: bool,
}

struct Finder<'k> {
    kernel: &'k Kernel,
    /// Tiles of one number.
    constants: HashMap<ValueId, f32>,
    /// Products that add to nothing, cut or not.
    products: HashMap<ValueId, Product>,
    uses: HashMap<ValueId, usize>,
}

impl Finder<'_> {
    fn tile(&self, v: ValueId) -> Option<&TileType> {
        self.kernel.ty(v).tile()
    }

    fn look(&mut self, b: &Block) {
        for op in &b.ops {
            op.operands.iter().for_each(|v| *self.uses.entry(*v).or_default() += 1);
            self.op(op);
            op.regions.iter().for_each(|r| self.look(r));
        }
        b.yields.iter().for_each(|v| *self.uses.entry(*v).or_default() += 1);
    }

    fn op(&mut self, op: &Op) {
        let Some(r) = op.results.first().copied() else { return };
        let constant = |i: usize| op.operands.get(i).and_then(|v| self.constants.get(v)).copied();
        match &op.kind {
            OpKind::Constant(Const::Float(bits)) => {
                self.constants.insert(r, f32::from_bits(*bits));
            }
            OpKind::Broadcast { .. } => {
                if let Some(c) = constant(0) {
                    self.constants.insert(r, c);
                }
            }
            OpKind::Dot { .. } if constant(2) == Some(0.0) => {
                let p = Product { dot: r, steps: Vec::new(), low: false, high: false };
                self.products.insert(r, p);
            }
            OpKind::Binary(b @ (BinaryOp::MaxNan | BinaryOp::MinNan)) => {
                let low = *b == BinaryOp::MaxNan;
                let Some(p) = self.products.get(&op.operands[0]) else { return };
                if constant(1) == Some(if low { -MOST } else { MOST }) {
                    let mut p = p.clone();
                    p.steps.push(r);
                    (p.low, p.high) = (p.low || low, p.high || !low);
                    self.products.insert(r, p);
                }
            }
            _ => {}
        }
    }

    /// The product that an operation does nothing but round, as it would be rounded on its way out.
    fn rounded(&self, op: &Op) -> Option<Product> {
        let OpKind::Cast = op.kind else { return None };
        let p = self.products.get(&op.operands[0])?;
        let elem = |v: ValueId| self.tile(v).map(|t| t.elem);
        let alone = [p.dot].iter().chain(&p.steps).all(|v| self.uses.get(v) == Some(&1));
        let fits = match elem(op.results[0])? {
            Elem::F16 => p.low && p.high,
            Elem::BF16 => p.steps.is_empty(),
            _ => false,
        };
        (alone && fits && elem(p.dot) == Some(Elem::F32)).then(|| p.clone())
    }
}

fn replace(b: &mut Block, casts: &HashMap<ValueId, ValueId>, gone: &HashSet<ValueId>) {
    b.ops.retain(|op| op.results.first().is_none_or(|v| !gone.contains(v)));
    for op in &mut b.ops {
        for r in &mut op.results {
            *r = casts.get(r).copied().unwrap_or(*r);
        }
        op.regions.iter_mut().for_each(|r| replace(r, casts, gone));
    }
}
