//! A kernel of the tile IR as a function of the GPU level: the same operations, still without layouts.

use super::{Block, Func, Kind, Op, Type};
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
