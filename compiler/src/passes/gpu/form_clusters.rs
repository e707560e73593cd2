//! Neighbouring programs read what they share once: each block of a cluster copies its part of a box to all of them.
//!
//! ```text
//! c = a · b, cluster=2, programs p and p+1 along x: other rows of a, the same columns of b
//!   p    load a, m     → own ring               p    load a, m                 → own ring
//!        load b, n     → own ring         →          load upper half of b, n   → both rings
//!   p+1  load a, m+1   → own ring               p+1  load a, m+1               → own ring
//!        load b, n     → own ring                    load lower half of b, n   → both rings
//! ```
//! Half of the traffic for `b`. A slot is empty once the users in *all* blocks have given it back, so each of them arrives
//! at the barrier of every block; it is full once all parts have come. Blocks meet before the first copy, when barriers are made, and at the end:
//! a block that has ended has no memory for others to write or arrive at. The grid is rounded up to whole clusters;
//! programs beyond its end copy like all others and write nothing.
//!
//! Only on demand (`cluster=2`), and only where loops run equally often in all blocks: their bounds must not depend on the
//! program's index along x, nor on memory.

use super::GpuPass;
use crate::error::{Error, nowhere};
use crate::gpu::{GpuOptions, GpuTarget};
use crate::ktg::{Block, Effect, Func, GpuOp, Kind, Op, Type, effect};
use kcc_dsl::exchange::GridMap;
use kcc_dsl::ir::{CmpOp, Elem, LocId, OpKind, ValueId};
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

/// The pass.
pub const PASS: GpuPass = GpuPass { name: "form_clusters", run };

/// Rows after which the swizzles of shared memory repeat: parts of a box start at multiples of them.
const SWIZZLE_ROWS: u32 = 8;

fn run(func: &mut Func, target: &dyn GpuTarget, options: &GpuOptions) -> Result<(), Error> {
    let blocks = options.number("cluster")?.unwrap_or(1);
    if blocks < 2 {
        return Ok(());
    }
    let bad = |what: String, help: &str| Err(nowhere().invalid(what).help(help.to_owned()));
    if !matches!(blocks, 2 | 4 | 8) {
        return bad(format!("option cluster={blocks}"), "give 2, 4 or 8; 0 or 1 for none");
    }
    let facts = target.facts();
    if !facts.clusters {
        let what = format!("option cluster={blocks}: {} has no clusters of blocks", facts.arch);
        return bad(what, "leave it out");
    }
    if func.grid != GridMap::Direct {
        let what = format!("option cluster={blocks} with another order of programs");
        return bad(what, "leave out `persistent` and `dies`, or `cluster`");
    }
    let same = Same::of(func);
    let mut search = Search { func, same: &same, blocks, shared: HashSet::new(), possible: true };
    search.block(&func.body, true, false);
    let (shared, possible) = (search.shared, search.possible);
    if !possible || shared.is_empty() {
        return Ok(());
    }
    let mut rings = HashSet::new();
    func.walk(&mut |op| {
        if matches!(op.kind, Kind::Gpu(GpuOp::BarrierArrive)) {
            rings.insert(op.operands[0]);
        }
    });
    let mut body = std::mem::take(&mut func.body);
    let (head, inside) = func.build(LocId::default(), |b| {
        let scalar = || Type::scalar(Elem::I32);
        let [own] = b.op(OpKind::ProgramId(0), &[], [scalar()]);
        let [all] = b.op(OpKind::NumPrograms(0), &[], [scalar()]);
        let [inside] = b.op(OpKind::Compare(CmpOp::Lt), &[own, all], [Type::scalar(Elem::Bool)]);
        inside
    });
    let change = Change { blocks, shared: &shared, rings: &rings, inside };
    change.block(func, &mut body);
    body.ops.splice(0..0, head);
    body.ops.push(Op {
        kind: Kind::Gpu(GpuOp::ClusterBarrier),
        operands: Vec::new(),
        results: Vec::new(),
        regions: Vec::new(),
        loc: LocId::default(),
    });
    func.body = body;
    func.cluster = [blocks, 1, 1];
    func.count("cluster", u64::from(blocks));
    func.count("multicast_loads", shared.len() as u64);
    Ok(())
}

/// Which values are the same in all blocks of a cluster.
struct Same {
    params: u32,
    defs: HashMap<ValueId, (Kind, Vec<ValueId>)>,
    /// Counters of loops, with the bounds.
    counters: HashMap<ValueId, Vec<ValueId>>,
    known: RefCell<HashMap<ValueId, bool>>,
}

impl Same {
    fn of(func: &Func) -> Same {
        let (mut defs, mut counters) = (HashMap::new(), HashMap::new());
        func.walk(&mut |op| {
            for r in op.results.iter().filter(|_| op.regions.is_empty()) {
                defs.insert(*r, (op.kind.clone(), op.operands.clone()));
            }
            if matches!(op.kind, Kind::Tile(OpKind::For { .. })) {
                counters.insert(op.regions[0].args[0], op.operands[..3].to_vec());
            }
        });
        Same { params: func.params.len() as u32, defs, counters, known: RefCell::default() }
    }

    fn all(&self, values: &[ValueId]) -> bool {
        values.iter().all(|v| self.holds(*v))
    }

    fn holds(&self, v: ValueId) -> bool {
        if let Some(known) = self.known.borrow().get(&v) {
            return *known;
        }
        let same = match (self.counters.get(&v), self.defs.get(&v)) {
            _ if v.0 < self.params => true,
            (Some(bounds), _) => self.all(bounds),
            (None, Some((Kind::Tile(OpKind::ProgramId(axis)), _))) => *axis != 0,
            (None, Some((kind @ Kind::Tile(_), operands))) => {
                effect(kind) == Effect::Pure && self.all(operands)
            }
            _ => false,
        };
        self.known.borrow_mut().insert(v, same);
        same
    }
}

/// Finds the loads that all blocks of a cluster do alike.
struct Search<'s> {
    func: &'s Func,
    same: &'s Same,
    blocks: u32,
    /// Barrier and slot of each, which name a load.
    shared: HashSet<Vec<ValueId>>,
    possible: bool,
}

impl Search<'_> {
    /// `together`: all blocks run this equally often; `looped`: in a loop.
    fn block(&mut self, block: &Block, together: bool, looped: bool) {
        for op in &block.ops {
            let (together, looped) = match &op.kind {
                Kind::Tile(OpKind::For { .. }) => (together && self.same.all(&op.operands[..3]), true),
                Kind::Tile(OpKind::If) => (together && self.same.all(&op.operands), looped),
                Kind::Tile(OpKind::While) => (false, true),
                _ => (together, looped),
            };
            match &op.kind {
                // What a ring gives back is counted in every block.
                Kind::Gpu(GpuOp::BulkLoad { .. }) if looped && !together => self.possible = false,
                Kind::Gpu(GpuOp::BulkLoad { map, .. }) if looped && self.shareable(op, *map) => {
                    self.shared.insert(op.operands.clone());
                }
                // Its result would have to come from somewhere in programs beyond the grid's end.
                Kind::Tile(k) if k.has_side_effect() && !op.results.is_empty() && !is_control(k) => {
                    self.possible = false;
                }
                _ => {}
            }
            op.regions.iter().for_each(|r| self.block(r, together, looped));
        }
    }

    fn shareable(&self, op: &Op, map: u32) -> bool {
        let offsets = &op.operands[1..op.operands.len() - 3];
        let Some(recipe) = self.func.tensor_maps.get(map as usize) else { return false };
        let Some(ty) = self.func.ty(op.operands[op.operands.len() - 3]).shared() else { return false };
        let rows = recipe.box_dims.get(1).copied().unwrap_or(1);
        self.same.all(offsets) && ty.shape.len() == 2 && rows.is_multiple_of(self.blocks * SWIZZLE_ROWS)
    }
}

fn is_control(k: &OpKind) -> bool {
    matches!(k, OpKind::For { .. } | OpKind::While | OpKind::If)
}

struct Change<'c> {
    blocks: u32,
    shared: &'c HashSet<Vec<ValueId>>,
    /// Barriers at which users of a ring arrive.
    rings: &'c HashSet<ValueId>,
    /// Whether the program is one of the grid.
    inside: ValueId,
}

impl Change<'_> {
    fn block(&self, func: &mut Func, block: &mut Block) {
        let mut done = Vec::with_capacity(block.ops.len());
        for mut op in std::mem::take(&mut block.ops) {
            op.regions.iter_mut().for_each(|r| self.block(func, r));
            match &mut op.kind {
                Kind::Gpu(GpuOp::AllocBarriers { arrivals, .. }) if self.rings.contains(&op.results[0]) => {
                    *arrivals *= self.blocks;
                }
                Kind::Gpu(GpuOp::BulkLoad { map, multicast }) if self.shared.contains(&op.operands) => {
                    let mut recipe = func.tensor_maps[*map as usize].clone();
                    recipe.box_dims[1] /= self.blocks;
                    *map = func.tensor_map(recipe);
                    *multicast = (1 << self.blocks) - 1;
                }
                _ => {}
            }
            let writes = match &op.kind {
                Kind::Gpu(GpuOp::BulkStore { .. }) => true,
                Kind::Tile(k) => k.has_side_effect() && !is_control(k),
                Kind::Gpu(_) => false,
            };
            done.push(if writes { self.guarded(op) } else { op });
        }
        block.ops = done;
    }

    fn guarded(&self, op: Op) -> Op {
        let loc = op.loc;
        let then = Block { args: Vec::new(), ops: vec![op], yields: Vec::new() };
        Op {
            kind: Kind::Tile(OpKind::If),
            operands: vec![self.inside],
            results: Vec::new(),
            regions: vec![then, Block::default()],
            loc,
        }
    }
}
