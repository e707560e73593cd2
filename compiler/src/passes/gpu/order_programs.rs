//! Programs that run on one die get neighbouring work: dies take blocks in turn, and each has a cache of its own.
//!
//! ```text
//! block          0 1 2 3 4 5 6 7 8 9      of 10, on 4 dies
//! die            0 1 2 3 0 1 2 3 0 1
//! program        0 3 6 8 1 4 7 9 2 5      die 0 makes 0 to 2, die 1 3 to 5, dies 2 and 3 two each
//! ```
//! Only on demand (`dies=8`): it pays where neighbours read the same tiles.

use super::GpuPass;
use super::persistent::places;
use crate::error::{Error, nowhere};
use crate::gpu::{GpuOptions, GpuTarget};
use crate::ktg::{Func, Kind, Type};
use kcc_dsl::exchange::GridMap;
use kcc_dsl::ir::{BinaryOp, Elem, LocId, OpKind, ValueId};
use std::collections::HashMap;

/// The pass.
pub const PASS: GpuPass = GpuPass { name: "order_programs", run };

fn run(func: &mut Func, _: &dyn GpuTarget, options: &GpuOptions) -> Result<(), Error> {
    let dies = options.number("dies")?.unwrap_or(1);
    if dies > 64 {
        return Err(nowhere().invalid(format!("option dies={dies}")).help("give 1 to 64"));
    }
    if dies < 2 || func.grid != GridMap::Direct {
        return Ok(());
    }
    let scalar = || Type::scalar(Elem::I32);
    let (mut ops, places) = func.build(LocId::default(), |b| {
        let own = [0, 1, 2].map(|axis| {
            let [p] = b.op(OpKind::ProgramId(axis), &[], [scalar()]);
            p
        });
        let numbers = [0, 1, 2].map(|axis| {
            let [n] = b.op(OpKind::NumPrograms(axis), &[], [scalar()]);
            n
        });
        let rows = b.binary(BinaryOp::Mul, numbers[1], own[2]);
        let rows = b.binary(BinaryOp::Add, rows, own[1]);
        let before = b.binary(BinaryOp::Mul, rows, numbers[0]);
        let block = b.binary(BinaryOp::Add, before, own[0]);
        let total = b.binary(BinaryOp::Mul, numbers[0], numbers[1]);
        let total = b.binary(BinaryOp::Mul, total, numbers[2]);
        // Each die makes `total / dies` programs, the first `total % dies` dies one more.
        let count = b.i32(i64::from(dies));
        let (each, more) = (b.binary(BinaryOp::Div, total, count), b.binary(BinaryOp::Rem, total, count));
        let (turn, die) = (b.binary(BinaryOp::Div, block, count), b.binary(BinaryOp::Rem, block, count));
        let first = b.binary(BinaryOp::Mul, die, each);
        let extra = b.binary(BinaryOp::Min, die, more);
        let first = b.binary(BinaryOp::Add, first, extra);
        let program = b.binary(BinaryOp::Add, first, turn);
        places(b, program, numbers)
    });
    let mut map: HashMap<ValueId, ValueId> = HashMap::new();
    func.walk(&mut |op| {
        if let (Kind::Tile(OpKind::ProgramId(axis)), Some(place)) = (&op.kind, op.results.first()) {
            map.insert(*place, places[usize::from(*axis).min(2)]);
        }
    });
    func.body.replace_all(&map);
    ops.append(&mut func.body.ops);
    func.body.ops = ops;
    func.drop_dead();
    Ok(())
}
