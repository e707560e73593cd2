//! Values that a loop carries and nobody needs.
//!
//! ```text
//! r, s = for i carrying (a = x, n = 0) { yield f(a), n + 1 }; use(r)    →    r = for i carrying (a = x) { yield f(a) }
//! r, s = for i carrying (a = x, c = y) { yield f(a, c), c }; use(r, s)  →    … f(a, y) …; use(r, y)
//! ```

use crate::dialect::effects::{Effect, effect};
use crate::error::Error;
use crate::mlir::build;
use crate::mlir::handle::{Op, Value};
use std::collections::HashSet;

/// Operands of `scf.for` before the carried ones: lower bound, upper bound, step.
const BOUNDS: usize = 3;

/// The loop's region arguments (without the counter), and the operation that yields their next values.
fn parts(the_loop: Op) -> Option<(Vec<Value>, Op)> {
    let [block] = the_loop.blocks()[..] else { return None };
    let args = block.args().split_first().map(|(_, carried)| carried.to_vec())?;
    let end = block.ops().last().copied().filter(|o| o.operands().len() == args.len())?;
    (the_loop.operands().len() == BOUNDS + args.len() && the_loop.results().len() == args.len())
        .then_some((args, end))
}

/// A value that the loop hands on unchanged is its initial value; one that only computes itself is handed on
/// unchanged. What computed it is dead afterwards.
pub(super) fn settle(the_loop: Op) {
    let Some((args, end)) = parts(the_loop) else { return };
    let initial = the_loop.operands().split_off(BOUNDS);
    for (i, (arg, result)) in args.into_iter().zip(the_loop.results()).enumerate() {
        if end.operands()[i] == arg {
            result.replace_all_uses(initial[i]);
            arg.replace_all_uses(initial[i]);
            end.set_operand(i, arg);
        } else if !result.is_used() && serves_itself(arg, i, end) {
            end.set_operand(i, arg);
        }
    }
}

/// Whether a carried value reaches nothing but its own next value, through operations without effects.
fn serves_itself(arg: Value, index: usize, end: Op) -> bool {
    let mut seen = HashSet::new();
    let mut work = vec![arg];
    while let Some(v) = work.pop() {
        for (user, operand) in v.uses() {
            if user == end {
                if operand != index {
                    return false;
                }
            } else if matches!(effect(user.name()), Effect::Pure | Effect::Read) {
                if seen.insert(user) {
                    work.extend(user.results());
                }
            } else {
                return false;
            }
        }
    }
    true
}

/// Makes the loop anew without the carried values that only hand on themselves and that nobody uses.
pub(super) fn shrink(the_loop: Op) -> Result<(), Error> {
    let Some((args, end)) = parts(the_loop) else { return Ok(()) };
    let results = the_loop.results();
    let dead = |i: usize| !results[i].is_used() && end.operands()[i] == args[i] && args[i].uses().len() == 1;
    let dead: Vec<usize> = (0..args.len()).filter(|i| dead(*i)).collect();
    if dead.is_empty() {
        return Ok(());
    }
    let kept: Vec<usize> = (0..args.len()).filter(|i| !dead.contains(i)).collect();
    let all = the_loop.operands();
    let mut operands = all[..BOUNDS].to_vec();
    operands.extend(kept.iter().map(|i| all[BOUNDS + i]));
    let types: Vec<_> = kept.iter().map(|i| results[*i].ty()).collect();
    let yields: Vec<Value> = kept.iter().map(|i| end.operands()[*i]).collect();
    build::like(end, &yields, &[])?;
    end.erase();
    let new = build::like(the_loop, &operands, &types)?;
    new.take_body(the_loop);
    for block in new.blocks() {
        for i in dead.iter().rev() {
            block.erase_arg(1 + i);
        }
    }
    for (i, v) in kept.iter().zip(new.results()) {
        results[*i].replace_all_uses(v);
    }
    the_loop.erase();
    Ok(())
}
