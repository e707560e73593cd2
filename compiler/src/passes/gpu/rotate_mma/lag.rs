//! Products that only add to a carried sum: one group stays under way from turn to turn.

use super::{Late, Products, carry, effect, is_gpu, not_first, wait_behind};
use crate::ktg::{Func, GpuOp, Op};
use std::collections::{HashMap, HashSet};

/// The loop with its products one turn late, and what is around it.
pub(super) fn apply(func: &mut Func, mut op: Op, products: &Products) -> Vec<Op> {
    let body = &op.regions[0];
    let last = products.all.last().map_or(0, |p| p.at);
    // All products of a turn are one group: what is between them must not wait for them.
    let late: Vec<Late> = products.returns.iter().map(|i| Late::of(func, &body.ops[*i])).collect();
    let waits: HashSet<usize> = products.all.iter().map(|p| p.at + 2).collect();
    let commits: HashSet<usize> = products.all.iter().map(|p| p.at + 1).filter(|i| *i != last + 1).collect();
    let (later, condition) = not_first(func, &op);
    let body = &mut op.regions[0];
    let mut ops = later;
    for (i, o) in std::mem::take(&mut body.ops).into_iter().enumerate() {
        if waits.contains(&i) && i == last + 2 {
            ops.push(effect(GpuOp::MmaWait { pending: 1 }, Vec::new(), o.loc));
            ops.extend(late.iter().map(|l| l.give_back(condition)));
        } else if !waits.contains(&i)
            && !commits.contains(&i)
            && !is_gpu(Some(&o), |g| matches!(g, GpuOp::BarrierArrive))
        {
            ops.push(o);
        }
    }
    body.ops = ops;
    let running: HashMap<_, _> = products.all.iter().map(|p| (p.done, p.running)).collect();
    body.replace_all(&running);
    let mut out = Vec::new();
    let behind = carry(func, &mut op, &late, &mut out);
    let sums: Vec<usize> = products.all.iter().filter_map(|p| p.sums).collect();
    let wait = wait_behind(func, &mut op, &sums);
    out.extend([op, wait]);
    out.extend(behind);
    out
}
