//! Gives each shared buffer its place: buffers that are never live together share memory.
//!
//! ```text
//!  op  0   1   2   3   4   5            bytes
//!   q  ████████████████████             0 … 16K
//!   k      ████████                     16K … 24K
//!   p              ████████             16K … 20K   where k was
//! ```
//! A buffer is live from its first use to its last; one that is made outside of a loop and used in it, for all of the
//! loop. Barriers live as long as the kernel, since nothing tells when the last thread has passed. Where a function fits in no other way,
//! the lowering's scratch memory lies where no buffer is live when it is used, too.

mod reuse;

use super::GpuPass;
use crate::error::Error;
use crate::gpu::{Facts, GpuOptions, GpuTarget, Reuse};
use crate::ktg::{Block, Func, GpuOp, Kind, Type};
use crate::lower::gpu::{scratch_bytes, scratch_of_all};
use kcc_dsl::ir::{OpKind, ValueId};
use std::collections::HashMap;

/// The pass.
pub const PASS: GpuPass = GpuPass { name: "allocate_shared", run };

/// Where buffers start: what the swizzles of the largest rows repeat after.
const ALIGN: u32 = 1024;
/// Where small ones do.
const SMALL_ALIGN: u32 = 128;

struct Buffer {
    value: ValueId,
    bytes: u32,
    align: u32,
    /// First and last position of use.
    live: Option<(u32, u32)>,
    /// Loops around the operation that makes it, as their numbers.
    depth: usize,
    offset: u32,
}

#[derive(Default)]
struct Walk {
    position: u32,
    /// Loops that are open: position at which each began.
    open: Vec<u32>,
    buffers: Vec<Buffer>,
    /// The buffer behind a value.
    of: HashMap<ValueId, usize>,
    /// Uses in a loop of buffers made outside of it: (buffer, depth of the outermost such loop).
    held: Vec<(usize, usize)>,
    /// Operations that use scratch memory.
    scratch: Vec<u32>,
}

impl Buffer {
    /// Whether it is live at any of these positions.
    fn lives(&self, (first, last): (u32, u32)) -> bool {
        self.live.is_some_and(|l| l.0 <= last && first <= l.1)
    }
}

/// Whether warps run different code, or the same at different times: what they order is not for barriers to order again.
fn has_roles(func: &Func) -> bool {
    let mut found = false;
    func.walk(&mut |op| {
        found |= matches!(op.kind, Kind::Gpu(GpuOp::WarpSpecialize { .. } | GpuOp::Phase { .. }));
    });
    found
}

fn run(func: &mut Func, target: &dyn GpuTarget, options: &GpuOptions) -> Result<(), Error> {
    reuse::run(func, target, options.reuse)?;
    let facts = target.facts();
    let mut walk = Walk::default();
    walk.block(func, &func.body, facts);
    let end = walk.position;
    for b in &mut walk.buffers {
        if b.live.is_none_or(|(_, last)| last == u32::MAX) {
            b.live = Some((0, end));
        }
    }
    place(&mut walk.buffers);
    let mut total = walk.buffers.iter().map(|b| b.offset + b.bytes).max().unwrap_or(0);
    let last = options.reuse == Reuse::Scratch && reuse::applies(facts, options.reuse);
    if last && !walk.scratch.is_empty() && !has_roles(func) {
        let bytes = scratch_of_all(func, facts);
        let live = walk.buffers.iter().filter(|b| walk.scratch.iter().any(|p| b.lives((*p, *p))));
        let offset = lowest(live, bytes, SMALL_ALIGN);
        total = total.max(offset + bytes);
        func.scratch = Some(offset);
    }
    let offsets: HashMap<ValueId, u32> = walk.buffers.iter().map(|b| (b.value, b.offset)).collect();
    func.walk_mut(&mut |op| {
        if let Kind::Gpu(GpuOp::AllocShared { offset } | GpuOp::AllocBarriers { offset, .. }) = &mut op.kind {
            *offset = offsets.get(&op.results[0]).copied();
        }
    });
    func.shared_bytes = total;
    Ok(())
}

impl Walk {
    fn block(&mut self, func: &Func, block: &Block, facts: &Facts) {
        for op in &block.ops {
            self.position += 1;
            if scratch_bytes(func, op, facts) > 0 {
                self.scratch.push(self.position);
            }
            match &op.kind {
                Kind::Gpu(GpuOp::AllocShared { .. }) => self.alloc(func, op.results[0], None),
                Kind::Gpu(GpuOp::AllocBarriers { .. }) => {
                    self.alloc(func, op.results[0], Some((0, u32::MAX)));
                }
                Kind::Gpu(GpuOp::Slot | GpuOp::SharedTranspose { .. } | GpuOp::SharedSlice { .. }) => {
                    if let Some(b) = self.of.get(&op.operands[0]).copied() {
                        self.of.insert(op.results[0], b);
                    }
                }
                // Warps of their own may fill it at any time before.
                Kind::Gpu(GpuOp::BulkLoad { .. }) => {
                    op.operands.iter().for_each(|v| self.start_with_block(*v))
                }
                _ => op.operands.iter().for_each(|v| self.touch(*v)),
            }
            if op.regions.is_empty() {
                continue;
            }
            // What runs again, or beside the other regions, is live as a whole.
            let whole = matches!(
                op.kind,
                Kind::Tile(OpKind::For { .. } | OpKind::While) | Kind::Gpu(GpuOp::WarpSpecialize { .. })
            );
            if whole {
                self.open.push(self.position);
            }
            for r in &op.regions {
                self.block(func, r, facts);
            }
            if whole {
                self.position += 1;
                self.open.pop();
                let depth = self.open.len();
                let end = self.position;
                let (ending, rest) =
                    std::mem::take(&mut self.held).into_iter().partition(|(_, d)| *d == depth);
                self.held = rest;
                let ending: Vec<(usize, usize)> = ending;
                for (b, _) in ending {
                    self.extend(b, end);
                }
            }
        }
        for v in &block.yields {
            self.touch(*v);
        }
    }

    fn alloc(&mut self, func: &Func, value: ValueId, live: Option<(u32, u32)>) {
        let bytes = match func.ty(value) {
            Type::Shared(s) => s.bytes(),
            Type::Barriers { count } => 8 * count,
            _ => 0,
        };
        let align = if bytes >= ALIGN { ALIGN } else { SMALL_ALIGN };
        self.of.insert(value, self.buffers.len());
        self.buffers.push(Buffer { value, bytes, align, live, depth: self.open.len(), offset: 0 });
    }

    fn extend(&mut self, buffer: usize, position: u32) {
        let live = self.buffers[buffer].live.get_or_insert((position, position));
        live.0 = live.0.min(position);
        live.1 = live.1.max(position);
    }

    /// Live from the kernel's start; to the last use, as each copy is awaited by someone.
    fn start_with_block(&mut self, v: ValueId) {
        self.touch(v);
        if let Some(b) = self.of.get(&v).copied() {
            self.extend(b, 0);
        }
    }

    fn touch(&mut self, v: ValueId) {
        let Some(b) = self.of.get(&v).copied() else { return };
        let depth = self.buffers[b].depth;
        self.extend(b, self.position);
        if let Some(began) = self.open.get(depth).copied() {
            self.extend(b, began);
            self.held.push((b, depth));
        }
    }
}

/// Largest first, each at the lowest place that no buffer has that lives at the same time.
fn place(buffers: &mut [Buffer]) {
    let mut order: Vec<usize> = (0..buffers.len()).collect();
    order.sort_by_key(|i| std::cmp::Reverse(buffers[*i].bytes));
    let mut done: Vec<usize> = Vec::new();
    for i in order {
        let live = buffers[i].live.unwrap_or_default();
        let others = done.iter().map(|j| &buffers[*j]).filter(|o| o.lives(live));
        buffers[i].offset = lowest(others, buffers[i].bytes, buffers[i].align);
        done.push(i);
    }
}

/// The lowest place for so many bytes that none of these buffers has.
fn lowest<'b>(others: impl Iterator<Item = &'b Buffer>, bytes: u32, align: u32) -> u32 {
    let mut taken: Vec<(u32, u32)> = others.map(|o| (o.offset, o.offset + o.bytes)).collect();
    taken.sort_unstable();
    let mut offset = 0;
    for (from, to) in taken {
        if offset + bytes <= from {
            break;
        }
        offset = offset.max(to).next_multiple_of(align);
    }
    offset
}
