//! Gives every tile a layout, and converts where two meet.
//!
//! ```text
//! before  %v = load f32[4, 256]        %m = reduce %v        %b = broadcast %m        %d = sub %v, %b
//! after   %v in L (coalesced)          %m in L without axis 1        %b, %d in L
//! ```
//! Values tied together by element-wise operations and loops form classes (`classes`). A class takes the layout that a pass
//! has fixed for one of its members, or else what follows from another class, or else the best for its loads and stores
//! (`choose`). Constants, ramps and broadcasts are made again in whatever layout their user has.

mod choose;
mod classes;
mod relate;
mod stored;
mod versions;

pub use choose::blocked;
pub use relate::{axis_of, operand_layout, project};

use super::GpuPass;
use crate::error::{Error, at};
use crate::gpu::{Facts, GpuOptions, GpuTarget};
use crate::ktg::access::{Views, access};
use crate::ktg::axis::Divisibility;
use crate::ktg::{Func, GpuOp, Kind, Layout, Op, Type};
use crate::layout::{Dim, Linear};
use classes::{Classes, shape};
use kcc_dsl::ir::{OpKind, ValueId};
use std::collections::HashMap;
use std::sync::Arc;

/// The pass.
pub const PASS: GpuPass = GpuPass { name: "assign_layouts", run };

fn run(func: &mut Func, target: &dyn GpuTarget, _options: &GpuOptions) -> Result<(), Error> {
    check_ranks(func)?;
    let classes = Classes::of(func);
    let chosen = {
        let chooser = Chooser {
            func,
            facts: target.facts(),
            classes: &classes,
            views: Views::of(func),
            div: Divisibility::of(func),
            chosen: HashMap::new(),
        };
        chooser.run()?
    };
    for i in 0..func.values.len() {
        let v = ValueId(i as u32);
        if classes.is_flexible(v) {
            continue;
        }
        let layout = chosen.get(&classes.class(v)).cloned();
        if let Type::Tile { tile, layout: own @ None } = &mut func.values[i]
            && tile.rank() > 0
        {
            *own = layout;
        }
    }
    let default = |tile: &[usize], warps: u32| {
        choose::blocked(tile, tile.len() - 1, 4, target.facts().lanes, warps).map(Arc::new)
    };
    versions::insert(func, &classes, target.facts(), &default)?;
    func.drop_dead();
    Ok(())
}

/// Layouts have at most three axes.
fn check_ranks(func: &Func) -> Result<(), Error> {
    let mut bad = None;
    func.walk(&mut |op| {
        for v in &op.results {
            if bad.is_none() && func.ty(*v).tile().is_some_and(|t| t.rank() > 3) {
                let what = format!("a tile of {} axes on a GPU", shape(func, *v).len());
                let help = "fix leading axes with `at`, or reshape to at most three axes";
                bad = Some(at(func.loc(op.loc)).unsupported(what).help(help));
            }
        }
    });
    bad.map_or(Ok(()), Err)
}

struct Chooser<'f> {
    func: &'f Func,
    facts: &'f Facts,
    classes: &'f Classes,
    views: Views,
    div: Divisibility,
    chosen: HashMap<ValueId, Layout>,
}

impl Chooser<'_> {
    fn run(mut self) -> Result<HashMap<ValueId, Layout>, Error> {
        for (i, ty) in self.func.values.iter().enumerate() {
            let v = ValueId(i as u32);
            if let Some(l) = ty.layout() {
                self.chosen.entry(self.classes.class(v)).or_insert_with(|| l.clone());
            }
        }
        let mut ops = Vec::new();
        self.func.walk(&mut |op| ops.push(op.clone()));
        // Classes that hold a reduction's result follow its operand; they wait.
        let reduced: Vec<ValueId> = ops
            .iter()
            .filter(|o| follows(&o.kind))
            .flat_map(|o| &o.results)
            .map(|v| self.classes.class(*v))
            .collect();
        self.anchor(&ops, &|class| !reduced.contains(&class))?;
        self.derive(&ops)?;
        self.anchor(&ops, &|_| true)?;
        self.derive(&ops)?;
        // What is left was made from nothing that has a layout.
        for op in &ops {
            let args = op.regions.iter().flat_map(|r| &r.args);
            for v in op.results.iter().chain(args) {
                if self.wants(*v) {
                    let layout = self.natural(shape(self.func, *v), None)?;
                    self.chosen.insert(self.classes.class(*v), layout);
                    self.derive(&ops)?;
                }
            }
        }
        Ok(self.chosen)
    }

    fn wants(&self, v: ValueId) -> bool {
        !self.classes.is_flexible(v)
            && self.func.ty(v).tile().is_some_and(|t| t.rank() > 0)
            && !self.chosen.contains_key(&self.classes.class(v))
    }

    /// Loads and stores: the widest access of each class decides.
    fn anchor(&mut self, ops: &[Op], may: &dyn Fn(ValueId) -> bool) -> Result<(), Error> {
        let mut best: HashMap<ValueId, (u32, usize, u32)> = HashMap::new();
        let mut order = Vec::new();
        for op in ops {
            let tile = match &op.kind {
                Kind::Tile(OpKind::Load { .. } | OpKind::LoadRows { .. }) => op.results[0],
                Kind::Tile(OpKind::Store { .. } | OpKind::StoreRows { .. }) => {
                    op.operands[op.operands.len() - 1]
                }
                _ => continue,
            };
            if !self.wants(tile) || !may(self.classes.class(tile)) {
                continue;
            }
            let class = self.classes.class(tile);
            let a =
                access(self.func, &self.views, &self.div, op, shape(self.func, tile), self.facts.max_access);
            let candidate = (a.elements, a.axis, 0);
            match best.get_mut(&class) {
                Some(b) if b.0 < candidate.0 => *b = candidate,
                Some(_) => {}
                None => {
                    best.insert(class, candidate);
                    order.push((class, tile));
                }
            }
        }
        for (class, tile) in order {
            let (elements, axis, _) = best[&class];
            let tile_shape = shape(self.func, tile);
            let layout = match self.stored_along(ops, tile).filter(|deep| *deep != axis) {
                Some(deep) => {
                    let facts = self.facts;
                    let blocks =
                        choose::crossed(tile_shape, (axis, deep), elements, facts.lanes, self.func.warps);
                    Arc::new(blocks?)
                }
                None => self.natural(tile_shape, Some((axis, elements)))?,
            };
            self.chosen.insert(class, layout);
        }
        Ok(())
    }

    /// The axis along which neighbours lie side by side in the shared buffer that a tile is stored to, on chips that turn
    /// operands round on the way there.
    fn stored_along(&self, ops: &[Op], tile: ValueId) -> Option<usize> {
        if self.facts.matrix_loads {
            return None;
        }
        // A tile that a loop carries is stored by another name.
        let class = self.classes.class(tile);
        let same = |v: &ValueId| self.classes.class(*v) == class;
        let store = |op: &&Op| {
            matches!(op.kind, Kind::Gpu(GpuOp::StoreShared)) && op.operands.first().is_some_and(same)
        };
        let buffer = self.func.ty(*ops.iter().find(store)?.operands.get(1)?).shared()?;
        let first = buffer.layout.basis(Dim::Offset).first()?;
        first.iter().position(|step| *step == 1)
    }

    /// Reductions and shape changes: what follows from the operand's layout, until nothing more does.
    fn derive(&mut self, ops: &[Op]) -> Result<(), Error> {
        loop {
            let before = self.chosen.len();
            for op in ops {
                let Kind::Tile(kind) = &op.kind else { continue };
                for r in &op.results {
                    let Some(operand) = op.operands.first().filter(|_| self.wants(*r)) else { continue };
                    let Some(from) = self.chosen.get(&self.classes.class(*operand)).cloned() else {
                        continue;
                    };
                    if self.classes.is_flexible(*operand) {
                        continue;
                    }
                    let derived =
                        result_layout(kind, &from, shape(self.func, *operand), shape(self.func, *r))?;
                    if let Some(layout) = derived {
                        self.chosen.insert(self.classes.class(*r), Arc::new(layout));
                    }
                }
            }
            if self.chosen.len() == before {
                return Ok(());
            }
        }
    }

    fn natural(&self, tile: &[usize], access: Option<(usize, u32)>) -> Result<Layout, Error> {
        let (axis, elements) = access.unwrap_or((tile.len() - 1, 4));
        choose::blocked(tile, axis, elements, self.facts.lanes, self.func.warps).map(Arc::new)
    }
}

fn follows(kind: &Kind) -> bool {
    matches!(kind, Kind::Tile(OpKind::Reduce { .. } | OpKind::ArgReduce { .. } | OpKind::ReduceWith { .. }))
}

/// The layout of a result that moves nothing, from that of the first operand; `None` if no rule exists.
///
/// # Errors
/// A tile that no layout can hold.
pub fn result_layout(
    kind: &OpKind,
    layout: &Linear,
    operand: &[usize],
    result: &[usize],
) -> Result<Option<Linear>, Error> {
    Ok(match kind {
        OpKind::Reduce { axis, .. } | OpKind::ArgReduce { axis, .. } | OpKind::ReduceWith { axis } => {
            let axis = usize::from(*axis);
            Some(project(layout, result, |c| {
                let mut rest = [0; 3];
                for (slot, a) in rest.iter_mut().zip((0..3).filter(|a| *a != axis)) {
                    *slot = c[a];
                }
                rest
            })?)
        }
        OpKind::Transpose { perm } => {
            let mut inverse = vec![0u8; perm.len()];
            for (i, p) in perm.iter().enumerate() {
                inverse[usize::from(*p)] = i as u8;
            }
            operand_layout(&OpKind::Transpose { perm: inverse }, 0, layout, operand, result)?
        }
        OpKind::Reshape => operand_layout(kind, 0, layout, operand, result)?,
        _ => None,
    })
}
