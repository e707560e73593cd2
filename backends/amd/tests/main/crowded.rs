//! Attention whose tiles take more LDS than there is until they share it, and copies straight to LDS.

use super::disassembly::{count, disassemble};
use super::open;
use kcc_backend_tests::emulate::{self, Run};
use kcc_backend_tests::kernels::{attention, matmul};
use kcc_backend_tests::products;
use kcc_backend_tests::simulate::{How, compile_ideal, numbers, run_with};
use kcc_dsl::eager::{EagerArg, EagerBuffer, Options, interpret};
use kcc_dsl::ir::{Builder, Elem, Kernel, ReduceOp, UnaryOp};

/// Probabilities sum up to 1: an error of theirs is one of the result. 16 bits round them, xf32 the operands.
fn close(wanted: &EagerBuffer, got: &EagerBuffer, name: &str) {
    for (w, g) in wanted.to_f32().iter().zip(got.to_f32()) {
        assert!((w - g).abs() < 4e-3, "{name}: {g} in place of {w}");
    }
}

/// One block of attention, and the sum of each column of the queries on top: warps exchange sums right before the keys are stored.
fn block(elem: Elem, bm: usize, bn: usize, width: usize) -> Kernel {
    let mut b = Builder::new("block");
    let [q, k, v] = ["q", "k", "v"].map(|name| b.view(name, elem, 2));
    let o = b.view_mut("o", Elem::F32, 2);
    let zero = b.i32(0);
    let queries = b.load(q, &[zero, zero], &[bm, width]);
    let numbers = b.cast(queries, Elem::F32);
    let sums = b.reduce(ReduceOp::Sum, numbers, 0);
    let [keys, values] = [k, v].map(|x| b.load(x, &[zero, zero], &[bn, width]));
    let keys = b.transpose(keys, &[1, 0]);
    let none = b.full(Elem::F32, &[bm, bn], 0.0);
    let s = b.dot(queries, keys, none);
    let top = b.reduce(ReduceOp::Max, s, 1);
    let top = b.broadcast(top, &[0], &[bm, bn]);
    let p = b.sub(s, top);
    let p = b.unary(UnaryOp::Exp2, p);
    let p = b.cast(p, elem);
    let sums = b.broadcast(sums, &[1], &[bm, width]);
    let r = b.dot(p, values, sums);
    b.store(o, &[zero, zero], r);
    b.finish().expect("valid")
}

/// The simulator's result, without races, and that of the machine code.
fn check(chip: &str, kernel: &Kernel, elem: Elem, queries: usize, len: usize, width: usize) {
    let mut buffers: Vec<EagerBuffer> = [queries, len, len]
        .iter()
        .zip(7..)
        .map(|(rows, seed)| EagerBuffer::from_f32(elem, &numbers(rows * width, seed)))
        .collect();
    buffers.push(EagerBuffer::zeros(Elem::F32, queries * width));
    let dims = |i: usize| [if i == 0 || i == 3 { queries } else { len } as i64, width as i64];
    let args: Vec<EagerArg> = (0..4).map(|i| EagerArg::dense(i, &dims(i), i == 3)).collect();
    let mut wanted = buffers.clone();
    interpret(kernel, [1; 3], &mut wanted, &args, &mut Options::default()).expect("eager mode");
    for seed in 0..2 {
        let mut got = buffers.clone();
        let how = How { seed, ..How::default() };
        let target = open(&format!("sim:{chip}"));
        let (_, meta) = run_with(kernel, [1; 3], &mut got, &args, &target, how)
            .unwrap_or_else(|e| panic!("{chip} {elem}: {e}"));
        assert!(meta.shared_bytes <= 64 << 10, "{chip} {elem}: {} bytes", meta.shared_bytes);
        close(&wanted[3], &got[3], &format!("{chip} {elem}"));
    }
    let mut got = buffers.clone();
    let run = Run { kernel, grid: [1; 3], args: &args, seed: 1 };
    emulate::run(run, &mut got, &open(&format!("amd:{chip}")), &[])
        .unwrap_or_else(|e| panic!("{chip} {elem}: {e}"));
    close(&wanted[3], &got[3], &format!("machine code, {chip} {elem}"));
}

#[test]
fn tiles_that_are_not_needed_at_once_share_lds() {
    // Keys and values of 32 KiB each, queries of 16: 80 KiB, of 64. In the last, probabilities take the rest, and what warps
    // exchange for a row's maximum lies where the keys were.
    for (chip, elem, bm, bn) in [
        ("gfx942", Elem::BF16, 64, 128),
        ("gfx90a", Elem::F32, 32, 64),
        ("gfx1100", Elem::F32, 32, 64),
        ("gfx1100", Elem::BF16, 64, 128),
    ] {
        let kernel = attention(elem, bm, bn, 128);
        check(chip, &kernel, elem, bm - 3, 2 * bn + 5, 128);
    }
}

#[test]
fn what_warps_exchange_lies_where_tiles_come_later() {
    for chip in ["gfx1100", "gfx942"] {
        // Queries and keys fill all 64 KiB.
        check(chip, &block(Elem::BF16, 64, 64, 256), Elem::BF16, 61, 61, 256);
    }
}

#[test]
fn operands_go_straight_to_lds_where_a_lane_copies_sixteen_bytes() {
    for (elem, stages, lds) in [(Elem::BF16, "2", true), (Elem::F8E4M3, "3", false), (Elem::BF16, "1", false)]
    {
        let target = open("amd:gfx950");
        let knobs = [("warps", "4"), ("stages", stages)];
        let all = disassemble(&compile_ideal(&matmul(elem, 64, 64, 64), &target, &knobs).expect("compiles"));
        let direct =
            all.iter().filter(|i| i.mnemonic == "buffer_load_dwordx4" && i.operands.ends_with("lds")).count();
        let stored = count(&all, "ds_write_b128");
        // Two operands of 8 KiB, 4 KiB at a time, before the loop and in it.
        assert_eq!((direct, stored == 0), if lds { (8, true) } else { (0, false) }, "{elem} {stages}");
        assert!(count(&all, "s_waitcnt") > 0);
    }
}

#[test]
fn machine_code_with_direct_copies_agrees_with_eager_mode() {
    let target = open("amd:gfx950");
    let kernel = matmul(Elem::BF16, 64, 64, 32);
    // A last turn of half a tile, columns of half a tile, and no turn at all.
    for (m, n, k) in [(60usize, 56usize, 208usize), (64, 64, 16), (3, 8, 0)] {
        for stages in ["2", "3"] {
            let mut wanted = vec![
                EagerBuffer::from_f32(Elem::BF16, &numbers(m * k, 1)),
                EagerBuffer::from_f32(Elem::BF16, &numbers(k * n, 2)),
                EagerBuffer::zeros(Elem::F32, m * n),
            ];
            let mut got = wanted.clone();
            let dims = [[m, k], [k, n], [m, n]].map(|d| d.map(|e| e as i64));
            let args: Vec<EagerArg> = (0..3).map(|i| EagerArg::dense(i, &dims[i], i == 2)).collect();
            interpret(&kernel, [1; 3], &mut wanted, &args, &mut Options::default()).expect("eager mode");
            for seed in 0..3 {
                let run = Run { kernel: &kernel, grid: [1; 3], args: &args, seed };
                emulate::run(run, &mut got, &target, &[("warps", "4"), ("stages", stages)])
                    .unwrap_or_else(|e| panic!("{m} {n} {k} {stages}: {e}"));
                assert_eq!(wanted[2].to_f32(), got[2].to_f32(), "{m} {n} {k} {stages}");
            }
        }
    }
}

#[test]
fn random_products_agree_with_eager_mode_on_gfx950() {
    products::check(0..40, &open("sim:gfx950"));
}
