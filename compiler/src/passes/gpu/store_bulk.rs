//! Results of products leave through shared memory and the bulk engine, which writes whole rows and clips them to the view.
//!
//! ```text
//! store v, i, x     →     store_shared x, s; fence_async; block_barrier; bulk_store v, i, s; bulk_commit; bulk_wait
//! ```
//! Behind the last loop the buffer lies where the rings were. A view that the kernel also reads stays with the threads.

use super::GpuPass;
use super::load_bulk::recipe;
use super::select_wide_mma::{buffer, row_bytes};
use crate::error::Error;
use crate::gpu::{GpuOptions, GpuTarget};
use crate::ktg::{Block, Func, GpuOp, Kind, Op, SharedType, Type};
use kcc_dsl::exchange::TensorMap;
use kcc_dsl::ir::{Elem, OpKind, ParamKind, ValueId};
use std::collections::{HashMap, HashSet};

/// The pass.
pub const PASS: GpuPass = GpuPass { name: "store_bulk", run };

/// Most bytes of a buffer that rings lie beside.
const BESIDE: u32 = 64 << 10;
/// Shared memory that is left to other uses.
const RESERVE: u32 = 16 << 10;

/// A store that the engine can do.
struct Candidate {
    param: ValueId,
    offsets: Vec<ValueId>,
    map: TensorMap,
    ty: SharedType,
}

fn run(func: &mut Func, target: &dyn GpuTarget, options: &GpuOptions) -> Result<(), Error> {
    if target.bulk().is_none() || options.number("bulk")? == Some(0) {
        return Ok(());
    }
    let mut defs: HashMap<ValueId, (Kind, Vec<ValueId>)> = HashMap::new();
    func.walk(&mut |op| {
        for r in &op.results {
            defs.insert(*r, (op.kind.clone(), op.operands.clone()));
        }
    });
    let mut body = std::mem::take(&mut func.body);
    let room = target.facts().shared_bytes.saturating_sub(RESERVE);
    let only = sole_stores(&body, &defs);
    block(func, &mut body, &defs, &only, room);
    // Programs in a loop: the next one's copies are under way.
    for op in &mut body.ops {
        if matches!(op.kind, Kind::Tile(OpKind::For { .. })) {
            block(func, &mut op.regions[0], &defs, &only, BESIDE);
        }
    }
    func.body = body;
    Ok(())
}

/// The views behind which memory is touched by one store only.
fn sole_stores(body: &Block, defs: &HashMap<ValueId, (Kind, Vec<ValueId>)>) -> HashSet<ValueId> {
    let mut touched: HashMap<ValueId, u32> = HashMap::new();
    body.walk(&mut |op| {
        if matches!(op.kind, Kind::Tile(OpKind::At | OpKind::Dim(_))) {
            return;
        }
        for v in &op.operands {
            *touched.entry(behind(defs, *v)).or_default() += 1;
        }
    });
    touched.into_iter().filter(|(_, n)| *n == 1).map(|(v, _)| v).collect()
}

/// The parameter behind a view.
fn behind(defs: &HashMap<ValueId, (Kind, Vec<ValueId>)>, mut view: ValueId) -> ValueId {
    while let Some((Kind::Tile(OpKind::At), operands)) = defs.get(&view) {
        view = operands[0];
    }
    view
}

fn has_products(op: &Op) -> bool {
    let mut found = matches!(op.kind, Kind::Gpu(GpuOp::MmaAsync { .. }));
    for r in &op.regions {
        r.walk(&mut |o| found |= matches!(o.kind, Kind::Gpu(GpuOp::MmaAsync { .. })));
    }
    found
}

fn block(
    func: &mut Func,
    b: &mut Block,
    defs: &HashMap<ValueId, (Kind, Vec<ValueId>)>,
    only: &HashSet<ValueId>,
    room: u32,
) {
    // Behind the last product, so that no ring is in use any more if this block runs once.
    let Some(last) = b.ops.iter().rposition(has_products) else { return };
    let mut done = Vec::with_capacity(b.ops.len());
    for (i, op) in std::mem::take(&mut b.ops).into_iter().enumerate() {
        match candidate(func, &op, defs, only).filter(|c| i > last && c.ty.bytes() <= room) {
            Some(c) => write(func, &op, c, &mut done),
            None => done.push(op),
        }
    }
    b.ops = done;
}

fn candidate(
    func: &Func,
    op: &Op,
    defs: &HashMap<ValueId, (Kind, Vec<ValueId>)>,
    only: &HashSet<ValueId>,
) -> Option<Candidate> {
    let (Kind::Tile(OpKind::Store { .. }), [view, offsets @ .., tile]) = (&op.kind, op.operands.as_slice())
    else {
        return None;
    };
    let param = behind(defs, *view);
    let spec = func.args.get(param.0 as usize)?;
    let ParamKind::View { elem, mutable: true, .. } = func.params.get(param.0 as usize)?.kind else {
        return None;
    };
    let t = func.ty(*tile).tile()?.clone();
    if !only.contains(&param) || t.elem != elem || elem == Elem::Bool || t.rank() != 2 {
        return None;
    }
    let mut all = offsets.to_vec();
    let mut v = *view;
    while let Some((Kind::Tile(OpKind::At), operands)) = defs.get(&v) {
        all.splice(0..0, operands[1..].iter().copied());
        v = operands[0];
    }
    let axis = usize::from(spec.unit_axis?).checked_sub(all.len() - 2)?;
    // Whole extents only: a box is a power of two.
    if !t.shape.iter().all(|e| e.is_power_of_two()) {
        return None;
    }
    row_bytes(&t, axis)?;
    let ty = buffer(&t, axis).ok()?;
    let map = recipe(func, param, all.len(), &ty)?;
    Some(Candidate { param, offsets: all, map, ty })
}

fn write(func: &mut Func, op: &Op, c: Candidate, into: &mut Vec<Op>) {
    let index = func.tensor_map(c.map);
    let tile = op.operands[op.operands.len() - 1];
    let (made, ()) = func.build(op.loc, |b| {
        let [s] = b.op(GpuOp::AllocShared { offset: None }, &[], [Type::Shared(c.ty)]);
        let [] = b.op(GpuOp::StoreShared, &[tile, s], []);
        let [] = b.op(GpuOp::FenceAsync, &[], []);
        let mut operands = vec![c.param];
        operands.extend(&c.offsets);
        operands.push(s);
        let [] = b.op(GpuOp::BulkStore { map: index }, &operands, []);
        let [] = b.op(GpuOp::BulkCommit, &[], []);
        let [] = b.op(GpuOp::BulkWait { pending: 0, read: true }, &[], []);
    });
    into.extend(made);
    func.count("bulk_stores", 1);
}
