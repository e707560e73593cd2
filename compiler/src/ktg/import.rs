//! A kernel of the tile IR as a function of the GPU level: the same operations, still without layouts.

use super::{Block, Func, Kind, Op, Type};
use crate::gpu::Facts;
use kcc_dsl::exchange::{ArgSpec, GridMap};
use kcc_dsl::ir::{self, Kernel};

/// Imports a kernel. `args` has one entry per parameter.
pub fn import(kernel: &Kernel, args: &[ArgSpec], warps: u32) -> Func {
    Func {
        name: kernel.name.clone(),
        generics: kernel.generics.clone(),
        symbol: kernel.symbol(),
        params: kernel.params.clone(),
        args: args.to_vec(),
        values: kernel.values.iter().map(Type::from).collect(),
        locs: kernel.locs.clone(),
        body: block(&kernel.body),
        warps,
        cluster: [1; 3],
        grid: GridMap::Direct,
        tensor_maps: Vec::new(),
        shared_bytes: 0,
        scratch: None,
        max_registers: None,
        counters: Vec::new(),
    }
}

fn block(b: &ir::Block) -> Block {
    Block { args: b.args.clone(), ops: b.ops.iter().map(op).collect(), yields: b.yields.clone() }
}

fn op(o: &ir::Op) -> Op {
    Op {
        kind: Kind::Tile(o.kind.clone()),
        operands: o.operands.clone(),
        results: o.results.clone(),
        regions: o.regions.iter().map(block).collect(),
        loc: o.loc,
    }
}

/// Warps of a block for a kernel, by its largest tile: some eight elements per thread.
pub fn warps_for(kernel: &Kernel, facts: &Facts) -> u32 {
    const PER_THREAD: usize = 8;
    let mut largest = 1;
    let mut dots = false;
    kernel.walk(&mut |op| {
        dots |= matches!(op.kind, ir::OpKind::Dot { .. } | ir::OpKind::DotScaled { .. });
        for r in &op.results {
            if let Some(t) = kernel.ty(*r).tile() {
                largest = largest.max(t.len());
            }
        }
    });
    let per_warp = PER_THREAD * facts.lanes as usize;
    let warps = largest.div_ceil(per_warp).next_power_of_two() as u32;
    let large = if facts.twin_operands { 8192 } else { 16384 };
    match (dots, largest) {
        // Products want four warps at least, and eight for large accumulators.
        (true, _) if largest < large => 4,
        (true, _) => 8,
        (false, 0..=16384) => warps.clamp(1, 8),
        (false, _) => 16,
    }
}
