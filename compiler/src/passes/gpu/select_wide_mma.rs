//! Gives products the asynchronous instruction of a group of warps where the chip has one and the shape fills it: operand B
//! in shared memory, A there too, or in registers where it comes from another product.
//!
//! ```text
//! x = load a; y = load b            x = load a; store_shared x, sx;   y = load b; store_shared y, sy
//! r = dot x, y, acc          →      fence_async; mma_fence
//!                                   s = mma_async sx, sy, convert_layout acc; mma_commit; r = mma_wait(0) s
//! ```
//! What is left (few rows, odd shapes) goes to `select_mma`. Buffers are panels, which bulk copies can fill
//! (`load_bulk`). Sums whose hardware accumulator is coarser than `f32` start from zero and are added in registers.

use super::GpuPass;
use super::select_mma::{convert, transposed};
use crate::error::{Error, at, bug};
use crate::gpu::fragments::{self, Division};
use crate::gpu::wide::WideMma;
use crate::gpu::{GpuOptions, GpuTarget, MmaRow};
use crate::ktg::access::Views;
use crate::ktg::{Block, Builder, Func, GpuOp, Kind, Layout, Op, SharedType, Type};
use crate::layout::shared::Shared;
use kcc_dsl::ir::{BinaryOp, Const, Elem, OpKind, Precision, TileType, ValueId};
use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// The pass.
pub const PASS: GpuPass = GpuPass { name: "select_wide_mma", run };

/// What defines a value.
struct Def {
    kind: Kind,
    operands: Vec<ValueId>,
}

/// Where an operand of a product is to be.
#[derive(Clone)]
enum Place {
    /// In registers.
    Registers(Layout),
    /// In shared memory, stored in the shape that it is made in, in panels along `axis`.
    Shared { stored: ValueId, perm: Option<Vec<u8>>, axis: usize },
}

struct Plan {
    row: MmaRow,
    acc: Layout,
    places: [Place; 2],
    /// The accumulator is known to be zero.
    fresh: bool,
    /// Sums are added in registers.
    apart: bool,
}

fn run(func: &mut Func, target: &dyn GpuTarget, options: &GpuOptions) -> Result<(), Error> {
    let Some(unit) = target.wide() else { return Ok(()) };
    if !func.warps.is_multiple_of(4) || options.number("wide")? == Some(0) {
        return Ok(());
    }
    let views = Views::of(func);
    let mut defs = HashMap::new();
    collect(&func.body, &mut defs);
    let mut plans = HashMap::new();
    let mut failed = None;
    func.walk(&mut |op| {
        if let (Kind::Tile(OpKind::Dot { precision }), None) = (&op.kind, &failed) {
            match plan(func, unit, &views, &defs, op, *precision) {
                Ok(Some(p)) => drop(plans.insert(op.results[0], p)),
                Ok(None) => {}
                Err(e) => failed = Some(e),
            }
        }
    });
    if let Some(e) = failed {
        return Err(e);
    }
    // By value, along which axes: products may want one tile in several forms.
    let mut wanted: HashMap<ValueId, BTreeSet<usize>> = HashMap::new();
    for place in plans.values().flat_map(|p| &p.places) {
        if let Place::Shared { stored, axis, .. } = place {
            wanted.entry(*stored).or_default().insert(*axis);
        }
    }
    let mut stored = HashMap::new();
    func.try_rewrite::<Error>(&mut |b, op| {
        let made = op.results.clone();
        match plans.remove(op.results.first().unwrap_or(&ValueId(u32::MAX))) {
            Some(p) => product(b, op, p, &mut stored)?,
            None => b.keep(op),
        }
        for v in made {
            for &axis in wanted.get(&v).into_iter().flatten() {
                if let Entry::Vacant(entry) = stored.entry((v, axis)) {
                    entry.insert(store(b, v, axis)?);
                }
            }
        }
        Ok(())
    })?;
    // Transposes of operands are done by reading.
    func.drop_dead();
    Ok(())
}

fn collect(block: &Block, defs: &mut HashMap<ValueId, Def>) {
    for op in &block.ops {
        for r in &op.results {
            defs.insert(*r, Def { kind: op.kind.clone(), operands: op.operands.clone() });
        }
        for r in &op.regions {
            collect(r, defs);
        }
    }
}

/// Whether a value is computed element by element from a product.
fn from_product(defs: &HashMap<ValueId, Def>, v: ValueId, depth: usize) -> bool {
    let Some(d) = defs.get(&v) else { return false };
    match &d.kind {
        Kind::Tile(OpKind::Dot { .. }) => true,
        Kind::Tile(
            OpKind::Unary(_)
            | OpKind::Binary(_)
            | OpKind::Select
            | OpKind::Fma
            | OpKind::Cast
            | OpKind::Bitcast,
        ) if depth < 32 => d.operands.iter().any(|o| from_product(defs, *o, depth + 1)),
        _ => false,
    }
}

fn plan(
    func: &Func,
    unit: &dyn WideMma,
    views: &Views,
    defs: &HashMap<ValueId, Def>,
    op: &Op,
    precision: Precision,
) -> Result<Option<Plan>, Error> {
    let &[a, b, acc] = op.operands.as_slice() else { return Ok(None) };
    let tile = |v: ValueId| func.ty(v).tile().filter(|t| t.rank() == 2);
    let (Some(ta), Some(tb), Some(tr)) = (tile(a), tile(b), tile(acc)) else { return Ok(None) };
    if ta.elem == Elem::F32 && precision == Precision::Full {
        return Ok(None);
    }
    let (m, n, k) = (tr.shape[0] as u32, tr.shape[1] as u32, ta.shape[1] as u32);
    let groups = func.warps / 4;
    let rows = (m / 64).min(groups);
    if !m.is_multiple_of(64) || !rows.is_power_of_two() {
        return Ok(None);
    }
    let columns = groups / rows;
    let Some(row) = n.is_multiple_of(columns).then_some(n / columns).and_then(|mut own| {
        while own > 256 && own.is_multiple_of(2) {
            own /= 2;
        }
        // Several fragments lie side by side at powers of two only.
        let fits = own * columns == n && columns == 1 || own.is_power_of_two();
        fits.then(|| unit.row(ta.elem, tb.elem, tr.elem, own)).flatten()
    }) else {
        return Ok(None);
    };
    if !k.is_multiple_of(row.k) {
        return Ok(None);
    }
    let in_layout = |e: crate::layout::LayoutError| at(func.loc(op.loc)).bug(e.to_string());
    let acc_layout =
        fragments::accumulator(&row, &tr.shape, Division { rows, columns }).map_err(in_layout)?;
    let shared = |v: ValueId, k_axis: usize| -> Option<Place> {
        let (stored, perm) = match defs.get(&v) {
            Some(Def { kind: Kind::Tile(OpKind::Transpose { perm }), operands }) => {
                (operands[0], Some(perm.clone()))
            }
            _ => (v, None),
        };
        let t = func.ty(stored).tile()?;
        let k_stored = perm.as_ref().map_or(k_axis, |p| usize::from(p[k_axis]));
        let axis =
            if unit.transposes(t.elem) { contiguous_axis(func, views, defs, stored) } else { k_stored };
        row_bytes(t, axis).map(|_| Place::Shared { stored, perm, axis })
    };
    let first = if columns == 1 && from_product(defs, a, 0) {
        let layout = fragments::operand(&row, &acc_layout, k as usize, 0).map_err(in_layout)?;
        Some(Place::Registers(Arc::new(layout)))
    } else {
        shared(a, 1)
    };
    let (Some(first), Some(second)) = (first, shared(b, 0)) else { return Ok(None) };
    // A group's columns must not begin within a panel.
    if let (Place::Shared { stored, perm, axis }, true) = (&second, columns > 1)
        && perm.as_ref().map_or(0, |p| usize::from(p[0])) != *axis
    {
        let t = func.ty(*stored).tile();
        let whole = t
            .and_then(|t| row_bytes(t, *axis))
            .is_some_and(|row| (n / columns * tb.elem.bytes() as u32).is_multiple_of(row));
        if !whole {
            return Ok(None);
        }
    }
    let zero = |c: &Const| matches!(c, Const::Float(0) | Const::Int(0));
    let fresh = matches!(defs.get(&acc), Some(Def { kind: Kind::Tile(OpKind::Constant(c)), .. }) if zero(c));
    let apart = unit.coarse(ta.elem) && !fresh;
    Ok(Some(Plan { row, acc: Arc::new(acc_layout), places: [first, second], fresh, apart }))
}

/// Bytes of a row of panels along an axis: at most 128; `None` for rows under 32 bytes, and for panels that would lie at
/// places that are no multiple of their pattern.
pub(super) fn row_bytes(t: &TileType, axis: usize) -> Option<u32> {
    let inner = (t.shape[axis] as u32).next_power_of_two() * t.elem.bytes() as u32;
    let rows: usize = t.shape.iter().enumerate().filter(|(i, _)| *i != axis).map(|(_, s)| s).product();
    (inner >= 32 && rows >= 8).then_some(inner.min(128))
}

/// The axis along which neighbours shall lie side by side: the one that is contiguous in global memory, for a tile that is
/// loaded; else the last.
fn contiguous_axis(func: &Func, views: &Views, defs: &HashMap<ValueId, Def>, v: ValueId) -> usize {
    let rank = func.ty(v).tile().map_or(1, TileType::rank);
    let view = match defs.get(&v) {
        Some(Def { kind: Kind::Tile(OpKind::Load { .. }), operands }) => operands[0],
        _ => return rank - 1,
    };
    views.get(view).and_then(|f| f.unit_axis).filter(|axis| *axis < rank).unwrap_or(rank - 1)
}

/// A buffer in panels for a tile whose neighbours along `axis` lie side by side.
///
/// # Errors
/// Rows too short for panels.
pub(super) fn buffer(t: &TileType, axis: usize) -> Result<SharedType, Error> {
    let mut order = vec![axis];
    order.extend((0..t.rank()).rev().filter(|a| *a != axis));
    let row = row_bytes(t, axis).ok_or_else(|| bug("a buffer of too short rows"))?;
    let extents = fragments::rounded(&t.shape);
    let layout =
        Shared::panels(&extents, &order, t.elem.bytes() as u32, row).map_err(|e| bug(e.to_string()))?;
    Ok(SharedType {
        elem: t.elem,
        shape: t.shape.clone(),
        stages: 1,
        layout: Arc::new(layout.layout().clone()),
    })
}

fn tile_of(b: &Builder, v: ValueId) -> Result<TileType, Error> {
    b.ty(v).tile().cloned().ok_or_else(|| bug("an operand of a product that is no tile"))
}

fn store(b: &mut Builder, v: ValueId, axis: usize) -> Result<ValueId, Error> {
    let ty = buffer(&tile_of(b, v)?, axis)?;
    let [s] = b.op(GpuOp::AllocShared { offset: None }, &[], [Type::Shared(ty)]);
    let [] = b.op(GpuOp::StoreShared, &[v, s], []);
    Ok(s)
}

fn product(
    b: &mut Builder,
    op: Op,
    plan: Plan,
    stored: &mut HashMap<(ValueId, usize), ValueId>,
) -> Result<(), Error> {
    b.loc = op.loc;
    let mut operands = Vec::new();
    for (place, v) in plan.places.into_iter().zip(&op.operands) {
        operands.push(match place {
            Place::Registers(layout) => convert(b, *v, layout)?,
            Place::Shared { stored: what, perm, axis } => {
                let s = match stored.get(&(what, axis)) {
                    Some(s) => *s,
                    // An argument of a block: it has no operation to put the store behind.
                    None => store(b, what, axis)?,
                };
                perm.map_or(Ok(s), |perm| transposed(b, s, perm))?
            }
        });
    }
    let acc = op.operands[2];
    let fresh = plan.fresh || plan.apart;
    let ty = Type::laid_out(tile_of(b, acc)?, plan.acc.clone());
    // A value that is not looked at must still be one.
    let start = if fresh {
        let zero = if plan.row.acc == Elem::F32 { Const::float(0.0) } else { Const::Int(0) };
        let [z] = b.op(OpKind::Constant(zero), &[], [ty.clone()]);
        z
    } else {
        convert(b, acc, plan.acc.clone())?
    };
    let [use_acc] = b.op(OpKind::Constant(Const::Bool(!fresh)), &[], [Type::scalar(Elem::Bool)]);
    operands.extend([start, use_acc]);
    let [] = b.op(GpuOp::FenceAsync, &[], []);
    let [] = b.op(GpuOp::MmaFence, &[], []);
    let [running] = b.op(GpuOp::MmaAsync { instr: plan.row.name }, &operands, [ty.clone()]);
    let [] = b.op(GpuOp::MmaCommit, &[], []);
    let [done] = b.op(GpuOp::MmaWait { pending: 0 }, &[running], [ty]);
    let result = if plan.apart {
        let given = convert(b, acc, plan.acc)?;
        b.binary(BinaryOp::Add, given, done)
    } else {
        done
    };
    b.replace(op.results[0], result);
    Ok(())
}
