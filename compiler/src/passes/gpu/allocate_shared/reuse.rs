//! Lets buffers live shorter, for functions that do not fit otherwise: so more of them share memory.
//!
//! ```text
//! q = convert_layout x    scratch of its own   →   store_shared x, s; q = load_shared s     where k is later
//!
//! store_shared k, sk      both live                store_shared k, sk
//! store_shared v, sv                           →   s = mma q, sk …
//! s = mma q, sk …                                  store_shared v, sv                       where k was
//! o = mma p, sv …                                  o = mma p, sv …
//! ```
//! Each costs a meeting of threads more in a turn; so the second is done where the first does not do.

use crate::error::Error;
use crate::gpu::{Facts, GpuTarget, Reuse};
use crate::ktg::{Block, Func, GpuOp, Kind, Op, Type};
use crate::lower::gpu::scratch_bytes;
use crate::passes::gpu::select_mma::buffer;
use kcc_dsl::ir::ValueId;
use std::collections::HashSet;

/// Whether buffers are asked to share memory, and may.
pub(super) fn applies(facts: &Facts, reuse: Reuse) -> bool {
    reuse != Reuse::Plain && !facts.async_copy && !facts.bulk_copy
}

/// Changes the function as far as is asked for. Chips that copy asynchronously fill all of their rings at all times, and give up stages
/// instead: nothing is done there.
///
/// # Errors
/// A bug: shapes that no layout has.
pub(super) fn run(func: &mut Func, target: &dyn GpuTarget, reuse: Reuse) -> Result<(), Error> {
    let facts = target.facts();
    if !applies(facts, reuse) {
        return Ok(());
    }
    let mut staged = HashSet::new();
    func.walk(&mut |op| {
        if matches!(op.kind, Kind::Gpu(GpuOp::ConvertLayout)) && scratch_bytes(func, op, facts) > 0 {
            staged.insert(op.results[0]);
        }
    });
    func.try_rewrite::<Error>(&mut |b, op| {
        let tile = op.results.first().filter(|r| staged.contains(r)).and_then(|r| b.ty(*r).tile().cloned());
        let Some(tile) = tile else {
            b.keep(op);
            return Ok(());
        };
        let ty = buffer(tile.elem, &tile.shape, tile.rank() - 1, false)?;
        let [s] = b.op(GpuOp::AllocShared { offset: None }, &[], [Type::Shared(ty)]);
        let [] = b.op(GpuOp::StoreShared, &[op.operands[0], s], []);
        b.keep(Op { kind: Kind::Gpu(GpuOp::LoadShared), operands: vec![s], ..op });
        Ok(())
    })?;
    if reuse >= Reuse::Stores {
        sink(&mut func.body);
    }
    Ok(())
}

/// Moves each store to a buffer of its own to the first operation that reads it.
fn sink(block: &mut Block) {
    let made: HashSet<ValueId> = (block.ops.iter())
        .filter(|op| matches!(op.kind, Kind::Gpu(GpuOp::AllocShared { .. })))
        .flat_map(|op| op.results.iter().copied())
        .collect();
    let mut waiting: Vec<(Op, HashSet<ValueId>)> = Vec::new();
    let mut done = Vec::with_capacity(block.ops.len());
    for mut op in std::mem::take(&mut block.ops) {
        op.regions.iter_mut().for_each(sink);
        let renames = matches!(op.kind, Kind::Gpu(GpuOp::SharedTranspose { .. } | GpuOp::SharedSlice { .. }));
        if renames {
            // Another name for the same memory.
            for (_, names) in waiting.iter_mut().filter(|(_, n)| n.contains(&op.operands[0])) {
                names.extend(&op.results);
            }
        } else {
            let mut used: HashSet<ValueId> = op.operands.iter().copied().collect();
            op.regions.iter().for_each(|r| r.walk(&mut |o| used.extend(&o.operands)));
            let (now, later) = waiting.into_iter().partition(|(_, names)| !names.is_disjoint(&used));
            waiting = later;
            let now: Vec<(Op, HashSet<ValueId>)> = now;
            done.extend(now.into_iter().map(|(store, _)| store));
        }
        match (&op.kind, op.operands.as_slice()) {
            (Kind::Gpu(GpuOp::StoreShared), &[_, to]) if made.contains(&to) => {
                waiting.push((op, HashSet::from([to])));
            }
            _ => done.push(op),
        }
    }
    done.extend(waiting.into_iter().map(|(store, _)| store));
    block.ops = done;
}
