//! Chooses for each rank-2 tile the axis that lies in vector lanes.
//!
//! Tiles that meet element by element share the choice (a transpose flips it), so the unknowns are the connected
//! components. A dot wants one operand contiguous along the result's lane axis, a reduction is cheap across the
//! other axis, and a load or store is cheap along the axis that is contiguous in memory. All assignments are tried;
//! the cheapest wins. For attention this puts the queries in lanes: scores are reduced vertically, and keys and
//! values are read in place as scalars.

use super::facts::Facts;
use kcc_dsl::ir::{Block, Elem, Op, OpKind, ValueId};

/// More components than this keep the last axis in lanes.
const MAX_COMPONENTS: usize = 12;
/// Cost of gathering an element narrower than 32 bits, for which there is no instruction.
const NARROW_GATHER: f64 = 6.0;

struct Union {
    parent: Vec<usize>,
    flip: Vec<bool>,
}

impl Union {
    fn find(&self, mut v: usize) -> (usize, bool) {
        let mut flip = false;
        while self.parent[v] != v {
            flip ^= self.flip[v];
            v = self.parent[v];
        }
        (v, flip)
    }

    fn tie(&mut self, a: usize, b: usize, flip: bool) {
        let ((ra, fa), (rb, fb)) = (self.find(a), self.find(b));
        if ra != rb {
            self.parent[ra] = rb;
            self.flip[ra] = fa ^ fb ^ flip;
        }
    }
}

/// The lane axis of each value (0 for rank 0 and 1, the last axis for rank 3).
pub fn choose(f: &Facts<'_>, lanes: usize) -> Vec<u8> {
    let n = f.kernel.values.len();
    let mut u = Union { parent: (0..n).collect(), flip: vec![false; n] };
    tie_block(f, &f.kernel.body, None, &mut u);
    let mut ops = Vec::new();
    collect(&f.kernel.body, 0, &mut ops);
    let mut roots: Vec<usize> = Vec::new();
    for (op, _) in &ops {
        for v in op.operands.iter().chain(&op.results) {
            if f.rank(*v) == 2 {
                let (r, _) = u.find(v.0 as usize);
                if !roots.contains(&r) {
                    roots.push(r);
                }
            }
        }
    }
    let axis = |mask: usize, v: ValueId| -> u8 {
        match f.rank(v) {
            2 => {
                let (r, flip) = u.find(v.0 as usize);
                let bit = roots.iter().position(|x| *x == r).is_some_and(|i| i < 63 && mask >> i & 1 == 1);
                // Bit clear: last axis in lanes.
                u8::from(!(bit ^ flip))
            }
            r => r.saturating_sub(1) as u8,
        }
    };
    let mut best = (f64::INFINITY, 0usize);
    if roots.len() <= MAX_COMPONENTS {
        for mask in 0..1usize << roots.len() {
            let total: f64 = ops
                .iter()
                .map(|(op, depth)| 32f64.powi(*depth as i32) * cost(f, op, lanes, &|v| axis(mask, v)))
                .sum();
            if total < best.0 * 0.999 {
                best = (total, mask);
            }
        }
    }
    (0..n).map(|v| axis(best.1, ValueId(v as u32))).collect()
}

fn collect<'k>(b: &'k Block, depth: usize, out: &mut Vec<(&'k Op, usize)>) {
    for op in &b.ops {
        out.push((op, depth));
        let inner = depth + usize::from(matches!(op.kind, OpKind::For { .. } | OpKind::While));
        for r in &op.regions {
            collect(r, inner, out);
        }
    }
}

fn tie_block(f: &Facts<'_>, b: &Block, owner: Option<&Op>, u: &mut Union) {
    let same = |u: &mut Union, a: ValueId, b: ValueId| {
        if f.rank(a) == 2 && f.rank(b) == 2 {
            u.tie(a.0 as usize, b.0 as usize, false);
        }
    };
    if let Some(op) = owner {
        let skip = usize::from(matches!(op.kind, OpKind::For { .. }));
        if matches!(op.kind, OpKind::For { .. } | OpKind::While) {
            for (a, r) in b.args.iter().skip(skip).zip(&op.results) {
                same(u, *a, *r);
            }
        }
        let first = b.yields.len().saturating_sub(op.results.len());
        for (y, r) in b.yields.iter().skip(first).zip(&op.results) {
            same(u, *y, *r);
        }
    }
    for op in &b.ops {
        match &op.kind {
            k if k.is_elementwise() => {
                for o in &op.operands {
                    same(u, *o, op.results[0]);
                }
            }
            OpKind::Transpose { perm } if perm[..] == [1, 0] => {
                u.tie(op.operands[0].0 as usize, op.results[0].0 as usize, true);
            }
            OpKind::Slice { .. } | OpKind::Scan { .. } => same(u, op.operands[0], op.results[0]),
            OpKind::Dot { .. } if f.rank(op.results[0]) == 2 => same(u, op.operands[2], op.results[0]),
            OpKind::For { .. } => {
                for (o, r) in op.operands[3..].iter().zip(&op.results) {
                    same(u, *o, *r);
                }
            }
            OpKind::While => {
                for (o, r) in op.operands.iter().zip(&op.results) {
                    same(u, *o, *r);
                }
            }
            _ => {}
        }
        for r in &op.regions {
            tie_block(f, r, Some(op), u);
        }
    }
}

fn cost(f: &Facts<'_>, op: &Op, w: usize, axis: &dyn Fn(ValueId) -> u8) -> f64 {
    let vectors = |v: ValueId| -> f64 {
        let s = f.shape(v);
        let l = axis(v) as usize;
        s.iter().enumerate().map(|(i, d)| if i == l { d.div_ceil(w) } else { *d } as f64).product()
    };
    let elements = |v: ValueId| f.shape(v).iter().product::<usize>() as f64;
    match &op.kind {
        OpKind::Load { .. } | OpKind::LoadRows { .. } if f.rank(op.results[0]) == 2 => {
            let r = op.results[0];
            if feeds_only_dots(f, r) {
                return 0.0;
            }
            let matches = f.unit_axis(op.operands[0]) == Some(axis(r) as usize);
            if matches { vectors(r) } else { 2.0 * elements(r) }
        }
        OpKind::Store { .. } | OpKind::StoreRows { .. }
            if f.rank(*op.operands.last().unwrap_or(&ValueId(0))) == 2 =>
        {
            let v = op.operands[op.operands.len() - 1];
            let matches = f.unit_axis(op.operands[0]) == Some(axis(v) as usize);
            if matches { vectors(v) } else { 2.0 * elements(v) }
        }
        OpKind::Reduce { axis: a, .. } if f.rank(op.operands[0]) == 2 => {
            let v = op.operands[0];
            let rows = f.shape(v)[1 - *a as usize] as f64;
            vectors(v) + if axis(v) == *a { rows * 8.0 } else { 0.0 }
        }
        OpKind::Scan { axis: a, .. } if f.rank(op.operands[0]) == 2 => {
            let v = op.operands[0];
            if axis(v) == *a { elements(v) * 4.0 } else { vectors(v) }
        }
        OpKind::Dot { .. } if f.rank(op.results[0]) == 2 => dot_cost(f, op, w, axis),
        k if k.is_elementwise() && f.rank(op.results[0]) == 2 => {
            vectors(op.results[0]) * if matches!(k, OpKind::Unary(_)) { 6.0 } else { 0.5 }
        }
        _ => 0.0,
    }
}

fn dot_cost(f: &Facts<'_>, op: &Op, w: usize, axis: &dyn Fn(ValueId) -> u8) -> f64 {
    let (a, b, r) = (op.operands[0], op.operands[1], op.results[0]);
    let (m, n, k) = (f.shape(r)[0], f.shape(r)[1], f.shape(a)[1]);
    let lane = axis(r) as usize;
    let (lane_value, lane_axis) = if lane == 1 { (b, 1) } else { (a, 0) };
    let (l, rows) = if lane == 1 { (n, m) } else { (m, n) };
    let fmas = (rows * k * l.div_ceil(w)) as f64;
    // Fewer rows than accumulators in flight leave the multiplier idle.
    let fmas = fmas * if rows * l.div_ceil(w) < 8 { 2.0 } else { 1.0 };
    if lane == 1 && few_rows(f, op, w) {
        return 1.5 * (m * n * k) as f64 / w as f64;
    }
    let (base, flip) = through_transposes(f, lane_value);
    let wanted = if flip { 1 - lane_axis } else { lane_axis };
    let contiguous = match f.op(base).map(|o| (&o.kind, o)) {
        Some((OpKind::Load { .. }, o)) => f.unit_axis(o.operands[0]) == Some(wanted),
        Some((OpKind::LoadRows { .. }, o)) => wanted == 1 && f.unit_axis(o.operands[0]) == Some(1),
        _ => axis(base) as usize == wanted,
    };
    // A value of an outer block is rearranged once, not at every iteration.
    let outside = f.block[base.0 as usize] != f.block[r.0 as usize];
    let narrow = f.tile(a).elem.bytes() < 4;
    let pack = if contiguous || outside {
        0.25
    } else if narrow {
        NARROW_GATHER
    } else {
        1.5
    };
    // Pairs along K must be neighbours in memory: narrow rows of a contraction that are not are gathered.
    let along = |v: ValueId| loaded_along(f, v, if v == a { 1 } else { 0 });
    let gathered =
        narrow && along(lane_value).is_some() && along(if lane == 1 { a } else { b }) == Some(false);
    let rows = if gathered { NARROW_GATHER * (k * rows) as f64 } else { 0.0 };
    fmas + rows + pack * (k * l) as f64 * if outside { 0.05 } else { 1.0 }
}

/// Whether a loaded operand is contiguous along its axis `axis`; `None` if it is not loaded.
fn loaded_along(f: &Facts<'_>, v: ValueId, axis: usize) -> Option<bool> {
    let (base, flip) = through_transposes(f, v);
    let op = f.op(base)?;
    let axis = if flip { 1 - axis } else { axis };
    matches!(op.kind, OpKind::Load { .. } | OpKind::LoadRows { .. })
        .then(|| f.unit_axis(op.operands[0]) == Some(axis))
}

/// Whether a product has few rows and reads both operands along K: then K goes into the lanes.
pub fn few_rows(f: &Facts<'_>, op: &Op, w: usize) -> bool {
    let (a, b, r) = (op.operands[0], op.operands[1], op.results[0]);
    let along_k = |v: ValueId, k_axis: usize| {
        let (base, flip) = through_transposes(f, v);
        let axis = if flip { 1 - k_axis } else { k_axis };
        f.op(base).is_some_and(|o| {
            matches!(o.kind, OpKind::Load { .. }) && f.unit_axis(o.operands[0]) == Some(axis)
        })
    };
    let elem = f.tile(a).elem;
    let two = if elem == Elem::BF16 { 2 } else { 1 };
    matches!(elem, Elem::F32 | Elem::BF16)
        && f.shape(r)[0] <= 8
        && f.shape(r)[1].is_multiple_of(w)
        && f.shape(a)[1].is_multiple_of(w * two)
        && along_k(a, 1)
        && along_k(b, 0)
}

/// The value behind a chain of rank-2 transposes, and whether their number is odd.
pub fn through_transposes(f: &Facts<'_>, v: ValueId) -> (ValueId, bool) {
    let (mut v, mut flip) = (v, false);
    while let Some(op) = f.op(v) {
        match &op.kind {
            OpKind::Transpose { perm } if perm[..] == [1, 0] => {
                v = op.operands[0];
                flip = !flip;
            }
            _ => break,
        }
    }
    (v, flip)
}

/// Whether a load is read by dots alone (through transposes), which read it in place.
fn feeds_only_dots(f: &Facts<'_>, v: ValueId) -> bool {
    f.uses[v.0 as usize].iter().all(|u| {
        !u.yielded
            && match &u.op.kind {
                OpKind::Dot { .. } => u.op.operands[2] != v,
                OpKind::Transpose { .. } => feeds_only_dots(f, u.op.results[0]),
                _ => false,
            }
    })
}
