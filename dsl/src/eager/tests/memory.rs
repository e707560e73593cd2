//! Loads, stores, gathers, scatters and atomics: what they read and write.

use super::*;
use crate::ir::{AtomicOp, Const, Ordering, Scope};

/// Runs a kernel over two rank-2 views of f32 with stated args.
fn run2(
    build: impl FnOnce(&mut Builder, crate::ir::ValueId, crate::ir::ValueId),
    buffers: &mut Vec<EagerBuffer>,
    args: [EagerArg; 2],
) -> Result<Report, EagerError> {
    let mut b = Builder::new("test");
    let (x, y) = (b.view("x", Elem::F32, 2), b.view_mut("y", Elem::F32, 2));
    build(&mut b, x, y);
    interpret(
        &b.finish().unwrap(),
        [1; 3],
        buffers,
        &args,
        &mut Options { strict: false, ..Options::default() },
    )
}

fn view(buffer: usize, offset: i64, dims: [i64; 2], strides: [i64; 2]) -> EagerArg {
    EagerArg::View { buffer, offset, dims: dims.to_vec(), strides: strides.to_vec(), mutable: true }
}

#[test]
fn a_block_outside_the_view_reads_as_padding_and_is_not_written() {
    let mut buffers =
        vec![EagerBuffer::from_f32(Elem::F32, &[1.0, 2.0, 3.0, 4.0]), EagerBuffer::zeros(Elem::F32, 4)];
    let args = [view(0, 0, [2, 2], [2, 1]), view(1, 0, [2, 2], [2, 1])];
    let build = |b: &mut Builder, x, y| {
        let (m, o) = (b.i32(-1), b.i32(1));
        let t = b.load_or(x, &[m, o], &[3, 2], Const::float(9.0)); // rows -1..2, columns 1..3
        b.store(y, &[m, m], t); // rows -1..2, columns -1..1
    };
    run2(build, &mut buffers, args).unwrap();
    // Tile: [9 9; 2 9; 4 9]; y[0, 0] is tile[1, 1], y[1, 0] is tile[2, 1]; column -1 is outside.
    assert_eq!(buffers[1].to_f32(), [9.0, 0.0, 9.0, 0.0]);
}

#[test]
fn strides_may_be_zero_or_negative() {
    let mut buffers =
        vec![EagerBuffer::from_f32(Elem::F32, &[1.0, 2.0, 3.0]), EagerBuffer::zeros(Elem::F32, 6)];
    // x is the reversed row repeated over 2 rows; y is column-major.
    let args = [view(0, 2, [2, 3], [0, -1]), view(1, 0, [2, 3], [1, 2])];
    let build = |b: &mut Builder, x, y| {
        let z = b.i32(0);
        let t = b.load(x, &[z, z], &[2, 3]);
        b.store(y, &[z, z], t);
    };
    run2(build, &mut buffers, args).unwrap();
    assert_eq!(buffers[1].to_f32(), [3.0, 3.0, 2.0, 2.0, 1.0, 1.0]);
}

#[test]
fn at_fixes_leading_axes_and_an_index_outside_gives_an_empty_view() {
    let mut buffers =
        vec![EagerBuffer::from_f32(Elem::F32, &[1.0, 2.0, 3.0, 4.0]), EagerBuffer::zeros(Elem::F32, 4)];
    let args = [view(0, 0, [2, 2], [2, 1]), view(1, 0, [2, 2], [2, 1])];
    let build = |b: &mut Builder, x, y| {
        let (z, one, two) = (b.i32(0), b.i32(1), b.i32(2));
        let out = b.at(y, &[z]);
        let row = b.at(x, &[one]);
        let t = b.load(row, &[z], &[2]);
        b.store(out, &[z], t); // y[0, ..] = x[1, ..]
        let scalar = b.at(x, &[one, two]);
        let padded = b.load_or(scalar, &[], &[], Const::float(7.0));
        let cell = b.at(y, &[one, one]);
        b.store(cell, &[], padded); // y[1, 1] = padding
        let nothing = b.at(y, &[two, z]);
        b.store(nothing, &[], padded);
        let gone = b.at(x, &[two]);
        let dim = b.dim(gone, 0);
        let dim = b.cast(dim, Elem::F32);
        let cell = b.at(y, &[one, z]);
        b.store(cell, &[], dim); // y[1, 0] = 0
    };
    run2(build, &mut buffers, args).unwrap();
    assert_eq!(buffers[1].to_f32(), [3.0, 4.0, 0.0, 7.0]);
}

#[test]
fn load_rows_and_store_rows_go_by_index() {
    let mut buffers = vec![
        EagerBuffer::from_f32(Elem::F32, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
        EagerBuffer::from_f32(Elem::F32, &[-1.0; 6]),
    ];
    let args = [view(0, 0, [3, 2], [2, 1]), view(1, 0, [3, 2], [2, 1])];
    let build = |b: &mut Builder, x, y| {
        // rows 0, 2, 4 (outside), from column 1: one column is outside
        let (i, two, one) = (b.arange(3), b.i32(2), b.i32(1));
        let two = b.splat(two, &[3]);
        let rows = b.mul(i, two);
        let t = b.load_rows(x, rows, one, 2); // [2 0; 6 0; 0 0]
        let zero = b.i32(0);
        b.store_rows(y, rows, zero, t);
    };
    run2(build, &mut buffers, args).unwrap();
    assert_eq!(buffers[1].to_f32(), [2.0, 0.0, -1.0, -1.0, 6.0, 0.0]);
}

#[test]
fn gather_gives_other_where_masked_off_or_outside() {
    let mut buffers = vec![
        EagerBuffer::from_f32(Elem::F32, &[10.0, 11.0, 12.0]),
        EagerBuffer::from_i64(Elem::I32, &[2, 0, -1, 7]),
        EagerBuffer::zeros(Elem::F32, 4),
    ];
    let build = |b: &mut Builder, v: &[crate::ir::ValueId]| {
        let z = b.i32(0);
        let index = b.load(v[1], &[z], &[4]);
        let zeros = b.splat(z, &[4]);
        let mask = b.compare(crate::ir::CmpOp::Ne, index, zeros);
        let other = b.full(Elem::F32, &[4], 5.0);
        let t = b.gather(v[0], &[index], mask, other);
        b.store(v[2], &[z], t);
    };
    launch(build, [1; 3], &mut buffers, &mut Options { strict: false, ..Options::default() }).unwrap();
    assert_eq!(buffers[2].to_f32(), [12.0, 5.0, 5.0, 5.0]);
}

#[test]
fn scatter_writes_where_the_mask_holds_and_the_index_is_inside() {
    let mut buffers = vec![EagerBuffer::from_i64(Elem::I32, &[2, 0, 9]), EagerBuffer::zeros(Elem::I32, 3)];
    let build = |b: &mut Builder, v: &[crate::ir::ValueId]| {
        let z = b.i32(0);
        let index = b.load(v[0], &[z], &[3]);
        let mask = b.full(Elem::Bool, &[3], 1.0);
        let seven = b.full(Elem::I32, &[3], 7.0);
        b.scatter(v[1], &[index], mask, seven);
    };
    launch(build, [1; 3], &mut buffers, &mut Options { strict: false, ..Options::default() }).unwrap();
    assert_eq!(buffers[1].to_i64(), [7, 0, 7]);
}

/// One atomic on element 0 by each of 4 programs, with the program's index as value.
fn atomics(op: AtomicOp, elem: Elem, start: i64) -> Vec<i64> {
    let mut buffers = vec![EagerBuffer::from_i64(elem, &[start])];
    let build = |b: &mut Builder, v: &[crate::ir::ValueId]| {
        let pid = b.program_id(0);
        let value = b.cast(pid, elem);
        let (zero, mask) = (b.i32(0), b.full(Elem::Bool, &[], 1.0));
        let kind = OpKind::Atomic { op, ordering: Ordering::Relaxed, scope: Scope::Device };
        b.op(kind, &[v[0], zero, mask, value]);
    };
    launch(build, [4, 1, 1], &mut buffers, &mut Options::default()).unwrap();
    buffers[0].to_i64()
}

#[test]
fn atomics_of_all_programs_add_up() {
    assert_eq!(atomics(AtomicOp::Add, Elem::I32, 100), [106]);
    assert_eq!(atomics(AtomicOp::Add, Elem::F32, 100), [106]);
    assert_eq!(atomics(AtomicOp::Max, Elem::F32, 1), [3]);
    assert_eq!(atomics(AtomicOp::Min, Elem::I64, 1), [0]);
    assert_eq!(atomics(AtomicOp::Or, Elem::U32, 8), [11]);
    assert_eq!(atomics(AtomicOp::Xor, Elem::I32, 1), [1]);
    assert_eq!(atomics(AtomicOp::And, Elem::I32, 3), [0]);
    assert_eq!(atomics(AtomicOp::Xchg, Elem::I32, 9), [3]);
}

#[test]
fn compare_and_swap_replaces_only_what_is_expected() {
    let mut buffers = vec![EagerBuffer::from_i64(Elem::I32, &[0]), EagerBuffer::zeros(Elem::I32, 4)];
    let mut b = Builder::new("cas");
    let (lock, out) = (b.view_mut("lock", Elem::I32, 1), b.view_mut("out", Elem::I32, 1));
    let pid = b.program_id(0);
    let (zero, one, mask) = (b.i32(0), b.i32(1), b.full(Elem::Bool, &[], 1.0));
    let kind = OpKind::AtomicCas { ordering: Ordering::AcqRel, scope: Scope::Device };
    let next = b.add(pid, one);
    let before = b.op(kind, &[lock, zero, mask, zero, next])[0];
    let before = b.splat(before, &[1]);
    b.store(out, &[pid], before);
    let args = [EagerArg::dense(0, &[1], true), EagerArg::dense(1, &[4], true)];
    interpret(&b.finish().unwrap(), [4, 1, 1], &mut buffers, &args, &mut Options::default()).unwrap();
    assert_eq!((buffers[0].to_i64(), buffers[1].to_i64()), (vec![1], vec![0, 1, 1, 1]));
}
