//! The same value in other layouts: conversions, and flexible values made again.
//!
//! A version is inserted right after the definition of its value, so that every later use in that layout finds it.

use super::classes::{Classes, is_elementwise, shape};
use super::relate::{axis_of, operand_layout};
use super::stored::stored;
use super::{choose, result_layout};
use crate::error::{Error, bug};
use crate::gpu::Facts;
use crate::ktg::{Block, Func, GpuOp, Kind, Layout, Op, Type};
use crate::layout::{Dim, Linear};
use crate::passes::gpu::pipeline_loops::rows_layout;
use kcc_dsl::ir::{LocId, OpKind, ValueId};
use std::collections::HashMap;
use std::sync::Arc;

type Default<'f> = dyn Fn(&[usize], u32) -> Result<Layout, Error> + 'f;

/// Rewrites every use to the layout that it needs.
pub(super) fn insert(
    func: &mut Func,
    classes: &Classes,
    facts: &Facts,
    default: &Default,
) -> Result<(), Error> {
    let mut body = std::mem::take(&mut func.body);
    let mut v = Versions { func, classes, facts, default, made: HashMap::new(), after: HashMap::new() };
    v.block(&mut body)?;
    let mut after = v.after;
    place(&mut body, &mut after);
    func.body = body;
    Ok(())
}

/// Puts versions after the definitions of their values.
fn place(block: &mut Block, after: &mut HashMap<ValueId, Vec<Op>>) {
    let mut ops = Vec::with_capacity(block.ops.len());
    for a in &block.args {
        follow(*a, &mut ops, after);
    }
    for mut op in std::mem::take(&mut block.ops) {
        for r in &mut op.regions {
            place(r, after);
        }
        let results = op.results.clone();
        ops.push(op);
        for r in results {
            follow(r, &mut ops, after);
        }
    }
    block.ops = ops;
}

/// The versions of a value, and theirs.
fn follow(v: ValueId, ops: &mut Vec<Op>, after: &mut HashMap<ValueId, Vec<Op>>) {
    for op in after.remove(&v).unwrap_or_default() {
        let results = op.results.clone();
        ops.push(op);
        for r in results {
            follow(r, ops, after);
        }
    }
}

struct Versions<'f> {
    func: &'f mut Func,
    classes: &'f Classes,
    facts: &'f Facts,
    default: &'f Default<'f>,
    made: HashMap<(ValueId, Layout), ValueId>,
    after: HashMap<ValueId, Vec<Op>>,
}

impl Versions<'_> {
    fn rank(&self, v: ValueId) -> usize {
        self.func.ty(v).tile().map_or(0, |t| t.rank())
    }

    fn layout(&self, v: ValueId) -> Option<Layout> {
        self.func.ty(v).layout().cloned()
    }

    /// The value in a layout.
    fn want(&mut self, v: ValueId, layout: &Layout, loc: LocId) -> Result<ValueId, Error> {
        if self.rank(v) == 0 || self.layout(v).as_ref() == Some(layout) {
            return Ok(v);
        }
        let key = (v, layout.clone());
        if let Some(made) = self.made.get(&key) {
            return Ok(*made);
        }
        let tile = self.func.ty(v).tile().cloned().ok_or_else(|| bug("a layout for what is no tile"))?;
        let ty = Type::laid_out(tile.clone(), layout.clone());
        let op = match self.classes.maker(v).cloned() {
            None => {
                let result = self.func.fresh(ty);
                Op {
                    kind: Kind::Gpu(GpuOp::ConvertLayout),
                    operands: vec![v],
                    results: vec![result],
                    regions: Vec::new(),
                    loc,
                }
            }
            Some(maker) => {
                let mut operands = Vec::with_capacity(maker.operands.len());
                for (i, o) in maker.operands.iter().enumerate() {
                    operands.push(self.operand(&maker.kind, i, *o, layout, &tile.shape, maker.loc)?);
                }
                let result = self.func.fresh(ty);
                Op { kind: maker.kind, operands, results: vec![result], regions: Vec::new(), loc: maker.loc }
            }
        };
        let result = op.results[0];
        self.after.entry(v).or_default().push(op);
        self.made.insert(key, result);
        Ok(result)
    }

    /// The operand of an operation whose result has a layout.
    fn operand(
        &mut self,
        kind: &Kind,
        index: usize,
        v: ValueId,
        layout: &Layout,
        result: &[usize],
        loc: LocId,
    ) -> Result<ValueId, Error> {
        if self.rank(v) == 0 {
            return Ok(v);
        }
        if is_elementwise(kind) {
            return self.want(v, layout, loc);
        }
        let own = shape(self.func, v).to_vec();
        if let Kind::Tile(k) = kind
            && let Some(l) = operand_layout(k, index, layout, result, &own)?
        {
            return self.want(v, &Arc::new(l), loc);
        }
        self.any(v, loc)
    }

    /// The value in whatever layout it has, or in a natural one.
    fn any(&mut self, v: ValueId, loc: LocId) -> Result<ValueId, Error> {
        if self.rank(v) == 0 || self.layout(v).is_some() {
            return Ok(v);
        }
        let natural = (self.default)(shape(self.func, v), self.func.warps)?;
        self.want(v, &natural, loc)
    }

    /// The same, as it is stored.
    fn for_store(&mut self, v: ValueId, loc: LocId) -> Result<ValueId, Error> {
        let v = self.any(v, loc)?;
        let bytes = self.func.ty(v).tile().map_or(0, |t| t.elem.bytes() as u32);
        match self.layout(v).and_then(|l| stored(&l, bytes)) {
            Some(l) => self.want(v, &Arc::new(l), loc),
            None => Ok(v),
        }
    }

    fn like(&mut self, v: ValueId, other: ValueId, loc: LocId) -> Result<ValueId, Error> {
        match self.layout(other) {
            Some(l) => self.want(v, &l, loc),
            None => self.any(v, loc),
        }
    }

    fn block(&mut self, block: &mut Block) -> Result<(), Error> {
        for op in &mut block.ops {
            if op.results.iter().any(|r| self.classes.is_flexible(*r)) {
                continue;
            }
            for r in &mut op.regions {
                self.block(r)?;
            }
            self.op(op)?;
        }
        Ok(())
    }

    fn op(&mut self, op: &mut Op) -> Result<(), Error> {
        let loc = op.loc;
        let kind = op.kind.clone();
        match &kind {
            Kind::Tile(OpKind::For { .. }) => {
                let args = op.regions[0].args.clone();
                for i in 0..op.results.len() {
                    op.operands[3 + i] = self.like(op.operands[3 + i], args[1 + i], loc)?;
                    op.regions[0].yields[i] = self.like(op.regions[0].yields[i], args[1 + i], loc)?;
                }
            }
            Kind::Tile(OpKind::While) => {
                let args = op.regions[0].args.clone();
                for (i, arg) in args.into_iter().enumerate() {
                    op.operands[i] = self.like(op.operands[i], arg, loc)?;
                    op.regions[0].yields[1 + i] = self.like(op.regions[0].yields[1 + i], arg, loc)?;
                    op.regions[1].yields[i] = self.like(op.regions[1].yields[i], arg, loc)?;
                }
            }
            Kind::Tile(OpKind::If) => {
                for i in 0..op.results.len() {
                    for region in &mut op.regions {
                        region.yields[i] = self.like(region.yields[i], op.results[i], loc)?;
                    }
                }
            }
            Kind::Gpu(GpuOp::Mma { .. } | GpuOp::MmaAsync { .. }) => {
                op.operands[2] = self.like(op.operands[2], op.results[0], loc)?;
                for i in (0..op.operands.len()).filter(|i| *i != 2) {
                    op.operands[i] = self.any(op.operands[i], loc)?;
                }
            }
            // Made right behind the definition, so outside of loops that do not change the value, and not at all for what is
            // made again.
            Kind::Gpu(GpuOp::ConvertLayout) => {
                op.operands[0] = self.like(op.operands[0], op.results[0], loc)?;
            }
            Kind::Tile(OpKind::Dot { .. }) => {
                op.operands[2] = self.like(op.operands[2], op.results[0], loc)?;
                for i in 0..2 {
                    op.operands[i] = self.any(op.operands[i], loc)?;
                }
            }
            Kind::Tile(
                OpKind::Reduce { axis, .. } | OpKind::ArgReduce { axis, .. } | OpKind::ReduceWith { axis },
            ) => {
                let first = self.separable(op.operands[0], usize::from(*axis), loc)?;
                op.operands[0] = first;
                for i in 1..op.operands.len() {
                    op.operands[i] = self.like(op.operands[i], first, loc)?;
                }
                self.derived_results(op)?;
            }
            Kind::Tile(OpKind::Store { .. }) => {
                let last = op.operands.len() - 1;
                op.operands[last] = self.for_store(op.operands[last], loc)?;
            }
            Kind::Tile(OpKind::StoreRows { .. }) => {
                op.operands[3] = self.for_store(op.operands[3], loc)?;
                if let Some(l) = self.layout(op.operands[3]) {
                    let rows = shape(self.func, op.operands[1])[0];
                    let rows = Arc::new(axis_of(&l, 0, rows)?);
                    op.operands[1] = self.want(op.operands[1], &rows, loc)?;
                }
            }
            Kind::Gpu(GpuOp::AsyncLoadRows { bytes, .. }) => {
                let Some(ty) = self.func.ty(op.operands[3]).shared().cloned() else {
                    return Err(bug("rows copied to no shared memory"));
                };
                let rows = rows_layout(&ty, *bytes, self.facts.lanes, self.func.warps)?;
                op.operands[1] = self.want(op.operands[1], &Arc::new(rows), loc)?;
            }
            k if is_elementwise(k) => {
                let ranked = op.results.iter().chain(&op.operands).find(|v| self.layout(**v).is_some());
                let Some(layout) = ranked.and_then(|v| self.layout(*v)) else {
                    // Only flexible operands, and an effect.
                    let ranked = op.operands.iter().copied().find(|v| self.rank(*v) > 0);
                    if let Some(v) = ranked {
                        let natural = (self.default)(shape(self.func, v), self.func.warps)?;
                        for o in &mut op.operands {
                            *o = self.want(*o, &natural, loc)?;
                        }
                    }
                    return Ok(());
                };
                for o in &mut op.operands {
                    *o = self.want(*o, &layout, loc)?;
                }
            }
            k => {
                let result = op.results.first().copied();
                let layout = result.and_then(|r| self.layout(r));
                let result = result.map(|r| shape(self.func, r).to_vec()).unwrap_or_default();
                for i in 0..op.operands.len() {
                    op.operands[i] = match &layout {
                        Some(l) => self.operand(k, i, op.operands[i], l, &result, loc)?,
                        None => self.any(op.operands[i], loc)?,
                    };
                }
            }
        }
        Ok(())
    }

    /// The value in a layout in which each input bit moves along the axis or along others, not both.
    fn separable(&mut self, v: ValueId, axis: usize, loc: LocId) -> Result<ValueId, Error> {
        let v = self.any(v, loc)?;
        let Some(layout) = self.layout(v) else { return Ok(v) };
        if is_separable(&layout, axis) {
            return Ok(v);
        }
        let tile = shape(self.func, v).to_vec();
        let plain = choose::blocked(&tile, tile.len() - 1, 1, self.facts.lanes, self.func.warps)?;
        self.want(v, &Arc::new(plain), loc)
    }

    /// Results that follow from the operand's layout, converted if their class has another.
    fn derived_results(&mut self, op: &mut Op) -> Result<(), Error> {
        let Some(from) = self.layout(op.operands[0]) else { return Ok(()) };
        let operand = shape(self.func, op.operands[0]).to_vec();
        let Kind::Tile(kind) = &op.kind else { return Ok(()) };
        for r in &mut op.results {
            let Some(wanted) = self.func.ty(*r).layout().cloned() else { continue };
            let tile = self.func.ty(*r).tile().cloned().ok_or_else(|| bug("a reduction to no tile"))?;
            let Some(derived) = result_layout(kind, &from, &operand, &tile.shape)? else { continue };
            if derived == *wanted {
                continue;
            }
            let raw = self.func.fresh(Type::laid_out(tile, Arc::new(derived)));
            let convert = Op {
                kind: Kind::Gpu(GpuOp::ConvertLayout),
                operands: vec![raw],
                results: vec![*r],
                regions: Vec::new(),
                loc: op.loc,
            };
            self.after.entry(raw).or_default().push(convert);
            *r = raw;
        }
        Ok(())
    }
}

/// Whether each input bit moves along the axis or along others, not both.
fn is_separable(layout: &Linear, axis: usize) -> bool {
    [Dim::Register, Dim::Lane, Dim::Warp]
        .iter()
        .all(|dim| layout.basis(*dim).iter().all(|v| v[axis] == 0 || (0..3).all(|a| a == axis || v[a] == 0)))
}
