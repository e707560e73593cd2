//! Products on the simulated NPU, with tails in every dimension.

use super::harness::{execute, launch, program, program_for};
use super::kernels::view;
use kcc_davinci::ir::CoreKind;
use kcc_dsl::eager::{EagerBuffer, Options, interpret};
use kcc_dsl::ir::{BinaryOp, Builder, Elem, Kernel};

const BM: usize = 32;
const BN: usize = 48;
const BK: usize = 64;

fn matmul(elem: Elem) -> Kernel {
    let mut b = Builder::new("matmul");
    let acc = if elem == Elem::I8 { Elem::I32 } else { Elem::F32 };
    let (x, y, c) = (b.view("a", elem, 2), b.view("b", elem, 2), b.view_mut("c", acc, 2));
    let (pm, pn) = (b.program_id(0), b.program_id(1));
    let (bm, bn) = (b.i32(BM as i32), b.i32(BN as i32));
    let (m, n) = (b.binary(BinaryOp::Mul, pm, bm), b.binary(BinaryOp::Mul, pn, bn));
    let (zero, step, k) = (b.i32(0), b.i32(BK as i32), b.dim(x, 1));
    let init = b.full(acc, &[BM, BN], 0.0);
    let r = b.for_([zero, k, step], &[init], |b, k, carried| {
        let p = b.load(x, &[m, k], &[BM, BK]);
        let q = b.load(y, &[k, n], &[BK, BN]);
        vec![b.dot(p, q, carried[0])]
    });
    b.store(c, &[m, n], r[0]);
    b.finish().expect("valid")
}

#[test]
fn products_with_tails() {
    for elem in [Elem::F16, Elem::BF16, Elem::F32, Elem::I8] {
        let acc = if elem == Elem::I8 { Elem::I32 } else { Elem::F32 };
        let kernel = matmul(elem);
        for (m, n, k) in [(1, 1, 1), (1, 48, 64), (33, 50, 65), (32, 48, 0), (40, 7, 17), (64, 96, 128)] {
            let fill = |n: i64, s: i64| -> Vec<f32> { (0..n).map(|i| ((i * s) % 13 - 6) as f32).collect() };
            let buffers = vec![
                EagerBuffer::from_f32(elem, &fill((m * k).max(1), 7)),
                EagerBuffer::from_f32(elem, &fill((k * n).max(1), 5)),
                EagerBuffer::zeros(acc, (m * n) as usize),
            ];
            let args = [view(0, [m, k], false), view(1, [k, n], false), view(2, [m, n], true)];
            let grid = [(m as u32).div_ceil(BM as u32), (n as u32).div_ceil(BN as u32), 1];
            let mut want = buffers.clone();
            interpret(&kernel, grid, &mut want, &args, &mut Options::default()).expect("eager");
            assert!(program(&kernel, &args).expect("compiles").body(CoreKind::Cube).is_some());
            for seed in 0..3 {
                let mut got = buffers.clone();
                launch(&kernel, grid, &mut got, &args, 2, seed)
                    .unwrap_or_else(|e| panic!("{elem} {m} {n} {k}: {e}"));
                // Small integers: every sum is exact.
                assert_eq!(want[2].to_f32(), got[2].to_f32(), "{elem} {m}x{n}x{k}");
            }
        }
    }
}

/// What is clamped and rounded goes out as half as many bytes, and gives the same; what is rounded alone does not saturate.
#[test]
fn rounded_products_leave_rounded() {
    use kcc_davinci::ir::{Instr, Quant, Stmt};
    let kernel = |clamped: bool| {
        let mut b = Builder::new("rounded");
        let (x, y) = (b.view("a", Elem::F16, 2), b.view("b", Elem::F16, 2));
        let c = b.view_mut("c", Elem::F16, 2);
        let zero = b.i32(0);
        let (p, q) = (b.load(x, &[zero, zero], &[16, 16]), b.load(y, &[zero, zero], &[16, 16]));
        let init = b.full(Elem::F32, &[16, 16], 0.0);
        let mut r = b.dot(p, q, init);
        if clamped {
            let (low, high) = (b.full(Elem::F32, &[16, 16], -65504.0), b.full(Elem::F32, &[16, 16], 65504.0));
            r = b.binary(BinaryOp::MaxNan, r, low);
            r = b.binary(BinaryOp::MinNan, r, high);
        }
        let r = b.cast(r, Elem::F16);
        b.store(c, &[zero, zero], r);
        b.finish().expect("valid")
    };
    let fill: Vec<f32> = (0..256).map(|i| [300.0, -1.5, 0.37, 7.0, -90.0][i % 31 % 5]).collect();
    let mut left = fill.clone();
    left[5 * 16 + 3] = f32::NAN;
    let buffers = vec![
        EagerBuffer::from_f32(Elem::F16, &left),
        EagerBuffer::from_f32(Elem::F16, &fill),
        EagerBuffer::zeros(Elem::F16, 256),
    ];
    let args = [view(0, [16, 16], false), view(1, [16, 16], false), view(2, [16, 16], true)];
    for clamped in [true, false] {
        let kernel = kernel(clamped);
        let p = program(&kernel, &args).expect("compiles");
        let mut quants = Vec::new();
        p.walk(CoreKind::Cube, &mut |s| {
            if let Stmt::Issue { instr: Instr::Fixpipe(f), .. } = s {
                quants.push(f.quant);
            }
        });
        assert_eq!(quants, [if clamped { Quant::F16 } else { Quant::None }]);
        let mut want = buffers.clone();
        interpret(&kernel, [1, 1, 1], &mut want, &args, &mut Options::default()).expect("eager");
        let mut got = buffers.clone();
        launch(&kernel, [1, 1, 1], &mut got, &args, 2, 0).expect("runs");
        let bits = |b: &EagerBuffer| -> Vec<String> { b.to_f32().iter().map(|v| format!("{v}")).collect() };
        assert_eq!(bits(&want[2]), bits(&got[2]));
        assert!(got[2].to_f32().iter().any(|v| v.abs() == if clamped { 65504.0 } else { f32::INFINITY }));
    }
}

#[test]
fn a_product_of_a_product() {
    // Attention without its softmax: scores and accumulators go through vector cores. Every number is a small multiple of a
    // power of two, so sums are exact.
    let mut b = Builder::new("two");
    let e = Elem::F16;
    let (q, k, v, o) =
        (b.view("q", e, 2), b.view("k", e, 2), b.view("v", e, 2), b.view_mut("o", Elem::F32, 2));
    let (zero, step) = (b.i32(0), b.i32(32));
    let n = b.dim(k, 0);
    let qt = b.load(q, &[zero, zero], &[16, 32]);
    let init = b.full(Elem::F32, &[16, 32], 0.0);
    let r = b.for_([zero, n, step], &[init], |b, i, carried| {
        let kt = b.load(k, &[i, zero], &[32, 32]);
        let kt = b.transpose(kt, &[1, 0]);
        let s0 = b.full(Elem::F32, &[16, 32], 0.0);
        let s = b.dot(qt, kt, s0);
        let half = b.full(Elem::F32, &[16, 32], 0.5);
        let s = b.binary(BinaryOp::Mul, s, half);
        let p = b.cast(s, e);
        let vt = b.load(v, &[i, zero], &[32, 32]);
        let scaled = b.binary(BinaryOp::Mul, carried[0], half);
        vec![b.dot(p, vt, scaled)]
    });
    b.store(o, &[zero, zero], r[0]);
    let kernel = b.finish().expect("valid");
    let fill = |n: i64, s: i64| -> Vec<f32> { (0..n).map(|i| ((i * s) % 5 - 2) as f32).collect() };
    let buffers = vec![
        EagerBuffer::from_f32(e, &fill(13 * 20, 7)),
        EagerBuffer::from_f32(e, &fill(70 * 20, 3)),
        EagerBuffer::from_f32(e, &fill(70 * 20, 9)),
        EagerBuffer::zeros(Elem::F32, 13 * 20),
    ];
    let args = [
        view(0, [13, 20], false),
        view(1, [70, 20], false),
        view(2, [70, 20], false),
        view(3, [13, 20], true),
    ];
    let mut want = buffers.clone();
    interpret(&kernel, [1, 1, 1], &mut want, &args, &mut Options::default()).expect("eager");
    for seed in 0..3 {
        let mut got = buffers.clone();
        launch(&kernel, [1, 1, 1], &mut got, &args, 1, seed).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(want[3].to_f32(), got[3].to_f32());
    }
}

#[test]
fn as_many_blocks_as_groups() {
    // Blocks beyond the grid's programs, fewer than it, and all groups of either chip.
    for (chip, blocks) in [("ascend910b", 24), ("ascend910b4", 20), ("ascend910b", 7), ("ascend910b", 1)] {
        let kernel = matmul(Elem::F16);
        let (m, n, k) = (130i64, 250i64, 70i64);
        let fill = |n: i64, s: i64| -> Vec<f32> { (0..n).map(|i| ((i * s) % 13 - 6) as f32).collect() };
        let buffers = vec![
            EagerBuffer::from_f32(Elem::F16, &fill(m * k, 7)),
            EagerBuffer::from_f32(Elem::F16, &fill(k * n, 5)),
            EagerBuffer::zeros(Elem::F32, (m * n) as usize),
        ];
        let args = [view(0, [m, k], false), view(1, [k, n], false), view(2, [m, n], true)];
        let grid = [(m as u32).div_ceil(BM as u32), (n as u32).div_ceil(BN as u32), 1];
        let mut want = buffers.clone();
        interpret(&kernel, grid, &mut want, &args, &mut Options::default()).expect("eager");
        let program = program_for(&kernel, &args, chip).expect("compiles");
        let mut got = buffers.clone();
        execute(&program, &kernel, grid, &mut got, &args, blocks, 1)
            .unwrap_or_else(|e| panic!("{chip}: {e}"));
        assert_eq!(want[2].to_f32(), got[2].to_f32(), "{chip} {blocks}");
    }
}

#[test]
fn more_blocks_than_groups_are_refused() {
    let kernel = matmul(Elem::F16);
    let args = [view(0, [1, 1], false), view(1, [1, 1], false), view(2, [1, 1], true)];
    let mut buffers = vec![
        EagerBuffer::zeros(Elem::F16, 1),
        EagerBuffer::zeros(Elem::F16, 1),
        EagerBuffer::zeros(Elem::F32, 1),
    ];
    let program = program_for(&kernel, &args, "ascend910b4").expect("compiles");
    let e = execute(&program, &kernel, [1, 1, 1], &mut buffers, &args, 21, 0).expect_err("20 groups");
    assert!(e.contains("20"), "{e}");
}
