//! Makes a failing case small: operations go, one after another, while the case still fails.
//!
//! ```text
//! %3 = exp %2           %3 = constant 1
//! %4 = add %3, %1   ─►  %4 = add %3, %1   ─►  …   until every operation that is left is needed for the failure
//! ```

use super::Case;
use crate::ir::{Block, Const, Elem, Kernel, Op, OpKind, Type, ValueId, validate};
use std::collections::HashSet;

/// The smallest case found for which `fails` still holds. `fails` is asked many times: a few per operation.
///
/// The tolerances stay those of the whole case, so `fails` should look for a difference well beyond them, or for
/// a crash.
pub fn reduce(case: &Case, mut fails: impl FnMut(&Case) -> bool) -> Case {
    let mut best = case.clone();
    drop_dead(&mut best.kernel.body);
    if !fails(&best) {
        best = case.clone();
    }
    loop {
        let before = count(&best.kernel);
        let mut n = 0;
        // From the last operation backwards: what only fed it then goes as dead code.
        while n < count(&best.kernel) {
            let at = count(&best.kernel) - 1 - n;
            n += 1;
            for change in [remove, bypass, simplify] {
                let mut trial = best.clone();
                let changed = edit(&mut trial.kernel, at, change);
                drop_dead(&mut trial.kernel.body);
                if changed && validate(&trial.kernel).is_ok() && trial.expected().is_ok() && fails(&trial) {
                    best = trial;
                    break;
                }
            }
        }
        if count(&best.kernel) >= before {
            return best;
        }
    }
}

fn count(kernel: &Kernel) -> usize {
    let mut n = 0;
    kernel.walk(&mut |_| n += 1);
    n
}

/// A change of one operation; `None` if there is nothing to change. The answer is a value that takes the place of
/// another.
type Change = fn(&mut Vec<Op>, usize, &[Type]) -> Option<Renamed>;
type Renamed = Option<(ValueId, ValueId)>;

/// Applies a change to the operation that comes `at`-th in [`Kernel::walk`].
fn edit(kernel: &mut Kernel, at: usize, change: Change) -> bool {
    fn go(block: &mut Block, left: &mut usize, types: &[Type], change: Change) -> Option<Option<Renamed>> {
        for i in 0..block.ops.len() {
            if *left == 0 {
                return Some(change(&mut block.ops, i, types));
            }
            *left -= 1;
            for region in &mut block.ops[i].regions {
                if let Some(done) = go(region, left, types, change) {
                    return Some(done);
                }
            }
        }
        None
    }
    let mut left = at;
    let types = std::mem::take(&mut kernel.values);
    let done = go(&mut kernel.body, &mut left, &types, change).flatten();
    kernel.values = types;
    if let Some(Some((from, to))) = done {
        rename(&mut kernel.body, from, to);
    }
    done.is_some()
}

fn rename(block: &mut Block, from: ValueId, to: ValueId) {
    let rename_all = |ids: &mut Vec<ValueId>| ids.iter_mut().filter(|v| **v == from).for_each(|v| *v = to);
    rename_all(&mut block.yields);
    for op in &mut block.ops {
        rename_all(&mut op.operands);
        op.regions.iter_mut().for_each(|r| rename(r, from, to));
    }
}

/// Takes an operation without results away.
fn remove(ops: &mut Vec<Op>, i: usize, _: &[Type]) -> Option<Renamed> {
    ops[i].results.is_empty().then(|| {
        ops.remove(i);
        None
    })
}

/// Lets an operand of the result's type take the place of the result.
fn bypass(ops: &mut Vec<Op>, i: usize, types: &[Type]) -> Option<Renamed> {
    let [result] = ops[i].results[..] else { return None };
    let ty = |v: ValueId| types.get(v.0 as usize);
    let same = ops[i].operands.iter().copied().find(|&o| ty(o) == ty(result))?;
    ops.remove(i);
    Some(Some((result, same)))
}

/// Replaces an operation by constants of its results' types.
fn simplify(ops: &mut Vec<Op>, i: usize, types: &[Type]) -> Option<Renamed> {
    let op = ops[i].clone();
    if matches!(op.kind, OpKind::Constant(_)) || op.results.is_empty() {
        return None;
    }
    let one = |&r: &ValueId| {
        let tile = types.get(r.0 as usize)?.tile()?;
        let c = match tile.elem {
            Elem::Bool => Const::Bool(true),
            e if e.is_float() => Const::float(1.0),
            _ => Const::Int(1),
        };
        let kind = OpKind::Constant(c);
        Some(Op { kind, operands: Vec::new(), results: vec![r], regions: Vec::new(), loc: op.loc })
    };
    let constants = op.results.iter().map(one).collect::<Option<Vec<Op>>>()?;
    ops.splice(i..=i, constants);
    Some(None)
}

/// Drops operations whose results nobody takes.
fn drop_dead(body: &mut Block) {
    fn used(block: &Block, set: &mut HashSet<ValueId>) {
        set.extend(&block.yields);
        for op in &block.ops {
            set.extend(&op.operands);
            op.regions.iter().for_each(|r| used(r, set));
        }
    }
    fn effects(block: &Block) -> bool {
        block.ops.iter().any(|op| op.kind.has_side_effect() || op.regions.iter().any(effects))
    }
    fn sweep(block: &mut Block, set: &HashSet<ValueId>) -> bool {
        let before = block.ops.len();
        block.ops.retain(|op| {
            let needed = op.results.iter().any(|r| set.contains(r));
            needed || op.kind.has_side_effect() || op.regions.iter().any(effects)
        });
        let mut changed = block.ops.len() < before;
        for region in block.ops.iter_mut().flat_map(|op| &mut op.regions) {
            changed |= sweep(region, set);
        }
        changed
    }
    loop {
        let mut set = HashSet::new();
        used(body, &mut set);
        if !sweep(body, &set) {
            return;
        }
    }
}

/// The kernel as text, one operation a line, for a person who looks for the mistake.
pub fn listing(kernel: &Kernel) -> String {
    fn go(kernel: &Kernel, block: &Block, depth: usize, out: &mut String) {
        let names = |ids: &[ValueId]| {
            let names: Vec<String> = ids.iter().map(|v| format!("%{}", v.0)).collect();
            names.join(", ")
        };
        let pad = "  ".repeat(depth);
        for op in &block.ops {
            let types: Vec<String> = op.results.iter().map(|&r| kernel.ty(r).to_string()).collect();
            out.push_str(&format!("{pad}{} = {:?} {}", names(&op.results), op.kind, names(&op.operands)));
            out.push_str(&format!(" : {}\n", types.join(", ")));
            for region in &op.regions {
                out.push_str(&format!("{pad} ({}) {{\n", names(&region.args)));
                go(kernel, region, depth + 1, out);
                out.push_str(&format!("{pad} }} yields {}\n", names(&region.yields)));
            }
        }
    }
    let mut out = String::new();
    for (i, p) in kernel.params.iter().enumerate() {
        out.push_str(&format!("%{i} = {} {:?}\n", p.name, p.kind));
    }
    go(kernel, &kernel.body, 0, &mut out);
    out
}
