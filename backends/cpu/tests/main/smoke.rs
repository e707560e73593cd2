//! Small kernels, built by hand.

use crate::harness::{compile, specs};
use kcc_dsl::eager::{EagerArg, EagerBuffer, Options, interpret};
use kcc_dsl::ir::{BinaryOp, Builder, Const, Elem, Kernel, ReduceOp, UnaryOp};

/// Numbers in -1..1.
pub fn numbers(n: usize, seed: u32) -> Vec<f32> {
    let mut s = seed.wrapping_mul(747796405).wrapping_add(1);
    (0..n)
        .map(|_| {
            s = s.wrapping_mul(1664525).wrapping_add(1013904223);
            (s >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

/// A row-major view of a whole buffer.
pub fn view(buffer: usize, dims: &[i64], mutable: bool) -> EagerArg {
    let mut strides = vec![1i64; dims.len()];
    for a in (0..dims.len().saturating_sub(1)).rev() {
        strides[a] = strides[a + 1] * dims[a + 1];
    }
    EagerArg::View { buffer, offset: 0, dims: dims.to_vec(), strides, mutable }
}

/// Runs on every row of the CPU table that this machine has, against eager mode.
pub fn check(kernel: &Kernel, grid: [u32; 3], buffers: &[EagerBuffer], args: &[EagerArg], tolerance: f32) {
    let mut expected = buffers.to_vec();
    let mut options = Options { strict: false, ..Options::default() };
    interpret(kernel, grid, &mut expected, args, &mut options).expect("eager mode runs it");
    for target in crate::harness::targets() {
        let k = compile(kernel, &specs(kernel, args), target).unwrap_or_else(|e| panic!("{target}: {e}"));
        let mut actual = buffers.to_vec();
        assert_eq!(k.run(grid, &mut actual, args), 0);
        for (i, (e, a)) in expected.iter().zip(&actual).enumerate() {
            for (j, (x, y)) in e.to_f32().iter().zip(a.to_f32()).enumerate() {
                let same =
                    x.is_nan() && y.is_nan() || *x == y || (x - y).abs() <= tolerance * (1.0 + x.abs());
                assert!(same, "{target} {}: buffer {i} element {j}: eager {x}, compiled {y}", kernel.name);
            }
        }
    }
}

#[test]
fn adds_blocks_with_a_ragged_end() {
    for (n, len) in [(64, 200), (16, 1), (100, 333), (1, 5)] {
        let mut b = Builder::new("add");
        let (x, y, z) =
            (b.view("x", Elem::F32, 1), b.view("y", Elem::BF16, 1), b.view_mut("z", Elem::F16, 1));
        let pid = b.program_id(0);
        let size = b.i32(n as i32);
        let at = b.mul(pid, size);
        let (p, q) = (b.load(x, &[at], &[n]), b.load(y, &[at], &[n]));
        let q = b.cast(q, Elem::F32);
        let s = b.add(p, q);
        let s = b.unary(UnaryOp::Exp2, s);
        let s = b.cast(s, Elem::F16);
        b.store(z, &[at], s);
        let k = b.finish().expect("valid");
        let buffers = [
            EagerBuffer::from_f32(Elem::F32, &numbers(len, 1)),
            EagerBuffer::from_f32(Elem::BF16, &numbers(len, 2)),
            EagerBuffer::zeros(Elem::F16, len),
        ];
        let d = [len as i64];
        let args = [view(0, &d, false), view(1, &d, false), view(2, &d, true)];
        // One unit in the last place of f16.
        check(&k, [len.div_ceil(n) as u32, 1, 1], &buffers, &args, 1e-3);
    }
}

fn softmax(rows: usize, width: usize) -> Kernel {
    let mut b = Builder::new("softmax");
    let (x, y) = (b.view("x", Elem::F32, 2), b.view_mut("y", Elem::F32, 2));
    let pid = b.program_id(0);
    let size = b.i32(rows as i32);
    let at = b.mul(pid, size);
    let zero = b.i32(0);
    let t = b.load_or(x, &[at, zero], &[rows, width], Const::float(f32::NEG_INFINITY));
    let m = b.reduce(ReduceOp::Max, t, 1);
    let m = b.broadcast(m, &[0], &[rows, width]);
    let d = b.sub(t, m);
    let p = b.unary(UnaryOp::Exp, d);
    let s = b.reduce(ReduceOp::Sum, p, 1);
    let s = b.broadcast(s, &[0], &[rows, width]);
    let r = b.div(p, s);
    b.store(y, &[at, zero], r);
    b.finish().expect("valid")
}

#[test]
fn softmax_of_rows_that_are_narrower_than_the_tile() {
    for (rows, width, r, w) in [(1, 64, 3, 64), (4, 128, 10, 100), (2, 4096, 3, 4001), (3, 20, 7, 17)] {
        let k = softmax(rows, width);
        let buffers =
            [EagerBuffer::from_f32(Elem::F32, &numbers(r * w, 3)), EagerBuffer::zeros(Elem::F32, r * w)];
        let d = [r as i64, w as i64];
        check(&k, [r.div_ceil(rows) as u32, 1, 1], &buffers, &[view(0, &d, false), view(1, &d, true)], 1e-6);
    }
}

fn matmul(elem: Elem, bm: usize, bn: usize, bk: usize, transposed: bool) -> Kernel {
    let mut b = Builder::new("matmul");
    let (x, y, z) = (b.view("a", elem, 2), b.view("b", elem, 2), b.view_mut("c", Elem::F32, 2));
    let acc = if elem == Elem::I8 { Elem::I32 } else { Elem::F32 };
    let (pm, pn) = (b.program_id(0), b.program_id(1));
    let (sm, sn) = (b.i32(bm as i32), b.i32(bn as i32));
    let (m, n) = (b.mul(pm, sm), b.mul(pn, sn));
    let k = b.dim(x, 1);
    let init = if acc == Elem::I32 {
        b.constant(acc, &[bm, bn], Const::Int(0))
    } else {
        b.full(acc, &[bm, bn], 0.0)
    };
    let (zero, step) = (b.i32(0), b.i32(bk as i32));
    let out = b.for_([zero, k, step], &[init], |b, k, c| {
        let p = b.load(x, &[m, k], &[bm, bk]);
        let q = if transposed {
            let q = b.load(y, &[n, k], &[bn, bk]);
            b.transpose(q, &[1, 0])
        } else {
            b.load(y, &[k, n], &[bk, bn])
        };
        vec![b.dot(p, q, c[0])]
    });
    let out = b.cast(out[0], Elem::F32);
    let half = b.full(Elem::F32, &[bm, bn], 0.5);
    let out = b.binary(BinaryOp::Mul, out, half);
    b.store(z, &[m, n], out);
    b.finish().expect("valid")
}

#[test]
fn matmul_of_every_operand_type() {
    for elem in [Elem::F32, Elem::BF16, Elem::F16, Elem::I8, Elem::F8E4M3] {
        for (bm, bn, bk, m, n, k, t) in [
            (16, 32, 16, 40, 70, 50, false),
            (64, 64, 64, 64, 64, 1100, false),
            (8, 16, 8, 1, 1, 1, true),
            (32, 48, 32, 33, 100, 37, true),
            // Rows that are read where they lie, whole; and, for more than one block of rows, more K than a panel holds.
            (64, 64, 64, 64, 64, 1088, false),
            (16, 16, 64, 18, 16, 4200, false),
            // Strips and blocks of rows that are not all alike: 5 and 7 vectors, 13 rows.
            (13, 80, 16, 27, 150, 40, false),
            (8, 100, 16, 9, 100, 71, true),
        ] {
            let kernel = matmul(elem, bm, bn, bk, t);
            let ints = |n, s| numbers(n, s).iter().map(|x| (x * 100.0) as i64).collect::<Vec<_>>();
            let make = |n, s| match elem {
                Elem::I8 => EagerBuffer::from_i64(elem, &ints(n, s)),
                _ => EagerBuffer::from_f32(elem, &numbers(n, s)),
            };
            let buffers = [make(m * k, 1), make(k * n, 2), EagerBuffer::zeros(Elem::F32, m * n)];
            let (m, n, k) = (m as i64, n as i64, k as i64);
            let bd = if t { [n, k] } else { [k, n] };
            let args = [view(0, &[m, k], false), view(1, &bd, false), view(2, &[m, n], true)];
            let grid = [(m as u32).div_ceil(bm as u32), (n as u32).div_ceil(bn as u32), 1];
            // Sums of k products of magnitude 1, rounded k times: sqrt(k) * 2^-24, times 8.
            check(&kernel, grid, &buffers, &args, 8.0 * (k as f32).sqrt() * 6e-8);
        }
    }
}

/// One product outside a loop, of tiles that are there as a whole: loaded, loaded and transposed, and the same number everywhere.
#[test]
fn products_of_tiles_at_hand_take_operands_of_every_type() {
    for elem in [Elem::F32, Elem::F16, Elem::BF16, Elem::F8E4M3, Elem::F8E5M2] {
        for (turned, constant) in [(false, false), (true, false), (false, true)] {
            let mut b = Builder::new("product");
            let (x, y, z) = (b.view("a", elem, 2), b.view("b", elem, 2), b.view_mut("c", Elem::F32, 2));
            let zero = b.i32(0);
            let p = if constant { b.full(elem, &[32, 32], 1.5) } else { b.load(x, &[zero, zero], &[32, 32]) };
            let q = b.load(y, &[zero, zero], &[32, 32]);
            let [p, q] = [p, q].map(|v| if turned { b.transpose(v, &[1, 0]) } else { v });
            let init = b.full(Elem::F32, &[32, 32], -1.0);
            let out = b.dot(p, q, init);
            let out = b.unary(UnaryOp::Abs, out);
            b.store(z, &[zero, zero], out);
            let k = b.finish().expect("valid");
            let make = |seed| EagerBuffer::from_f32(elem, &numbers(32 * 32, seed));
            let buffers = [make(1), make(2), EagerBuffer::zeros(Elem::F32, 32 * 32)];
            let d = [32, 32];
            let args = [view(0, &d, false), view(1, &d, false), view(2, &d, true)];
            // As for `matmul_of_every_operand_type`, of 32 products.
            check(&k, [1, 1, 1], &buffers, &args, 8.0 * 32f32.sqrt() * 6e-8);
        }
    }
}

#[test]
fn bf16_rounding_keeps_denormals_and_ties() {
    // Vectors without a denormal, with one, and of denormals alone; halves of the last place on either side.
    let tiny = [0x0000_0001u32, 0x0000_8000, 0x0000_8001, 0x0001_8000, 0x007f_7fff, 0x007f_ffff, 0x8040_1234];
    let plain =
        [0x3f80_8000u32, 0x3f81_8000, 0x3f80_7fff, 0x7f7f_ffff, 0x7f80_0000, 0x8000_0000, 0x0080_0000];
    let mut x: Vec<f32> = (0..48).map(|i| f32::from_bits(plain[i % 7])).collect();
    x[20] = f32::from_bits(tiny[4]);
    x.extend((0..42).map(|i| f32::from_bits(tiny[i % 7])));
    let mut b = Builder::new("narrow");
    let (p, q) = (b.view("x", Elem::F32, 1), b.view_mut("y", Elem::BF16, 1));
    let zero = b.i32(0);
    let v = b.load(p, &[zero], &[96]);
    let v = b.cast(v, Elem::BF16);
    b.store(q, &[zero], v);
    let k = b.finish().expect("valid");
    let buffers = [EagerBuffer::from_f32(Elem::F32, &x), EagerBuffer::from_f32(Elem::BF16, &[1.0; 90])];
    check(&k, [1, 1, 1], &buffers, &[view(0, &[90], false), view(1, &[90], true)], 0.0);
}
