//! Finds extrema of rows that may let not-a-number win, as the unit's own do: those of which nothing but what is not-a-number
//! anyway comes.
//!
//! ```text
//! m = s.max_rows(); p = exp2(s - m); sum = sum + p.sum_rows(); o = … / sum
//! a not-a-number in a row of s: p has it, sum is it, the row of o is nothing else, whatever m was
//! ```
//! The language's extrema pass over not-a-number, which costs two more passes over the tile. Two sets decide. What may *change*
//! with the choice: all that is computed from the extremum, which must stay within the row. What is *lost* either way: values whose row is
//! nothing but not-a-number once the extremum's operand has one, which follows without looking at any extremum. All that
//! leaves the kernel and may change must be lost.

use kcc_dsl::ir::{BinaryOp, Block, CmpOp, Kernel, Op, OpKind, ReduceOp, TileType, UnaryOp, ValueId};
use std::collections::{HashMap, HashSet};

/// What is known of a row of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fact {
    /// Some element is not-a-number.
    Some,
    /// Every element is.
    All,
    /// Every element is true, or false.
    Truth(bool),
}

type Facts = HashMap<ValueId, Fact>;

/// The extrema, by their results.
pub(super) fn run(kernel: &Kernel) -> HashSet<ValueId> {
    let mut found = HashSet::new();
    blocks(&kernel.body, &mut |parent, k, region| {
        for op in &region.ops {
            let extremum = matches!(op.kind, OpKind::Reduce { axis: 1, op: ReduceOp::Max | ReduceOp::Min });
            let s = State { kernel };
            if extremum && s.rank(op.operands[0]) == 2 && s.holds(parent, k, region, op) == Some(true) {
                found.insert(op.results[0]);
            }
        }
    });
    found
}

/// Calls `f` with each loop: the block around it, its place there, and its body.
fn blocks<'k>(b: &'k Block, f: &mut dyn FnMut(&'k Block, usize, &'k Block)) {
    for (k, op) in b.ops.iter().enumerate() {
        if let OpKind::For { .. } = op.kind {
            f(b, k, &op.regions[0]);
        }
        op.regions.iter().for_each(|r| blocks(r, f));
    }
}

struct State<'k> {
    kernel: &'k Kernel,
}

impl State<'_> {
    fn tile(&self, v: ValueId) -> Option<&TileType> {
        self.kernel.ty(v).tile()
    }

    fn rank(&self, v: ValueId) -> usize {
        self.tile(v).map_or(0, TileType::rank)
    }

    /// Whether not-a-number may win in a reduction of a loop's body.
    fn holds(&self, parent: &Block, k: usize, region: &Block, op: &Op) -> Option<bool> {
        let changed = self.changed(op.results[0])?;
        // In the turn in which it appears.
        let mut facts = Facts::from([(op.operands[0], Fact::Some)]);
        self.through(&region.ops, &mut facts)?;
        let lost: Vec<bool> = region.yields.iter().map(|y| facts.get(y) == Some(&Fact::All)).collect();
        let lost = self.carried(region, lost)?;
        // Behind the loop.
        let mut facts: Facts =
            parent.ops[k].results.iter().zip(lost).filter(|x| x.1).map(|(r, _)| (*r, Fact::All)).collect();
        self.through(&parent.ops[k + 1..], &mut facts)?;
        let stored = |o: &&Op| o.kind.has_side_effect() && o.operands.iter().any(|v| changed.contains(v));
        let mut all = 0;
        self.kernel.walk(&mut |o| all += usize::from(stored(&o)));
        let here: Vec<&Op> = parent.ops[k + 1..].iter().filter(stored).collect();
        let leaves = |o: &&Op| match o.kind {
            OpKind::Store { .. } | OpKind::StoreRows { .. } => o
                .operands
                .iter()
                .filter(|v| changed.contains(v))
                .all(|v| Some(v) == value(o).as_ref() && facts.get(v) == Some(&Fact::All)),
            _ => false,
        };
        let escapes = parent.yields.iter().any(|y| changed.contains(y));
        Some(here.len() == all && here.iter().all(leaves) && !escapes)
    }

    /// Which of a loop's carried values stay lost once they are.
    fn carried(&self, region: &Block, mut lost: Vec<bool>) -> Option<Vec<bool>> {
        loop {
            let args = region.args[1..].iter().zip(&lost);
            let mut facts: Facts = args.filter(|x| *x.1).map(|(a, _)| (*a, Fact::All)).collect();
            self.through(&region.ops, &mut facts)?;
            let next: Vec<bool> = (region.yields.iter().zip(&lost))
                .map(|(y, l)| *l && facts.get(y) == Some(&Fact::All))
                .collect();
            if next == lost {
                return Some(lost);
            }
            lost = next;
        }
    }

    /// Facts of operations one after another.
    fn through(&self, ops: &[Op], facts: &mut Facts) -> Option<()> {
        for op in ops {
            if let OpKind::For { .. } = op.kind {
                let region = &op.regions[0];
                let lost = op.operands[3..].iter().map(|v| facts.get(v) == Some(&Fact::All)).collect();
                let lost = self.carried(region, lost)?;
                facts.extend(op.results.iter().zip(lost).filter(|x| x.1).map(|(r, _)| (*r, Fact::All)));
            } else if let Some(f) = self.fact(op, facts) {
                facts.insert(op.results[0], f);
            }
        }
        Some(())
    }

    fn fact(&self, op: &Op, facts: &Facts) -> Option<Fact> {
        let r = *op.results.first()?;
        let of = |i: usize| facts.get(op.operands.get(i)?).copied();
        let float = self.tile(r).is_some_and(|t| t.elem.is_float());
        let number = |f: &Fact| matches!(f, Fact::Some | Fact::All);
        let most = || {
            let all: Vec<Fact> = (0..op.operands.len()).filter_map(of).filter(number).collect();
            all.iter().find(|f| **f == Fact::All).or(all.first()).copied()
        };
        match &op.kind {
            OpKind::Unary(UnaryOp::Not) => None,
            OpKind::Unary(_) | OpKind::Cast if float => of(0).filter(number),
            OpKind::Binary(BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div) if float => most(),
            OpKind::Fma if float => most(),
            OpKind::Broadcast { axes } if self.along(op.operands[0], axes, r) => of(0),
            OpKind::Reduce { axis: 1, op: ReduceOp::Sum } if number(&of(0)?) => Some(Fact::All),
            OpKind::Dot { .. } if self.rank(r) == 2 => match (of(0).filter(number), of(2)) {
                (Some(_), _) => Some(Fact::All),
                (None, acc) => acc,
            },
            OpKind::Compare(c) if of(0) == Some(Fact::All) || of(1) == Some(Fact::All) => {
                Some(Fact::Truth(*c == CmpOp::Ne))
            }
            OpKind::Select => match of(0) {
                Some(Fact::Truth(t)) => of(if t { 1 } else { 2 }),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether a broadcast gives each row what the operand has for it.
    fn along(&self, x: ValueId, axes: &[u8], r: ValueId) -> bool {
        let rows = |v: ValueId| self.tile(v).and_then(|t| t.shape.first().copied());
        axes.first() == Some(&0) && rows(x) == rows(r)
    }

    /// All that is computed from a value; nothing if that leaves its row or decides what happens.
    fn changed(&self, from: ValueId) -> Option<HashSet<ValueId>> {
        let mut set = HashSet::from([from]);
        loop {
            let before = set.len();
            let mut ok = true;
            self.kernel.walk(&mut |op| ok &= self.spread(op, &mut set));
            if !ok {
                return None;
            }
            if set.len() == before {
                return set.iter().all(|v| matches!(self.rank(*v), 1 | 2)).then_some(set);
            }
        }
    }

    fn spread(&self, op: &Op, set: &mut HashSet<ValueId>) -> bool {
        let touched = op.operands.iter().any(|v| set.contains(v));
        match &op.kind {
            OpKind::For { .. } => {
                let region = &op.regions[0];
                if op.operands[..3].iter().any(|v| set.contains(v)) {
                    return false;
                }
                for (i, r) in op.results.iter().enumerate() {
                    let (init, arg, next) = (op.operands[3 + i], region.args[1 + i], region.yields[i]);
                    if [init, arg, next, *r].iter().any(|v| set.contains(v)) {
                        set.extend([arg, *r]);
                    }
                }
                return true;
            }
            OpKind::If | OpKind::While => {
                let yields = op.regions.iter().flat_map(|r| &r.yields).any(|v| set.contains(v));
                return !touched && !yields;
            }
            k if k.has_side_effect() => return true,
            _ if !touched => return true,
            _ => {}
        }
        let row = match &op.kind {
            k if k.is_elementwise() => true,
            OpKind::Broadcast { axes } => self.along(op.operands[0], axes, op.results[0]),
            OpKind::Reduce { axis, .. } => *axis == 1,
            OpKind::Dot { .. } => self.rank(op.results[0]) == 2 && !set.contains(&op.operands[1]),
            _ => false,
        };
        set.extend(op.results.iter().copied());
        row
    }
}

/// What a store writes.
fn value(op: &Op) -> Option<ValueId> {
    match op.kind {
        OpKind::Store { .. } => op.operands.last().copied(),
        OpKind::StoreRows { .. } => op.operands.get(3).copied(),
        _ => None,
    }
}
