//! What becomes of values: until when their bytes are needed, and how exactly.
//!
//! ```text
//! p = exp2(x)   p.to::<f16>()        narrow results round most of p away
//!               p.sum_rows()         a sum of N terms in any order may be off by (N - 1) units of its largest partial sum
//! ```
//! An exponential that is used so alone may be off by [`LOOSE`] units in the last place, and costs half.

use kcc_dsl::ir::{BinaryOp, Elem, Kernel, Op, OpKind, ReduceOp, TileType, UnaryOp, ValueId};
use std::collections::{HashMap, HashSet};

/// Units (2^-24 of the result) by which `e^(x · ln 2)`, with the product rounded once, is off at the end of its range, where
/// `|x| · ln 2` is 88: half a unit of the product, 2^-18 absolute.
const LOOSE: usize = 64;

/// What takes a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Taker {
    /// It makes up for more than [`LOOSE`] units.
    Forgiving,
    /// A product, which adds to it.
    Adding,
    Other,
}

impl Taker {
    fn of(kernel: &Kernel, op: &Op, operand: usize) -> Taker {
        let tile = |v: &ValueId| kernel.ty(*v).tile();
        let narrow = |t: &TileType| matches!(t.elem, Elem::F16 | Elem::BF16);
        match op.kind {
            OpKind::Cast if tile(&op.results[0]).is_some_and(narrow) => Taker::Forgiving,
            OpKind::Reduce { axis, op: ReduceOp::Sum }
                if tile(&op.operands[0]).is_some_and(|t| t.shape[usize::from(axis)] > LOOSE) =>
            {
                Taker::Forgiving
            }
            OpKind::Dot { .. } if operand == 2 => Taker::Adding,
            _ => Taker::Other,
        }
    }
}

/// What is known of a kernel's values.
#[derive(Default)]
pub(super) struct Uses {
    /// The place of the operation that gives a value, in the order of the text.
    place: HashMap<ValueId, usize>,
    /// Of the last operation that takes it; none beyond for what is yielded.
    last: HashMap<ValueId, usize>,
    /// Exponentials that may be off by [`LOOSE`] units.
    pub loose: HashSet<ValueId>,
    /// Products that are taken by nothing but a matrix product, as what it adds to.
    pub added: HashSet<ValueId>,
}

impl Uses {
    pub fn of(kernel: &Kernel) -> Uses {
        let mut u = Uses::default();
        // By whom: a forgiving operation, the addend of a product, or anything else.
        let mut takers: HashMap<ValueId, Vec<Taker>> = HashMap::new();
        let mut n = 0;
        kernel.walk(&mut |op| {
            n += 1;
            u.place.extend(op.results.iter().map(|r| (*r, n)));
            for (i, v) in op.operands.iter().enumerate() {
                let last = u.last.entry(*v).or_default();
                *last = n.max(*last);
                takers.entry(*v).or_default().push(Taker::of(kernel, op, i));
            }
            for v in op.regions.iter().flat_map(|r| &r.yields) {
                u.last.insert(*v, usize::MAX);
            }
        });
        kernel.walk(&mut |op| {
            let Some(r) = op.results.first() else { return };
            let users = takers.get(r).map_or(&[][..], Vec::as_slice);
            let kept = u.last.get(r) == Some(&usize::MAX) || users.is_empty();
            match op.kind {
                OpKind::Unary(UnaryOp::Exp2) if !kept && users.iter().all(|t| *t == Taker::Forgiving) => {
                    u.loose.insert(*r);
                }
                OpKind::Binary(BinaryOp::Mul) if !kept && users == [Taker::Adding] => {
                    u.added.insert(*r);
                }
                _ => {}
            }
        });
        u
    }

    /// Whether anything takes it.
    pub fn taken(&self, v: ValueId) -> bool {
        self.last.contains_key(&v)
    }

    /// Whether an operation with that result is the last that takes a value.
    pub fn ends(&self, v: ValueId, with: ValueId) -> bool {
        self.last.get(&v).is_some_and(|l| Some(l) == self.place.get(&with))
    }
}
