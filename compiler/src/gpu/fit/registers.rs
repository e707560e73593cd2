//! How many registers a thread holds at once, at least: what tiles must wait whole behind a barrier, a reduction or a loop.
//!
//! ```text
//! x = load            x: 64
//! m = max_rows x      all of x is needed here, and again below: 64 are held
//! y = exp (x - m)     element by element: nothing more
//! ```
//! A bound from below: what is computed element by element needs few, and what is cheap to make again (constants,
//! indices, masks) counts nothing. `ptxas` needs more, never less.

use crate::gpu::{Facts, GpuTarget};
use crate::ktg::{Block, Func, GpuOp, Kind, Op};
use kcc_dsl::ir::{Elem, LocId, OpKind, ValueId};
use std::collections::HashMap;

/// What a thread holds where it holds most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Registers.
    pub registers: u32,
    /// Registers that a thread of the block may have.
    pub limit: u32,
    /// The operation before which they are held.
    pub loc: LocId,
    /// The tiles that are held: extents and registers.
    pub tiles: Vec<(Vec<usize>, u32)>,
}

/// Steps in which the hardware hands out registers.
const STEP: u32 = 8;

/// The most that a thread of the function holds.
pub fn held(func: &Func, facts: &Facts) -> Held {
    let mut walk = Walk { func, cost: HashMap::new(), root: HashMap::new(), most: Held::default() };
    walk.block(&func.body, &[]);
    Held { limit: limit(func, facts), ..walk.most }
}

/// Registers that a thread of a block of so many may have, whatever was asked for.
pub fn hardware_limit(threads: u32, facts: &Facts) -> u32 {
    facts.registers.min(facts.registers_per_sm / threads.max(1) / STEP * STEP)
}

/// Registers that a thread of the function may have.
fn limit(func: &Func, facts: &Facts) -> u32 {
    let all = hardware_limit(func.threads(facts.lanes), facts);
    let mut limit = func.max_registers.map_or(all, |most| most.min(all));
    // Roles may hand registers on.
    func.walk(&mut |op| {
        if let Kind::Gpu(GpuOp::WarpSpecialize { registers, .. }) = &op.kind {
            limit = limit.max(registers.iter().copied().max().unwrap_or(0));
        }
    });
    limit
}

/// What single instructions need at once, whatever else is kept in memory: with fewer registers assemblers refuse code.
pub fn at_least(func: &Func, target: &dyn GpuTarget) -> Held {
    let mut most = Held {
        registers: target.fewest_registers(None),
        limit: limit(func, target.facts()),
        ..Held::default()
    };
    func.walk(&mut |op| {
        let row = match &op.kind {
            Kind::Gpu(GpuOp::Mma { instr, .. }) => target.mma_named(instr).cloned(),
            Kind::Gpu(GpuOp::MmaAsync { instr }) => target.wide().and_then(|w| w.named(instr)),
            _ => None,
        };
        let Some(row) = row else { return };
        let needed = target.fewest_registers(Some(&row));
        if needed > most.registers {
            let sums = row.acc_layout.registers();
            let tiles = vec![(vec![row.m as usize, row.n as usize], sums), (Vec::new(), needed - sums)];
            most = Held { registers: needed, loc: op.loc, tiles, ..most };
        }
    });
    most
}

struct Walk<'f> {
    func: &'f Func,
    /// Registers of a value that must be kept.
    cost: HashMap<ValueId, u32>,
    /// The value whose registers another one shares.
    root: HashMap<ValueId, ValueId>,
    most: Held,
}

/// Whether an operation needs all of its operands, or all threads, before what follows.
fn whole(op: &Op) -> bool {
    match &op.kind {
        Kind::Tile(k) => matches!(
            k,
            OpKind::Reduce { .. }
                | OpKind::ArgReduce { .. }
                | OpKind::ReduceWith { .. }
                | OpKind::Scan { .. }
                | OpKind::ScanWith { .. }
                | OpKind::For { .. }
                | OpKind::While
                | OpKind::If
        ),
        Kind::Gpu(g) => matches!(
            g,
            GpuOp::BlockBarrier { .. }
                | GpuOp::BarrierWait
                | GpuOp::MmaWait { .. }
                | GpuOp::WarpSpecialize { .. }
        ),
    }
}

impl Walk<'_> {
    fn root(&self, v: ValueId) -> ValueId {
        self.root.get(&v).copied().unwrap_or(v)
    }

    fn full(&self, v: ValueId) -> u32 {
        let ty = self.func.ty(v);
        match (ty.tile(), ty.layout()) {
            (Some(t), Some(_)) if t.elem != Elem::Bool => {
                ((ty.registers() * t.elem.bytes()).div_ceil(4)) as u32
            }
            _ => 0,
        }
    }

    fn price(&mut self, op: &Op) {
        let operands =
            |w: &Self| op.operands.iter().map(|v| w.cost.get(&w.root(*v)).copied().unwrap_or(0)).sum();
        for r in &op.results {
            let full = self.full(*r);
            let cost = match &op.kind {
                Kind::Tile(OpKind::Broadcast { .. } | OpKind::Reshape | OpKind::Transpose { .. }) => {
                    if let Some(source) = op.operands.first() {
                        let root = self.root(*source);
                        self.root.insert(*r, root);
                    }
                    0
                }
                Kind::Gpu(GpuOp::MmaWait { .. }) => full,
                // Made again from what is kept anyway, if that is less.
                Kind::Tile(OpKind::Constant(_) | OpKind::Arange) => full.min(operands(self)),
                Kind::Tile(k) if k.is_elementwise() => full.min(operands(self)),
                // Global memory that may be read again.
                Kind::Tile(OpKind::Load { .. } | OpKind::LoadRows { .. } | OpKind::Gather) => full,
                // Operands of products come piece by piece.
                Kind::Gpu(GpuOp::LoadShared) => 0,
                _ => full,
            };
            self.cost.insert(*r, cost);
        }
    }

    /// `around`: what is held outside of the block.
    fn block(&mut self, block: &Block, around: &[ValueId]) {
        let mut last: HashMap<ValueId, usize> = HashMap::new();
        for (i, op) in block.ops.iter().enumerate() {
            if let Kind::Tile(OpKind::Broadcast { .. } | OpKind::Reshape | OpKind::Transpose { .. }) =
                &op.kind
                && let (Some(to), Some(from)) = (op.results.first(), op.operands.first())
            {
                let root = self.root(*from);
                self.root.insert(*to, root);
            }
            let mut see = |v: &ValueId| {
                last.insert(self.root.get(v).copied().unwrap_or(*v), i);
            };
            op.operands.iter().for_each(&mut see);
            for r in &op.regions {
                uses(r, &mut see);
            }
        }
        for v in &block.yields {
            last.insert(self.root(*v), block.ops.len());
        }
        for v in &block.args {
            self.cost.insert(*v, self.full(*v));
        }
        let mut held: Vec<ValueId> = block.args.iter().copied().filter(|v| last.contains_key(v)).collect();
        self.see(block.ops.first().map(|o| o.loc), &held, around);
        for (i, op) in block.ops.iter().enumerate() {
            if whole(op) {
                // What a loop starts from is its own variable from then on.
                let inside = |v: &ValueId| !op.operands.contains(v);
                held.retain(|v| last.get(v).is_some_and(|l| *l >= i));
                let kept: Vec<ValueId> = held.iter().copied().filter(|v| last[v] > i || inside(v)).collect();
                self.see(Some(op.loc), &kept, around);
                if !op.regions.is_empty() {
                    let all: Vec<ValueId> = kept.iter().chain(around).copied().collect();
                    for r in &op.regions {
                        self.block(r, &all);
                    }
                }
            }
            self.price(op);
            held.extend(op.results.iter().copied().filter(|v| last.contains_key(v)));
        }
        self.see(block.ops.last().map(|o| o.loc), &block.yields, around);
    }

    fn see(&mut self, loc: Option<LocId>, held: &[ValueId], around: &[ValueId]) {
        let mut all: Vec<ValueId> = held.iter().chain(around).map(|v| self.root(*v)).collect();
        all.sort_unstable_by_key(|v| v.0);
        all.dedup();
        let cost = |v: &ValueId| self.cost.get(v).copied().unwrap_or(0);
        let registers = all.iter().map(cost).sum();
        if registers <= self.most.registers {
            return;
        }
        let shape = |v: &ValueId| self.func.ty(*v).tile().map(|t| t.shape.to_vec()).unwrap_or_default();
        let tiles = all.iter().filter(|v| cost(v) > 0).map(|v| (shape(v), cost(v))).collect();
        self.most = Held { registers, limit: 0, loc: loc.unwrap_or_default(), tiles };
    }
}

fn uses(block: &Block, see: &mut impl FnMut(&ValueId)) {
    for op in &block.ops {
        op.operands.iter().for_each(&mut *see);
        op.regions.iter().for_each(|r| uses(r, see));
    }
    block.yields.iter().for_each(see);
}
