//! Puts a block barrier where one thread's access of shared memory may meet another's, and nowhere else.
//!
//! ```text
//! store_shared x, s                  store_shared x, s
//! r = mma s, …             →         block_barrier             read after write
//! store_shared y, s                  r = mma s, …
//!                                    block_barrier             write after read
//!                                    store_shared y, s
//! ```
//! The pass walks in order with the bytes read and written since the last barrier, goes around loops once more than
//! it must, and puts a barrier in front of an `if` rather than in it. A write by an asynchronous copy counts as done at
//! the wait; a copy may not start while others read what it overwrites. So does a store to a slot of a ring: another slot
//! is read until the wait. An operation that moves elements through scratch memory meets the others before it writes there, but not
//! after it has read: where buffers lie in the same bytes, it counts as a reader.

use super::GpuPass;
use crate::error::Error;
use crate::gpu::{Facts, GpuOptions, GpuTarget};
use crate::ktg::{Block, Func, GpuOp, Kind, Op, SharedType};
use crate::lower::gpu::{scratch_bytes, scratch_of_all};
use kcc_dsl::ir::{OpKind, ValueId};
use std::collections::{BTreeSet, HashMap, HashSet};

/// The pass.
pub const PASS: GpuPass = GpuPass { name: "insert_barriers", run };

/// Bytes `[from, to)` of shared memory.
type Range = (u32, u32);

/// Accesses since the last barrier.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct State {
    reads: BTreeSet<Range>,
    writes: BTreeSet<Range>,
    /// By copies that nobody has waited for; barriers do not end them.
    flying: BTreeSet<Range>,
}

impl State {
    fn join(&mut self, other: &State) {
        self.reads.extend(&other.reads);
        self.writes.extend(&other.writes);
        self.flying.extend(&other.flying);
    }

    fn barrier(&mut self) {
        self.reads.clear();
        self.writes.clear();
    }

    fn conflicts(&self, a: &Access) -> bool {
        let meets = |set: &BTreeSet<Range>, with: &BTreeSet<Range>| {
            set.iter().any(|x| with.iter().any(|y| x.0 < y.1 && y.0 < x.1))
        };
        meets(&a.reads, &self.writes)
            || meets(&a.writes, &self.writes)
            || meets(&a.writes, &self.reads)
            || meets(&a.flying, &self.reads)
            || meets(&a.flying, &self.writes)
    }

    fn add(&mut self, a: &Access) {
        if a.lands {
            self.writes.append(&mut self.flying);
        }
        self.reads.extend(&a.reads);
        self.writes.extend(&a.writes);
        self.flying.extend(&a.flying);
    }
}

/// What one operation does.
#[derive(Default)]
struct Access {
    reads: BTreeSet<Range>,
    writes: BTreeSet<Range>,
    flying: BTreeSet<Range>,
    /// Copies in flight have landed.
    lands: bool,
    /// It is a barrier of the whole block.
    barrier: bool,
}

/// Whether the threads of a loop meet where its phases end, and nowhere else.
fn has_phases(op: &Op) -> bool {
    let ops = op.regions.iter().flat_map(|r| &r.ops);
    matches!(op.kind, Kind::Tile(OpKind::For { .. }))
        && ops.into_iter().any(|o| matches!(o.kind, Kind::Gpu(GpuOp::Phase { .. })))
}

struct Pass<'f> {
    func: &'f Func,
    ranges: HashMap<ValueId, Range>,
    /// Slots of rings.
    slots: HashSet<ValueId>,
    facts: &'f Facts,
    /// Scratch memory that shares bytes with buffers.
    scratch: Option<Range>,
}

fn run(func: &mut Func, target: &dyn GpuTarget, _: &GpuOptions) -> Result<(), Error> {
    let facts = target.facts();
    let scratch = func.scratch.map(|from| (from, from + scratch_of_all(func, facts)));
    let mut body = std::mem::take(&mut func.body);
    let mut pass = Pass { func, ranges: HashMap::new(), slots: HashSet::new(), facts, scratch };
    pass.collect(&body);
    let mut state = State::default();
    pass.block(&mut body, &mut state, true);
    func.body = body;
    Ok(())
}

impl Pass<'_> {
    /// The bytes of each shared value.
    fn collect(&mut self, block: &Block) {
        for op in &block.ops {
            match &op.kind {
                Kind::Gpu(GpuOp::AllocShared { offset: Some(offset) }) => {
                    let bytes = self.func.ty(op.results[0]).shared().map_or(0, SharedType::bytes);
                    self.ranges.insert(op.results[0], (*offset, offset + bytes));
                }
                Kind::Gpu(GpuOp::Slot | GpuOp::SharedTranspose { .. } | GpuOp::SharedSlice { .. }) => {
                    if let Some(r) = self.ranges.get(&op.operands[0]).copied() {
                        self.ranges.insert(op.results[0], r);
                    }
                }
                _ => {}
            }
            if matches!(op.kind, Kind::Gpu(GpuOp::Slot)) {
                self.slots.extend(&op.results);
            }
            op.regions.iter().for_each(|r| self.collect(r));
        }
    }

    fn access(&self, op: &Op) -> Access {
        let mut a = Access::default();
        a.reads.extend(self.scratch.filter(|_| scratch_bytes(self.func, op, self.facts) > 0));
        let Kind::Gpu(kind) = &op.kind else { return a };
        let ranges = op.operands.iter().filter_map(|v| self.ranges.get(v).copied());
        match kind {
            GpuOp::StoreShared if self.slots.contains(&op.operands[1]) => a.flying.extend(ranges),
            GpuOp::StoreShared => a.writes.extend(ranges),
            GpuOp::LoadShared | GpuOp::Mma { .. } | GpuOp::MmaAsync { .. } | GpuOp::BulkStore { .. } => {
                a.reads.extend(ranges);
            }
            GpuOp::AsyncLoad { .. } | GpuOp::AsyncLoadRows { .. } => a.flying.extend(ranges),
            GpuOp::AsyncWait { .. } => a.lands = true,
            GpuOp::BlockBarrier { threads: 0, .. } => a.barrier = true,
            _ => {}
        }
        a
    }

    /// What a block does before its own first barrier may come, taken together.
    fn all(&self, block: &Block, into: &mut Access) {
        block.walk(&mut |op| {
            let a = self.access(op);
            into.reads.extend(a.reads);
            into.writes.extend(a.writes);
            into.flying.extend(a.flying);
        });
    }

    fn block(&self, block: &mut Block, state: &mut State, insert: bool) {
        let mut done = Vec::with_capacity(block.ops.len());
        for mut op in std::mem::take(&mut block.ops) {
            let mut access = self.access(&op);
            let branches = matches!(op.kind, Kind::Tile(OpKind::If));
            if branches {
                op.regions.iter().for_each(|r| self.all(r, &mut access));
            }
            if access.barrier {
                state.barrier();
            } else if state.conflicts(&access) {
                state.barrier();
                if insert {
                    done.push(Op {
                        kind: Kind::Gpu(GpuOp::BlockBarrier { id: 0, threads: 0 }),
                        operands: Vec::new(),
                        results: Vec::new(),
                        regions: Vec::new(),
                        loc: op.loc,
                    });
                }
            }
            match &op.kind {
                Kind::Tile(OpKind::If) => {
                    let mut after = State::default();
                    for r in &mut op.regions {
                        let mut own = state.clone();
                        self.block(r, &mut own, insert);
                        after.join(&own);
                    }
                    *state = after;
                }
                // In order by its phases, around which a barrier and the phases of single groups stand.
                Kind::Tile(OpKind::For { .. }) if has_phases(&op) => *state = State::default(),
                Kind::Tile(OpKind::For { .. } | OpKind::While) => {
                    // A loop may not run at all, so that what came before it is still open after it.
                    loop {
                        let mut around = state.clone();
                        for r in &mut op.regions {
                            self.block(r, &mut around, false);
                        }
                        around.join(state);
                        if around == *state {
                            break;
                        }
                        *state = around;
                    }
                    let mut last = state.clone();
                    for r in &mut op.regions {
                        self.block(r, &mut last, insert);
                    }
                    state.join(&last);
                }
                // Its regions order themselves.
                Kind::Gpu(GpuOp::WarpSpecialize { .. }) => {}
                _ => state.add(&access),
            }
            done.push(op);
        }
        block.ops = done;
    }
}
