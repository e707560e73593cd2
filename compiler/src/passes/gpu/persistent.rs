//! As many blocks as run at once, each taking one program after another: what one program writes at its end runs beside the
//! copies of the next one.
//!
//! ```text
//! … program_id 0 …        →        for p in block_index .. programs step block_count { … p % n0 … }
//! ```
//! Only on demand (`persistent=1`): it pays where programs are short and many.

use super::GpuPass;
use crate::error::Error;
use crate::gpu::{GpuOptions, GpuTarget};
use crate::ktg::{Block, Builder, Func, GpuOp, Kind, Op, Type};
use kcc_dsl::exchange::GridMap;
use kcc_dsl::ir::{BinaryOp, Elem, LocId, OpKind, ValueId};
use std::collections::HashMap;

/// The pass.
pub const PASS: GpuPass = GpuPass { name: "persistent", run };

/// The indices of a program by its number, x running fastest.
pub(super) fn places(b: &mut Builder, program: ValueId, numbers: [ValueId; 3]) -> [ValueId; 3] {
    let x = b.binary(BinaryOp::Rem, program, numbers[0]);
    let rest = b.binary(BinaryOp::Div, program, numbers[0]);
    let y = b.binary(BinaryOp::Rem, rest, numbers[1]);
    [x, y, b.binary(BinaryOp::Div, rest, numbers[1])]
}

fn run(func: &mut Func, _: &dyn GpuTarget, options: &GpuOptions) -> Result<(), Error> {
    if options.number("persistent")?.unwrap_or(0) == 0 {
        return Ok(());
    }
    let blocks_per_sm = options.number("blocks_per_sm")?.unwrap_or(1).max(1);
    let body = std::mem::take(&mut func.body);
    let scalar = || Type::scalar(Elem::I32);
    let program = func.fresh(scalar());
    let (head, (first, total, count, numbers)) = func.build(LocId::default(), |b| {
        let [first] = b.op(GpuOp::BlockIndex, &[], [scalar()]);
        let [count] = b.op(GpuOp::BlockCount, &[], [scalar()]);
        let numbers = [0, 1, 2].map(|axis| {
            let [n] = b.op(OpKind::NumPrograms(axis), &[], [scalar()]);
            n
        });
        let total = b.binary(BinaryOp::Mul, numbers[0], numbers[1]);
        let total = b.binary(BinaryOp::Mul, total, numbers[2]);
        (first, total, count, numbers)
    });
    let (mut ops, places) = func.build(LocId::default(), |b| places(b, program, numbers));
    let mut map: HashMap<ValueId, ValueId> = HashMap::new();
    body.walk(&mut |op| {
        if let (Kind::Tile(OpKind::ProgramId(axis)), Some(place)) = (&op.kind, op.results.first()) {
            map.insert(*place, places[usize::from(*axis).min(2)]);
        }
    });
    ops.extend(body.ops);
    let mut inner = Block { args: vec![program], ops, yields: Vec::new() };
    inner.replace_all(&map);
    let the_loop = Op {
        kind: Kind::Tile(OpKind::For { stages: 0 }),
        operands: vec![first, total, count],
        results: Vec::new(),
        regions: vec![inner],
        loc: LocId::default(),
    };
    func.body = Block { args: Vec::new(), ops: head, yields: Vec::new() };
    func.body.ops.push(the_loop);
    func.grid = GridMap::Persistent { blocks_per_sm };
    func.drop_dead();
    Ok(())
}
