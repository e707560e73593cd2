//! Gives each product its instruction, its accumulator that instruction's layout, and its operands a place: shared memory,
//! or registers where they come from another product or stay the same over a loop.
//!
//! ```text
//! x = load a; y = load b                   x = load a; store_shared x, sx;   y = load b; store_shared y, sy
//! r = dot x, y, acc          →             r = mma sx, sy, convert_layout acc
//! ```
//! The result's layout is fixed; `assign_layouts` chooses those of other tiles around it.

use super::GpuPass;
use super::prepare_dots::{row_for, scaled_row};
use crate::error::{Error, at, bug};
use crate::gpu::fragments::{self, Division, FMA};
use crate::gpu::{GpuOptions, GpuTarget, MmaRow};
use crate::ktg::access::Views;
use crate::ktg::{Block, Builder, Func, GpuOp, Kind, Op, SharedType, Type};
use crate::layout::Dim;
use crate::layout::shared::{Shared, Swizzle};
use kcc_dsl::ir::{LocId, OpKind, ValueId};
use std::collections::HashMap;
use std::sync::Arc;

/// The pass.
pub const PASS: GpuPass = GpuPass { name: "select_mma", run };

/// Most 32-bit registers of a thread for an operand that stays the same over a loop.
const KEPT_WORDS: u32 = 32;

/// What defines a value.
struct Def {
    kind: Kind,
    operands: Vec<ValueId>,
    /// The loop in which it is made: number of the innermost one, 0 outside.
    within: usize,
}

/// Where an operand of a product is to be.
#[derive(Clone)]
enum Place {
    /// In registers, in the operand's layout.
    Registers(Arc<crate::layout::Linear>),
    /// In shared memory, stored in the shape that it is made in.
    Shared {
        /// What to store: the operand, or what it is the transpose of.
        stored: ValueId,
        perm: Option<Vec<u8>>,
    },
}

struct Plan {
    instr: String,
    acc: Arc<crate::layout::Linear>,
    places: [Place; 2],
    /// Layouts of scales, where operands have some.
    scales: Option<[Arc<crate::layout::Linear>; 2]>,
}

fn run(func: &mut Func, target: &dyn GpuTarget, _: &GpuOptions) -> Result<(), Error> {
    let mut defs = HashMap::new();
    let mut loops = 0;
    collect(&func.body, 0, &mut loops, &mut defs);
    let chained = chains(&defs);
    let mut plans = HashMap::new();
    let mut failed = None;
    func.walk(&mut |op| {
        if let (true, None) = (is_dot(&op.kind), &failed) {
            match plan(func, target, &defs, &chained, op) {
                Ok(p) => drop(plans.insert(op.results[0], p)),
                Err(e) => failed = Some(e),
            }
        }
    });
    if let Some(e) = failed {
        return Err(e);
    }
    let mut stored: HashMap<ValueId, ValueId> = HashMap::new();
    let views = Views::of(func);
    let wanted: HashMap<ValueId, (usize, bool)> = plans
        .values()
        .flat_map(|p| p.places.iter().enumerate())
        .filter_map(|(side, p)| match p {
            Place::Shared { stored, perm } => {
                let near = contiguous_axis(func, &views, &defs, *stored);
                // Columns of 16 elements are read along either axis.
                let columns = target.column_loads()
                    && func.ty(*stored).tile().is_some_and(|t| t.elem.bytes() == 2 && t.shape[near] >= 16);
                let deep = (!target.facts().matrix_loads && !columns)
                    .then(|| depth_axis(func, *stored, perm.as_deref(), side));
                let axis = deep.flatten().unwrap_or(near);
                Some((*stored, (axis, axis != near)))
            }
            Place::Registers(_) => None,
        })
        .collect();
    func.try_rewrite::<Error>(&mut |b, op| {
        let made = op.results.clone();
        match plans.remove(op.results.first().unwrap_or(&ValueId(u32::MAX))) {
            Some(p) => product(b, op, p, &wanted, &mut stored)?,
            None => b.keep(op),
        }
        for v in made {
            if let (Some(&axis), false) = (wanted.get(&v), stored.contains_key(&v)) {
                let s = store(b, v, axis)?;
                stored.insert(v, s);
            }
        }
        Ok(())
    })?;
    // Transposes of operands are done by reading: what is loaded is then used once only, and can be copied ahead.
    func.drop_dead();
    Ok(())
}

fn is_dot(kind: &Kind) -> bool {
    matches!(kind, Kind::Tile(OpKind::Dot { .. } | OpKind::DotScaled { .. }))
}

/// The operands of a product: tiles, their scales if they have some, what is added to.
fn operands(op: &Op) -> Option<([ValueId; 2], Option<[ValueId; 2]>, ValueId)> {
    match (&op.kind, op.operands.as_slice()) {
        (Kind::Tile(OpKind::Dot { .. }), &[a, b, acc]) => Some(([a, b], None, acc)),
        (Kind::Tile(OpKind::DotScaled { .. }), &[a, sa, b, sb, acc]) => Some(([a, b], Some([sa, sb]), acc)),
        _ => None,
    }
}

fn collect(block: &Block, within: usize, loops: &mut usize, defs: &mut HashMap<ValueId, Def>) {
    for op in &block.ops {
        for r in &op.results {
            defs.insert(*r, Def { kind: op.kind.clone(), operands: op.operands.clone(), within });
        }
        let inner = if matches!(op.kind, Kind::Tile(OpKind::For { .. } | OpKind::While)) {
            *loops += 1;
            *loops
        } else {
            within
        };
        for r in &op.regions {
            // Arguments of a loop change with it: what is made of them lies within.
            for a in &r.args {
                defs.insert(*a, Def { kind: op.kind.clone(), operands: Vec::new(), within: inner });
            }
            collect(r, inner, loops, defs);
        }
    }
}

/// The products whose result another one takes as its left operand, and those that take it.
fn chains(defs: &HashMap<ValueId, Def>) -> Vec<ValueId> {
    let mut chained = Vec::new();
    for (v, d) in defs {
        if let (true, Some(a)) = (is_dot(&d.kind), d.operands.first())
            && let Some(from) = product_behind(defs, *a, 0)
        {
            chained.extend([*v, from]);
        }
    }
    chained
}

/// The product of which a value is computed element by element.
fn product_behind(defs: &HashMap<ValueId, Def>, v: ValueId, depth: usize) -> Option<ValueId> {
    let d = defs.get(&v)?;
    match &d.kind {
        k if is_dot(k) => Some(v),
        Kind::Tile(
            OpKind::Unary(_)
            | OpKind::Binary(_)
            | OpKind::Select
            | OpKind::Fma
            | OpKind::Cast
            | OpKind::Bitcast,
        )
        | Kind::Gpu(GpuOp::ConvertLayout)
            if depth < 32 =>
        {
            d.operands.iter().find_map(|o| product_behind(defs, *o, depth + 1))
        }
        _ => None,
    }
}

fn plan(
    func: &Func,
    target: &dyn GpuTarget,
    defs: &HashMap<ValueId, Def>,
    chained: &[ValueId],
    op: &Op,
) -> Result<Plan, Error> {
    let place = at(func.loc(op.loc));
    let (Some(([a, b], scales, _)), &[result]) = (operands(op), op.results.as_slice()) else {
        return Err(place.bug("a dot without its operands"));
    };
    let tile =
        |v: ValueId| func.ty(v).tile().cloned().ok_or_else(|| at(func.loc(op.loc)).bug("a dot of no tiles"));
    let (ta, tb, tr) = (tile(a)?, tile(b)?, tile(result)?);
    let lanes = target.facts().lanes;
    let in_layout = |e: crate::layout::LayoutError| at(func.loc(op.loc)).bug(e.to_string());
    let deep = ta.shape[ta.rank() - 1];
    let row = match &op.kind {
        Kind::Tile(OpKind::Dot { precision }) => {
            row_for(target.mma_table(), (ta.elem, tb.elem), deep, *precision)
        }
        _ => scaled_row(target.mma_table(), (ta.elem, tb.elem), deep),
    };
    let Some(row) = row else {
        if !ta.elem.is_float() || ta.elem != kcc_dsl::ir::Elem::F32 {
            return Err(place
                .unsupported(format!(
                    "`dot` of {} by {} operands on {}",
                    ta.elem,
                    tb.elem,
                    target.facts().arch
                ))
                .help("cast the operands to f32, f16, bf16 or i8"));
        }
        let acc = fragments::fma_accumulator(&tr.shape, func.warps, lanes).map_err(in_layout)?;
        let places = [shared_place(defs, a), shared_place(defs, b)];
        return Ok(Plan { instr: FMA.into(), acc: Arc::new(acc), places, scales: None });
    };
    let rank = tr.rank();
    let (m, n) = (tr.shape[rank - 2] as u32, tr.shape[rank - 1] as u32);
    let division = Division::choose(func.warps, (m, n), (row.m, row.n), chained.contains(&result));
    let acc = fragments::accumulator(row, &tr.shape, division).map_err(in_layout)?;
    let within = defs.get(&result).map_or(0, |d| d.within);
    let from_product = |v| product_behind(defs, v, 0).is_some();
    // What a product has made is an operand without changing lanes where sums lie in lanes as operands do.
    let follows = scales.is_none()
        && from_product(a)
        && chained.contains(&result)
        && same_rows(row, &tr.shape, division);
    let row = if follows { in_place(target.mma_table(), row) } else { row };
    let left = fragments::operand(row, &acc, ta.shape[rank - 1], 0).map_err(in_layout)?;
    let kept = defs.get(&a).is_none_or(|d| d.within != within)
        && left.registers() * ta.elem.bytes() as u32 <= 4 * KEPT_WORDS;
    let first = if follows || kept { Place::Registers(Arc::new(left)) } else { shared_place(defs, a) };
    let scales = if scales.is_some() {
        let of = |side| fragments::scales(row, &acc, deep, side).map_err(in_layout);
        of(0)?.zip(of(1)?).map(|(a, b)| [a, b].map(Arc::new))
    } else {
        None
    };
    let places = [first, shared_place(defs, b)];
    Ok(Plan { instr: row.name.clone(), acc: Arc::new(acc), places, scales })
}

/// The row of the same product whose left operand lies in lanes as sums do; without one the row itself.
fn in_place<'t>(table: &'t [MmaRow], row: &'t MmaRow) -> &'t MmaRow {
    let same = |r: &&MmaRow| {
        (r.kind, r.a, r.b, r.acc, r.reduced) == (row.kind, row.a, row.b, row.acc, row.reduced)
            && (r.m, r.n, r.k) == (row.m, row.n, row.k)
    };
    let lies = |r: &&MmaRow| r.a_layout.basis(Dim::Lane) == r.acc_layout.basis(Dim::Lane);
    table.iter().filter(same).find(lies).unwrap_or(row)
}

/// Whether each warp holds whole rows, so that the result can be a left operand without crossing warps.
fn same_rows(row: &MmaRow, shape: &[usize], division: Division) -> bool {
    division.columns == 1 || shape[shape.len() - 1] as u32 <= row.n
}

fn shared_place(defs: &HashMap<ValueId, Def>, v: ValueId) -> Place {
    match defs.get(&v) {
        Some(Def { kind: Kind::Tile(OpKind::Transpose { perm }), operands, .. }) => {
            Place::Shared { stored: operands[0], perm: Some(perm.clone()) }
        }
        _ => Place::Shared { stored: v, perm: None },
    }
}

/// The axis of a stored operand of narrow elements along which products sum. Lanes hold neighbours along it, so that where
/// no instruction transposes what it reads, reads are wide if they lie side by side.
fn depth_axis(func: &Func, stored: ValueId, perm: Option<&[u8]>, side: usize) -> Option<usize> {
    let tile = func.ty(stored).tile()?;
    let axis = tile.rank().checked_sub(1 + side)?;
    let axis = perm.map_or(Some(axis), |perm| perm.get(axis).map(|p| usize::from(*p)))?;
    (tile.elem.bytes() < 4).then_some(axis)
}

/// The axis along which neighbours shall lie side by side: the one that is contiguous in global memory, for a tile
/// that is loaded; else the last.
fn contiguous_axis(func: &Func, views: &Views, defs: &HashMap<ValueId, Def>, v: ValueId) -> usize {
    let rank = func.ty(v).tile().map_or(1, |t| t.rank());
    let view = match defs.get(&v) {
        Some(Def { kind: Kind::Tile(OpKind::Load { .. }), operands, .. }) => operands[0],
        _ => return rank - 1,
    };
    views.get(view).and_then(|f| f.unit_axis).filter(|axis| *axis < rank).unwrap_or(rank - 1)
}

/// A buffer for a tile whose neighbours along `axis` lie side by side, in rows whose 16-byte chunks are swizzled so that
/// reads along rows and along columns are free of bank conflicts. `folded` swizzles by the rows' next bits as well, for
/// threads that write across rows in steps of a whole access to global memory.
///
/// # Errors
/// Shapes that no layout has.
pub(super) fn buffer(
    elem: kcc_dsl::ir::Elem,
    shape: &[usize],
    axis: usize,
    folded: bool,
) -> Result<SharedType, Error> {
    let mut order = vec![axis];
    order.extend((0..shape.len()).rev().filter(|a| *a != axis));
    let extents = fragments::rounded(shape);
    let bytes = elem.bytes() as u32;
    let row = extents[axis] * bytes;
    let swizzle = match row {
        0..=16 => Swizzle { bits: 0, base: 4, shift: 3 },
        17..=128 => Swizzle { bits: row.ilog2() - 4, base: 4, shift: 3 },
        _ => Swizzle { bits: 3, base: 4, shift: row.ilog2() - 4 },
    };
    let mut layout = Shared::swizzled(&extents, &order, bytes, swizzle).map_err(|e| bug(e.to_string()))?;
    if folded {
        let next = Swizzle { shift: swizzle.shift + swizzle.bits, ..swizzle };
        layout = layout.with_swizzle(next).map_err(|e| bug(e.to_string()))?;
    }
    Ok(SharedType { elem, shape: shape.to_vec(), stages: 1, layout: Arc::new(layout.layout().clone()) })
}

fn store(b: &mut Builder, v: ValueId, (axis, folded): (usize, bool)) -> Result<ValueId, Error> {
    let Some(t) = b.ty(v).tile().cloned() else { return Err(bug("an operand of a product that is no tile")) };
    let ty = buffer(t.elem, &t.shape, axis, folded)?;
    let [s] = b.op(GpuOp::AllocShared { offset: None }, &[], [Type::Shared(ty)]);
    let [] = b.op(GpuOp::StoreShared, &[v, s], []);
    Ok(s)
}

fn product(
    b: &mut Builder,
    op: Op,
    plan: Plan,
    wanted: &HashMap<ValueId, (usize, bool)>,
    stored: &mut HashMap<ValueId, ValueId>,
) -> Result<(), Error> {
    let loc: LocId = op.loc;
    b.loc = loc;
    let Some((tiles, scales, acc)) = self::operands(&op) else {
        return Err(bug("a dot without its operands"));
    };
    let mut operands = Vec::new();
    for (place, v) in plan.places.into_iter().zip(tiles) {
        operands.push(match place {
            Place::Registers(layout) => convert(b, v, layout)?,
            Place::Shared { stored: what, perm } => {
                let s = match stored.get(&what) {
                    Some(s) => *s,
                    // An argument of a block: it has no operation to put the store behind.
                    None => store(b, what, wanted.get(&what).copied().unwrap_or_default())?,
                };
                perm.map_or(Ok(s), |perm| transposed(b, s, perm))?
            }
        });
    }
    let acc = convert(b, acc, plan.acc.clone())?;
    operands.push(acc);
    for (v, layout) in scales.into_iter().flatten().zip(plan.scales.into_iter().flatten()) {
        operands.push(convert(b, v, layout)?);
    }
    let ty = b.ty(acc).clone();
    b.set_ty(op.results[0], ty);
    let kind = Kind::Gpu(GpuOp::Mma { instr: plan.instr, depth: None });
    b.keep(Op { kind, operands, results: op.results, regions: Vec::new(), loc });
    Ok(())
}

/// The tile in another layout.
pub(super) fn convert(
    b: &mut Builder,
    v: ValueId,
    layout: Arc<crate::layout::Linear>,
) -> Result<ValueId, Error> {
    let Some(t) = b.ty(v).tile().cloned() else { return Err(bug("a conversion of no tile")) };
    let [c] = b.op(GpuOp::ConvertLayout, &[v], [Type::laid_out(t, layout)]);
    Ok(c)
}

/// A shared buffer with its axes permuted.
pub(super) fn transposed(b: &mut Builder, s: ValueId, perm: Vec<u8>) -> Result<ValueId, Error> {
    let Some(t) = b.ty(s).shared().cloned() else { return Err(bug("a shared buffer that is none")) };
    let axes: Vec<usize> = perm.iter().map(|&p| usize::from(p)).collect();
    let shape = axes.iter().map(|&p| t.shape[p]).collect();
    let layout = t.layout.transpose(&axes).map_err(|e| bug(e.to_string()))?;
    let ty = SharedType { shape, layout: Arc::new(layout), ..t };
    let [v] = b.op(GpuOp::SharedTranspose { perm }, &[s], [Type::Shared(ty)]);
    Ok(v)
}
