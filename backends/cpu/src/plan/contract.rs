//! Finds loops that only load tiles and accumulate a dot, so that the whole K range can run inside each register
//! block instead of tile by tile.
//!
//! ```text
//! for k in (lo..hi).step_by(BK) { acc = dot(a[m.., k..k+BK], b[k..k+BK, n..], acc) }
//!   becomes   for each register block of acc: for k in lo..hi: acc += a[m, k] * b[k, n]
//! ```

use super::facts::{Def, Facts};
use super::lanes::through_transposes;
use kcc_dsl::ir::{BinaryOp, Const, Op, OpKind, ValueId};

/// One operand of a contraction: a load whose offset along K is `k0 + iv`.
#[derive(Clone, Copy)]
pub struct Side<'k> {
    /// The load (`Load` or `LoadRows`).
    pub load: &'k Op,
    /// The view's axis that runs along K.
    pub k_axis: usize,
    /// Casts of the loaded value before the dot: the element type that the dot sees.
    pub value: ValueId,
}

/// A loop that is one contraction.
#[derive(Clone, Copy)]
pub struct Contract<'k> {
    /// The `for`.
    pub loop_op: &'k Op,
    /// The dot in its body.
    pub dot: &'k Op,
    /// Which carried value is the accumulator.
    pub index: usize,
    /// Left operand, M × K.
    pub a: Side<'k>,
    /// Right operand, K × N.
    pub b: Side<'k>,
}

/// Matches a `for` against the pattern.
pub fn find<'k>(f: &Facts<'k>, op: &'k Op) -> Option<Contract<'k>> {
    let OpKind::For { .. } = op.kind else { return None };
    let body = op.regions.first()?;
    let step = constant(f, op.operands[2])?;
    // One carried tile, accumulated by one dot; no effects; nothing but scalars, loads and reindexing besides.
    if op.results.len() != 1 || f.rank(op.results[0]) != 2 {
        return None;
    }
    let (iv, acc) = (body.args[0], body.args[1]);
    let mut dot = None;
    for o in &body.ops {
        let plain =
            o.results.iter().all(|r| f.rank(*r) == 0) && o.regions.is_empty() && !o.kind.has_side_effect();
        match &o.kind {
            OpKind::Dot { .. } if dot.is_none() => dot = Some(o),
            OpKind::Load { padding, .. } | OpKind::LoadRows { padding, .. } if is_zero(*padding) => {
                if f.is_written(o.operands[0]) {
                    return None;
                }
            }
            OpKind::Transpose { .. } | OpKind::Constant(_) => {}
            OpKind::Binary(BinaryOp::Add) if !plain => {}
            _ if plain && !o.kind.reads_memory() => {}
            _ => return None,
        }
    }
    let dot = dot?;
    if f.rank(dot.results[0]) != 2 {
        return None;
    }
    // yield = dot(a, b, acc), or acc + dot(a, b, 0).
    let y = body.yields[0];
    let uses = |v: ValueId| f.uses[v.0 as usize].len();
    let direct = y == dot.results[0] && dot.operands[2] == acc;
    let added = f.op(y).is_some_and(|o| {
        matches!(o.kind, OpKind::Binary(BinaryOp::Add))
            && (o.operands[..] == [acc, dot.results[0]] || o.operands[..] == [dot.results[0], acc])
    }) && is_zero_tile(f, dot.operands[2])
        && uses(dot.results[0]) == 1;
    if !(direct || added) || uses(acc) != 1 || (direct && uses(y) != 1) {
        return None;
    }
    let k = f.shape(dot.operands[0])[1];
    if k as i64 != step {
        return None;
    }
    let a = side(f, dot.operands[0], 1, iv)?;
    let b = side(f, dot.operands[1], 0, iv)?;
    // Every load of the body belongs to the dot.
    let loads = body.ops.iter().filter(|o| o.kind.reads_memory()).count();
    (loads == 2 || (loads == 1 && std::ptr::eq(a.load, b.load))).then_some(Contract {
        loop_op: op,
        dot,
        index: 0,
        a,
        b,
    })
}

fn side<'k>(f: &Facts<'k>, operand: ValueId, k_axis: usize, iv: ValueId) -> Option<Side<'k>> {
    let (base, flip) = through_transposes(f, operand);
    let load = f.op(base)?;
    let k_axis = if flip { 1 - k_axis } else { k_axis };
    let rows = matches!(load.kind, OpKind::LoadRows { .. });
    if !(rows || matches!(load.kind, OpKind::Load { .. })) || f.uses[base.0 as usize].len() != 1 {
        return None;
    }
    if rows && k_axis != 1 {
        return None;
    }
    // The load stands in the loop, its K offset is the induction variable, the other does not change.
    let (k_off, other) = (load.operands[1 + k_axis], load.operands[2 - k_axis]);
    let Def::Arg(..) = f.def[k_off.0 as usize] else { return None };
    let outside = f.block[other.0 as usize] != f.block[iv.0 as usize];
    let view_outside = f.block[load.operands[0].0 as usize] != f.block[iv.0 as usize];
    (k_off == iv && outside && view_outside).then_some(Side { load, k_axis, value: base })
}

/// The constant that a scalar holds, if it is one.
pub fn constant(f: &Facts<'_>, v: ValueId) -> Option<i64> {
    match f.op(v).map(|o| &o.kind) {
        Some(OpKind::Constant(Const::Int(c))) => Some(*c),
        _ => None,
    }
}

fn is_zero(c: Const) -> bool {
    match c {
        Const::Float(b) => b == 0,
        Const::Int(i) => i == 0,
        Const::Bool(b) => !b,
    }
}

/// Whether a tile is the constant zero.
pub fn is_zero_tile(f: &Facts<'_>, v: ValueId) -> bool {
    matches!(f.op(v).map(|o| &o.kind), Some(OpKind::Constant(c)) if is_zero(*c))
}
