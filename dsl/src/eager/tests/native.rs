//! The native run of kernels as authors write them.

use super::*;
use crate::eager::launch::prepare;
use crate::eager::machine::Machine;
use crate::eager::run;
use crate::ir::{BinaryOp, Const, Elem, Type, ValueId};
use crate::kernel::KernelDef;
use crate::prelude::*;
use crate::stage::Engine;
use std::panic::Location;

/// Writes a tile at twice the place where its program should.
#[kernel]
fn gap<const N: usize>(x: &View<f32, 1>, y: &mut View<f32, 1>) {
    let at = program_id(0) * N;
    y.store(at, x.load::<N>(at * 2));
}

/// Every program writes element 0.
#[kernel]
fn collide(y: &mut View<f32, 1>) {
    y.store(0, Vector::<f32, 1>::zeros());
}

#[kernel]
fn matmul<const B: usize>(a: &View<f32, 2>, b: &View<f32, 2>, c: &mut View<f32, 2>) {
    let (row, col) = (program_id(0) * B, program_id(1) * B);
    let mut acc = Matrix::<f32, B, B>::zeros();
    for k in (0..a.dim(1)).step_by(B) {
        acc = dot_acc(a.load::<B, B>((row, k)), b.load::<B, B>((k, col)), acc);
    }
    c.store((row, col), acc);
}

/// Panics on the host, in the author's own line.
#[kernel]
fn panics(y: &mut View<f32, 1>) {
    let none: Option<i32> = "no number".parse().ok();
    y.store(none.expect("a host value"), Vector::<f32, 1>::zeros());
}

fn start<A>(
    kernel: &KernelDef<A>,
    grid: [u32; 3],
    buffers: &mut Vec<EagerBuffer>,
    args: &[EagerArg],
) -> Result<Report, EagerError> {
    run(kernel.erased(), grid, buffers, args, &mut Options::default())
}

#[test]
fn an_unwritten_element_is_reported_at_the_kernel_line() {
    let mut x = EagerBuffer::uninitialized(Elem::F32, 8);
    x.bytes_mut();
    let mut buffers = vec![x, EagerBuffer::uninitialized(Elem::F32, 8)];
    let args = [EagerArg::dense(0, &[8], false), EagerArg::dense(1, &[8], true)];
    start(&gap::kernel::<2>(), [2, 1, 1], &mut buffers, &args).unwrap();
    assert!(buffers[1].is_written(3) && !buffers[1].is_written(4));
    buffers.swap(0, 1);
    let e = start(&gap::kernel::<2>(), [2, 1, 1], &mut buffers, &args).unwrap_err();
    let loc = e.diagnostic.loc.unwrap();
    let line = include_str!("native.rs").lines().nth(loc.line as usize - 1).unwrap();
    assert!(line.contains("x.load::<N>(at * 2)"), "{line}");
    assert_eq!(e.diagnostic.message, "element [4] of `x` is read, but nobody has written it");
    assert_eq!(e.program, Some([1, 0, 0]));
}

#[test]
fn a_race_is_reported_and_the_thread_can_go_on() {
    let mut buffers = vec![EagerBuffer::zeros(Elem::F32, 1)];
    let args = [EagerArg::dense(0, &[1], true)];
    for _ in 0..2 {
        let e = start(&collide::kernel(), [2, 1, 1], &mut buffers, &args).unwrap_err();
        assert!(e.to_string().contains("is written by two programs"), "{e}");
    }
    start(&collide::kernel(), [1; 3], &mut buffers, &args).unwrap();
}

#[test]
fn a_panic_of_the_author_is_an_error_at_its_line() {
    let mut buffers = vec![EagerBuffer::zeros(Elem::F32, 1)];
    let e = start(&panics::kernel(), [1; 3], &mut buffers, &[EagerArg::dense(0, &[1], true)]).unwrap_err();
    assert!(e.diagnostic.message.contains("a host value"), "{e}");
    assert!(e.diagnostic.loc.is_some_and(|l| l.file.ends_with("native.rs")));
    assert_eq!(buffers.len(), 1);
}

#[test]
fn a_matmul_of_256_is_right_and_quick() {
    let n = 256usize;
    let value = |i: usize| ((i * 7 + 3) % 17) as f32 - 8.0;
    let a: Vec<f32> = (0..n * n).map(value).collect();
    let b: Vec<f32> = (0..n * n).map(|i| value(i + 5)).collect();
    let mut buffers = vec![
        EagerBuffer::from_f32(Elem::F32, &a),
        EagerBuffer::from_f32(Elem::F32, &b),
        EagerBuffer::uninitialized(Elem::F32, n * n),
    ];
    let view = |i, mutable| EagerArg::dense(i, &[256, 256], mutable);
    let args = [view(0, false), view(1, false), view(2, true)];
    let start_time = std::time::Instant::now();
    start(&matmul::kernel::<32>(), [8, 8, 1], &mut buffers, &args).unwrap();
    let took = start_time.elapsed();
    let c = buffers[2].to_f32();
    for (i, j) in [(0, 0), (17, 201), (255, 255), (128, 3)] {
        // Small integers: every product and sum is exact.
        let exact: f32 = (0..n).map(|k| a[i * n + k] * b[k * n + j]).sum();
        assert_eq!(c[i * n + j], exact);
    }
    // About 0.1 s on one idle core; far more means work per element has crept in.
    assert!(took.as_secs() < 5, "{took:?}");
}

#[test]
fn releasing_after_each_iteration_keeps_the_stack_flat() {
    let core = prepare(&[], None, [1; 3], &mut vec![], &[], &mut Options::default()).unwrap().core;
    let mut m = Machine::new(core);
    m.start(0, &[]);
    let ty = [Type::Tile(TileType::new(Elem::I32, &[4]))];
    let here = Location::caller();
    let one = m.op(OpKind::Constant(Const::Int(1)), &[], &ty, here)[0];
    let mark = m.mark();
    let mut carried = vec![one, one];
    for _ in 0..1000 {
        let sum = m.op(OpKind::Binary(BinaryOp::Add), &[carried[0], one], &ty, here)[0];
        m.op(OpKind::Binary(BinaryOp::Mul), &[sum, sum], &ty, here);
        carried = m.release(mark, &[sum, one]);
        assert_eq!(carried, [ValueId(mark as u32), one]);
        assert_eq!(m.mark(), mark + 1);
    }
    let sum = m.op(
        OpKind::Reduce { axis: 0, op: crate::ir::ReduceOp::Max },
        &[carried[0]],
        &[Type::Tile(TileType::scalar(Elem::I32))],
        here,
    );
    assert_eq!(m.read_int(sum[0]), 1001);
}
